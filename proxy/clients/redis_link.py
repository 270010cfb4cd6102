"""
Calls to Redis that fail soft. When it is slow, full, gone or failing over, a call returns `None` within a
quarter of a second, and after a few of those the circuit breaker answers in its place.
"""

from __future__ import annotations

import asyncio

import structlog
from redis.exceptions import RedisClusterException, RedisError, ResponseError

from proxy.clients.breaker import CircuitBreaker
from proxy.clients.redis import STEP_TIMEOUT, RedisClient

log = structlog.get_logger()

CALL_TIMEOUT = 2.5 * STEP_TIMEOUT
"""Seconds for all steps of a call, and the wait for a free connection."""

_CONNECTIONS = 32
_MAX_REASON = 200  # characters; redis-py names host and port in it, and no password


class RedisLink:
    """
    Commands to Redis, within a time limit and through a circuit breaker.

    Owns `client` and closes it. `tier` is what the log calls it, `call_timeout` are the seconds that a call
    may take.
    """

    def __init__(
        self,
        client: RedisClient,
        *,
        tier: str = "redis",
        call_timeout: float = CALL_TIMEOUT,
        breaker: CircuitBreaker | None = None,
    ) -> None:
        self.failures = 0
        self.client = client
        self.call_timeout = call_timeout
        self._incidents = 0
        self._tier = tier
        self._breaker = breaker or CircuitBreaker()
        # redis-py's pools refuse the caller that finds them empty, or know no other kind (its Cluster).
        self._turn = asyncio.Semaphore(_CONNECTIONS)

    async def call(self, *command: str | bytes | int) -> object:
        """The answer to `command`, or `None`: a failure is logged and counted, never raised."""
        if not self._breaker.allows():
            return None
        incidents = self._incidents
        try:
            async with asyncio.timeout(self.call_timeout), self._turn:
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
        """Log and count a failure that the caller found, such as a value that does not verify."""
        self.failures += 1
        log.warning(
            "cache_failed",
            tier=self._tier,
            error=type(error).__name__,
            reason=str(error)[:_MAX_REASON],
            rests=self._breaker.open,
        )

    async def close(self) -> None:
        try:
            await self.client.aclose()
        except (RedisError, OSError) as error:
            self.failed(error)

    def _answered(self) -> None:
        if self._breaker.open:
            log.info("cache_recovered", tier=self._tier)
        self._breaker.succeeded()


KEY_PREFIX = "image-proxy:"
"""Of all our keys, unless the address says otherwise."""


COORDINATION_STEP, COORDINATION_TIMEOUT = 0.5, 0.6
"""Seconds for a step, and for all of a call: to be late here costs making it twice, and not just a miss."""
