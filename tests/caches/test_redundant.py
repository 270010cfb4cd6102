"""A master that dies costs misses, and the cache is itself again when another has taken over."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest
from redis import Redis

from proxy.caches.envelope import entry_name
from proxy.caches.redis import RedisCache, open_redis
from proxy.caches.tiers import open_cache
from proxy.clients.address import parse_tier_address
from proxy.clients.breaker import CircuitBreaker
from proxy.clients.redis import redis_client
from proxy.clients.redis_link import RedisLink
from proxy.model.media import Rendition
from tests.redundant import CHANGE_TIMEOUT, Redundant, ask, redis_cluster, redis_sentinel
from tests.timing import waiting


@pytest.fixture(scope="module")
def cluster() -> Iterator[Redundant]:
    with redis_cluster() as found:
        yield found


def unhurried(url: str, prefix: str) -> RedisCache:
    """With time enough for an answer on a busy machine."""
    link = RedisLink(redis_client(parse_tier_address(url), step=60.0), call_timeout=60.0)
    return RedisCache(link, prefix=prefix)


async def fill(cache: RedisCache, keys: list[str], tom: Rendition) -> float:
    """Seconds until every key can be put and had; everything before is misses, never errors."""
    started = time.monotonic()
    while True:
        for key in keys:
            await cache.put(key, tom, 60)
        if [await cache.get(key) for key in keys] == [tom] * len(keys):
            return time.monotonic() - started
        assert time.monotonic() - started < CHANGE_TIMEOUT
        await asyncio.sleep(0.05)


async def test_keys_are_spread_over_a_cluster_and_found_again(cluster: Redundant, tom: Rendition) -> None:
    cache = open_redis(parse_tier_address(f"{cluster.url}?prefix=spread:"))
    keys = [f"cat {place}" for place in range(60)]
    await fill(cache, keys, tom)
    await cache.close()
    held = [Redis(port=port).dbsize() for port in cluster.servers]
    assert min(sorted(held)[-3:]) > 5, "all three masters have their share"

    again = open_cache(cluster.url + "?prefix=spread:")
    started = time.monotonic()
    while await asyncio.gather(*map(again.get, keys)) != [tom] * 60:
        # On a busy machine a first lookup may take longer than a cache is waited for.
        assert time.monotonic() - started < CHANGE_TIMEOUT
        await asyncio.sleep(0.05)
    await again.close()


async def test_one_address_of_a_cluster_is_enough_and_dead_ones_do_no_harm(
    cluster: Redundant, tom: Rendition
) -> None:
    alive = cluster.url.rpartition(",")[2]
    cache = open_redis(parse_tier_address(f"redis+cluster://127.0.0.1:1,{alive}"))
    await fill(cache, ["tom"], tom)
    await cache.close()


async def test_many_lookups_at_once_in_a_cluster_all_get_a_connection(
    cluster: Redundant, tom: Rendition
) -> None:
    cache = unhurried(cluster.url, "many:")
    await fill(cache, ["tom"], tom)
    await asyncio.gather(*(cache.get("tom") for _ in range(40)))
    failures = cache.failures
    assert await asyncio.gather(*(cache.get("tom") for _ in range(150))) == [tom] * 150
    assert cache.failures == failures
    await cache.close()


async def test_a_slot_that_moves_is_followed(cluster: Redundant, tom: Rendition) -> None:
    """A client that learned who has what, and is told MOVED afterwards."""
    cache = unhurried(cluster.url, "moved:")
    await fill(cache, ["tom"], tom)
    failures = cache.failures
    key = "moved:" + entry_name("tom")
    masters = [node for node in map(_client, cluster.servers) if node.info("replication")["role"] == "master"]
    slot = ask(masters[0], "CLUSTER", "KEYSLOT", key)
    owner = next(node for node in masters if key in node.keys(key))
    taker = next(node for node in masters if node is not owner)
    taker_id = ask(taker, "CLUSTER", "MYID")
    owner.delete(key)
    for node in (taker, owner, *masters):
        ask(node, "CLUSTER", "SETSLOT", slot, "NODE", taker_id)
    await cache.put("tom", tom, 60)
    assert await cache.get("tom") == tom
    assert cache.failures == failures
    assert taker.exists(key)
    await cache.close()


async def test_a_password_opens_a_cluster(cluster: Redundant, tom: Rendition) -> None:
    nodes = [_client(port) for port in cluster.servers]
    for node in nodes:
        node.config_set("masterauth", "mouse", "requirepass", "mouse")
    cache = open_redis(parse_tier_address(cluster.url.replace("//", "//:mouse@")))
    await fill(cache, ["tom"], tom)
    await cache.close()
    wrong = open_redis(parse_tier_address(cluster.url.replace("//", "//:cheese@")))
    assert await wrong.get("tom") is None
    assert wrong.failures == 1
    await wrong.close()
    for node in nodes:
        node.config_set("masterauth", "", "requirepass", "")


async def test_a_killed_master_of_a_cluster_costs_misses(cluster: Redundant, tom: Rendition) -> None:
    link = RedisLink(redis_client(parse_tier_address(cluster.url)), breaker=CircuitBreaker(reset_timeout=0.5))
    cache = RedisCache(link, prefix="killed:")
    keys = [f"cat {place}" for place in range(30)]
    await fill(cache, keys, tom)
    failures = cache.failures
    cluster.kill(int(cluster.url.rpartition(":")[2]))
    slowest = 0.0
    for key in keys:
        started = time.perf_counter()
        assert await cache.get(key) in (tom, None)
        slowest = max(slowest, time.perf_counter() - started)
    assert slowest < 5
    assert cache.failures > failures
    print(f"cluster failover: {await fill(cache, keys, tom):.1f} s, slowest lookup {slowest * 1000:.0f} ms")
    await cache.close()


async def test_a_killed_master_under_sentinel_costs_misses(tom: Rendition) -> None:
    with redis_sentinel() as redundant:
        link = RedisLink(
            redis_client(parse_tier_address(redundant.url)), breaker=CircuitBreaker(reset_timeout=0.5)
        )
        cache = RedisCache(link)
        await fill(cache, ["tom"], tom)
        redundant.kill(next(iter(redundant.servers)))
        async with waiting() as waited:
            assert await cache.get("tom") is None
        assert waited.seconds < 1
        print(f"sentinel failover: {await fill(cache, ['tom', 'felix'], tom):.1f} s")
        await cache.close()


async def test_sentinels_that_are_all_gone_are_misses(tom: Rendition) -> None:
    cache = open_redis(parse_tier_address("redis+sentinel://127.0.0.1:1,127.0.0.1:2/main"))
    started = time.perf_counter()
    for _ in range(20):
        await cache.put("tom", tom, 60)
        assert await cache.get("tom") is None
    assert time.perf_counter() - started < 3
    assert cache.failures == 5
    await cache.close()


def _client(port: int) -> Redis:
    return Redis(port=port, decode_responses=True)
