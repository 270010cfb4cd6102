"""
Redis as everything here talks to it: a help, never a need. When it is slow, full, gone or failing over, a
call comes back empty-handed within a quarter of a second, and after a few of those nobody is even asked.
"""

from __future__ import annotations

import asyncio

import structlog
from redis.exceptions import RedisClusterException, RedisError, ResponseError

from proxy.clients.breaker import Breaker
from proxy.clients.redis import STEP_TIMEOUT, Client

log = structlog.get_logger()

CALL_TIMEOUT = 2.5 * STEP_TIMEOUT
"""Seconds for all steps of a call, and the wait for a free connection."""

_CONNECTIONS = 32


class Link:
    """
    Owns `client` (see `clients.connect`) and closes it. `tier` is what the log calls it, `patience` are the
    seconds that a call may take.
    """

    def __init__(
        self,
        client: Client,
        *,
        tier: str = "redis",
        patience: float = CALL_TIMEOUT,
        breaker: Breaker | None = None,
    ) -> None:
        self.failures = 0
        self.client = client
        self.patience = patience
        self._incidents = 0
        self._tier = tier
        self._breaker = breaker or Breaker()
        # redis-py's pools refuse the caller that finds them empty, or know no other kind (its Cluster).
        self._turn = asyncio.Semaphore(_CONNECTIONS)

    async def call(self, *command: str | bytes | int) -> object:
        """The answer, or `None` when there was none."""
        if not self._breaker.allows():
            return None
        incidents = self._incidents
        try:
            async with asyncio.timeout(self.patience), self._turn:
                answer = await self.client.execute_command(*command)
        except ResponseError as error:
            # Out of memory, read-only, wrong type: it answers, so the next call may well succeed.
            self._answered()
            self.failed(error)
            return None
        except (RedisError, RedisClusterException, OSError, TimeoutError) as error:
            # Many calls that were under way together and fail together are one bad moment.
            if incidents == self._incidents:
                self._incidents += 1
                self._breaker.failed()
            self.failed(error)
            return None
        self._answered()
        return answer

    def failed(self, error: Exception) -> None:
        self.failures += 1
        log.warning("cache_failed", tier=self._tier, error=type(error).__name__, rests=self._breaker.open)

    async def close(self) -> None:
        try:
            await self.client.aclose()
        except (RedisError, OSError) as error:
            self.failed(error)

    def _answered(self) -> None:
        if self._breaker.open:
            log.info("cache_recovered", tier=self._tier)
        self._breaker.succeeded()


PREFIX = "image-proxy:"
"""Of all our keys, unless the address says otherwise."""


COORDINATION_STEP, COORDINATION_TIMEOUT = 0.5, 0.6
"""Seconds for a step, and for all of a call: to be late here costs making it twice, and not just a miss."""
