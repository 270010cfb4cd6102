from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from proxy.model.errors import OriginalNotFound, SourceNotAllowed
from proxy.model.limits import Limits
from proxy.origins import Origins
from proxy.origins.file import FileOrigin
from proxy.origins.open import open_origins
from proxy.origins.remote_hosts import remote_hosts as read_hosts
from proxy.origins.router import OriginRouter
from proxy.origins.sources import NOWHERE, Source, Sources
from tests.origins.server import Server, reply
from tests.origins.versions import present_version

LIMITS = Limits()
locate = NOWHERE.locate


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "my originals"
    folder.mkdir()
    (folder / "tom.jpg").write_bytes(b"tom")
    return folder


def opened(url: str, *, remote_hosts: Iterable[str] = (), private_networks: bool = False) -> OriginRouter:
    source = Source(url=url, private=private_networks)
    hosts = read_hosts(remote_hosts)
    sources = Sources(default=source, remote=hosts, remote_private=private_networks)
    return open_origins(sources, limits=LIMITS)


async def fetched(origin: Origins, key: str = "tom.jpg") -> bytes:
    try:
        return (await origin.fetch(locate(key))).body
    finally:
        await origin.close()


async def test_a_folder_is_opened_however_it_is_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    monkeypatch.setenv("HOME", str(folder.parent))
    quoted = str(folder).replace(" ", "%20")
    for text in (
        str(folder),
        f"{folder}/",
        "my originals",
        "./my originals",
        "~/my originals",
        f"file://{folder}",
        f"file://{quoted}/",
        f"FILE://localhost{quoted}",
    ):
        assert await fetched(opened(text)) == b"tom"


async def test_a_server_is_opened_and_private_networks_lets_it_be_on_loopback(server: Server) -> None:
    server.put("/base/tom.jpg", reply(b"tom"))
    origin = opened(f"{server.url}/base", private_networks=True)
    assert await fetched(origin) == b"tom"


async def test_without_private_networks_a_server_on_loopback_is_not_asked(server: Server) -> None:
    with pytest.raises(SourceNotAllowed, match="private_networks"):
        await fetched(opened(server.url))
    assert server.connections == 0


async def test_keys_that_are_urls_go_to_the_listed_hosts(folder: Path, server: Server) -> None:
    server.put("/tom.jpg", reply(b"remote tom"))
    origin = opened(str(folder), remote_hosts=[f"127.0.0.1:{server.port}"], private_networks=True)
    assert (await origin.fetch(locate("tom.jpg"))).body == b"tom"
    assert (await origin.fetch(locate(f"{server.url}/tom.jpg"))).body == b"remote tom"
    assert (await origin.fetch(locate(f"HTTP://127.0.0.1:{server.port}/tom.jpg"))).body == b"remote tom"
    assert await present_version(origin, locate("tom.jpg")) is not None
    assert await present_version(origin, locate(f"{server.url}/tom.jpg")) is None
    await origin.close()


async def test_without_private_networks_a_listed_host_must_be_public(folder: Path, server: Server) -> None:
    origin = opened(str(folder), remote_hosts=[f"127.0.0.1:{server.port}"])
    with pytest.raises(SourceNotAllowed):
        await fetched(origin, f"{server.url}/tom.jpg")
    assert server.connections == 0


async def test_private_networks_is_for_hosts_spelled_out_and_not_for_what_a_suffix_matches(
    folder: Path, server: Server
) -> None:
    """Whoever may write one name below a suffix decides where it points."""
    # A suffix that no operator would list, but the only one below which every machine resolves a name.
    origin = opened(str(folder), remote_hosts=[f".0.0.1:{server.port}"], private_networks=True)
    with pytest.raises(SourceNotAllowed, match="private_networks"):
        await fetched(origin, f"{server.url}/tom.jpg")
    assert server.connections == 0


@pytest.mark.parametrize("key", ["https://example.com/tom.jpg", "http://example.com", "HTTPS://example.com/"])
async def test_without_listed_hosts_no_url_is_a_key(folder: Path, key: str) -> None:
    with pytest.raises(SourceNotAllowed, match="remote_hosts"):
        await fetched(opened(str(folder)), key)
    assert await present_version(OriginRouter(FileOrigin(folder, LIMITS)), locate(key)) is None


@pytest.mark.parametrize("key", ["http:/x", "https:x", "ftp://x", "httpx://x", "x/http://y"])
async def test_what_is_no_url_of_http_is_an_ordinary_key(folder: Path, key: str) -> None:
    with pytest.raises(OriginalNotFound):
        await fetched(opened(str(folder)), key)


@pytest.mark.parametrize("scheme", ["ftp", "FTP", "gopher"])
def test_an_unknown_scheme_is_refused_with_those_there_are(scheme: str) -> None:
    with pytest.raises(
        ValueError, match=f"'{scheme.lower()}://'.*path, file://, http://, https://"
    ) as refusal:
        opened(f"{scheme}://key:s3cret@bucket/prefix")
    assert "s3cret" not in str(refusal.value)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for name in ("absent", "file"):
        with pytest.raises(ValueError, match=str(tmp_path / name)):
            opened(str(tmp_path / name))


@pytest.mark.parametrize("text", ["file://", "file://srv", "file://server/share"])
def test_a_file_url_takes_three_slashes(text: str) -> None:
    with pytest.raises(ValueError, match="three slashes"):
        opened(text)


def test_a_wrong_entry_of_the_hosts_is_named(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"\*\.example\.com"):
        opened(str(folder), remote_hosts=["*.example.com"])
