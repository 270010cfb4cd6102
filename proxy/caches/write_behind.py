"""Write-behind for a slow tier: `put` returns at once, a background task writes, `get` sees it already."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from time import time
from typing import Generic

import structlog

from proxy.caches.protocol import CacheEntry, T, Tier
from proxy.telemetry.metrics import Stats

log = structlog.get_logger()

_WRITERS = 4  # at a time: lookups need the tier's threads and connections too
_OVERHEAD = 4_096  # bytes: a task and its entry, whatever the body weighs
_CLOSE_TIMEOUT = 5.0  # s that `close` gives to what is not written yet


class WriteBehind(Generic[T]):
    """
    Owns `tier` and closes it. Up to `max_waiting` bytes wait to be written; what comes on top of them is
    dropped. Of several writes to one key the last wins.
    """

    slow = False

    def __init__(
        self, tier: Tier[T], *, max_waiting: int = 64_000_000, clock: Callable[[], float] = time
    ) -> None:
        self._tier = tier
        self._max_waiting = max_waiting
        self._clock = clock
        self._waiting: dict[str, CacheEntry[T]] = {}
        self._waiting_bytes = 0
        self._hits = self._misses = self._dropped = 0
        self._turn = asyncio.Semaphore(_WRITERS)
        self._tasks: set[asyncio.Task[None]] = set()

    async def get(self, key: str) -> T | None:
        entry = await self.get_entry(key)
        return None if entry is None else entry.value

    async def get_entry(self, key: str) -> CacheEntry[T] | None:
        entry = self._waiting.get(key)
        if entry is None:
            return await self._tier.get_entry(key)
        if entry.expires_at <= self._clock():
            # What the tier still has was there before this one.
            self._misses += 1
            return None
        self._hits += 1
        return entry

    async def put(self, key: str, value: T, lifetime: float) -> None:
        earlier = self._waiting.pop(key, None)
        self._waiting_bytes -= _weight(earlier)
        entry = CacheEntry(value, self._clock() + lifetime)
        if self._waiting_bytes + _weight(entry) > self._max_waiting:
            self._dropped += 1
            log.warning("cache_failed", tier=self._tier.stats().tier, error="TooManyWaiting")
            return
        self._waiting[key] = entry
        self._waiting_bytes += _weight(entry)
        if earlier is None:
            task = asyncio.create_task(self._write(key))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Finishes what waits, if that does not take too long."""
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=_CLOSE_TIMEOUT)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        await self._tier.close()

    def stats(self) -> Stats:
        stats = self._tier.stats()
        return replace(
            stats,
            hits=stats.hits + self._hits,
            misses=stats.misses + self._misses,
            failures=stats.failures + self._dropped,
        )

    async def _write(self, key: str) -> None:
        async with self._turn:
            while entry := self._waiting.get(key):
                await self._tier.put(key, entry.value, entry.expires_at - self._clock())
                if self._waiting.get(key) is entry:
                    del self._waiting[key]
                    self._waiting_bytes -= _weight(entry)


def _weight(entry: CacheEntry[T] | None) -> int:
    return 0 if entry is None else len(entry.value.body) + _OVERHEAD
