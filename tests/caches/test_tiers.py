from __future__ import annotations

import asyncio
import socket
import time
import uuid
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from proxy.caches import CacheEntry
from proxy.caches.disk import DiskCache
from proxy.caches.envelope import RENDITION_CODEC
from proxy.caches.memory import MemoryCache
from proxy.caches.tiers import TieredCache, open_cache
from proxy.caches.write_behind import WriteBehind
from proxy.clients.address import parse_size
from proxy.model.media import Rendition
from proxy.telemetry.metrics import Stats
from tests.caches.clocks import Clock
from tests.timing import at_once


class Gate:
    """A slow tier whose writes wait until it is opened."""

    slow = True

    def __init__(self) -> None:
        self.kept = MemoryCache[Rendition](1_000_000)
        self.opened = asyncio.Event()
        self.writes: list[str] = []
        self.written = asyncio.Semaphore(0)
        self.at_once = self.most_at_once = 0

    async def get(self, key: str) -> Rendition | None:
        return await self.kept.get(key)

    async def get_entry(self, key: str) -> CacheEntry[Rendition] | None:
        return await self.kept.get_entry(key)

    async def put(self, key: str, rendition: Rendition, lifetime: float) -> None:
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        await self.opened.wait()
        self.at_once -= 1
        self.writes.append(rendition.etag)
        await self.kept.put(key, rendition, lifetime)
        self.written.release()

    async def close(self) -> None:
        await self.kept.close()

    def stats(self) -> Stats:
        return self.kept.stats()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tiers(tmp_path: Path, clock: Clock) -> tuple[MemoryCache[Rendition], DiskCache[Rendition]]:
    return MemoryCache[Rendition](1_000_000, clock=clock), DiskCache(
        RENDITION_CODEC, tmp_path, 10_000_000, clock=clock
    )


async def test_a_find_further_out_moves_nearer_for_the_rest_of_its_life(
    tiers: tuple[MemoryCache[Rendition], DiskCache[Rendition]], tom: Rendition, clock: Clock
) -> None:
    memory, disk = tiers
    await disk.put("tom", tom, 60)
    clock.forward(20)
    cache = TieredCache(tiers, clock=clock)
    assert await cache.get("tom") == tom
    assert memory.peek("tom") == tom
    clock.forward(39)
    assert memory.peek("tom") == tom
    clock.forward(1)
    assert memory.peek("tom") is None
    await cache.close()


async def test_a_put_reaches_every_tier_by_the_time_it_is_closed(tmp_path: Path, tom: Rendition) -> None:
    near, far = tmp_path / "near", tmp_path / "far"
    cache = open_cache(f"memory://1MB,disk://{near}?size=10MB,disk://{far}?size=10MB")
    for i in range(50):
        await cache.put(f"cat {i}", tom, 60)
    await cache.close()
    for folder in (near, far):
        assert [await DiskCache(RENDITION_CODEC, folder, 10_000_000).get(f"cat {i}") for i in range(50)] == [
            tom
        ] * 50


async def test_a_find_in_the_furthest_tier_moves_into_all_before_it(tmp_path: Path, tom: Rendition) -> None:
    near, far = (
        DiskCache(RENDITION_CODEC, tmp_path / "near", 10_000_000),
        DiskCache(RENDITION_CODEC, tmp_path / "far", 10_000_000),
    )
    await far.put("tom", tom, 60)
    cache = TieredCache([near, far])
    assert await cache.get("tom") == tom
    await cache.close()
    assert await near.get("tom") == tom


async def test_what_was_forgotten_is_gone_before_the_disk_knows(tmp_path: Path, tom: Rendition) -> None:
    cache = TieredCache([DiskCache(RENDITION_CODEC, tmp_path, 10_000_000)])
    await cache.put("tom", tom, 60)
    await cache.close()
    await cache.put("tom", tom, 0)
    assert await cache.get("tom") is None
    await cache.close()
    assert await cache.get("tom") is None


async def test_peek_asks_memory_only(
    tiers: tuple[MemoryCache[Rendition], DiskCache[Rendition]], tom: Rendition
) -> None:
    cache = TieredCache(tiers)
    await tiers[1].put("tom", tom, 60)
    assert cache.peek("tom") is None
    await cache.get("tom")
    assert cache.peek("tom") == tom
    assert TieredCache(tiers[1:]).peek("tom") is None
    await cache.close()


async def test_nobody_waits_for_a_slow_tier(tom: Rendition) -> None:
    gate = Gate()
    cache = TieredCache([gate])
    await asyncio.wait_for(cache.put("tom", tom, 60), 1)
    assert await gate.get("tom") is None
    assert await cache.get("tom") == tom, "what waits to be written can be had"
    gate.opened.set()
    await cache.close()


async def test_what_waits_expires_too(tom: Rendition, clock: Clock) -> None:
    gate = Gate()
    cache = TieredCache([gate], clock=clock)
    await cache.put("tom", tom, 60)
    clock.forward(60)
    assert await cache.get("tom") is None
    gate.opened.set()
    await cache.close()


async def test_of_several_writes_to_one_key_the_last_wins(tom: Rendition) -> None:
    gate = Gate()
    behind = WriteBehind(gate)
    for i in range(10):
        await behind.put("tom", replace(tom, etag=str(i)), 60)
        await asyncio.sleep(0)
    gate.opened.set()
    await behind.close()
    assert gate.writes[-1] == "9"
    assert len(gate.writes) <= 2


async def test_a_few_are_written_at_a_time(tom: Rendition) -> None:
    gate = Gate()
    behind = WriteBehind(gate)
    for i in range(50):
        await behind.put(f"cat {i}", tom, 60)
    await asyncio.sleep(0)
    gate.opened.set()
    await behind.close()
    assert gate.most_at_once == 4
    assert len(gate.writes) == 50


async def test_what_waits_is_bounded(tom: Rendition) -> None:
    gate = Gate()
    behind = WriteBehind(gate, max_waiting=1_000_000)
    with capture_logs() as logs:
        for i in range(20):
            await behind.put(f"cat {i}", replace(tom, body=bytes(100_000)), 60)
    assert {each["event"] for each in logs} == {"cache_failed"}
    assert behind.stats().failures == len(logs) == 11
    gate.opened.set()
    for _ in range(9):
        await gate.written.acquire()
    await behind.put("tom", replace(tom, body=bytes(800_000)), 60)
    assert behind.stats().failures == 11, "there is room again"
    await behind.close()


async def test_each_tier_counts_its_own(
    tiers: tuple[MemoryCache[Rendition], DiskCache[Rendition]], tom: Rendition
) -> None:
    cache = TieredCache(tiers)
    await cache.get("tom")
    await tiers[1].put("tom", tom, 60)
    await cache.get("tom")
    await cache.get("tom")
    assert cache.stats() == (
        Stats(tier="memory", hits=1, misses=2, failures=0),
        Stats(tier="disk", hits=1, misses=1, failures=0),
    )
    await cache.close()


async def test_all_tiers_together_outlive_a_restart_and_a_lost_folder(
    tmp_path: Path, redis_url: str, tom: Rendition
) -> None:
    text = f"memory://1MB,disk://{tmp_path / 'cache'}?size=10MB,{redis_url}?prefix={uuid.uuid4()}:"
    cache = open_cache(text)
    await cache.put("tom", tom, 60)
    await cache.close()
    (tmp_path / "cache").rename(tmp_path / "lost")
    cache = open_cache(text)
    assert await cache.get("tom") == tom
    assert [each.hits for each in cache.stats()] == [0, 0, 1]
    await cache.close()


async def test_with_redis_silent_a_put_is_at_once_and_close_is_soon(tom: Rendition) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        cache = open_cache(f"memory://10MB,redis://127.0.0.1:{listener.getsockname()[1]}")
        for i in range(200):
            at_once(cache.put(f"cat {i}", tom, 60))
            assert at_once(cache.get(f"cat {i}")) == tom
        started = time.perf_counter()
        await cache.close()
        assert time.perf_counter() - started < 2


async def test_none_never_finds_anything(tom: Rendition) -> None:
    cache = open_cache("none")
    await cache.put("tom", tom, 60)
    assert cache.peek("tom") is None
    assert await cache.get("tom") is None
    assert cache.stats() == ()
    await cache.close()


@pytest.mark.parametrize(
    "text, names",
    [
        ("memory://", ["memory"]),
        ("memory://256MB", ["memory"]),
        (" memory://64MiB , disk://.cache ", ["memory", "disk"]),
        ("memory://256MB,disk:///path?size=2GB,redis://host:6379/0", ["memory", "disk", "redis"]),
        ("disk://./x?size=5000", ["disk"]),
        ("redis://host", ["redis"]),
        ("rediss://user:pa,ss@host:1/2?prefix=a:&max_value=1MiB", ["redis"]),
        ("redis://[::1]:6379/0", ["redis"]),
    ],
)
async def test_tiers_are_written_as_addresses(text: str, names: list[str], tmp_path: Path) -> None:
    cache = open_cache(text)
    assert [each.tier for each in cache.stats()] == names
    await cache.close()


@pytest.mark.parametrize(
    "text, shown",
    [
        ("", "''"),
        ("memory", "'memory'"),
        ("memory:256MB", "'memory:256MB'"),
        ("none,memory://1MB", "'none'"),
        ("memory://1MB,", "a size is"),
        ("memory://0", "'0'"),
        ("memory://1.5GB", "'1.5GB'"),
        ("memory://１MB", "'１MB'"),
        ("memory://256XB", "'256XB'"),
        ("memory://1MB?size=1MB", "no options"),
        ("disk://", "takes a folder"),
        ("disk:///path?size=", "''"),
        ("disk:///path?sise=2GB", "'size', not 'sise'"),
        ("redis://", "redis://host:port/database"),
        ("redis://host:port/0", "'redis://host:port/0'"),
        ("redis://host/zero", "'redis://host/zero'"),
        ("redis://host/-1", "'redis://host/-1'"),
        ("redis://host/0?timeout=5", "'max_value', 'prefix', not 'timeout'"),
        ("redis+sentinel://host:26379", "redis+sentinel://host:port,host:port/service/database"),
        ("redis+sentinel://host,/main", "'redis+sentinel://host,/main'"),
        ("redis+cluster://host:6379/1", "redis+cluster://host:port,host:port, not"),
        ("redis+cluster://host?sentinel_password=x", "not 'sentinel_password'"),
        ("redis://one,two/0", "'redis://one,two/0'"),
        ("s4://bucket", "or none, not 's4://bucket'"),
    ],
)
def test_what_cannot_be_a_tier_is_named(text: str, shown: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        open_cache(text)
    assert shown in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "redis://:canary@host:port/0",
        "redis+sentinel://host/main?sentinel_password=canary&size=1",
        "redis+sentinel://host?sentinel_password=canary",
        "redis://user:canary@host/zero",
        "redis://user:canary@host?timeout=1",
        "redis://user:can?canary@host",
        "redis://user:can#canary@host",
        "redis://user:can/canary@host",
        "redis://user:can,canary@host:port",
        "rediz://user:canary@host",
        "user:canary@host",
    ],
)
def test_no_message_shows_a_password(text: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        open_cache(text)
    assert "canary" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert "***" in str(caught.value)


@pytest.mark.parametrize(
    "text, size",
    [
        ("1", 1),
        ("512 b", 512),
        ("512KiB", 524_288),
        ("2kB", 2_000),
        ("256MB", 256_000_000),
        ("256mib", 268_435_456),
        ("2GB", 2_000_000_000),
        ("1TiB", 2**40),
    ],
)
def test_sizes_are_bytes(text: str, size: int) -> None:
    assert parse_size(text) == size
