"""
Originals that were fetched once and serve many renditions: cached as their origin's headers allow, validated
by conditional requests, and used beyond their time when the origin fails (RFC 9111, RFC 5861).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import structlog
from cachetools import TTLCache

from proxy.caches import Cache
from proxy.model.errors import (
    OriginalNotFound,
    OriginalTooLarge,
    OriginFailed,
    Overloaded,
    ProxyError,
    SourceNotAllowed,
)
from proxy.model.freshness import Freshness, freshness_past
from proxy.model.media import Original
from proxy.origins import Origins
from proxy.origins.protocol import Refresh
from proxy.origins.sources import LocatedKey
from proxy.purges.marks import PurgeMarks, PurgeState, PurgeSubject, PurgeVerdict, PurgeView, purge_subject
from proxy.renditions.singleflight import SingleFlight
from proxy.renditions.validity import may_stand_in
from proxy.telemetry.metrics import Metrics

log = structlog.get_logger()

CACHE_LIFETIME = 30 * 86_400
"""Seconds after which an original is fetched anew, even if its origin always confirmed it."""

VALIDATION_RETRY_DELAY = 10.0
"""Seconds for which an origin that failed to confirm an original is not asked for it again."""

_MAX_FAILED_VALIDATIONS = 10_000


class Originals:
    """
    The originals of an origin, through a cache; it owns both.

    The origin is only asked for what is not in the cache. Keys whose version the origin can tell without a
    network are not cached.

    `fresh_for` and `stale_if_error` are seconds, for originals whose origin says nothing of the kind; nothing
    is guessed from how old an original is (RFC 9111 section 4.2.2). `clock` gives unix seconds.

    At one time at most one flight looks for an original in the cache, and at most one fetches it. Flights
    begun before a purge, or for another version, are not joined. While a purge may have been missed, what is
    cached is validated before it is used.
    """

    def __init__(
        self,
        origin: Origins,
        cache: Cache[Original],
        *,
        fresh_for: float,
        stale_if_error: float,
        purges: PurgeView | None = None,
        metrics: Metrics | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._origin = origin
        self._cache = cache
        self._fresh_for = fresh_for
        self._stale_if_error = stale_if_error
        self._purges = purges or PurgeMarks()
        self._metrics = metrics or Metrics()
        self._clock = clock
        self._flights: SingleFlight[Original] = SingleFlight()
        self._failed_validations: TTLCache[str, bool] = TTLCache(
            _MAX_FAILED_VALIDATIONS, VALIDATION_RETRY_DELAY
        )

    async def fetch(self, located: LocatedKey) -> Original:
        """Return the original, from the cache or its origin. Raises what `Origin.fetch` raises."""
        if (refreshing := self._origin.refresh(located)) is not None:
            await refreshing()
        state = self._purges.state
        version = self._origin.version(located)
        if version is not None:
            flight = f"fetch\n{state.scope}\n{version}\n{located.key}"
            return await self._flights.join(flight, lambda: self._ask(located, None))
        flight = f"find\n{state.scope}\n{located.key}"
        return await self._flights.join(flight, lambda: self._find_or_fetch(located, state))

    def version(self, located: LocatedKey) -> str | None:
        """Return what `Origin.version` returns."""
        return self._origin.version(located)

    def refresh(self, located: LocatedKey) -> Refresh | None:
        """Return what `Origin.refresh` returns."""
        return self._origin.refresh(located)

    async def close(self) -> None:
        """Cancel all that is under way, and close the cache and the origins."""
        await self._flights.close()
        await self._cache.close()
        await self._origin.close()

    async def _find_or_fetch(self, located: LocatedKey, state: PurgeState) -> Original:
        known = await self._cache.get(_name(located))
        purged = None if known is None else self._purges.verdict(_subject(located), known.after_purge)
        if known is None or (purged and purged.hard):
            return await self._join_fetch(located, None, state)
        usable = self._freshness(known, purged)
        if state.leased:
            if usable is Freshness.FRESH:
                return known
            if usable is Freshness.STALE:
                self._start_renewal(located, known, state)
                return known
            if usable is Freshness.STALE_IF_ERROR and located.key in self._failed_validations:
                return replace(known, is_stale=True)
        try:
            return await self._join_fetch(located, known, state)
        except (OriginFailed, Overloaded) as failure:
            if usable is Freshness.EXPIRED or not may_stand_in(failure, state):
                raise
            self._failed_validations[located.key] = True
            log.warning("original_bridged", error=failure.code)
            return replace(known, is_stale=True)

    async def _join_fetch(self, located: LocatedKey, known: Original | None, state: PurgeState) -> Original:
        flight = _fetching(located, state)
        return await self._flights.join(flight, lambda: self._fetch(located, known, state.number))

    def _start_renewal(self, located: LocatedKey, known: Original, state: PurgeState) -> None:
        flight = _fetching(located, state)
        self._flights.start(flight, lambda: self._renew(located, known, state.number))

    async def _renew(self, located: LocatedKey, known: Original, after_purge: int) -> Original:
        """As `_fetch`. As a rule no caller waits for it, so it logs its errors."""
        try:
            return await self._fetch(located, known, after_purge)
        except ProxyError as failure:
            log.warning("original_not_renewed", error=failure.code)
            raise

    async def _fetch(self, located: LocatedKey, known: Original | None, after_purge: int) -> Original:
        """Fetch the original, or have `known` confirmed, and put it into the cache where that is allowed."""
        try:
            original = replace(await self._ask(located, known), after_purge=after_purge)
        except (OriginalNotFound, OriginalTooLarge, SourceNotAllowed):
            if known is not None:
                await self._cache.put(_name(located), known, 0)
            raise
        lifetime = CACHE_LIFETIME if original.cache_policy.storable else 0
        await self._cache.put(_name(located), original, lifetime)
        return original

    async def _ask(self, located: LocatedKey, known: Original | None) -> Original:
        started, outcome = time.perf_counter(), "abandoned"
        try:
            original = await self._origin.fetch(located, known)
            outcome = "fetched"
        except ProxyError as failure:
            outcome = failure.code
            raise
        finally:
            self._metrics.fetched(located.origin, outcome, time.perf_counter() - started)
        return original

    def _freshness(self, known: Original, purged: PurgeVerdict | None) -> Freshness:
        policy = known.cache_policy
        fresh_for = self._fresh_for if policy.fresh_for is None else policy.fresh_for
        stale_if_error = self._stale_if_error if policy.stale_if_error is None else policy.stale_if_error
        staleness = max(0.0, self._clock() - policy.received_at) - fresh_for
        if purged:
            staleness = max(0.0, staleness, self._clock() - purged.at)
        return freshness_past(staleness, policy.stale_while_revalidate, stale_if_error)


def _fetching(located: LocatedKey, state: PurgeState) -> str:
    """The flight that fetches an original, whether a caller waits for it or not."""
    return f"fetch\n{state.scope}\n\n{located.key}"


def _subject(located: LocatedKey) -> PurgeSubject:
    return purge_subject([located.key], [located.origin])


def _name(located: LocatedKey) -> str:
    return f"original\n{located.place}\n{located.key}"
