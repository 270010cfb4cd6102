"""The nearest tier: what is in this process, ready to be used, bounded by what it really weighs."""

from __future__ import annotations

from collections.abc import Callable
from sys import getsizeof
from time import time
from typing import Generic, NamedTuple

from cachetools import LRUCache

from proxy.caches.protocol import CacheEntry, T
from proxy.clients.address import TierAddress
from proxy.telemetry.metrics import Stats

# Bytes of an entry beside its body and key, with its share of cachetools' three dicts: measured with
# tracemalloc on CPython 3.11, and checked by a test.
_OVERHEAD = 600


class _SizedEntry(NamedTuple, Generic[T]):
    value: T
    expires_at: float
    size: int


class MemoryCache(Generic[T]):
    """
    Evicts the least recently used first. An entry of more than an eighth of `max_bytes` is not cached: it
    would push out too many others. `clock` gives unix seconds.
    """

    slow = False

    def __init__(self, max_bytes: int, *, clock: Callable[[], float] = time) -> None:
        self.hits = self.misses = self.failures = 0
        self._entries: LRUCache[str, _SizedEntry[T]] = LRUCache(max_bytes, getsizeof=lambda entry: entry.size)
        self._clock = clock

    def peek(self, key: str) -> T | None:
        """`get` for the hot path, without a coroutine. What it does not find is not counted as a miss."""
        entry = self._live(key)
        return None if entry is None else entry.value

    async def get(self, key: str) -> T | None:
        entry = await self.get_entry(key)
        return None if entry is None else entry.value

    async def get_entry(self, key: str) -> CacheEntry[T] | None:
        entry = self._live(key)
        if entry is None:
            self.misses += 1
            return None
        return CacheEntry(entry.value, entry.expires_at)

    async def put(self, key: str, value: T, lifetime: float) -> None:
        size = getsizeof(value.body) + getsizeof(key) + _OVERHEAD
        if lifetime <= 0 or size > self._entries.maxsize // 8:
            self._entries.pop(key, None)
            return
        self._entries[key] = _SizedEntry(value, self._clock() + lifetime, size)

    async def close(self) -> None:
        self._entries.clear()

    def stats(self) -> Stats:
        return Stats(tier="memory", hits=self.hits, misses=self.misses, failures=self.failures)

    @property
    def used_bytes(self) -> int:
        return int(self._entries.currsize)

    def _live(self, key: str) -> _SizedEntry[T] | None:
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry.expires_at <= self._clock():
            del self._entries[key]
            return None
        self.hits += 1
        return entry


def open_memory(address: TierAddress) -> MemoryCache[T]:
    """`memory://256MB`, or `memory://` for just that."""
    address.allow(())
    return MemoryCache(address.size(address.place or "256MB"))
