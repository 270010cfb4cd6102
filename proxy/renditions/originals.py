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
from proxy.origins import Origin
from proxy.origins.sources import NOWHERE, Sources
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
    is guessed from how old an original is (RFC 9111 section 4.2.2). `sources` tell where keys lead to:
    deployments of different origins may share a cache. `clock` gives unix seconds.
    """

    def __init__(
        self,
        origin: Origin,
        cache: Cache[Original],
        *,
        fresh_for: float,
        stale_if_error: float,
        sources: Sources = NOWHERE,
        purges: PurgeView | None = None,
        metrics: Metrics | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._origin = origin
        self._cache = cache
        self._fresh_for = fresh_for
        self._stale_if_error = stale_if_error
        self._sources = sources
        self._purges = purges or PurgeMarks()
        self._metrics = metrics or Metrics()
        self._clock = clock
        self._flights: SingleFlight[Original] = SingleFlight()
        self._renewals: SingleFlight[None] = SingleFlight()
        self._failures: TTLCache[str, bool] = TTLCache(maxsize=10_000, ttl=PAUSE)

    async def fetch(self, key: str, known: Original | None = None) -> Original:
        if self._origin.version(key) is not None:
            return await self._ask(key, known)
        # Whoever asks after a purge must not be given what was asked for before it.
        after = self._purges.latest
        return await self._flights.join(f"{after}\n{key}", lambda: self._find_or_fetch(key, after))

    def version(self, key: str) -> str | None:
        return self._origin.version(key)

    async def close(self) -> None:
        await self._flights.close()
        await self._renewals.close()
        await self._cache.close()
        await self._origin.close()

    async def _find_or_fetch(self, key: str, after: int) -> Original:
        known = await self._cache.get(self._name(key))
        purged = None if known is None else self._purges.verdict(self._subject(key), known.after_purge)
        if known is None or (purged and purged.hard):
            return await self._fetch(key, None, after)
        state = self._freshness(known, purged)
        if state is Freshness.FRESH:
            return known
        if state is Freshness.STALE:
            self._renewals.start(key, lambda: self._renew(key, known, after))
            return known
        if state is Freshness.STALE_IF_ERROR and key in self._failures:
            return replace(known, is_stale=True)
        try:
            return await self._fetch(key, known, after)
        except (OriginFailed, Overloaded) as failure:
            if state is Freshness.EXPIRED:
                raise
            self._failures[key] = True
            log.warning("original_bridged", error=failure.code)
            return replace(known, is_stale=True)

    async def _fetch(self, key: str, known: Original | None, after: int) -> Original:
        try:
            original = replace(await self._ask(key, known), after_purge=after)
        except (OriginalNotFound, OriginalTooLarge, SourceNotAllowed):
            if known is not None:
                await self._cache.put(self._name(key), known, 0)
            raise
        await self._cache.put(self._name(key), original, KEPT if original.cache_policy.storable else 0)
        return original

    async def _ask(self, key: str, known: Original | None) -> Original:
        started, outcome = time.perf_counter(), "abandoned"
        try:
            original = await self._origin.fetch(key, known)
            outcome = "fetched"
        except ProxyError as failure:
            outcome = failure.code
            raise
        finally:
            self._metrics.fetched(self._sources.of(key)[0], outcome, time.perf_counter() - started)
        return original

    async def _renew(self, key: str, known: Original, after: int) -> None:
        try:
            await self._fetch(key, known, after)
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

    def _subject(self, key: str) -> PurgeSubject:
        return purge_subject([key], [self._sources.of(key)[0]])

    def _name(self, key: str) -> str:
        return f"original\n{self._sources.place(key)}\n{key}"
