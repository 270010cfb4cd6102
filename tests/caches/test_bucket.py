"""Renditions in a bucket of a real S3: what is broken there, and a store that is gone."""

from __future__ import annotations

import asyncio
import time
import uuid
from dataclasses import replace

import obstore
import pytest
from obstore.store import ObjectStore
from structlog.testing import capture_logs

from proxy.caches import Tier
from proxy.caches.bucket import BucketCache, open_bucket
from proxy.caches.envelope import entry_name
from proxy.caches.memory import MemoryCache
from proxy.caches.tiers import TieredCache, open_cache
from proxy.clients.address import parse_tier_address
from proxy.clients.breaker import CircuitBreaker
from proxy.clients.object_store import open_store
from proxy.model.media import Rendition
from tests.caches.clocks import Clock
from tests.origins.server import running, silence
from tests.s3 import S3Server
from tests.services import free_port


@pytest.fixture
def store(s3: S3Server) -> ObjectStore:
    return open_store(f"s3://{s3.bucket}/{uuid.uuid4()}", s3.config, 60.0)


@pytest.fixture
def cache(store: ObjectStore) -> BucketCache:
    return BucketCache(store, max_value=10_000, lookup_timeout=60.0)


def path_of(key: str) -> str:
    return f"{entry_name(key)[:2]}/{entry_name(key)[2:]}"


def tiered(store: ObjectStore) -> TieredCache[Rendition]:
    tiers: list[Tier[Rendition]] = [MemoryCache(10**6), BucketCache(store, lookup_timeout=60.0)]
    return TieredCache(tiers)


async def paths(store: ObjectStore) -> set[str]:
    return {found["path"] async for page in obstore.list(store) for found in page}


async def planted(store: ObjectStore, key: str, body: bytes) -> None:
    await obstore.put_async(store, path_of(key), body)


async def test_machines_share_a_bucket_that_outlives_them(store: ObjectStore, tom: Rendition) -> None:
    one = tiered(store)
    await one.put("tom", tom, 60)
    await one.close()
    other = tiered(store)
    assert other.peek("tom") is None
    assert await other.get("tom") == tom
    assert other.peek("tom") == tom
    await other.close()


async def test_nobody_waits_for_what_is_written(store: ObjectStore, tom: Rendition) -> None:
    cache = TieredCache([BucketCache(store, lookup_timeout=60.0)])
    await cache.put("tom", tom, 60)
    assert await cache.get("tom") == tom
    assert await paths(store) == set()
    await cache.close()
    assert await paths(store) == {path_of("tom")}


@pytest.mark.parametrize("planting", [b"", b"garbage", b"IPR\x02" + bytes(500), bytes(20_000)], ids=len)
async def test_what_does_not_verify_is_a_miss_and_goes(
    store: ObjectStore, cache: BucketCache, tom: Rendition, planting: bytes
) -> None:
    await planted(store, "tom", planting)
    with capture_logs() as logs:
        assert await cache.get("tom") is None
    assert [entry["error"] for entry in logs] == ["Unverified"]
    assert await paths(store) == set()


async def test_another_keys_entry_is_a_miss(store: ObjectStore, cache: BucketCache, tom: Rendition) -> None:
    await cache.put("felix", replace(tom, etag="felix"), 60)
    moved = await (await obstore.get_async(store, path_of("felix"))).bytes_async()
    await planted(store, "tom", bytes(moved))
    assert await cache.get("tom") is None


async def test_what_has_expired_goes_when_it_is_read(store: ObjectStore, tom: Rendition) -> None:
    clock = Clock()
    cache = BucketCache(store, lookup_timeout=60.0, clock=clock)
    await cache.put("tom", tom, 60)
    clock.forward(60)
    assert await cache.get("tom") is None
    assert await paths(store) == set()
    assert (cache.hits, cache.misses, cache.failures) == (0, 1, 0)


async def test_a_store_that_is_gone_is_a_miss_and_soon_not_asked(tom: Rendition) -> None:
    config = {"endpoint": f"http://127.0.0.1:{free_port()}", "access_key_id": "a", "secret_access_key": "b"}
    breaker = CircuitBreaker(reset_timeout=600)
    cache = BucketCache(open_store("s3://bucket", config, 30.0), breaker=breaker)
    for _ in range(5):
        assert await cache.get("tom") is None
    assert breaker.open
    started = time.perf_counter()
    for _ in range(100):
        assert await cache.get("tom") is None
    await cache.put("tom", tom, 60)
    assert time.perf_counter() - started < 5
    assert (cache.misses, cache.failures) == (105, 5)


async def test_a_store_that_hangs_is_given_up(tom: Rendition) -> None:
    async with running() as server:
        server.put("*", silence)
        config = {"endpoint": server.url, "access_key_id": "a", "secret_access_key": "b"}
        cache = BucketCache(open_store("s3://bucket", config, 30.0), lookup_timeout=0.2)
        async with asyncio.timeout(20):
            assert await cache.get("tom") is None
    assert cache.failures == 1


async def test_a_wrong_secret_is_a_miss(s3: S3Server, tom: Rendition) -> None:
    config = s3.config | {"secret_access_key": "wrong"}
    cache = BucketCache(open_store(f"s3://{s3.bucket}", config, 60.0), lookup_timeout=60.0)
    await cache.put("tom", tom, 60)
    assert await cache.get("tom") is None
    assert cache.failures == 2


@pytest.mark.parametrize(
    "text, message",
    [
        ("s3://", "s3:// takes a bucket"),
        ("s3://bucket?size=2GB", "takes 'endpoint', 'max_value', 'region', not 'size'"),
        ("s3://bucket?max_value=much", "a size is a whole number"),
        ("s3://key:s3cret@bucket", "takes no credentials"),
    ],
)
def test_an_address_that_makes_no_sense_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as refusal:
        open_bucket(parse_tier_address(text))
    assert "s3cret" not in str(refusal.value)


async def test_a_bucket_is_a_tier_like_the_others(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for key, secret in s3.config.items():
        monkeypatch.setenv(f"AWS_{key.upper()}", secret)
    cache = open_cache(f"memory://1MB,s3://{s3.bucket}/renditions?endpoint={s3.endpoint}&max_value=1MB")
    assert [stats.tier for stats in cache.stats()] == ["memory", "bucket"]
    await cache.close()
