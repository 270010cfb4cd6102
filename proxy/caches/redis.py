"""The tier that all machines share; what is not found there within a quarter of a second is a miss."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import time
from typing import TypeVar

from proxy.caches.envelope import MAX_LIFETIME, Unverified, entry_name, pack_rendition, unpack_rendition
from proxy.caches.protocol import CacheEntry
from proxy.clients.address import TierAddress
from proxy.clients.redis import redis_client
from proxy.clients.redis_link import KEY_PREFIX, RedisLink
from proxy.model.media import Rendition
from proxy.telemetry.metrics import Stats

_T = TypeVar("_T")

_OFFLOADED = 1_000_000  # bytes: hashing this much holds up the event loop for a millisecond


class RedisCache:
    """
    Owns `link` and closes it. Larger envelopes than `max_value` bytes are neither
    written nor read. `clock` gives unix seconds.
    """

    slow = True

    def __init__(
        self,
        link: RedisLink,
        *,
        prefix: str = KEY_PREFIX,
        max_value: int = 8_000_000,
        clock: Callable[[], float] = time,
    ) -> None:
        self.hits = self.misses = 0
        self._link = link
        self._prefix = prefix
        self._max_value = max_value
        self._clock = clock

    async def get(self, key: str) -> Rendition | None:
        entry = await self.get_entry(key)
        return None if entry is None else entry.value

    async def get_entry(self, key: str) -> CacheEntry[Rendition] | None:
        # Not GET: another client of this Redis may have put half a gigabyte under our key.
        packed = await self._link.call("GETRANGE", self._name(key), 0, self._max_value)
        entry = await self._unpack(packed, key) if isinstance(packed, bytes) and packed else None
        if entry is None or entry.expires_at <= self._clock():
            self.misses += 1
            return None
        self.hits += 1
        return entry

    async def put(self, key: str, rendition: Rendition, lifetime: float) -> None:
        lifetime = min(lifetime, MAX_LIFETIME)
        packed = await _offloaded(
            len(rendition.body), lambda: pack_rendition(rendition, key, self._clock() + lifetime)
        )
        if lifetime <= 0 or len(packed) > self._max_value:
            await self._link.call("DEL", self._name(key))
        else:
            await self._link.call("SET", self._name(key), packed, "PX", max(round(lifetime * 1000), 1))

    async def close(self) -> None:
        await self._link.close()

    @property
    def failures(self) -> int:
        return self._link.failures

    def stats(self) -> Stats:
        return Stats(tier="redis", hits=self.hits, misses=self.misses, failures=self.failures)

    def _name(self, key: str) -> str:
        return self._prefix + entry_name(key)

    async def _unpack(self, packed: bytes, key: str) -> CacheEntry[Rendition] | None:
        entry = None
        if len(packed) <= self._max_value:
            entry = await _offloaded(len(packed), lambda: unpack_rendition(packed, key))
        if entry is None:
            self._link.failed(Unverified())
            await self._link.call("DEL", self._name(key))
        return entry


def open_redis(address: TierAddress) -> RedisCache:
    """
    `redis://user:password@host:6379/0?prefix=image-proxy:&max_value=8MB`, where only the host must be
    there and the rest is shown with its default; `redis+sentinel://host:26379,host:26379/service/0`, which
    also takes `sentinel_username` and `sentinel_password`; `redis+cluster://host:6379,host:6379`. Each is
    the same over TLS with `rediss`. Raises ValueError.
    """
    address.allow(
        {"prefix", "max_value"}
        | ({"sentinel_username", "sentinel_password"} if address.scheme.endswith("+sentinel") else set())
    )
    return RedisCache(
        RedisLink(redis_client(address)),
        prefix=address.options.get("prefix", KEY_PREFIX),
        max_value=address.size(address.options.get("max_value", "8MB")),
    )


async def _offloaded(size: int, work: Callable[[], _T]) -> _T:
    return await asyncio.to_thread(work) if size > _OFFLOADED else work()
