"""The nearest tier: what is in this process, ready to be used, bounded by what it really weighs."""

from __future__ import annotations

from collections.abc import Callable
from sys import getsizeof
from time import time
from typing import Generic, NamedTuple

from cachetools import LRUCache

from proxy.caches import Entry, T
from proxy.clients.address import Address
from proxy.telemetry.metrics import Stats

# Bytes of an entry beside its body and key, with its share of cachetools' three dicts: measured with
# tracemalloc on CPython 3.11, and held by a test.
_OVERHEAD = 600


class _Held(NamedTuple, Generic[T]):
    kept: T
    expires_at: float
    size: int


class MemoryCache(Generic[T]):
    """
    Least recently used goes first. An entry of more than an eighth of `max_bytes` is not kept: it would
    push out too many others. `clock` gives unix seconds.
    """

    slow = False

    def __init__(self, max_bytes: int, *, clock: Callable[[], float] = time) -> None:
        self.hits = self.misses = self.failures = 0
        self._held: LRUCache[str, _Held[T]] = LRUCache(max_bytes, getsizeof=lambda held: held.size)
        self._clock = clock

    def peek(self, key: str) -> T | None:
        """`get` for the hot path, without a coroutine. What it does not find is not counted as a miss."""
        held = self._live(key)
        return None if held is None else held.kept

    async def get(self, key: str) -> T | None:
        entry = await self.get_entry(key)
        return None if entry is None else entry.kept

    async def get_entry(self, key: str) -> Entry[T] | None:
        held = self._live(key)
        if held is None:
            self.misses += 1
            return None
        return Entry(held.kept, held.expires_at)

    async def put(self, key: str, kept: T, lifetime: float) -> None:
        size = getsizeof(kept.body) + getsizeof(key) + _OVERHEAD
        if lifetime <= 0 or size > self._held.maxsize // 8:
            self._held.pop(key, None)
            return
        self._held[key] = _Held(kept, self._clock() + lifetime, size)

    async def close(self) -> None:
        self._held.clear()

    def stats(self) -> Stats:
        return Stats(tier="memory", hits=self.hits, misses=self.misses, failures=self.failures)

    @property
    def held_bytes(self) -> int:
        return int(self._held.currsize)

    def _live(self, key: str) -> _Held[T] | None:
        held = self._held.get(key)
        if held is None:
            return None
        if held.expires_at <= self._clock():
            del self._held[key]
            return None
        self.hits += 1
        return held


def open_memory(address: Address) -> MemoryCache[T]:
    """`memory://256MB`, or `memory://` for just that."""
    address.allow(())
    return MemoryCache(address.size(address.place or "256MB"))
