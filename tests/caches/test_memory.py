from __future__ import annotations

import timeit
import tracemalloc
from dataclasses import replace

from proxy.caches.memory import MemoryCache
from proxy.model.media import Rendition
from tests.caches.clocks import Clock


async def test_the_least_recently_used_goes_first(tom: Rendition) -> None:
    cache = MemoryCache[Rendition](100_000)
    for i in range(10):
        await cache.put(f"old {i}", replace(tom, body=bytes(9_000)), 60)
    assert cache.peek("old 0") is not None
    await cache.put("new", replace(tom, body=bytes(9_000)), 60)
    assert cache.peek("old 1") is None
    assert cache.peek("old 0") is not None


async def test_an_eighth_of_the_cache_is_the_most_that_one_entry_may_take(tom: Rendition) -> None:
    cache = MemoryCache[Rendition](80_000)
    await cache.put("fits", replace(tom, body=bytes(9_000)), 60)
    await cache.put("does not", replace(tom, body=bytes(10_000)), 60)
    assert cache.peek("fits") is not None
    assert cache.peek("does not") is None


async def test_small_entries_are_counted_with_all_they_cost(tom: Rendition) -> None:
    """The bound is about memory, and a thousand tiny bodies are mostly overhead."""
    cache = MemoryCache[Rendition](4_000_000)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for i in range(20_000):
            made = replace(tom, body=bytes(20), etag=f"{i:032x}", made_at=i + 0.5, last_modified=i + 0.25)
            await cache.put(f"{i:064x}", made, 60 + i)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before <= 4_000_000
    assert after - before >= 3_000_000


async def test_peek_finds_what_get_finds_until_it_expires(tom: Rendition) -> None:
    clock = Clock()
    cache = MemoryCache[Rendition](1_000_000, clock=clock)
    assert cache.peek("tom") is None
    await cache.put("tom", tom, 60)
    assert cache.peek("tom") is tom
    clock.forward(60)
    assert cache.peek("tom") is None
    assert cache.used_bytes == 0


async def test_a_peek_that_finds_nothing_is_not_a_miss(tom: Rendition) -> None:
    """`get` follows it, and would count the same miss again."""
    cache = MemoryCache[Rendition](1_000_000)
    cache.peek("tom")
    await cache.get("tom")
    await cache.put("tom", tom, 60)
    cache.peek("tom")
    await cache.get("tom")
    assert (cache.hits, cache.misses, cache.failures) == (2, 1, 0)


async def test_a_peek_takes_a_few_microseconds(tom: Rendition) -> None:
    cache = MemoryCache[Rendition](1_000_000)
    await cache.put("tom", tom, 60)
    best = min(timeit.repeat(lambda: cache.peek("tom"), number=2_000, repeat=5)) / 2_000
    assert best < 10e-6


async def test_a_closed_cache_holds_nothing(tom: Rendition) -> None:
    cache = MemoryCache[Rendition](1_000_000)
    await cache.put("tom", tom, 60)
    await cache.close()
    assert cache.used_bytes == 0
