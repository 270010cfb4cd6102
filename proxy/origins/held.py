"""An origin held to its terms: so many at a time, left alone while it fails, asked by its own keys."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from time import monotonic

from proxy.breaker import Breaker
from proxy.errors import OriginFailed, ProxyError
from proxy.media import Original
from proxy.origins import Origin
from proxy.origins.trying import timed_out
from proxy.sources import Source

THRESHOLD, REST = 5, 5.0
"""Failures in a row after which an origin is left alone, and seconds until it is tried again."""


class HeldOrigin:
    """
    Owns `origin` and closes it. `timeout` is how long, in seconds, a fetch may wait for its turn: others wait
    for their own origins, and no renderer waits at all.
    """

    def __init__(
        self, origin: Origin, source: Source, *, timeout: float, clock: Callable[[], float] = monotonic
    ) -> None:
        self._origin = origin
        self._source = source
        self._timeout = timeout
        self._turns = asyncio.Semaphore(source.concurrency)
        self._breaker = Breaker(threshold=THRESHOLD, rest=REST, clock=clock)

    async def fetch(self, key: str, known: Original | None = None) -> Original:
        if not self._breaker.allows():
            raise OriginFailed(
                f"the origin of '{key}' has failed again and again, and is left alone for a moment",
                retry_after=REST,
            )
        try:
            async with asyncio.timeout(self._timeout):
                await self._turns.acquire()
        except TimeoutError as failure:
            raise timed_out(key) from failure
        try:
            original = await self._origin.fetch(self._source.rewritten(key), known)
        except OriginFailed:
            self._breaker.failed()
            raise
        except ProxyError:  # it answered, and this is its answer
            self._breaker.succeeded()
            raise
        finally:
            self._turns.release()
        self._breaker.succeeded()
        return self._kept(original)

    def version(self, key: str) -> str | None:
        return self._origin.version(self._source.rewritten(key))

    async def close(self) -> None:
        await self._origin.close()

    def _kept(self, original: Original) -> Original:
        """Fresh for as long as the operator says, whatever the origin does."""
        if self._source.max_age is None:
            return original
        return replace(
            original, keeping=replace(original.keeping, allowed=True, fresh_for=float(self._source.max_age))
        )
