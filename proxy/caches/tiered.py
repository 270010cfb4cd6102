"""Tiers stacked on each other, nearest first: what is found further out moves nearer."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from time import time

from proxy.caches import Entry, Stats, Tier
from proxy.caches.address import Address, masked, parse_address
from proxy.caches.behind import WriteBehind
from proxy.caches.disk import open_disk
from proxy.caches.memory import MemoryCache, open_memory
from proxy.caches.redis import open_redis
from proxy.media import Rendition

SCHEMES: Mapping[str, Callable[[Address], Tier]] = {
    "memory": open_memory,
    "disk": open_disk,
    **{
        f"{scheme}{kind}": open_redis
        for kind in ("", "+sentinel", "+cluster")
        for scheme in ("redis", "rediss")
    },
}


class TieredCache:
    """
    Owns its tiers and closes them; slow ones are written behind. No tiers at all is a cache that never
    finds anything. `clock` gives unix seconds.
    """

    def __init__(self, tiers: Iterable[Tier], *, clock: Callable[[], float] = time) -> None:
        self._tiers = [WriteBehind(tier, clock=clock) if tier.slow else tier for tier in tiers]
        self._memory = next((tier for tier in self._tiers if isinstance(tier, MemoryCache)), None)
        self._clock = clock

    def peek(self, key: str) -> Rendition | None:
        """What can be had without waiting for anything. Not finding it does not count as a miss."""
        return None if self._memory is None else self._memory.peek(key)

    async def get(self, key: str) -> Rendition | None:
        for depth, tier in enumerate(self._tiers):
            entry = await tier.get_entry(key)
            if entry is not None:
                await self._put(key, entry, self._tiers[:depth])
                return entry.rendition
        return None

    async def put(self, key: str, rendition: Rendition, lifetime: float) -> None:
        await self._put(key, Entry(rendition, self._clock() + lifetime), self._tiers)

    async def close(self) -> None:
        for tier in self._tiers:
            await tier.close()

    def stats(self) -> tuple[Stats, ...]:
        """Of each tier, nearest first."""
        return tuple(tier.stats() for tier in self._tiers)

    async def _put(self, key: str, entry: Entry, tiers: Iterable[Tier]) -> None:
        for tier in tiers:
            await tier.put(key, entry.rendition, entry.expires_at - self._clock())


def open_cache(text: str) -> TieredCache:
    """
    Tiers as people write them, nearest first: `memory://256MB,disk:///path?size=2GB,redis://host:6379/0`,
    or `none`. A comma inside of an address is `%2C`. Nothing is read, written or connected yet.
    Raises ValueError.
    """
    if text.strip() == "none":
        return TieredCache(())
    # Split where an address begins, so that a stray comma in a password does not tear it apart.
    return TieredCache([_open_tier(each) for each in re.split(r",(?=\s*[a-z0-9+]*://)", text)])


def _open_tier(text: str) -> Tier:
    address = parse_address(text)
    opener = SCHEMES.get(address.scheme)
    if opener is None:
        allowed = ", ".join(f"{scheme}://" for scheme in SCHEMES)
        raise ValueError(f"a cache is one of {allowed} or none, not {masked(text)!r}")
    return opener(address)
