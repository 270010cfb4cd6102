"""
Originals that were fetched once and serve many renditions: kept as their origin's own headers allow, asked
for again with a condition, and used beyond their time when the origin cannot be asked.
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
from proxy.origins.sources import LocatedKey
from proxy.purges.marks import PurgeMarks, PurgeSubject, PurgeVerdict, PurgeView, purge_subject
from proxy.renditions.singleflight import SingleFlight
from proxy.telemetry.metrics import Metrics

log = structlog.get_logger()

KEPT = 30 * 86_400
"""Seconds that bytes are kept for, after which they are fetched again even if nothing has changed."""

PAUSE = 10.0
"""Seconds for which an origin that failed is not asked again for what it could not confirm."""


class Originals:
    """
    An origin in front of `origin` that asks only for what is not in `cache`; it owns both. Keys whose version
    the origin can tell without a network are not kept: it has them at hand itself.

    `fresh_for` and `stale_if_error` are seconds, for originals whose origin says nothing of the kind; nothing
    is guessed from how old an original is (RFC 9111 section 4.2.2). `clock` gives unix seconds.
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
        self._renewals: SingleFlight[None] = SingleFlight()
        self._failures: TTLCache[str, bool] = TTLCache(maxsize=10_000, ttl=PAUSE)

    async def fetch(self, located: LocatedKey, known: Original | None = None) -> Original:
        if self._origin.version(located) is not None:
            return await self._ask(located, known)
        # Whoever asks after a purge must not be given what was asked for before it.
        after = self._purges.latest
        return await self._flights.join(
            f"{after}\n{located.key}", lambda: self._find_or_fetch(located, after)
        )

    def version(self, located: LocatedKey) -> str | None:
        return self._origin.version(located)

    async def close(self) -> None:
        await self._flights.close()
        await self._renewals.close()
        await self._cache.close()
        await self._origin.close()

    async def _find_or_fetch(self, located: LocatedKey, after: int) -> Original:
        known = await self._cache.get(self._name(located))
        purged = None if known is None else self._purges.verdict(self._subject(located), known.after_purge)
        if known is None or (purged and purged.hard):
            return await self._fetch(located, None, after)
        state = self._freshness(known, purged)
        if state is Freshness.FRESH:
            return known
        if state is Freshness.STALE:
            self._renewals.start(located.key, lambda: self._renew(located, known, after))
            return known
        if state is Freshness.STALE_IF_ERROR and located.key in self._failures:
            return replace(known, is_stale=True)
        try:
            return await self._fetch(located, known, after)
        except (OriginFailed, Overloaded) as failure:
            if state is Freshness.EXPIRED:
                raise
            self._failures[located.key] = True
            log.warning("original_bridged", error=failure.code)
            return replace(known, is_stale=True)

    async def _fetch(self, located: LocatedKey, known: Original | None, after: int) -> Original:
        try:
            original = replace(await self._ask(located, known), after_purge=after)
        except (OriginalNotFound, OriginalTooLarge, SourceNotAllowed):
            if known is not None:
                await self._cache.put(self._name(located), known, 0)
            raise
        await self._cache.put(self._name(located), original, KEPT if original.cache_policy.storable else 0)
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

    async def _renew(self, located: LocatedKey, known: Original, after: int) -> None:
        try:
            await self._fetch(located, known, after)
        except ProxyError as failure:
            log.warning("original_not_renewed", error=failure.code)

    def _freshness(self, known: Original, purged: PurgeVerdict | None) -> Freshness:
        said = known.cache_policy
        fresh_for = self._fresh_for if said.fresh_for is None else said.fresh_for
        stale_if_error = self._stale_if_error if said.stale_if_error is None else said.stale_if_error
        over = max(0.0, self._clock() - said.received_at) - fresh_for
        if purged:
            over = max(0.0, over, self._clock() - purged.at)
        return freshness_past(over, said.stale_while_revalidate, stale_if_error)

    def _subject(self, located: LocatedKey) -> PurgeSubject:
        return purge_subject([located.key], [located.origin])

    def _name(self, located: LocatedKey) -> str:
        return f"original\n{located.place}\n{located.key}"
