"""
The tier that all machines share. Redis is a help, never a need: when it is slow, full, gone or poisoned,
a lookup is a miss within a quarter of a second, and after a few of those it is not even asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import time
from typing import TypeVar
from urllib.parse import unquote, urlsplit

import structlog
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.connection import Connection, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

from proxy.caches import Entry, Stats
from proxy.caches.address import Address
from proxy.caches.breaker import Breaker
from proxy.caches.envelope import LONGEST, Unverified, name, pack, unpack
from proxy.media import Rendition

log = structlog.get_logger()
_T = TypeVar("_T")

_STEP_TIMEOUT = 0.1  # s: to connect, to get one answer
_CALL_TIMEOUT = 0.25  # s: for all steps, and the wait for a free connection
_CONNECTIONS = 32
_OFFLOADED = 1_000_000  # bytes: hashing this much holds up the event loop for a millisecond


class RedisCache:
    """
    Owns `client` (see `connect`) and closes it. Larger envelopes than `max_value` bytes are neither
    written nor read. `clock` gives unix seconds.
    """

    slow = True

    def __init__(
        self,
        client: Redis,
        *,
        prefix: str = "image-proxy:",
        max_value: int = 8_000_000,
        breaker: Breaker | None = None,
        clock: Callable[[], float] = time,
    ) -> None:
        self.hits = self.misses = self.failures = 0
        self._client = client
        self._prefix = prefix
        self._max_value = max_value
        self._breaker = breaker or Breaker()
        self._clock = clock

    async def get(self, key: str) -> Rendition | None:
        entry = await self.get_entry(key)
        return None if entry is None else entry.rendition

    async def get_entry(self, key: str) -> Entry | None:
        # Not GET: whoever else writes here may have put half a gigabyte under our key.
        packed = await self._call("GETRANGE", self._name(key), 0, self._max_value)
        entry = await self._unpack(packed, key) if isinstance(packed, bytes) and packed else None
        if entry is None or entry.expires_at <= self._clock():
            self.misses += 1
            return None
        self.hits += 1
        return entry

    async def put(self, key: str, rendition: Rendition, lifetime: float) -> None:
        lifetime = min(lifetime, LONGEST)
        packed = await _offloaded(len(rendition.body), lambda: pack(rendition, key, self._clock() + lifetime))
        if lifetime <= 0 or len(packed) > self._max_value:
            await self._call("DEL", self._name(key))
        else:
            await self._call("SET", self._name(key), packed, "PX", max(round(lifetime * 1000), 1))

    async def close(self) -> None:
        try:
            await self._client.aclose()
        except (RedisError, OSError) as error:
            self._failed(error)

    def stats(self) -> Stats:
        return Stats(tier="redis", hits=self.hits, misses=self.misses, failures=self.failures)

    def _name(self, key: str) -> str:
        return self._prefix + name(key)

    async def _unpack(self, packed: bytes, key: str) -> Entry | None:
        entry = None
        if len(packed) <= self._max_value:
            entry = await _offloaded(len(packed), lambda: unpack(packed, key))
        if entry is None:
            self._failed(Unverified())
            await self._call("DEL", self._name(key))
        return entry

    async def _call(self, *command: str | bytes | int) -> object:
        """The answer, or `None` when there was none."""
        if not self._breaker.allows():
            return None
        try:
            async with asyncio.timeout(_CALL_TIMEOUT):
                # Untyped in redis-py, whose typed methods do nothing else.
                answer: object = await self._client.execute_command(*command)  # type: ignore[no-untyped-call]
        except ResponseError as error:
            # Out of memory, read-only, wrong type: it answers, so the next call may well succeed.
            self._answered()
            self._failed(error)
            return None
        except (RedisError, OSError, TimeoutError) as error:
            self._breaker.failed()
            self._failed(error)
            return None
        self._answered()
        return answer

    def _answered(self) -> None:
        if self._breaker.open:
            log.info("cache_recovered", tier="redis")
        self._breaker.succeeded()

    def _failed(self, error: Exception) -> None:
        self.failures += 1
        log.warning("cache_failed", tier="redis", error=type(error).__name__, rests=self._breaker.open)


def open_redis(address: Address) -> RedisCache:
    """
    `redis://user:password@host:6379/0?prefix=image-proxy:&max_value=8MB`; `rediss://` is the same over
    TLS. Only the host must be there; the rest is shown with its default.
    """
    address.allow({"prefix", "max_value"})
    return RedisCache(
        connect(address),
        prefix=address.options.get("prefix", "image-proxy:"),
        max_value=address.size(address.options.get("max_value", "8MB")),
    )


async def _offloaded(size: int, work: Callable[[], _T]) -> _T:
    return await asyncio.to_thread(work) if size > _OFFLOADED else work()


def connect(address: Address) -> Redis:
    """
    A client that gives up soon and never tries twice: redis-py's defaults take 3 s to find a port closed
    and 25 s to find it silent. Nothing is connected yet. TLS is verified against the system's authorities,
    or those of the environment's `SSL_CERT_FILE`. Raises ValueError.
    """
    try:
        parts = urlsplit(f"{address.scheme}://{address.place}")
        port, database = parts.port or 6379, int(parts.path.strip("/") or 0)
    except ValueError:
        parts = None
    if parts is None or not parts.hostname or database < 0:
        raise ValueError(f"Redis is written as redis://host:port/database, not {str(address)!r}")
    return Redis.from_pool(
        BlockingConnectionPool(
            connection_class=SSLConnection if address.scheme == "rediss" else Connection,
            max_connections=_CONNECTIONS,
            timeout=_CALL_TIMEOUT,
            host=parts.hostname,
            port=port,
            db=database,
            username=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
            socket_connect_timeout=_STEP_TIMEOUT,
            socket_timeout=_STEP_TIMEOUT,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
            driver_info=None,
        )
    )
