"""`POST /-/purge`: who may, what is understood, and what is asked for again afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from proxy.model.media import Format
from proxy.purges.marks import key_tag
from tests.deployments import deployed
from tests.origins.server import Server, reply, running, until
from tests.pictures import photo, plain, saved
from tests.services import redis_server
from tests.web.serving import client

TOKEN = "an-admin-token-of-more-than-thirty-two-bytes"
BEARER = {"authorization": f"Bearer {TOKEN}"}
AS_JSON = {"content-type": "application/json"}
TOM = "/w_20/cats/tom.png"
PICTURE = saved(photo(64, 48), Format.PNG)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running() as server:
        server.put("*", reply(PICTURE, etag='"1"', cache_control="max-age=1000"))
        yield server


@pytest.fixture
async def web(renderers: str, server: Server) -> AsyncIterator[httpx.AsyncClient]:
    async with client(renderers, origin=server.url, private_networks=True, admin_token=TOKEN) as session:
        yield session


async def purge(web: httpx.AsyncClient, **what: Any) -> dict[str, Any]:
    answer = await web.post("/-/purge", json=what, headers=BEARER)
    assert answer.status_code == 200, answer.text
    counted: dict[str, Any] = answer.json()
    return counted


async def how(web: httpx.AsyncClient, path: str) -> str:
    answer = await web.get(path)
    assert answer.status_code == 200, answer.text
    status: str = answer.headers["cache-status"]
    return status.removeprefix("image-proxy; ")


@pytest.mark.parametrize(
    "what",
    [
        {"keys": ["cats/tom.png"]},
        {"tags": [key_tag("cats/tom.png")]},
        {"tags": ["origin-default"]},
        {"tags": ["*"]},
        {"prefixes": ["cats/"]},
        {"prefixes": ["nothing", "c"], "keys": ["dogs/rex.png"]},
    ],
    ids=str,
)
async def test_what_was_purged_is_fetched_and_made_anew(
    server: Server, web: httpx.AsyncClient, what: dict[str, list[str]]
) -> None:
    paths = (TOM, "/w_30/cats/tom.png", "/-/info/w_20/cats/tom.png")
    for path in paths:
        assert (await how(web, path)).startswith("fwd=miss")
        assert await how(web, path) == "hit"
    assert len(server.asked) == 1
    counted = await purge(web, **what)
    assert counted == {
        "keys": 0, "tags": 0, "presets": 0, "prefixes": 0, "soft": False,
        **{field: len(names) for field, names in what.items()},
    }  # fmt: skip
    server.put("*", reply(saved(plain(64, 48, 200, 0, 0), Format.PNG), etag='"2"'))
    for path in paths:
        assert (await how(web, path)).startswith("fwd=miss")
        assert await how(web, path) == "hit"
    assert len(server.asked) == 2
    assert "if-none-match" not in server.asked[1].headers


async def test_what_is_not_meant_stays(web: httpx.AsyncClient, server: Server) -> None:
    await how(web, TOM)
    await purge(web, keys=["cats/tim.png"], prefixes=["dogs/", "cats/tom.png.jpg"], presets=["thumb"])
    assert await how(web, TOM) == "hit"
    assert len(server.asked) == 1


async def test_a_preset_is_purged_for_those_who_use_it(web: httpx.AsyncClient, server: Server) -> None:
    for path in ("/p_thumb/cats/tom.png", TOM):
        await how(web, path)
    await purge(web, presets=["thumb"])
    assert (await how(web, "/p_thumb/cats/tom.png")).startswith("fwd=miss")
    assert await how(web, TOM) == "hit"
    assert len(server.asked) == 1


async def test_a_preset_that_is_not_there_is_purged_and_told(
    renderers: str, server: Server, tmp_path: Path
) -> None:
    presets = tmp_path / "presets.yaml"
    presets.write_text("presets: {thumb: w_20}\n")
    flags = {"origin": server.url, "private_networks": True, "admin_token": TOKEN, "presets": str(presets)}
    async with client(renderers, **flags) as web:
        assert (await purge(web, presets=["thumb", "tumb"]))["unknown_presets"] == ["tumb"]
        assert "unknown_presets" not in await purge(web, presets=["thumb"])


async def test_a_soft_purge_makes_stale_and_nobody_waits(web: httpx.AsyncClient, server: Server) -> None:
    first = await web.get(TOM)
    server.put("*", reply(saved(plain(64, 48, 200, 0, 0), Format.PNG), etag='"2"'))
    assert (await purge(web, keys=["cats/tom.png"], soft=True))["soft"] is True
    stale = await web.get(TOM)
    assert stale.content == first.content
    assert stale.headers["cache-status"].startswith("image-proxy; hit; ttl=-")
    assert "s-maxage=0" in stale.headers["cache-control"]
    async with asyncio.timeout(20):
        while (renewed := await web.get(TOM)).headers["cache-status"] != "image-proxy; hit":  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    assert renewed.content != first.content
    assert server.asked[1].headers["if-none-match"] == '"1"'


async def test_a_soft_purge_while_the_origin_is_down_loses_nothing(
    web: httpx.AsyncClient, server: Server
) -> None:
    first = await web.get(TOM)
    server.put("*", reply(status=500))
    await purge(web, keys=["cats/tom.png"], soft=True)
    for _ in range(3):
        answer = await web.get(TOM)
        assert answer.status_code == 200
        assert answer.content == first.content


async def test_a_404_is_purged_too(web: httpx.AsyncClient, server: Server) -> None:
    server.put("*", reply(status=404))
    assert (await web.get(TOM)).status_code == 404
    server.put("*", reply(PICTURE))
    assert (await web.get(TOM)).status_code == 404
    await purge(web, keys=["cats/tom.png"])
    assert (await web.get(TOM)).status_code == 200


async def test_who_asks_after_a_purge_is_not_given_what_was_begun_before_it(
    web: httpx.AsyncClient, server: Server
) -> None:
    let_go = asyncio.Event()
    red = saved(plain(64, 48, 200, 0, 0), Format.PNG)

    async def slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        await let_go.wait()
        return await reply(PICTURE, etag='"1"')(reader, writer)

    server.put("*", slowly, reply(red, etag='"2"'))
    early = asyncio.create_task(web.get(TOM))
    await until(lambda: bool(server.asked))
    await purge(web, keys=["cats/tom.png"])
    late = await web.get(TOM)
    let_go.set()
    assert (await early).headers["etag"] != late.headers["etag"]
    assert (await web.get(TOM)).headers["etag"] == late.headers["etag"]


@pytest.mark.parametrize(
    "body, field",
    [
        (b"[" * 100_000, "body"),
        (b"", "body"),
        (b"[]", "body"),
        (b"{}", "body"),
        (b'{"keys": []}', "body"),
        (b'{"key": ["a"]}', "key"),
        (b'{"keys": "a"}', "keys"),
        (b'{"keys": [1]}', "keys"),
        (b'{"prefixes": [""]}', "prefixes"),
        (b'{"tags": ["a b"]}', "tags"),
        (b'{"tags": ["prefix:a"]}', "tags"),
        (b'{"presets": {"thumb": true}}', "presets"),
        (b'{"keys": ["a"], "soft": 1}', "soft"),
        (b'{"keys": [' + b",".join(b'"%d"' % i for i in range(10_001)) + b"]}", "body"),
    ],
)  # fmt: skip
async def test_what_is_wrong_is_told_by_its_field(web: httpx.AsyncClient, body: bytes, field: str) -> None:
    answer = await web.post("/-/purge", content=body, headers=BEARER | AS_JSON)
    assert (answer.status_code, answer.json()["option"]) == (400, field)
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_purge_that_this_machine_cannot_keep_is_told_to_be_incomplete(tmp_path: Path) -> None:
    (tmp_path / "purges").mkdir()  # where the file should be
    with deployed(cache=f"disk://{tmp_path}", origin=str(tmp_path), admin_token=TOKEN) as server:
        answer = httpx.post(f"{server.url}/-/purge", json={"keys": ["a"]}, headers=BEARER, timeout=30)
        assert (answer.status_code, answer.json()["code"]) == (503, "purge_incomplete")
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["cache-control"] == "no-store"


async def test_only_who_has_the_token_may(web: httpx.AsyncClient) -> None:
    body = {"keys": ["cats/tom.png"]}
    await how(web, TOM)
    nobody = await web.post("/-/purge", json=body)
    assert (nobody.status_code, nobody.headers["www-authenticate"]) == (401, "Bearer")
    assert (await web.post("/-/purge", json=body, headers={"authorization": "Bearer x"})).status_code == 403
    other = await web.get("/-/purge", headers=BEARER)
    assert (other.status_code, other.headers["allow"]) == (405, "POST")
    assert other.headers["cache-control"] == "no-store"
    large = await web.post("/-/purge", content=bytes(5_000_000), headers=BEARER | AS_JSON)
    assert large.status_code == 413
    assert await how(web, TOM) == "hit"


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    with redis_server() as server:
        yield server.url


@pytest.mark.parametrize("shared", ["disk", "redis", "deployment"])
async def test_every_tier_of_every_process_forgets(
    renderers: str, server: Server, tmp_path: Path, redis_url: str, shared: str
) -> None:
    """Two processes, each with its own memory, that meet on a disk, in a Redis, or beside their renderers."""
    caches = {
        "disk": f"memory://9MB,disk://{tmp_path}/shared",
        "redis": f"memory://9MB,redis{redis_url.removeprefix('redis')}?prefix={tmp_path.name}:",
        "deployment": "memory://9MB",
    }
    flags = {"origin": server.url, "private_networks": True, "admin_token": TOKEN, "cache": caches[shared]}
    async with client(renderers, **flags) as other:
        async with client(renderers, **flags) as one:
            for web in (one, other):
                await how(web, TOM)
                assert await how(web, TOM) == "hit"
            server.put("*", reply(saved(plain(64, 48, 200, 0, 0), Format.PNG), etag='"2"'))
            await purge(one, keys=["cats/tom.png"])
            anew = await one.get(TOM)
        # What it made is written now; what the other has in memory is not shown once that has heard.
        async with asyncio.timeout(20):
            while (found := await other.get(TOM)).content != anew.content:
                assert shared == "redis"
                await asyncio.sleep(0.01)
    async with client(renderers, **flags) as started_later:
        late = await started_later.get(TOM)
    assert late.content == anew.content
    expected = "image-proxy; hit" if shared != "deployment" else "image-proxy; fwd=miss; stored"
    assert (found.headers["cache-status"], late.headers["cache-status"]) == (expected, expected)


async def test_a_process_that_starts_after_a_purge_knows_of_it(
    renderers: str, server: Server, tmp_path: Path
) -> None:
    flags = {"origin": server.url, "private_networks": True, "admin_token": TOKEN}
    flags |= {"cache": f"disk://{tmp_path}/a", "originals_cache": f"disk://{tmp_path}/b"}
    async with client(renderers, **flags) as web:
        await how(web, TOM)
        await purge(web, prefixes=["cats/"])
    async with client(renderers, **flags) as web:
        assert (await how(web, TOM)).startswith("fwd=miss")
    assert len(server.asked) == 2
