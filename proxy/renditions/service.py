"""
The road of a request: cache, origin, renderer, cache.

Longer than 300 lines because its steps share one set of what is in the air and what has failed: halves would
hand each other all of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import structlog
from cachetools import TTLCache

from proxy.caches import LayeredCache
from proxy.model.errors import (
    OriginalNotFound,
    OriginalTooLarge,
    OriginFailed,
    Overloaded,
    ProxyError,
    ResultTooLarge,
    TooCostly,
    UnusableOriginal,
    without_traceback,
)
from proxy.model.freshness import PROVISIONAL_LIFETIME, Freshness, freshness
from proxy.model.limits import Limits
from proxy.model.media import Original, Rendition
from proxy.origins import Origins
from proxy.origins.sources import LocatedKey
from proxy.purges.marks import PurgeMarks, PurgeVerdict, PurgeView
from proxy.renditions.cluster import Flights, Made
from proxy.renditions.inputs import Inputs, fetch_inputs
from proxy.renditions.render import Renderers, Rendering
from proxy.renditions.request import RenditionRequest, identity
from proxy.renditions.singleflight import SingleFlight

log = structlog.get_logger()

REMEMBERED = (UnusableOriginal, ResultTooLarge, OriginalNotFound, OriginalTooLarge)
"""Refusals that are the same the next time, and cost a request or a renderer's time to find out."""

OF_ALL = (OriginalNotFound, OriginalTooLarge)
"""Those of them that are the same for every rendition of a key."""

PASSING = (OriginFailed, Overloaded)
"""Failures that a stale rendition bridges: those that are told as 5xx (RFC 5861 section 4)."""

PAUSE = 10.0
"""Seconds from a failed renewal until the next is tried, so that not everybody waits for a dead origin."""

AGAIN = 3_600.0
"""Seconds until what took too long to finish is tried again."""


@dataclass(frozen=True, slots=True)
class Served:
    """
    A rendition as it answers a request, and how it was come by.

    `hit`: it was in a cache. `stale`: what was in the cache was no longer fresh; that is what is served when
    `hit`, or when there is a `failure` to make a new one. `storable`: caches may store it; `stored`: this
    cache does from now on. `collapsed`: another request made it (RFC 9211 section 2.5). `age` and `timings`
    are in seconds; after a soft purge the age is at least `s_maxage`.
    """

    rendition: Rendition
    hit: bool
    age: float = 0.0
    stale: bool = False
    failure: ProxyError | None = None
    storable: bool = True
    stored: bool = False
    collapsed: bool = False
    timings: Mapping[str, float] = field(default_factory=dict)


class Refusal(NamedTuple):
    """One that is remembered, until a purge that came after it."""

    error: ProxyError
    after_purge: int


class Renditions:
    """
    `sources` tell where keys lead to: deployments of different origins may share a cache. Owns `makers`,
    through which renditions are made, by default in this process alone, and closes them.
    """

    def __init__(
        self,
        *,
        origin: Origins,
        cache: LayeredCache[Rendition],
        renderers: Renderers,
        limits: Limits,
        purges: PurgeView | None = None,
        makers: Flights | None = None,
        refusals_for: float = 60.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._origin = origin
        self._cache = cache
        self._rendering = Rendering(renderers, limits, clock=clock)
        self._purges = purges or PurgeMarks()
        self._clock = clock
        self._flights: SingleFlight[Served] = SingleFlight()
        self._makers: Flights = makers or SingleFlight()
        self._renewals: SingleFlight[None] = SingleFlight()
        self._fetches: SingleFlight[Original] = SingleFlight()
        self._finishing: SingleFlight[None] = SingleFlight()
        self._refusals: TTLCache[str, Refusal] = TTLCache(maxsize=10_000, ttl=refusals_for)
        self._failures: TTLCache[str, bool] = TTLCache(maxsize=10_000, ttl=PAUSE)

    def name(self, stem: str, request: RenditionRequest) -> str:
        """What caches know a request by: with the originals' present versions, where that costs nothing."""
        name = f"{stem}\n{self._origin.version(request.original) or ''}"
        return f"{name}\n{self._origin.version(request.overlay) or ''}" if request.overlay else name

    def peek(self, name: str) -> Rendition | None:
        """The rendition of that name, whatever its age, when this process holds it in memory."""
        return self._cache.peek(name)

    @property
    def latest_purge(self) -> int:
        return self._purges.latest

    def judge(self, request: RenditionRequest, name: str, kept: Rendition) -> Served | None:
        """
        `kept` as an answer to `request`, or `None` when it is too old for that, or purged. A stale one is an
        answer and is renewed in the background; one that could not be renewed a moment ago is an answer for
        as long as it may stand in for an error.
        """
        purged = self._purged(request, kept.after_purge)
        if purged and purged.hard:
            return None
        age = self._age(request, kept, purged)
        match freshness(request.lifetimes, age):
            case Freshness.FRESH:
                return Served(kept, hit=True, age=age)
            case Freshness.STALE:
                if name not in self._failures:
                    self._renewals.start(name, lambda: self._renew(request, name, kept))
                return Served(kept, hit=True, age=age, stale=True)
            case Freshness.STALE_IF_ERROR if name in self._failures:
                return Served(kept, hit=True, age=age, stale=True)
        return None

    async def get(self, request: RenditionRequest) -> Served:
        """Raises every ProxyError that is not about the URL's own text."""
        name = self.name(request.stem, request)
        self._raise_what_is_remembered(request, name)
        # Whoever asks after a purge must not be given what was begun before it.
        after = self._purges.latest
        flight = f"{after}\n{name}"
        collapsed = flight in self._flights
        answer = await self._flights.join(flight, lambda: self._find_or_make(request, name, after))
        return replace(answer, collapsed=True) if collapsed else answer

    def _of_all(self, request: RenditionRequest) -> str:
        return f"\n{request.original.place}\n{request.key}\n{self._origin.version(request.original) or ''}"

    def _raise_what_is_remembered(self, request: RenditionRequest, name: str) -> None:
        for known_as in (name, self._of_all(request)):
            refusal = self._refusals.get(known_as)
            if refusal is not None and not self._purged(request, refusal.after_purge):
                raise without_traceback(refusal.error)

    def _purged(self, request: RenditionRequest, after: int) -> PurgeVerdict | None:
        return self._purges.verdict(request.subject, after) if after < self._purges.latest else None

    def _is_good(self, request: RenditionRequest, kept: Rendition) -> bool:
        fresh = freshness(request.lifetimes, self._clock() - kept.made_at) is Freshness.FRESH
        return fresh and not self._purged(request, kept.after_purge)

    def _age(self, request: RenditionRequest, kept: Rendition, purged: PurgeVerdict | None) -> float:
        now = self._clock()
        age = now - kept.made_at
        return age if purged is None else max(age, request.lifetimes.s_maxage + max(0.0, now - purged.at))

    async def close(self) -> None:
        await self._flights.close()
        await self._renewals.close()
        await self._finishing.close()
        await self._makers.close()
        await self._fetches.close()

    async def _find_or_make(self, request: RenditionRequest, name: str, after: int) -> Served:
        started = time.perf_counter()
        kept = await self._cache.get(name, lambda kept: self._is_good(request, kept))
        timings = {"cache": time.perf_counter() - started}
        purged = None if kept is None else self._purged(request, kept.after_purge)
        if purged and purged.hard:
            kept = None
        if kept is not None and (answer := self.judge(request, name, kept)):
            return replace(answer, timings=timings)
        try:
            answer = await self._make(request, name, kept, after)
        except PASSING as failure:
            if kept is None:
                raise
            age = self._age(request, kept, purged)
            if freshness(request.lifetimes, age) is Freshness.EXPIRED:
                raise
            self._failures[name] = True
            return Served(kept, hit=False, age=age, stale=True, failure=failure, timings=timings)
        return replace(answer, timings=timings | dict(answer.timings))

    async def _renew(self, request: RenditionRequest, name: str, kept: Rendition) -> None:
        """Nobody waits for this one, and nobody is told: the next asker finds what came of it."""
        found = await self._cache.get(name, lambda kept: self._is_good(request, kept))
        if found is not None and self._is_good(request, found):
            return
        try:
            await self._make(request, name, kept, self._purges.latest)
        except PASSING as failure:
            self._failures[name] = True
            log.warning("renewal_failed", error=failure.code)
        except ProxyError as refusal:
            log.info("renewal_refused", error=refusal.code)

    async def _make(
        self, request: RenditionRequest, name: str, known: Rendition | None, after: int
    ) -> Served:
        """A new rendition, put into the cache where that is allowed. If `known` is as good, it is that."""
        try:
            made = await self._makers.join(f"{after}\n{name}", lambda: self._make_here(request, known, after))
        except REMEMBERED as refusal:
            known_as = self._of_all(request) if isinstance(refusal, OF_ALL) else name
            self._refusals[known_as] = Refusal(without_traceback(refusal), after)
            if known is not None:
                await self._cache.put(name, known, 0)
            raise
        rendition = made.rendition
        if made.bridged:
            # Not known to be what the origin has now: to be renewed by whoever asks next.
            rendition = replace(rendition, made_at=self._clock() - request.lifetimes.s_maxage)
            self._failures[name] = True
        age = self._clock() - rendition.made_at
        put = self._cache.put_in_memory if made.elsewhere else self._cache.put
        lifetime = request.lifetimes.retention - age if made.kept and self._cache.enabled else 0
        if rendition.is_provisional:
            lifetime = min(lifetime, PROVISIONAL_LIFETIME)
            if lifetime > 0 and not made.bridged and not made.elsewhere:
                self._finishing.start(name, lambda: self._finish(request, name, rendition))
        await put(name, rendition, lifetime)
        return Served(
            rendition,
            hit=False,
            age=age,
            stale=known is not None or made.bridged,
            storable=made.kept,
            stored=lifetime > 0,
            collapsed=made.elsewhere,
            timings=made.timings,
        )

    async def _make_here(self, request: RenditionRequest, known: Rendition | None, after: int) -> Made:
        self._rendering.require_room()
        started = time.perf_counter()
        timings: dict[str, float] = {}
        inputs = await self._inputs(request, after)
        fetched = time.perf_counter()
        if known is not None and known.matches(identity(request, known.format, inputs.version)):
            rendition = replace(known, made_at=self._clock())
        else:
            rendition, timings = await self._rendering.render(request, inputs)
        timings = {"fetch": fetched - started, **timings}
        return Made(
            replace(rendition, after_purge=after),
            timings,
            kept=inputs.storable,
            bridged=inputs.is_stale,
        )

    async def _fetch(self, located: LocatedKey, after: int) -> Original:
        return await self._fetches.join(f"{after}\n{located.key}", lambda: self._origin.fetch(located))

    async def _finish(self, request: RenditionRequest, name: str, shown: Rendition) -> None:
        """
        In place of `shown`, what it stands in for; where that cannot be made, `shown` for good; and where it
        took too long, which may be the machine's fault, `shown` until that is tried once more.
        """
        try:
            inputs = await self._inputs(request, shown.after_purge)
            if inputs.is_stale:
                return
            rendition, _ = await self._rendering.render(request, inputs, background=True)
            rendition = replace(rendition, after_purge=shown.after_purge)
        except PASSING as failure:
            log.warning("finishing_failed", error=failure.code)
            return
        except TooCostly as failure:
            log.warning("finishing_failed", error=failure.code)
            await self._cache.put(name, shown, min(AGAIN, request.lifetimes.retention))
            return
        except ProxyError as refusal:
            log.info("finishing_refused", error=refusal.code)
            rendition = shown.as_final()
        await self._cache.put(
            name, rendition, request.lifetimes.retention - (self._clock() - rendition.made_at)
        )

    async def _inputs(self, request: RenditionRequest, after: int) -> Inputs:
        return await fetch_inputs(lambda located: self._fetch(located, after), request)
