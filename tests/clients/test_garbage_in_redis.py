"""Whatever others write into our keys in Redis is a miss that is logged, and stops nothing for good."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from proxy.caches.envelope import entry_name, pack_rendition
from proxy.caches.redis import open_redis
from proxy.clients.address import parse_tier_address
from proxy.model.media import Format, Rendition
from proxy.purges.file_ledger import marks_in
from proxy.purges.log import PurgeLog, open_purge_log
from proxy.purges.marks import purge_subject
from proxy.renditions.cluster import open_leadership
from proxy.renditions.leases import PART_BYTES
from proxy.renditions.served import NewRendition
from tests.services import RedisServer, redis_server

TOM = Rendition(
    body=b"tom" * 100, format=Format.WEBP, width=3, height=2, etag="5f1c", made_at=1_700_000_000.0
)
SUBJECT = purge_subject(["a.jpg"], ["default"])
TAG = SUBJECT.tags[0]

Write = Callable[[Redis, str], Coroutine[Any, Any, Any]]

BLOBS = [
    b"",
    b"\0",
    b"\xff\xfe\xfd",
    b"nan",
    b"inf",
    b"-1",
    b"1e400",
    b"9" * 5000,
    b"IPR\x02",
    b"IPR\x02" + b"\xff" * 200,
    pack_rendition(TOM, "other", 2e9),
    pack_rendition(TOM, "a", 2e9)[:-1],
    "²³".encode(),
    b"x" * 2_000_000,
]


async def wrong_list(redis: Redis, key: str) -> None:
    await redis.lpush(key, "x")


async def wrong_set(redis: Redis, key: str) -> None:
    await redis.sadd(key, "x")


async def wrong_hash(redis: Redis, key: str) -> None:
    await redis.hset(key, mapping={"token": "x", "landed": "y", b"\xff": b"\xff"})


async def wrong_sorted_set(redis: Redis, key: str) -> None:
    await redis.zadd(key, {"x": 1.5})


async def wrong_stream(redis: Redis, key: str) -> None:
    await redis.xadd(key, {"x": "y"})


def blob(content: bytes) -> Write:
    async def write(redis: Redis, key: str) -> None:
        await redis.set(key, content)

    return write


def scores(*pairs: tuple[bytes, float | str]) -> Write:
    async def write(redis: Redis, key: str) -> None:
        for member, score in pairs:
            await redis.execute_command("ZADD", key, score, member)  # type: ignore[no-untyped-call]

    return write


def fields(mapping: dict[bytes, bytes], ttl: int | None = None) -> Write:
    async def write(redis: Redis, key: str) -> None:
        await redis.hset(key, mapping=mapping)  # type: ignore[arg-type]
        if ttl is not None:
            await redis.pexpire(key, ttl)

    return write


TYPES: list[Write] = [wrong_list, wrong_set, wrong_hash, wrong_sorted_set, wrong_stream]
ANYTHING: list[Write] = [*TYPES, *map(blob, BLOBS)]
FUTURE = time.time() * 1000
MARKS: list[Write] = [
    *ANYTHING,
    *(
        scores((member, score))
        for member in (b"hx", b"sx", b"h", b"", b"\xff\xfe", b"h\xff\xfe", b"zzz", b"h" + b"x" * 200_000)
        for score in ("+inf", "-inf", "1e300", "-1e300", "-5", "0", "0.5", f"{FUTURE:.0f}.5", 2**53, 2**64)
    ),
    scores((b"hx", "+inf"), (b"sy", "1e18"), (b"hz", f"{FUTURE:.0f}"), (b"\xff", f"{FUTURE + 7:.0f}")),
]
REGISTRY: list[Write] = [
    *ANYTHING,
    *(
        fields({name: entry})
        for name in (b"peer", b"\xff\xfe", b"")
        for entry in (
            b"", b":", b"x", b"1:", b":9", b"1:" + b"9" * 15, b"1:" + b"9" * 400, b"9" * 5000 + b":9",
            b"nan:inf", b"-1:-1", b"\xff:\xff", b"1:2:3", b"inf:99999999999999",
        )
    ),
]  # fmt: skip
LEASES: list[Write] = [
    *ANYTHING,
    *(
        fields(mapping, ttl)
        for ttl in (None, 86_400_000, 1500)
        for mapping in (
            {b"token": b"x"},
            {b"token": b""},
            {b"token": b"\xff\xfe"},
            {b"token": b"\xff\xfe", b"landed": b"rendition:1"},
            {b"token": b"1.ab", b"landed": b"rendition:" + b"9" * 5000},
            {b"token": b"1.ab", b"landed": "rendition:²".encode()},
            {b"token": b"1.ab", b"landed": b"rendition:1"},
            {b"token": b"1.ab", b"landed": b"error:2"},
            {b"token": b"1.ab", b"landed": b"\xff"},
            {b"token": b"9" * 5000 + b".ab", b"landed": b"rendition:1"},
            {b"landed": b"rendition:1"},
            {b"else": b"x"},
        )
    ),
]


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


@pytest.fixture
async def redis(server: RedisServer) -> AsyncIterator[Redis]:
    client = Redis.from_url(server.url)
    yield client
    await client.aclose()


@asynccontextmanager
async def purge_log(address: str, folder: Path) -> AsyncIterator[PurgeLog]:
    log = open_purge_log(address, "none", folder, lease_duration=1.0)
    await log.open()
    try:
        yield log
    finally:
        await log.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110  what it waits for is in another object's fields
            await asyncio.sleep(0.02)


async def replace(redis: Redis, key: str, write: Write) -> None:
    """A process may write its own in between."""
    async with asyncio.timeout(20):
        while True:
            await redis.delete(key)
            try:
                await write(redis, key)
            except ResponseError:
                continue
            return


def knows(log: PurgeLog, after: int) -> bool:
    """Or validates what it has, because it cannot know."""
    leased = log.leased
    return log.verdict(SUBJECT, after) is not None or not leased


async def purges_are_kept(server: RedisServer, redis: Redis, folder: Path, suffix: str, write: Write) -> None:
    """While two processes run, and for one that starts then: no purge is lost, and no listener ends."""
    prefix = f"{uuid.uuid4()}:"
    address = f"{server.url}?prefix={prefix}"
    key = f"{prefix}{{purges}}{suffix}"
    async with purge_log(address, folder / "1") as one, purge_log(address, folder / "2") as two:
        await until(lambda: one.leased and two.leased)
        before = one.state.number
        await replace(redis, key, write)
        await redis.publish(f"{prefix}{{purges}}:news", b"\xff\xfe garbage")
        assert await one.purge([TAG], soft=False) == []
        assert knows(two, before)
        await until(lambda: two.verdict(SUBJECT, before) is not None)
        await replace(redis, key, write)
        async with purge_log(address, folder / "3") as three:
            await until(lambda: one.leased and two.leased and three.leased)
            number = two.state.number
            assert await two.purge([TAG], soft=True) == []
            for log in (one, three):
                assert knows(log, number)
                await until(lambda log=log: log.verdict(SUBJECT, number) is not None)  # type: ignore[misc]
            assert two.state.number < (time.time() + 4 * 366 * 86_400) * 1000


@pytest.mark.parametrize("suffix, garbage", [("", MARKS), (":live", REGISTRY), (":lost", ANYTHING)])
async def test_purges_survive_whatever_is_in_their_keys(
    server: RedisServer, redis: Redis, tmp_path: Path, suffix: str, garbage: list[Write]
) -> None:
    turns = asyncio.Semaphore(8)

    async def one(number: int, write: Write) -> None:
        async with turns:
            await purges_are_kept(server, redis, tmp_path / f"{number}", suffix, write)

    results = await asyncio.gather(*(one(*each) for each in enumerate(garbage)), return_exceptions=True)
    assert {number: result for number, result in enumerate(results) if result is not None} == {}


async def test_messages_of_others_end_no_subscription(
    server: RedisServer, redis: Redis, tmp_path: Path
) -> None:
    prefix = f"{uuid.uuid4()}:"
    async with purge_log(f"{server.url}?prefix={prefix}", tmp_path) as log:
        await until(lambda: log.leased)
        for content in BLOBS:
            await redis.publish(f"{prefix}{{purges}}:news", content)
            await redis.publish(f"{prefix}landed", content)
        await asyncio.sleep(0.3)
        assert log.leased
        assert await log.purge([TAG], soft=False) == []


async def test_garbage_in_a_cache_is_a_miss_and_replaced(server: RedisServer, redis: Redis) -> None:
    prefix = f"{uuid.uuid4()}:"
    cache = open_redis(parse_tier_address(f"{server.url}?prefix={prefix}&max_value=1MB"))
    for write in ANYTHING:
        name = prefix + entry_name("a")
        await redis.delete(name)
        await write(redis, name)
        failures = cache.failures
        assert await cache.get("a") is None
        assert cache.failures > failures or await redis.get(name) == b""
        await cache.put("a", TOM, 60)
        assert await cache.get("a") == TOM
    await cache.close()


async def test_garbage_in_a_lease_costs_one_render_and_no_wait(server: RedisServer, redis: Redis) -> None:
    for number, write in enumerate(LEASES):
        prefix = f"{uuid.uuid4()}:"
        leadership = open_leadership(f"{server.url}?prefix={prefix}")
        name = entry_name("flight\na")
        await write(redis, f"{prefix}lease:{name}")
        renders = 0

        async def make() -> NewRendition:
            nonlocal renders
            renders += 1
            await asyncio.sleep(0.02)
            return NewRendition(TOM)

        flights = (leadership.lead_or_follow("a", make) for _ in range(3))
        async with asyncio.timeout(5):
            found = await asyncio.gather(*flights)
        assert {each.rendition for each in found} == {TOM}, number
        assert renders == 1, number
        await leadership.close()


async def test_garbage_in_place_of_a_result_is_no_result(server: RedisServer, redis: Redis) -> None:
    for write in (*ANYTHING, blob(b"x" * PART_BYTES)):
        prefix = f"{uuid.uuid4()}:"
        leadership = open_leadership(f"{server.url}?prefix={prefix}")
        name = entry_name("flight\na")
        for kind in ("rendition", "bridged", "error"):
            token = "1700000000000000.abcd"
            await fields({b"token": token.encode(), b"landed": f"{kind}:1".encode()}, 2000)(
                redis, f"{prefix}lease:{name}"
            )
            part = f"{prefix}landed:{name}:{token}:0"
            await redis.delete(part)
            await write(redis, part)

            async def make() -> NewRendition:
                return NewRendition(TOM)

            async with asyncio.timeout(5):
                assert (await leadership.lead_or_follow("a", make)).rendition == TOM
        await leadership.close()


def test_lines_of_others_are_no_marks() -> None:
    lines = [b"", b"x", b"\xff", b"[]", b"[Infinity, true, 'x']", b'[Infinity, true, "x"]', b'[NaN, 1, "x"]',
             b'[1e400, 1, "x"]', b"[" * 50_000, b'[1e30, 0, "x"]', b"[" + b"9" * 5000 + b', 0, "x"]',
             b'{"a": 1}', b"null", b'[[1], 0, "x"]']  # fmt: skip
    good = b'[1700000000000, false, "x"]'
    assert len(list(marks_in(b"\n".join([*lines, good])))) == 1
