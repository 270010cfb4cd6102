"""Tiers stacked on each other, nearest first: what is found further out moves nearer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from time import time
from typing import Generic

from proxy.caches.bucket import open_bucket
from proxy.caches.disk import open_disk
from proxy.caches.envelope import RENDITION_CODEC
from proxy.caches.memory import MemoryCache, open_memory
from proxy.caches.original_envelope import ORIGINAL_CODEC
from proxy.caches.protocol import CacheEntry, T, Tier
from proxy.caches.redis import open_redis
from proxy.caches.write_behind import WriteBehind
from proxy.clients.address import BUCKET_SCHEMES, TierAddress, masked, parse_tier_address, split_tiers
from proxy.model.media import Original, Rendition
from proxy.telemetry.metrics import Stats

TierOpeners = Mapping[str, Callable[[TierAddress], Tier[T]]]

RENDITION_TIER_OPENERS: TierOpeners[Rendition] = {
    "memory": open_memory,
    "disk": lambda address: open_disk(address, RENDITION_CODEC),
    **dict.fromkeys(BUCKET_SCHEMES, open_bucket),
    **{
        f"{scheme}{kind}": open_redis
        for kind in ("", "+sentinel", "+cluster")
        for scheme in ("redis", "rediss")
    },
}

ORIGINAL_TIER_OPENERS: TierOpeners[Original] = {
    "memory": open_memory,
    "disk": lambda address: open_disk(address, ORIGINAL_CODEC),
}


class TieredCache(Generic[T]):
    """
    A cache that searches its tiers from the nearest to the farthest.

    It owns its tiers and closes them; slow ones are written in the background. Without tiers it never finds
    anything. `clock` returns Unix seconds.
    """

    def __init__(self, tiers: Iterable[Tier[T]], *, clock: Callable[[], float] = time) -> None:
        self._tiers = [WriteBehind(tier, clock=clock) if tier.slow else tier for tier in tiers]
        self._memory = next((tier for tier in self._tiers if isinstance(tier, MemoryCache)), None)
        self._clock = clock

    @property
    def enabled(self) -> bool:
        return bool(self._tiers)

    def peek(self, key: str) -> T | None:
        """What can be had without waiting for anything. Not finding it does not count as a miss."""
        return None if self._memory is None else self._memory.peek(key)

    async def get(self, key: str, wanted: Callable[[T], bool] = lambda _: True) -> T | None:
        """
        The nearest one that is `wanted`, for another process may have put a better one further out; else the
        nearest there is.
        """
        nearest = None
        for depth, tier in enumerate(self._tiers):
            entry = await tier.get_entry(key)
            if entry is None:
                continue
            if wanted(entry.value):
                await self._put(key, entry, self._tiers[:depth])
                return entry.value
            nearest = nearest or entry.value
        return nearest

    async def put(self, key: str, value: T, lifetime: float) -> None:
        await self._put(key, CacheEntry(value, self._clock() + lifetime), self._tiers)

    async def put_in_memory(self, key: str, value: T, lifetime: float) -> None:
        """Only into memory: what another process made, and puts where all can find it."""
        if self._memory is not None:
            await self._memory.put(key, value, lifetime)

    async def close(self) -> None:
        for tier in self._tiers:
            await tier.close()

    def stats(self) -> tuple[Stats, ...]:
        """Of each tier, nearest first."""
        return tuple(tier.stats() for tier in self._tiers)

    async def _put(self, key: str, entry: CacheEntry[T], tiers: Iterable[Tier[T]]) -> None:
        for tier in tiers:
            await tier.put(key, entry.value, entry.expires_at - self._clock())


def open_cache(text: str) -> TieredCache[Rendition]:
    """
    Open a cache of renditions by its address; nothing is read, written or connected yet.

    The address lists tiers, nearest first: `memory://256MB,disk:///path?size=2GB,redis://host:6379/0`, or is
    `none`. A comma inside of a tier's address is `%2C`. Raises ValueError.
    """
    return _open_tiers(text, RENDITION_TIER_OPENERS, "a cache")


def open_originals_cache(text: str) -> TieredCache[Original]:
    """Open a cache of originals, which are large: in memory and on disk only. Raises ValueError."""
    return _open_tiers(text, ORIGINAL_TIER_OPENERS, "a cache of originals")


def _open_tiers(text: str, openers: TierOpeners[T], what: str) -> TieredCache[T]:
    return TieredCache([_open_tier(each, openers, what) for each in split_tiers(text)])


def _open_tier(text: str, openers: TierOpeners[T], what: str) -> Tier[T]:
    address = parse_tier_address(text)
    opener = openers.get(address.scheme)
    if opener is None:
        allowed = ", ".join(f"{scheme}://" for scheme in openers)
        raise ValueError(f"{what} is one of {allowed} or none, not {masked(text)!r}")
    return opener(address)
