"""Where renditions, and originals, are kept. A cache may forget; it may not fail."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, NamedTuple, Protocol, TypeVar

from proxy.telemetry.metrics import Stats


class Kept(Protocol):
    """What can be kept: how much room it takes is what its body weighs."""

    @property
    def body(self) -> bytes: ...


T = TypeVar("T", bound=Kept)


class Cache(Protocol[T]):
    """
    Neither method raises, whatever happens to the disk or to Redis: a failure is a logged, counted miss.
    `key` is any text; `lifetime` is in seconds, and an entry is never returned after it.
    """

    async def get(self, key: str) -> T | None: ...

    async def put(self, key: str, kept: T, lifetime: float) -> None: ...

    async def close(self) -> None: ...


class Keeper(Protocol[T]):
    """
    What caches stacked on each other can do besides: tell at once what is at hand, look further out for one
    that is `wanted`, and keep what others will find by themselves. `keeps` is whether there are any.
    """

    @property
    def keeps(self) -> bool: ...

    def peek(self, key: str) -> T | None: ...

    async def get(self, key: str, wanted: Callable[[T], bool]) -> T | None: ...

    async def put(self, key: str, kept: T, lifetime: float) -> None: ...

    async def put_near(self, key: str, kept: T, lifetime: float) -> None: ...


class Entry(NamedTuple, Generic[T]):
    """What a tier holds under a key. `expires_at` is in unix seconds, so that processes can share it."""

    kept: T
    expires_at: float


class Tier(Cache[T], Protocol[T]):
    """
    A cache that others can be stacked on: it tells how long an entry still lives, and whether `put` waits
    for a disk or a network (`slow`), so that nobody has to wait with it.

    The last `put` wins: one that is refused (too large, no lifetime left) forgets what was there before.
    """

    @property
    def slow(self) -> bool: ...

    async def get_entry(self, key: str) -> Entry[T] | None: ...

    def stats(self) -> Stats: ...


class Packing(NamedTuple, Generic[T]):
    """
    How an entry becomes bytes that prove themselves, for places that others can write to. `unpack` gives
    `None` for everything that `pack` did not make for this key; expiry is the caller's to check.
    """

    pack: Callable[[T, str, float], bytes]
    unpack: Callable[[bytes, str], Entry[T] | None]
