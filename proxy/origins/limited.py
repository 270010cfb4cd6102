"""An origin held to its terms: so many at a time, left alone while it fails, asked by its own keys."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from time import monotonic
from typing import Protocol

from cachetools import LRUCache

from proxy.clients.breaker import CircuitBreaker
from proxy.model.errors import OriginFailed, Overloaded, ProxyError
from proxy.model.media import Original
from proxy.origins import Origin
from proxy.origins.retry import timed_out
from proxy.origins.sources import Source

THRESHOLD, REST = 5, 5.0
"""Failures in a row after which an origin is left alone, and seconds until it is tried again."""

_TOO_MANY, _TROUBLE, _SILENCE = 429, 500, 600
"""Statuses; the last is no status at all."""

_HOSTS = 1000
_AT_A_TIME = 16

MOST_WAITING = 64
"""How many may wait for their turn at one origin: for what is refused at once, its reader can ask again."""


class HeldOrigin:
    """
    Owns `origin` and closes it. `timeout` is in seconds, from the question to the answer, the wait for a turn
    included: others wait for their own origins, and no renderer waits at all.
    """

    def __init__(
        self, origin: Origin, source: Source, *, timeout: float, clock: Callable[[], float] = monotonic
    ) -> None:
        self._origin = origin
        self._source = source
        self._timeout = timeout
        self._turns = asyncio.Semaphore(source.concurrency)
        self._most = source.concurrency + MOST_WAITING
        self._asking = 0
        self._breaker = CircuitBreaker(threshold=THRESHOLD, reset_timeout=REST, clock=clock)

    async def fetch(self, key: str, known: Original | None = None) -> Original:
        there = self._source.rewritten(key)
        if there == key:
            return await self._ask(key, known)
        try:
            return await self._ask(there, known)
        except ProxyError as error:
            # Whoever asked knows the key as it was asked for, and no other is anybody's business.
            told = error.message.replace(f"'{there}'", f"'{key}'")
            raise type(error)(told, **error.facts) from error

    def version(self, key: str) -> str | None:
        return self._origin.version(self._source.rewritten(key))

    async def close(self) -> None:
        await self._origin.close()

    async def _ask(self, key: str, known: Original | None) -> Original:
        if not self._breaker.allows():
            raise _left_alone(key)
        if self._asking >= self._most:
            raise Overloaded("too many originals are being fetched right now", retry_after=1)
        self._asking += 1
        try:
            return await self._ask_in_turn(key, known)
        finally:
            self._asking -= 1

    async def _ask_in_turn(self, key: str, known: Original | None) -> Original:
        probing, asked = self._breaker.open, False
        try:
            async with asyncio.timeout(self._timeout), self._turns:
                if self._breaker.open and not probing:
                    # It failed while this one waited; asked all the same, it would let down one by one.
                    raise _left_alone(key)
                asked = True
                original = await self._origin.fetch(key, known)
        except TimeoutError as failure:
            if asked:
                self._breaker.failed()
            raise timed_out(key) from failure
        except ProxyError as error:
            if asked:
                self._judge(error)
            raise
        self._breaker.succeeded()
        return self._kept(original)

    def _judge(self, error: ProxyError) -> None:
        """
        Whether it is in trouble, or answered in full, and this is its answer: one picture that it has in no
        order must not take all others away.
        """
        status = error.facts.get("origin_status", _SILENCE)
        if isinstance(error, OriginFailed) and (status >= _TROUBLE or status == _TOO_MANY):
            self._breaker.failed()
        else:
            self._breaker.succeeded()

    def _kept(self, original: Original) -> Original:
        """Fresh for as long as the operator says, whatever the origin does."""
        if self._source.max_age is None:
            return original
        policy = replace(original.cache_policy, storable=True, fresh_for=float(self._source.max_age))
        return replace(original, cache_policy=policy)


class OfHosts(Origin, Protocol):
    def host(self, key: str) -> str:
        """One text for each host and port, however a key writes them. Raises SourceNotAllowed."""


class HeldHosts:
    """
    Keys that are whole URLs: each host is held on its own. Owns `origin`, which says what a key's host is or
    refuses it, and closes it.
    """

    def __init__(self, origin: OfHosts, *, timeout: float, clock: Callable[[], float] = monotonic) -> None:
        self._origin = origin
        self._timeout = timeout
        self._clock = clock
        self._hosts: LRUCache[str, HeldOrigin] = LRUCache(_HOSTS)

    async def fetch(self, key: str, known: Original | None = None) -> Original:
        host = self._origin.host(key)
        if (held := self._hosts.get(host)) is None:
            source = Source(url=f"//{host}", concurrency=_AT_A_TIME)
            held = HeldOrigin(self._origin, source, timeout=self._timeout, clock=self._clock)
            self._hosts[host] = held
        return await held.fetch(key, known)

    def version(self, key: str) -> str | None:
        return self._origin.version(key)

    async def close(self) -> None:
        await self._origin.close()


def _left_alone(key: str) -> OriginFailed:
    return OriginFailed(
        f"the origin of '{key}' has failed again and again, and is left alone for a moment", retry_after=REST
    )
