"""What a cache of renditions, or of originals, can do, and what a tier and a codec of its entries are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, NamedTuple, Protocol, TypeVar

from proxy.telemetry.metrics import Stats


class Cacheable(Protocol):
    """A value that a cache can hold: its size is that of its body."""

    @property
    def body(self) -> bytes: ...


T = TypeVar("T", bound=Cacheable)


class Cache(Protocol[T]):
    """
    Stores values by key, each for its lifetime.

    `key` is any text; `lifetime` is in seconds, and a value is never returned after it. No method
    raises, whatever happens to the disk or to Redis: a failure is a logged, counted miss.
    """

    async def get(self, key: str) -> T | None: ...

    async def put(self, key: str, value: T, lifetime: float) -> None: ...

    async def close(self) -> None: ...


class LayeredCache(Protocol[T]):
    """
    A cache of several tiers.

    `enabled` is whether there are any. `peek` looks into memory only and does not wait. `get` looks further
    out for a value that is `wanted`. `put_in_memory` is for a value that another process
    wrote to the shared tiers.
    """

    @property
    def enabled(self) -> bool: ...

    def peek(self, key: str) -> T | None: ...

    async def get(self, key: str, wanted: Callable[[T], bool]) -> T | None: ...

    async def put(self, key: str, value: T, lifetime: float) -> None: ...

    async def put_in_memory(self, key: str, value: T, lifetime: float) -> None: ...


class CacheEntry(NamedTuple, Generic[T]):
    """A value in a tier. `expires_at` is in unix seconds, so that processes can share it."""

    value: T
    expires_at: float


class Tier(Cache[T], Protocol[T]):
    """
    One layer of a tiered cache.

    `get_entry` returns a value with its expiry. `slow` is whether `put` waits for a disk or a network, so
    that it is done in the background. The last `put` wins: one that is refused (too large, no lifetime left)
    removes what was there before.
    """

    @property
    def slow(self) -> bool: ...

    async def get_entry(self, key: str) -> CacheEntry[T] | None: ...

    def stats(self) -> Stats: ...


ReadBody = Callable[[int], bytes]
"""Reads all from an offset in an entry on (bytes)."""


class Unpack(Protocol[T]):
    """Reads an entry, or its first bytes and what reads the rest of it."""

    def __call__(
        self, packed: bytes, key: str, read_body: ReadBody | None = None
    ) -> CacheEntry[T] | None: ...


class EntryCodec(NamedTuple, Generic[T]):
    """
    Converts entries to bytes that prove their integrity, for stores to which others can write.

    `unpack` returns `None` for all bytes that `pack` did not make for this key; it does not check the expiry.
    It takes an entry, or its first bytes and what reads all from an offset on: then the body is not copied.
    """

    pack: Callable[[T, str, float], bytes]
    unpack: Unpack[T]
