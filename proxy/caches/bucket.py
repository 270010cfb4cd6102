"""
The furthest tier: renditions in a bucket of an object store, for what must outlive Redis and every disk. When
the store is slow or gone a lookup is a miss, and after a few of those it is not even asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from time import time
from typing import TypeVar

import obstore
import structlog
from obstore.store import ObjectStore

from proxy.caches.envelope import MAX_LIFETIME, RENDITION_CODEC, Unverified, entry_name
from proxy.caches.protocol import CacheEntry
from proxy.clients.address import TierAddress
from proxy.clients.breaker import CircuitBreaker
from proxy.clients.object_store import open_tier_store
from proxy.clients.store_errors import STORE_ERRORS, STORE_NOT_FOUND
from proxy.model.media import Rendition
from proxy.telemetry.metrics import Stats

log = structlog.get_logger()
_T = TypeVar("_T")

_LOOKUP_TIMEOUT = 2.0  # s: a client waits
_WRITE_TIMEOUT = 30.0  # s: in the background
_MAX_VALUE_BYTES = 8_000_000
_MAX_CALLS = 32  # at a time


class BucketCache:
    """
    Larger envelopes than `max_value` bytes are neither written nor read. An object says itself when it
    expires; a lifecycle rule of the bucket removes those that are not read after that. `clock` gives
    unix seconds, `lookup_timeout` is seconds.
    """

    slow = True

    def __init__(
        self,
        store: ObjectStore,
        *,
        max_value: int = _MAX_VALUE_BYTES,
        lookup_timeout: float = _LOOKUP_TIMEOUT,
        breaker: CircuitBreaker | None = None,
        clock: Callable[[], float] = time,
    ) -> None:
        self.hits = self.misses = self.failures = 0
        self._store = store
        self._max_value = max_value
        self._lookup_timeout = lookup_timeout
        self._breaker = breaker or CircuitBreaker()
        self._clock = clock
        self._turn = asyncio.Semaphore(_MAX_CALLS)

    async def get(self, key: str) -> Rendition | None:
        entry = await self.get_entry(key)
        return None if entry is None else entry.value

    async def get_entry(self, key: str) -> CacheEntry[Rendition] | None:
        entry = await self._call(lambda: self._read(key), self._lookup_timeout)
        if entry is None or entry.expires_at <= self._clock():
            self.misses += 1
            return None
        self.hits += 1
        return entry

    async def put(self, key: str, rendition: Rendition, lifetime: float) -> None:
        lifetime = min(lifetime, MAX_LIFETIME)
        packed = await asyncio.to_thread(RENDITION_CODEC.pack, rendition, key, self._clock() + lifetime)
        if lifetime <= 0 or len(packed) > self._max_value:
            await self._call(lambda: self._remove(key), _WRITE_TIMEOUT)
        else:
            await self._call(lambda: self._write(key, packed), _WRITE_TIMEOUT)

    async def close(self) -> None:
        """A store holds nothing open that its end would not close."""

    def stats(self) -> Stats:
        return Stats(tier="bucket", hits=self.hits, misses=self.misses, failures=self.failures)

    async def _read(self, key: str) -> CacheEntry[Rendition] | None:
        try:
            found = await obstore.get_async(self._store, _path(key))
        except STORE_NOT_FOUND:
            return None
        entry = None
        if found.meta["size"] <= self._max_value:
            packed = bytes(await found.bytes_async())
            entry = await asyncio.to_thread(RENDITION_CODEC.unpack, packed, key)
        if entry is None:
            self._failed(Unverified())
        if entry is None or entry.expires_at <= self._clock():
            await self._remove(key)
        return entry

    async def _write(self, key: str, packed: bytes) -> None:
        await obstore.put_async(self._store, _path(key), packed, use_multipart=False)

    async def _remove(self, key: str) -> None:
        try:
            await obstore.delete_async(self._store, _path(key))
        except STORE_NOT_FOUND:
            return

    async def _call(self, work: Callable[[], Awaitable[_T]], seconds: float) -> _T | None:
        """The answer, or `None` when there was none."""
        if not self._breaker.allows():
            return None
        try:
            async with asyncio.timeout(seconds), self._turn:
                answer = await work()
        except STORE_ERRORS as error:
            self._breaker.failed()
            self._failed(error)
            return None
        if self._breaker.open:
            log.info("cache_recovered", tier="bucket")
        self._breaker.succeeded()
        return answer

    def _failed(self, error: Exception) -> None:
        self.failures += 1
        log.warning("cache_failed", tier="bucket", error=type(error).__name__, rests=self._breaker.open)


def open_bucket(address: TierAddress) -> BucketCache:
    """
    `s3://bucket/prefix?max_value=8MB&endpoint=https://...&region=...`, or `gs://` or `az://`; credentials are
    those of the provider's own variables, such as AWS_ACCESS_KEY_ID. Raises ValueError.
    """
    return BucketCache(
        open_tier_store(address, _WRITE_TIMEOUT),
        max_value=address.size(address.options.get("max_value", f"{_MAX_VALUE_BYTES}")),
    )


def _path(key: str) -> str:
    """Spread over many prefixes, by which stores divide their work."""
    digits = entry_name(key)
    return f"{digits[:2]}/{digits[2:]}"
