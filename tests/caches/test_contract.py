"""What every cache promises, whatever it is made of."""

from __future__ import annotations

import asyncio
import math
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from proxy.caches import Cache, Tier
from proxy.caches.bucket import BucketCache
from proxy.caches.disk import DiskCache
from proxy.caches.envelope import RENDITION_CODEC
from proxy.caches.memory import MemoryCache
from proxy.caches.redis import RedisCache
from proxy.caches.tiers import TieredCache
from proxy.clients.address import parse_tier_address
from proxy.clients.object_store import open_store
from proxy.clients.redis import redis_client
from proxy.clients.redis_link import RedisLink
from proxy.model.media import Format, Rendition
from tests.caches.clocks import Clock
from tests.s3 import S3Server

KEYS = ["cats/tom.jpg", "", "../../etc/passwd", "a" * 5_000, "ü\n\x00/\udcff", "*", "a b%2F"]
MEGABYTE = 1_000_000


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["memory", "disk", "redis", "bucket", "tiered"])
async def cache(
    request: pytest.FixtureRequest, tmp_path: Path, redis_url: str, s3: S3Server, clock: Clock
) -> AsyncIterator[Cache[Rendition]]:
    def redis() -> RedisCache:
        prefix = f"{uuid.uuid4()}:"
        link = RedisLink(redis_client(parse_tier_address(redis_url), step=60.0), call_timeout=60.0)
        return RedisCache(link, prefix=prefix, max_value=2 * MEGABYTE, clock=clock)

    def bucket() -> BucketCache:
        store = open_store(f"s3://{s3.bucket}/{uuid.uuid4()}", s3.config, 60.0)
        return BucketCache(store, max_value=2 * MEGABYTE, lookup_timeout=60.0, clock=clock)

    def tiered() -> TieredCache[Rendition]:
        tiers: list[Tier[Rendition]] = [MemoryCache(16 * MEGABYTE, clock=clock)]
        tiers += [DiskCache(RENDITION_CODEC, tmp_path / "near", 16 * MEGABYTE, clock=clock), redis()]
        return TieredCache(tiers, clock=clock)

    makers: dict[str, Callable[[], Cache[Rendition]]] = {
        "memory": lambda: MemoryCache[Rendition](16 * MEGABYTE, clock=clock),
        "disk": lambda: DiskCache(RENDITION_CODEC, tmp_path / "cache", 16 * MEGABYTE, clock=clock),
        "redis": redis,
        "bucket": bucket,
        "tiered": tiered,
    }
    made = makers[request.param]()
    yield made
    await made.close()


async def test_what_was_never_put_is_a_miss(cache: Cache[Rendition]) -> None:
    assert await cache.get("cats/tom.jpg") is None


@pytest.mark.parametrize("key", KEYS, ids=range(len(KEYS)))
async def test_any_text_is_a_key(cache: Cache[Rendition], tom: Rendition, key: str) -> None:
    await cache.put(key, tom, 60)
    assert await cache.get(key) == tom
    assert await cache.get(key + "x") is None


@pytest.mark.parametrize("format", Format)
async def test_every_format_comes_back_as_it_went_in(
    cache: Cache[Rendition], tom: Rendition, format: Format
) -> None:
    put = replace(tom, format=format, last_modified=None, body=bytes(range(256)))
    await cache.put("tom", put, 60)
    assert await cache.get("tom") == put


async def test_an_empty_body_is_a_rendition(cache: Cache[Rendition], tom: Rendition) -> None:
    await cache.put("tom", replace(tom, body=b""), 60)
    assert await cache.get("tom") == replace(tom, body=b"")


async def test_a_megabyte_and_more_is_kept(cache: Cache[Rendition], tom: Rendition) -> None:
    big = replace(tom, body=bytes(range(250)) * 6_000)
    await cache.put("tom", big, 60)
    assert await cache.get("tom") == big


async def test_the_last_put_wins(cache: Cache[Rendition], tom: Rendition) -> None:
    await cache.put("tom", tom, 60)
    await cache.put("tom", replace(tom, etag="newer"), 60)
    assert await cache.get("tom") == replace(tom, etag="newer")


async def test_an_entry_lives_as_long_as_its_lifetime(
    cache: Cache[Rendition], tom: Rendition, clock: Clock
) -> None:
    await cache.put("tom", tom, 60)
    clock.forward(59)
    assert await cache.get("tom") == tom
    clock.forward(1)
    assert await cache.get("tom") is None


@pytest.mark.parametrize("lifetime", [0, -1, -1e12])
async def test_no_lifetime_is_no_entry_and_the_end_of_the_older_one(
    cache: Cache[Rendition], tom: Rendition, lifetime: float
) -> None:
    await cache.put("tom", tom, 60)
    await cache.put("tom", tom, lifetime)
    assert await cache.get("tom") is None


async def test_what_is_too_large_to_keep_ends_the_older_one(cache: Cache[Rendition], tom: Rendition) -> None:
    """What is not written behind yet may still be found, but never what it replaced."""
    await cache.put("tom", tom, 60)
    big = replace(tom, body=bytes(2_100_000))
    await cache.put("tom", big, 60)
    assert await cache.get("tom") in (None, big)


@pytest.mark.parametrize("lifetime", [10 * 365 * 86_400, 1e300, math.inf])
async def test_ten_years_is_a_lifetime(
    cache: Cache[Rendition], tom: Rendition, clock: Clock, lifetime: float
) -> None:
    await cache.put("tom", tom, lifetime)
    clock.forward(9 * 365 * 86_400)
    assert await cache.get("tom") == tom


async def test_many_at_once_do_not_mix(cache: Cache[Rendition], tom: Rendition) -> None:
    many = {f"cat {i}": replace(tom, etag=str(i), body=bytes([i]) * 1000 * i) for i in range(60)}
    await asyncio.gather(*(cache.put(key, each, 60) for key, each in many.items()))
    assert await asyncio.gather(*map(cache.get, many)) == list(many.values())
