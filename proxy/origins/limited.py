"""Limits of an origin: how many fetches at a time and how many in the queue, and a circuit breaker."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from time import monotonic
from typing import Protocol

from cachetools import LRUCache

from proxy.fairness.demand import current_demand
from proxy.fairness.turns import AbandonedWork, DisplacedWork, LocalTurns, Ticket, to_displace
from proxy.model.errors import ClientLeft, OriginFailed, OriginTimedOut, Overloaded, ProxyError
from proxy.model.media import Original
from proxy.origins.breaker import RESET_TIMEOUT, FetchProgress, OriginBreaker, fetch_progress
from proxy.origins.protocol import Origin, Refresh
from proxy.origins.retry import timed_out
from proxy.origins.sources import Source

_MAX_HOSTS = 1000
_HOST_CONCURRENCY = 16

MAX_QUEUED = 64
"""Fetches that may wait for their turn at one origin; more are refused at once, and clients retry."""

EXPECTED_SECONDS = 0.1
"""Of a fetch, until it is known: what counts for the order in which clients have their turn."""


class LimitedOrigin:
    """
    An origin with the concurrency and the `max_age` of its `source`. Owns `origin` and closes it. `timeout`
    is in seconds, from the call to the answer, the wait in the queue included.
    """

    def __init__(
        self, origin: Origin, source: Source, *, timeout: float, clock: Callable[[], float] = monotonic
    ) -> None:
        self._origin = origin
        self._source = source
        self._timeout = timeout
        self._turns = LocalTurns(source.concurrency, max_per_client=_max_per_client(source.concurrency))
        self._max_fetches = source.concurrency + MAX_QUEUED
        self._tickets: dict[Ticket, None] = {}
        self._breaker = OriginBreaker(clock=clock)

    async def fetch(self, key: str, known: Original | None = None) -> Original:
        if not self._breaker.allows():
            raise _breaker_open(key)
        demand = current_demand()
        if len(self._tickets) >= self._max_fetches:
            displaced = to_displace([*self._tickets], demand)
            if displaced is None:
                raise _too_many()
            del self._tickets[displaced]
            displaced.give_up(DisplacedWork())
        ticket = self._turns.ask(demand, EXPECTED_SECONDS)
        self._tickets[ticket] = None
        try:
            return await self._fetch_in_turn(key, known, ticket)
        except DisplacedWork:
            raise _too_many() from None
        except AbandonedWork:
            raise ClientLeft("the client left before its original was fetched") from None
        finally:
            self._tickets.pop(ticket, None)
            self._turns.release(ticket)

    def version(self, key: str) -> str | None:
        return self._origin.version(key)

    def refresh(self, key: str) -> Refresh | None:
        refreshing = self._origin.refresh(key)
        return None if refreshing is None else partial(self._refresh, key, refreshing)

    async def close(self) -> None:
        await self._origin.close()

    async def _refresh(self, key: str, refreshing: Refresh) -> None:
        try:
            async with asyncio.timeout(self._timeout):
                await refreshing()
        except TimeoutError as failure:
            if self._origin.version(key) is None:  # else the last known one counts
                raise timed_out(key) from failure

    async def _fetch_in_turn(self, key: str, known: Original | None, ticket: Ticket) -> Original:
        probing, started = self._breaker.open, False
        try:
            async with asyncio.timeout(self._timeout):
                await ticket.granted
                if self._breaker.open and not probing:
                    # The breaker opened during the wait: without this all that wait would fail one by one.
                    raise _breaker_open(key)
                started = True
                with fetch_progress() as progress:
                    original = await self._fetch_and_report(key, known, progress)
        except TimeoutError as failure:
            if started and not progress.answered:
                self._breaker.silent(key)
            raise timed_out(key) from failure
        return self._with_max_age(original)

    async def _fetch_and_report(self, key: str, known: Original | None, progress: FetchProgress) -> Original:
        """
        Tell the breaker. Only silence is a failure of the origin: one original that is broken, slow or
        refused with a 429 or 5xx must not make all others unavailable.
        """
        try:
            original = await self._origin.fetch(key, known)
        except ProxyError as error:
            if progress.answered or "origin_status" in error.facts or not isinstance(error, OriginFailed):
                self._breaker.answered()
            elif isinstance(error, OriginTimedOut):
                self._breaker.silent(key)
            else:
                self._breaker.unreachable()
            raise
        self._breaker.answered()
        return original

    def _with_max_age(self, original: Original) -> Original:
        """The lifetime that the operator has set wins over what the origin says."""
        if self._source.max_age is None:
            return original
        policy = replace(original.cache_policy, storable=True, fresh_for=float(self._source.max_age))
        return replace(original, cache_policy=policy)


class MultiHostOrigin(Origin, Protocol):
    """An origin whose keys lead to several hosts."""

    def host(self, key: str) -> str:
        """One text for each host and port, however a key writes them. Raises SourceNotAllowed."""


class LimitedHosts:
    """
    Keys that are whole URLs: each host has its own queue and breaker. Owns `origin`, which tells the host of
    a key or refuses it, and closes it.
    """

    def __init__(
        self, origin: MultiHostOrigin, *, timeout: float, clock: Callable[[], float] = monotonic
    ) -> None:
        self._origin = origin
        self._timeout = timeout
        self._clock = clock
        self._hosts: LRUCache[str, LimitedOrigin] = LRUCache(_MAX_HOSTS)

    async def fetch(self, key: str, known: Original | None = None) -> Original:
        host = self._origin.host(key)
        if (limited := self._hosts.get(host)) is None:
            source = Source(url=f"//{host}", concurrency=_HOST_CONCURRENCY)
            limited = LimitedOrigin(self._origin, source, timeout=self._timeout, clock=self._clock)
            self._hosts[host] = limited
        return await limited.fetch(key, known)

    def version(self, key: str) -> str | None:
        return self._origin.version(key)

    def refresh(self, key: str) -> Refresh | None:
        return self._origin.refresh(key)

    async def close(self) -> None:
        await self._origin.close()


def _max_per_client(concurrency: int) -> int:
    """How many fetches one client has at a time: another's must not wait for those that take long."""
    return concurrency - concurrency // 4


def _too_many() -> Overloaded:
    return Overloaded("too many originals are being fetched right now", retry_after=1)


def _breaker_open(key: str) -> OriginFailed:
    return OriginFailed(
        f"the origin of '{key}' has failed again and again, and is left alone for a moment",
        retry_after=RESET_TIMEOUT,
    )
