"""The nearest tier: renditions in this process, ready to be sent, bounded by what they really weigh."""

from __future__ import annotations

from collections.abc import Callable
from sys import getsizeof
from time import time
from typing import NamedTuple

from cachetools import LRUCache

from proxy.caches import Entry, Stats
from proxy.caches.address import Address
from proxy.media import Rendition

# Bytes of an entry beside its body and key, with its share of cachetools' three dicts: measured with
# tracemalloc on CPython 3.11, and held by a test.
_OVERHEAD = 600


class _Kept(NamedTuple):
    rendition: Rendition
    expires_at: float
    size: int


class MemoryCache:
    """
    Least recently used goes first. An entry of more than an eighth of `max_bytes` is not kept: it would
    push out too many others. `clock` gives unix seconds.
    """

    slow = False

    def __init__(self, max_bytes: int, *, clock: Callable[[], float] = time) -> None:
        self.hits = self.misses = self.failures = 0
        self._kept: LRUCache[str, _Kept] = LRUCache(max_bytes, getsizeof=lambda kept: kept.size)
        self._clock = clock

    def peek(self, key: str) -> Rendition | None:
        """`get` for the hot path, without a coroutine. What it does not find is not counted as a miss."""
        kept = self._live(key)
        return None if kept is None else kept.rendition

    async def get(self, key: str) -> Rendition | None:
        entry = await self.get_entry(key)
        return None if entry is None else entry.rendition

    async def get_entry(self, key: str) -> Entry | None:
        kept = self._live(key)
        if kept is None:
            self.misses += 1
            return None
        return Entry(kept.rendition, kept.expires_at)

    async def put(self, key: str, rendition: Rendition, lifetime: float) -> None:
        size = getsizeof(rendition.body) + getsizeof(key) + _OVERHEAD
        if lifetime <= 0 or size > self._kept.maxsize // 8:
            self._kept.pop(key, None)
            return
        self._kept[key] = _Kept(rendition, self._clock() + lifetime, size)

    async def close(self) -> None:
        self._kept.clear()

    def stats(self) -> Stats:
        return Stats(tier="memory", hits=self.hits, misses=self.misses, failures=self.failures)

    @property
    def held_bytes(self) -> int:
        return int(self._kept.currsize)

    def _live(self, key: str) -> _Kept | None:
        kept = self._kept.get(key)
        if kept is None:
            return None
        if kept.expires_at <= self._clock():
            del self._kept[key]
            return None
        self.hits += 1
        return kept


def open_memory(address: Address) -> MemoryCache:
    """`memory://256MB`, or `memory://` for just that."""
    address.allow(())
    return MemoryCache(address.size(address.place or "256MB"))
