"""Deployments that share a cache: what only one of them may have, the other never serves."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from proxy.clients.object_store import environment_credentials
from proxy.config.deployment import deployed_sources
from proxy.config.settings import load_settings
from proxy.model.media import Format
from proxy.origins.remote_hosts import remote_hosts
from proxy.origins.sources import Source, Sources
from tests.origins.server import Server, reply, running
from tests.pictures import plain, saved
from tests.services import RedisServer, redis_server
from tests.web.serving import client

PICTURE = saved(plain(40, 30, 200, 10, 10), Format.PNG)


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


@pytest.fixture(params=["redis", "disk"])
def shared(request: pytest.FixtureRequest, redis: RedisServer, tmp_path: Path) -> str:
    """The address of a cache that several deployments share, or one after its restart."""
    disk = request.param == "disk"
    return f"disk://{tmp_path}/cache" if disk else f"{redis.url}?prefix={uuid.uuid4()}:"


async def status_of(renderers: str, path: str, **flags: Any) -> int:
    async with client(renderers, private_networks=True, **flags) as http:
        return (await http.get(path)).status_code


async def test_a_host_that_is_no_longer_listed_is_refused_with_a_warm_cache(
    renderers: str, shared: str, tmp_path: Path
) -> None:
    async with running() as server:
        server.put("*", reply(PICTURE, cache_control="max-age=1000"))
        host = f"127.0.0.1:{server.port}"
        path = f"/w_20/{quote(f'{server.url}/a.png', safe='')}"
        flags = {"cache": shared, "originals_cache": f"disk://{tmp_path}/originals", "origin": str(tmp_path)}
        for hosts, status in [
            (host, 200),
            (host, 200),
            ("", 403),
            ("cdn.example", 403),
            (f"{host},cdn.example", 200),
            (".example", 403),
        ]:
            assert await status_of(renderers, path, remote_hosts=hosts, **flags) == status, hosts


async def test_two_hits_in_one_process_ask_the_list_too(renderers: str, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(PICTURE)
    async with client(renderers, origin=str(tmp_path), remote_hosts="cdn.example") as http:
        for _ in range(3):
            answer = await http.get(f"/w_20/{quote('https://elsewhere.example/a.png', safe='')}")
            assert (answer.status_code, answer.json()["code"]) == (403, "source_not_allowed")


async def test_formats_that_are_no_longer_allowed_are_refused_with_a_warm_cache(
    renderers: str, shared: str, tmp_path: Path
) -> None:
    (tmp_path / "a.png").write_bytes(PICTURE)
    for formats, status in [("[png, jpeg]", 200), ("[jpeg]", 415), ("[png]", 200), ("[webp]", 415)]:
        origins = tmp_path / "origins.yaml"
        origins.write_text(f"origins:\n  shop:\n    url: {tmp_path}\n    formats: {formats}\n")
        assert await status_of(renderers, "/w_20/shop/a.png", origins=str(origins), cache=shared) == status


async def test_credentials_of_one_tenant_open_nothing_to_another(
    renderers: str, shared: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running() as server:
        asked: Server = server
        monkeypatch.setenv("TOKEN_A", "Bearer a")
        monkeypatch.setenv("TOKEN_B", "Bearer b")

        for variable, status in [("TOKEN_A", 200), ("TOKEN_B", 404), ("TOKEN_A", 200), (None, 404)]:
            granted = variable == "TOKEN_A"
            answer = reply(PICTURE, cache_control="max-age=1000") if granted else reply(status=404)
            asked.put("*", answer)
            headers = f"\n    headers:\n      Authorization: env:{variable}" if variable else ""
            origins = tmp_path / "origins.yaml"
            origins.write_text(f"origins:\n  shop:\n    url: {server.url}\n    private: true{headers}\n")
            flags = {"origins": str(origins), "cache": shared}
            assert await status_of(renderers, "/w_20/shop/a.png", **flags) == status, variable


PLAIN = Source(url="https://a.example/x")
STORE = Source(url="s3://bucket", options={"endpoint": "http://one", "region": "eu"})
OTHERS = [
    PLAIN,
    STORE,
    Source(url="https://me:secret@a.example/x"),
    Source(url="https://me:Secret@a.example/x"),
    Source(url="https://you:secret@a.example/x"),
    Source(url="https://me@a.example/x"),
    Source(url="https://@a.example/x"),
    Source(url="https://a.example/x", headers={"Authorization": "a"}),
    Source(url="https://a.example/x", headers={"Authorization": "b"}),
    Source(url="https://a.example/x", headers={"Authorization": "a", "X-Tenant": "1"}),
    Source(url="https://a.example/x", headers={"X-Tenant": "a"}),
    Source(url="https://a.example/x", secrets={"Authorization": "a"}),
    Source(url="https://a.example/x", environment={"Authorization": "a"}),
    Source(url="https://a.example/x", private=True),
    Source(url="https://a.example/x", formats=frozenset({"png"})),
    Source(url="https://a.example/x", formats=frozenset()),
    Source(url="https://a.example/x", formats=frozenset({"png", "jpeg"})),
    Source(url="https://a.example/x/"),
    *(
        Source(url="s3://bucket", options={"endpoint": "http://one", "region": "eu", **more}, secrets=secrets)
        for more, secrets in [
            ({"endpoint": "http://two"}, {}),
            ({"region": "us"}, {}),
            ({"access_key_id": "one"}, {}),
            ({"access_key_id": "two"}, {}),
            ({"access_key_id": "one"}, {"secret_access_key": "1"}),
            ({"access_key_id": "one"}, {"secret_access_key": "2"}),
            ({"access_key_id": "one"}, {"secret_access_key": "1", "session_token": "3"}),
            ({"skip_signature": "true"}, {}),
            ({"virtual_hosted_style_request": "true"}, {}),
        ]
    ),
]


def test_whatever_decides_access_is_part_of_the_place() -> None:
    places = [source.place for source in OTHERS]
    assert len(set(places)) == len(places)
    assert all(source.place == place for source, place in zip(OTHERS, places, strict=True))


def test_the_order_of_headers_is_no_other_place() -> None:
    one = Source(url="/x", headers={"a": "1", "b": "2"}, formats=frozenset({"png", "gif"}))
    two = Source(url="/x", headers={"b": "2", "a": "1"}, formats=frozenset({"gif", "png"}))
    assert one.place == two.place


def test_what_costs_or_lasts_is_no_other_place() -> None:
    other = Source(url=PLAIN.url, timeout=3.0, max_age=7, concurrency=1, max_bytes=10)
    assert other.place == PLAIN.place
    assert Source(url="/srv/x", private=True).place == Source(url="/srv/x").place


def test_a_short_secret_is_not_guessed_from_a_place() -> None:
    """A guess costs as much as the slow hash, of which no more than a few thousand a second can be tried."""
    started = time.perf_counter()
    for n in range(3):
        _ = Source(url="https://a.example/guess", headers={"X": str(n)}).place
    assert time.perf_counter() - started > 0.01


def test_whole_urls_have_a_place_by_their_hosts_and_networks() -> None:
    keys = [
        Sources(default=None, remote=remote_hosts(hosts), remote_private=private).locate(
            "https://a.example/x"
        )
        for hosts in (["a.example"], ["a.example:443"], [".example"], ["a.example", "b.example"])
        for private in (False, True)
    ]
    assert len({key.place for key in keys}) == len(keys)
    assert all(key.place and key.refusal is None for key in keys)
    turned = Sources(default=None, remote=remote_hosts(["b.example", "a.example"]))
    assert turned.locate("https://a.example/x").place == keys[6].place


@pytest.mark.parametrize(
    "scheme, name",
    [
        ("s3", "AWS_ACCESS_KEY_ID"),
        ("s3", "AWS_SECRET_ACCESS_KEY"),
        ("s3", "AWS_ROLE_ARN"),
        ("s3", "AWS_REGION"),
        ("gs", "GOOGLE_SERVICE_ACCOUNT_KEY"),
        ("az", "AZURE_STORAGE_ACCOUNT_KEY"),
        ("az", "AZURE_CLIENT_ID"),
    ],
)
def test_credentials_of_the_environment_are_part_of_the_place(
    monkeypatch: pytest.MonkeyPatch, scheme: str, name: str
) -> None:
    places = set()
    for text in ("", "s3cret-1", "s3cret-2"):
        monkeypatch.setenv(name, text)
        sources = deployed_sources(load_settings(origin=f"{scheme}://bucket"))
        places.add(sources.locate("a.png").place)
        assert "s3cret" not in repr(sources)
    assert len(places) == 3
    assert environment_credentials("https") == {}


def test_of_a_file_with_credentials_the_content_counts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "key.json"
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
    places = set()
    for text in ("{}", '{"client_email": "a"}'):
        path.write_text(text)
        places.add(deployed_sources(load_settings(origin="gs://bucket")).locate("a.png").place)
    assert len(places) == 2
