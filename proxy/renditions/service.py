"""Find or make the rendition that a request asks for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial

import structlog
from cachetools import TTLCache

from proxy.caches import LayeredCache
from proxy.fairness.demand import current_demand
from proxy.model.errors import ClientLeft, ProxyError, RateLimited
from proxy.model.freshness import Freshness, freshness
from proxy.model.limits import Limits
from proxy.model.media import Rendition
from proxy.origins.protocol import Refresh
from proxy.purges.marks import PurgeMarks, PurgeState, PurgeView
from proxy.renditions.avif_followup import AvifFollowUp
from proxy.renditions.cluster import Leadership, SoleProcess
from proxy.renditions.inputs import OriginalSource
from proxy.renditions.making import RenderAllowance, RenditionMaker
from proxy.renditions.negative_cache import CACHED_REFUSALS, NegativeCache
from proxy.renditions.render import Renderers, Rendering
from proxy.renditions.request import RenditionRequest, name_in
from proxy.renditions.served import Served
from proxy.renditions.singleflight import SingleFlight
from proxy.renditions.validity import TRANSIENT_FAILURES, Validity, may_stand_in

log = structlog.get_logger()

RENEWAL_RETRY_DELAY = 10.0
"""Seconds from a failed renewal until the next: meanwhile clients get what is cached without waiting."""

_MAX_FAILED_RENEWALS = 10_000


class Renditions:
    """
    All renditions of a deployment, cached or made on request.

    Originals come from `origin`. `leadership` says which process of a cluster makes a rendition, by default
    this one, and `allowance` what clients may have made, by default all; it owns and closes both. Refusals
    are cached for `refusals_for` seconds. `clock` gives unix seconds.

    At one time at most one flight looks for a rendition in the caches, and at most one makes it, be it for a
    client that waits or to renew what is stale. Flights begun before a purge are not joined after it.
    """

    def __init__(
        self,
        *,
        origin: OriginalSource,
        cache: LayeredCache[Rendition],
        renderers: Renderers,
        limits: Limits,
        purges: PurgeView | None = None,
        leadership: Leadership | None = None,
        allowance: RenderAllowance | None = None,
        refusals_for: float = 60.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._rendering = rendering = Rendering(renderers, limits, clock=clock)
        self._origin = origin
        self._cache = cache
        self._purges = purges or PurgeMarks()
        self._validity = Validity(self._purges, clock)
        self._refusals = NegativeCache(refusals_for, self._validity)
        self._maker = RenditionMaker(origin, rendering, leadership or SoleProcess(), clock, allowance)
        self._avif = AvifFollowUp(origin, rendering, cache, clock)
        self._clock = clock
        self._flights: SingleFlight[Served] = SingleFlight()
        self._failed_renewals: TTLCache[str, bool] = TTLCache(_MAX_FAILED_RENEWALS, RENEWAL_RETRY_DELAY)

    @property
    def latest_purge(self) -> int:
        """The number of the last purge that this process knows of."""
        return self._purges.latest

    def refresh(self, request: RenditionRequest) -> Refresh | None:
        """
        Return what brings the originals' versions up to date, `None` if they are. It
        raises OriginFailed and Overloaded.
        """
        refreshing = self._origin.refresh(request.original)
        if request.overlay is None:
            return refreshing
        overlay = self._origin.refresh(request.overlay)
        if refreshing is None or overlay is None:
            return refreshing or overlay
        return partial(_both, refreshing, overlay)

    def name(self, stem: str, request: RenditionRequest) -> str:
        """
        Return the name of a rendition in caches: its `stem` with the present rendering environment and the
        originals' versions, where known; to be called after `refresh`.
        """
        name = f"{name_in(self._rendering.environment, stem)}\n{self._origin.version(request.original) or ''}"
        return f"{name}\n{self._origin.version(request.overlay) or ''}" if request.overlay else name

    def peek(self, name: str) -> Rendition | None:
        """
        Return the rendition of that name, of whatever age, if this process has it in memory and need not ask
        its origin first; to be called after `latest_purge`.
        """
        return self._cache.peek(name) if self._purges.leased else None

    def serve_cached(self, request: RenditionRequest, name: str, cached: Rendition) -> Served | None:
        """
        Return `cached` as the answer to `request`, or `None` when it is too old for that, or purged.

        A stale one is renewed in the background (stale-while-revalidate). One that could not be renewed a
        moment ago is served for as long as it may stand in for an error (stale-if-error).
        """
        purged = self._validity.purged(request, cached.after_purge)
        if purged and purged.hard:
            return None
        age = self._validity.age(request, cached, purged)
        match freshness(request.lifetimes, age):
            case Freshness.FRESH:
                return Served(cached, hit=True, age=age)
            case Freshness.STALE:
                if name not in self._failed_renewals:
                    self._start_renewal(request, name, cached)
                return Served(cached, hit=True, age=age, stale=True)
            case Freshness.STALE_IF_ERROR if name in self._failed_renewals:
                return Served(cached, hit=True, age=age, stale=True)
        return None

    async def get(self, request: RenditionRequest) -> Served:
        """
        Return the rendition for `request`, from the caches or made now.

        Raises every ProxyError but InvalidRequest and Forbidden, which are about the URL alone;
        SourceNotAllowed is raised, for what is cached as well.
        """
        request.require_allowed()
        if (refreshing := self.refresh(request)) is not None:
            await refreshing()
        name = self.name(request.stem, request)
        state = self._purges.state
        if state.leased:
            self._refusals.raise_cached(request, name, self._original_name(request))
        flight = f"find\n{state.scope}\n{name}"
        while True:
            collapsed = flight in self._flights
            try:
                served = await self._flights.join(flight, lambda: self._find_or_make(request, name, state))
            except (ClientLeft, RateLimited) as error:
                if not about_others(error):
                    raise
            else:
                return replace(served, collapsed=True) if collapsed else served

    def prepare(self, requests: Iterable[RenditionRequest]) -> None:
        """Have renditions made in the background that are not cached; errors go to the log."""
        for request in requests:
            self._start_renewal(request, self.name(request.stem, request), None)

    async def close(self) -> None:
        """Cancel all that is under way."""
        await self._flights.close()
        await self._avif.close()
        await self._maker.close()

    async def _find_or_make(self, request: RenditionRequest, name: str, state: PurgeState) -> Served:
        started = time.perf_counter()
        cached = await self._cache.get(name, lambda each: self._validity.is_current(request, each))
        timings = {"cache": time.perf_counter() - started}
        purged = None if cached is None else self._validity.purged(request, cached.after_purge)
        if purged and purged.hard:
            cached = None
        if cached is not None and state.leased and (served := self.serve_cached(request, name, cached)):
            return replace(served, timings=timings)
        try:
            served = await self._flights.join(
                _making(name, state), lambda: self._make(request, name, cached, state)
            )
        except TRANSIENT_FAILURES as failure:
            if cached is None or not may_stand_in(failure, state):
                raise
            age = self._validity.age(request, cached, purged)
            if freshness(request.lifetimes, age) is Freshness.EXPIRED:
                raise
            self._failed_renewals[name] = True
            return Served(cached, hit=False, age=age, stale=True, failure=failure, timings=timings)
        return replace(served, timings=timings | dict(served.timings))

    def _start_renewal(self, request: RenditionRequest, name: str, cached: Rendition | None) -> None:
        state = self._purges.state
        self._flights.start(_making(name, state), lambda: self._renew(request, name, cached, state))

    async def _renew(
        self, request: RenditionRequest, name: str, cached: Rendition | None, state: PurgeState
    ) -> Served:
        """Find or make one that is current. As a rule no caller waits for it, so it logs its errors."""
        found = await self._cache.get(name, lambda each: self._validity.is_current(request, each))
        if found is not None and self._validity.is_current(request, found):
            return Served(found, hit=True, age=self._clock() - found.made_at)
        try:
            return await self._make(request, name, cached, state)
        except TRANSIENT_FAILURES as failure:
            self._failed_renewals[name] = True
            log.warning("renewal_failed", error=failure.code)
            raise
        except ProxyError as refusal:
            log.info("renewal_refused", error=refusal.code)
            raise

    async def _make(
        self, request: RenditionRequest, name: str, known: Rendition | None, state: PurgeState
    ) -> Served:
        """Make a new rendition, or confirm `known`, and put it into the cache where that is allowed."""
        try:
            new = await self._maker.make(request, name, known, state)
        except CACHED_REFUSALS as refusal:
            self._refusals.put(refusal, state.number, name, self._original_name(request))
            if known is not None:
                await self._cache.put(name, known, 0)
            raise
        if new.stale_original:
            # Stale from the start: the next request renews it, but not within the delay.
            made_at = self._clock() - request.lifetimes.s_maxage
            new = replace(new, rendition=replace(new.rendition, made_at=made_at))
            self._failed_renewals[name] = True
        age = self._clock() - new.rendition.made_at
        cacheable = new.storable and not new.misnamed and self._cache.enabled
        lifetime = request.lifetimes.retention - age if cacheable else 0
        lifetime = new.rendition.cache_lifetime(self._avif.schedule(request, name, new, lifetime))
        # What was only validated for this very request, the slower tiers have already.
        validated = not state.leased and known is not None and new.rendition.body is known.body
        put = self._cache.put_in_memory if new.by_peer or validated else self._cache.put
        await put(name, new.rendition, lifetime)
        return Served(
            new.rendition,
            hit=False,
            age=age,
            stale=known is not None or new.stale_original,
            storable=new.storable,
            stored=lifetime > 0,
            collapsed=new.by_peer,
            timings=new.timings,
        )

    def _original_name(self, request: RenditionRequest) -> str:
        original = request.original
        return f"\n{original.place}\n{original.key}\n{self._origin.version(original) or ''}"


def about_others(error: ClientLeft | RateLimited) -> bool:
    """Whether a flight ended for a reason of other callers alone, so that these may begin another one."""
    clients = current_demand().clients
    return bool(clients) and error.facts.get("client") not in clients


async def _both(first: Refresh, second: Refresh) -> None:
    await asyncio.gather(first(), second())


def _making(name: str, state: PurgeState) -> str:
    """The flight that makes a rendition, whether a client waits for it or not."""
    return f"make\n{state.scope}\n{name}"
