"""Four servers and one Redis, under bursts, while leaders and Redis are killed: every byte is compared."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest
import pytest_asyncio

from proxy.model.media import Format
from tests.deployments import Deployed, deployed
from tests.origins.server import Server, reply, running, silence
from tests.pictures import photo, saved
from tests.services import RedisServer, redis_server

pytestmark = pytest.mark.asyncio(loop_scope="module")

TOM = saved(photo(640, 480), Format.PNG)

SPELLINGS = (
    "w_300,h_200,f_webp",
    "h_200,w_300,f_webp",
    "s_300x200,f_webp",
    "f_webp,s_300x200",
    "width_300&h_200&f_webp",
    "w=300,h=200,f=webp",
    "w:300,height:200,format:webp",
    "h_200,f_webp,w_300,fit_cover",
)
"""The same picture, written differently."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Got:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def made(self) -> bool:
        """Whether this answer is of who made it, not of who waited for that or found it."""
        said = self.headers["cache-status"]
        return "fwd=miss" in said and "collapsed" not in said


async def get(base: str, path: str) -> Got:
    """On a connection of its own."""
    parts = urlsplit(base)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n".encode())
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    finally:
        writer.close()
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    assert len(body) == int(headers["content-length"])
    return Got(status=int(first.split(" ")[1]), headers=headers, body=body)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def all_origin() -> AsyncIterator[Server]:
    async with running() as server:
        yield server


@pytest.fixture
def origin(all_origin: Server) -> Server:
    all_origin.asked.clear()
    return all_origin


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


@pytest.fixture(scope="module")
def servers(redis: RedisServer, all_origin: Server) -> Iterator[list[Deployed]]:
    with ExitStack() as stack:
        cache = f"memory://64MB,{redis.url}"
        yield [stack.enter_context(deployed(cache=cache, origin=all_origin.url)) for _ in range(4)]


def late(answer: Callable[..., Awaitable[bool]], seconds: float) -> Callable[..., Awaitable[bool]]:
    async def answered(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        await asyncio.sleep(seconds)
        return await answer(reader, writer)

    return answered


async def asked(origin: Server, times: int) -> None:
    async with asyncio.timeout(30):
        while len(origin.asked) < times:  # noqa: ASYNC110 - the servers are other processes
            await asyncio.sleep(0.005)


async def up(urls: list[str], origin: Server) -> None:
    """Each has made a few pictures, and its connections: what is measured afterwards is not the start."""
    told = origin.answers.copy()
    origin.put("/up.png", reply(TOM))
    paths = [f"/w_{width},f_webp/up.png" for width in range(40, 52)]
    found = await asyncio.gather(*(get(url, path) for url in urls for path in paths))
    assert Counter(got.status for got in found) == {200: len(found)}
    origin.answers = told
    origin.asked.clear()


def holds(found: list[Got], origin: Server) -> None:
    assert Counter(got.status for got in found) == {200: len(found)}
    assert len({got.body for got in found}) == 1
    assert len({got.headers["etag"] for got in found}) == 1
    assert sum(got.made for got in found) == 1, "one render"
    assert len(origin.asked) == 1, "one fetch"


async def test_a_thousand_requests_at_four_servers_are_one_fetch_and_one_render(
    servers: list[Deployed], origin: Server
) -> None:
    origin.put("/four_servers.png", late(reply(TOM, etag='"1"'), 0.5))
    await up([server.url for server in servers], origin)
    started = time.perf_counter()
    found = await asyncio.gather(
        *(
            get(servers[each % 4].url, f"/{SPELLINGS[each // 4 % len(SPELLINGS)]}/four_servers.png")
            for each in range(1000)
        )
    )
    print(f"1,000 requests: {time.perf_counter() - started:.2f} s")
    holds(found, origin)


async def test_a_thousand_requests_at_four_workers_are_one_fetch_and_one_render(
    redis: RedisServer, origin: Server
) -> None:
    origin.put("/workers.png", late(reply(TOM, etag='"1"'), 0.5))
    with deployed(cache=f"memory://64MB,{redis.url}", origin=origin.url, workers=4) as server:
        await up([server.url] * 4, origin)
        found = await asyncio.gather(
            *(get(server.url, f"/{SPELLINGS[each % len(SPELLINGS)]}/workers.png") for each in range(1000))
        )
        holds(found, origin)


async def test_an_error_is_found_out_once_and_told_to_all(servers: list[Deployed], origin: Server) -> None:
    origin.put("/an_error.png", late(reply(TOM[:5000]), 0.5))
    await up([server.url for server in servers], origin)
    found = await asyncio.gather(*(get(servers[each % 4].url, "/w_300/an_error.png") for each in range(100)))
    assert Counter(got.status for got in found) == {422: 100}
    assert len({got.body for got in found}) == 1
    assert len(origin.asked) == 1


async def test_a_killed_leader_is_replaced_within_two_seconds(
    servers: list[Deployed], origin: Server
) -> None:
    origin.put("/a_killed.png", silence, reply(TOM, etag='"1"'))
    leader, *others = servers
    await up([server.url for server in servers], origin)
    lost = asyncio.create_task(get(leader.url, "/w_300/a_killed.png"))
    await asked(origin, 1)
    waiting = [asyncio.create_task(get(others[each % 3].url, "/w_300/a_killed.png")) for each in range(300)]
    await asyncio.sleep(0.3)
    leader.kill()
    killed = time.monotonic()
    await asked(origin, 2)
    print(f"killed leader replaced after {time.monotonic() - killed:.2f} s")
    assert time.monotonic() - killed < 2
    found = await asyncio.gather(*waiting)
    assert Counter(got.status for got in found) == {200: 300}
    assert len({got.body for got in found}) == 1
    assert len(origin.asked) == 2
    with pytest.raises((OSError, ValueError, KeyError)):
        await lost


async def test_redis_killed_in_the_middle_of_a_burst_changes_no_byte(
    servers: list[Deployed], redis: RedisServer, origin: Server
) -> None:
    origin.put("*", late(reply(TOM, etag='"1"'), 0.3))
    alive = [server for server in servers if server.process.poll() is None]
    await up([server.url for server in alive], origin)
    paths = [f"/w_{100 + 10 * (each % 12)},f_webp/{each % 3}.png" for each in range(600)]
    burst = [asyncio.create_task(get(alive[each % len(alive)].url, path)) for each, path in enumerate(paths)]
    await asked(origin, 2)
    assert redis.process is not None
    redis.process.kill()
    killed = time.perf_counter()
    found = await asyncio.gather(*burst)
    assert [failure for server in alive for failure in server.failures()] == []
    print(f"burst over {time.perf_counter() - killed:.2f} s after Redis was killed")
    assert Counter(got.status for got in found) == {200: len(paths)}
    with deployed(origin=origin.url) as alone:
        for path in set(paths):
            expected = await get(alone.url, path)
            bodies = {got.body for got, asked_for in zip(found, paths, strict=True) if asked_for == path}
            assert bodies == {expected.body}
