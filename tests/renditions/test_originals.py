"""Cached originals: when their origin is asked, and what happens when it does not answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from proxy.caches import Tier
from proxy.caches.disk import DiskCache
from proxy.caches.memory import MemoryCache
from proxy.caches.original_envelope import ORIGINAL_CODEC
from proxy.caches.tiers import TieredCache
from proxy.model.errors import OriginalNotFound, OriginFailed
from proxy.model.limits import Limits
from proxy.model.media import Format, Original
from proxy.origins.file import FileOrigin
from proxy.origins.router import OriginRouter
from proxy.origins.sources import NOWHERE
from proxy.renditions.originals import Originals
from tests.caches.clocks import Clock
from tests.origins.server import Server, reply, running, silence, until
from tests.pictures import loaded, photo, plain, saved
from tests.renditions.conftest import router_to
from tests.timing import waiting
from tests.web.serving import client

A = NOWHERE.locate("a")

Open = Callable[[], Originals]


@pytest.fixture
async def opened(server: Server, clock: Clock, tmp_path: Path) -> AsyncIterator[Open]:
    """Opens originals anew, as a restart does: memory is empty then, and the disk is not."""
    made: list[Originals] = []

    def open() -> Originals:
        tiers: list[Tier[Original]] = [
            MemoryCache[Original](10**7, clock=clock),
            DiskCache(ORIGINAL_CODEC, tmp_path, 10**7, clock=clock),
        ]
        cache = TieredCache[Original](tiers, clock=clock)
        made.append(Originals(router_to(server), cache, fresh_for=60, stale_if_error=600, clock=clock))
        return made[-1]

    yield open
    for each in made:
        await each.close()


async def test_what_is_fresh_is_not_asked_for(opened: Open, server: Server, clock: Clock) -> None:
    server.put("/a", reply(b"one", cache_control="max-age=100"))
    originals = opened()
    first = await originals.fetch(A)
    clock.forward(90)
    assert await originals.fetch(A) == first
    assert len(server.asked) == 1


async def test_a_cached_one_survives_a_restart_with_its_policy(
    opened: Open, server: Server, clock: Clock
) -> None:
    server.put(
        "/a",
        reply(
            bytes(range(256)) * 40,
            cache_control="max-age=100, stale-if-error=7",
            etag='W/"1"',
            last_modified="Tue, 14 Nov 2023 22:13:20 GMT",
        ),
    )
    originals = opened()
    first = await originals.fetch(A)
    await originals.close()
    assert await opened().fetch(A) == first
    assert (first.etag, first.cache_policy.stale_if_error) == ('W/"1"', 7)
    assert len(server.asked) == 1


async def test_many_callers_at_once_cost_one_download(opened: Open, server: Server) -> None:
    server.put("/a", reply(b"one"))
    originals = opened()
    found = await asyncio.gather(*(originals.fetch(A) for _ in range(50)))
    assert {each.body for each in found} == {b"one"}
    assert len(server.asked) == 1


async def test_an_origin_that_says_nothing_is_believed_for_a_while(
    opened: Open, server: Server, clock: Clock
) -> None:
    server.put("/a", reply(b"one", etag='"1"'), reply(status=304), reply(b"two", etag='"2"'))
    originals = opened()
    await originals.fetch(A)
    clock.forward(50)
    await originals.fetch(A)
    assert len(server.asked) == 1
    clock.forward(50)
    assert (await originals.fetch(A)).body == b"one"
    assert server.asked[1].headers["if-none-match"] == '"1"'
    clock.forward(120)
    assert (await originals.fetch(A)).body == b"two"
    assert len(server.asked) == 3


@pytest.mark.parametrize("forbidden", ["no-store", "private, max-age=100"])
async def test_what_must_not_be_stored_is_not_stored(
    opened: Open, server: Server, tmp_path: Path, forbidden: str
) -> None:
    server.put("/a", reply(b"kept", cache_control="no-cache"), reply(b"secret", cache_control=forbidden))
    originals = opened()
    await originals.fetch(A)
    assert (await originals.fetch(A)).body == b"secret"
    await originals.fetch(A)
    assert [each.headers.get("if-none-match") for each in server.asked] == [None] * 3
    await originals.close()
    assert b"secret" not in contents(tmp_path)


async def test_a_stale_one_stands_in_for_a_dead_origin_which_is_not_asked_each_time(
    opened: Open, server: Server, clock: Clock
) -> None:
    server.put("/a", reply(b"one", etag='"1"'), reply(status=500))
    originals = opened()
    first = await originals.fetch(A)
    clock.forward(100)
    for _ in range(3):
        assert await originals.fetch(A) == replace(first, is_stale=True)
    assert len(server.asked) == 2
    clock.forward(600)
    with pytest.raises(OriginFailed):
        await originals.fetch(A)


async def test_no_stale_one_is_used_where_the_origin_insists_on_validation(
    opened: Open, server: Server, clock: Clock
) -> None:
    server.put("/a", reply(b"one", cache_control="max-age=5, must-revalidate"), reply(status=500))
    originals = opened()
    await originals.fetch(A)
    clock.forward(60)
    with pytest.raises(OriginFailed):
        await originals.fetch(A)


async def test_a_stale_one_is_used_while_it_is_renewed_where_its_origin_allows_it(
    opened: Open, server: Server, clock: Clock
) -> None:
    allowed = "max-age=5, stale-while-revalidate=1000"
    server.put("/a", reply(b"one", cache_control=allowed), silence)
    originals = opened()
    first = await originals.fetch(A)
    clock.forward(60)
    async with waiting() as waited:
        assert await originals.fetch(A) == first
        await until(lambda: len(server.asked) == 2)
    assert waited.seconds < 0.9, "the origin would take a second to be given up"


async def test_what_is_gone_is_forgotten(opened: Open, server: Server, clock: Clock) -> None:
    server.put("/a", reply(b"one", cache_control="max-age=5"), reply(status=404), reply(status=500))
    originals = opened()
    await originals.fetch(A)
    clock.forward(60)
    with pytest.raises(OriginalNotFound):
        await originals.fetch(A)
    with pytest.raises(OriginFailed):
        await originals.fetch(A)


async def test_a_folder_needs_no_copy_of_what_is_in_it(tmp_path: Path) -> None:
    folder, cached = tmp_path / "originals", tmp_path / "cached"
    folder.mkdir()
    (folder / "a").write_bytes(b"one")
    cache = TieredCache([DiskCache(ORIGINAL_CODEC, cached, 10**7)])
    originals = Originals(OriginRouter(FileOrigin(folder, Limits())), cache, fresh_for=60, stale_if_error=600)
    assert (await originals.fetch(A)).body == b"one"
    await originals.close()
    assert not cached.exists()


def contents(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


@pytest.fixture
async def web(renderers: str, server: Server) -> AsyncIterator[httpx.AsyncClient]:
    flags = {"origin": server.url, "private_networks": True}
    async with client(renderers, **flags) as session:
        yield session


async def test_ten_widths_of_a_photo_cost_one_download(server: Server, web: httpx.AsyncClient) -> None:
    server.put("/tom.jpg", reply(saved(photo(640, 480), Format.JPEG)))
    for width in range(20, 30):
        assert loaded((await web.get(f"/w_{width}/tom.jpg")).content).width == width
    assert len(server.asked) == 1


async def test_another_original_makes_another_rendition(renderers: str, server: Server) -> None:
    server.put(
        "/tom.png",
        reply(saved(plain(8, 8, 200, 0, 0), Format.PNG), etag='"1"'),
        reply(saved(plain(8, 8, 0, 0, 200), Format.PNG), etag='"2"'),
    )
    flags = {"origin": server.url, "private_networks": True}
    async with client(renderers, originals_max_age=0, s_maxage=0, stale_while_revalidate=0, **flags) as web:
        first, second = await web.get("/w_4/tom.png"), await web.get("/w_4/tom.png")
    assert first.headers["etag"] != second.headers["etag"]
    assert first.content != second.content
    assert second.headers["cache-status"] == "image-proxy; fwd=stale; stored"


async def test_no_cache_stores_a_rendition_whose_original_must_not_be_stored(
    server: Server, web: httpx.AsyncClient
) -> None:
    server.put("/tom.jpg", reply(saved(photo(64, 48), Format.JPEG), cache_control="private, no-store"))
    for times in (1, 2):
        answer = await web.get("/w_20/tom.jpg")
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["cache-status"] == "image-proxy; fwd=miss"
        assert len(server.asked) == times


async def test_a_new_size_of_a_photo_is_made_while_its_origin_is_down_and_says_that_it_is_stale(
    renderers: str, server: Server
) -> None:
    server.put("/tom.jpg", reply(saved(photo(64, 48), Format.JPEG)), reply(status=503))
    flags = {"origin": server.url, "private_networks": True}
    async with client(renderers, originals_max_age=0, **flags) as web:
        await web.get("/w_20/tom.jpg")
        answer = await web.get("/w_30/tom.jpg")
        again = await web.get("/w_30/tom.jpg")
    assert answer.status_code == 200
    assert answer.headers["cache-status"] == "image-proxy; fwd=stale; stored"
    assert "s-maxage=0" in answer.headers["cache-control"]
    assert again.headers["cache-status"].startswith("image-proxy; hit; ttl=-")


async def test_two_origins_that_share_a_cache_do_not_share_their_pictures(
    renderers: str, server: Server, tmp_path: Path
) -> None:
    shared: dict[str, object] = {
        "cache": f"disk://{tmp_path}/renditions",
        "originals_cache": f"disk://{tmp_path}/originals",
        "private_networks": True,
    }
    found = []
    async with running() as other:
        for place, colour in ((server, 0), (other, 200)):
            place.put("/a.png", reply(saved(plain(8, 8, colour, 0, 0), Format.PNG)))
        for _ in range(2):
            for place in (server, other):
                async with client(renderers, origin=place.url, **shared) as web:
                    found.append((await web.get("/_/a.png")).content)
        assert [len(server.asked), len(other.asked)] == [1, 1]
    assert found[0] != found[1]
    assert found[:2] == found[2:]


async def test_two_stores_of_the_environment_that_share_a_cache_do_not_share_their_pictures(
    renderers: str, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which store a bucket is in may be said by a variable alone."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"):
        monkeypatch.setenv(name, "x")
    shared = {"cache": f"disk://{tmp_path}/renditions", "originals_cache": f"disk://{tmp_path}/originals"}
    found = []
    async with running() as other:
        for place, colour in ((server, 0), (other, 200)):
            body = saved(plain(8, 8, colour, 0, 0), Format.PNG)
            place.put("*", reply(body, last_modified="Mon, 01 Jan 2024 00:00:00 GMT", etag='"same"'))
        for variable in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
            for place in (server, other):
                monkeypatch.setenv(variable, place.url)
                async with client(renderers, origin="s3://media", **shared) as web:
                    found.append((await web.get("/_/a.png")).content)
        assert [len(server.asked), len(other.asked)] == [1, 1]
    assert found[0] != found[1]
    assert found[:2] == found[2:]
