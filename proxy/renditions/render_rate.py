"""
How many renditions one client may have made in a window of time, by the library `limits`.

The counts are in the Redis that is among the caches, if there is one, and so over all processes. Redis is a
help here as elsewhere: while it does not answer, each process counts for itself.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from cachetools import TTLCache
from limits import RateLimitItem, parse
from limits.aio.storage import Storage
from limits.aio.strategies import FixedWindowRateLimiter
from limits.errors import StorageError

from proxy.clients.address import first_redis
from proxy.clients.redis import redis_client
from proxy.clients.redis_link import KEY_PREFIX, RedisLink
from proxy.fairness.demand import OWN_WORK, current_demand
from proxy.model.errors import RateLimited

MAX_CLIENTS = 100_000
"""Whose counts one process has; beyond that the oldest are forgotten."""

# The window begins with the first of its renditions; a key never stays without an end.
_INCREMENT = """
local count = redis.call('INCRBY', KEYS[1], ARGV[1])
if redis.call('PTTL', KEYS[1]) < 0 then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return count
"""


class RenderRate:
    """The rate `rate`, such as `60/minute`, for each client. Owns `shared`, its counts in Redis, if any."""

    def __init__(
        self, rate: str, shared: RedisCounts | None = None, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._rate: RateLimitItem = parse(rate)
        self._clock = clock
        self._shared = shared
        self._own = FixedWindowRateLimiter(MemoryCounts(self._rate.get_expiry(), clock))
        self._limiters = [self._own] if shared is None else [FixedWindowRateLimiter(shared), self._own]

    async def spend(self) -> None:
        """Count one more rendition of the client that asked for it first. Raises RateLimited."""
        client = next((client for client in current_demand().clients if client != OWN_WORK), None)
        if client is None:
            return
        for limiter in self._limiters:
            try:
                if await limiter.hit(self._rate, client):
                    return
                ends, _ = await limiter.get_window_stats(self._rate, client)
            except StorageError:
                continue
            raise self._limited(client, ends)

    async def close(self) -> None:
        if self._shared is not None:
            await self._shared.close()

    def _limited(self, client: str, ends: float) -> RateLimited:
        window = self._rate.get_expiry()
        return RateLimited(
            f"{self._rate.amount} new pictures in {window} s are what one client gets here",
            client=client,
            rate=self._rate.amount,
            window=window,
            retry_after=min(window, max(1, math.ceil(ends - self._clock()))),
        )


class MemoryCounts(Storage):
    """Counts of this process, of at most `MAX_CLIENTS`, in windows of `window` seconds."""

    STORAGE_SCHEME = None

    def __init__(self, window: float, clock: Callable[[], float] = time.time) -> None:
        super().__init__(wrap_exceptions=True)
        self._counts: TTLCache[str, tuple[list[int], float]] = TTLCache(MAX_CLIENTS, window, timer=clock)
        self._clock = clock

    @property
    def base_exceptions(self) -> type[Exception]:
        return LookupError

    async def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        entry = self._counts.get(key)
        if entry is None:
            entry = self._counts[key] = [0], self._clock() + expiry
        entry[0][0] += amount
        return entry[0][0]

    async def get(self, key: str) -> int:
        entry = self._counts.get(key)
        return 0 if entry is None else entry[0][0]

    async def get_expiry(self, key: str) -> float:
        entry = self._counts.get(key)
        return self._clock() if entry is None else entry[1]

    async def check(self) -> bool:
        return True

    async def reset(self) -> int | None:
        self._counts.clear()
        return None

    async def clear(self, key: str) -> None:
        self._counts.pop(key, None)


class RedisCounts(Storage):
    """Counts in the Redis at the other end of `link`, which it owns, under names that begin with `prefix`."""

    STORAGE_SCHEME = None

    def __init__(self, link: RedisLink, prefix: str = KEY_PREFIX) -> None:
        super().__init__(wrap_exceptions=True)
        self._link = link
        self._prefix = f"{prefix}rate:"

    @property
    def base_exceptions(self) -> type[Exception]:
        return LookupError

    async def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        return await self._number("EVAL", _INCREMENT, 1, self._name(key), amount, expiry * 1000)

    async def get(self, key: str) -> int:
        return await self._number("EVAL", "return redis.call('GET', KEYS[1]) or 0", 1, self._name(key))

    async def get_expiry(self, key: str) -> float:
        milliseconds = await self._number("PTTL", self._name(key))
        return time.time() + max(0, milliseconds) / 1000

    async def check(self) -> bool:
        return await self._link.call("PING") is not None

    async def reset(self) -> int | None:
        return None

    async def clear(self, key: str) -> None:
        await self._link.call("DEL", self._name(key))

    async def close(self) -> None:
        await self._link.close()

    async def _number(self, *command: str | int) -> int:
        answer = await self._link.call(*command)
        if not isinstance(answer, int | bytes | str):
            raise LookupError("Redis does not answer")  # noqa: TRY004  not a mistake of types
        try:
            return int(answer)
        except ValueError:
            raise LookupError("this is no count") from None

    def _name(self, key: str) -> str:
        return self._prefix + key


def open_render_rate(rate: str, cache: str) -> RenderRate:
    """Return the rate, counted in the Redis of the setting `cache` if it has one. Raises ValueError."""
    if (address := first_redis(cache)) is None:
        return RenderRate(rate)
    link = RedisLink(redis_client(address), tier="rate")
    return RenderRate(rate, RedisCounts(link, address.options.get("prefix", KEY_PREFIX)))
