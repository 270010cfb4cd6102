"""Whether a cached rendition may still be served, by its age and by the purges since it was made."""

from __future__ import annotations

from collections.abc import Callable

from proxy.model.errors import OriginFailed, Overloaded, ProxyError
from proxy.model.freshness import Freshness, freshness
from proxy.model.media import Rendition
from proxy.purges.marks import PurgeState, PurgeVerdict, PurgeView
from proxy.renditions.request import RenditionRequest

TRANSIENT_FAILURES = (OriginFailed, Overloaded)
"""Failures in place of which a stale rendition is served: those that are 5xx (RFC 5861 section 4)."""


def may_stand_in(failure: ProxyError, state: PurgeState) -> bool:
    """
    Return whether a stale entry may be served in place of `failure`. Where it may have been purged without
    this process knowing, only the origin's silence is reason enough.
    """
    return isinstance(failure, TRANSIENT_FAILURES if state.leased else OriginFailed)


class Validity:
    """Judges cached renditions by `purges` and `clock` (unix seconds)."""

    def __init__(self, purges: PurgeView, clock: Callable[[], float]) -> None:
        self._purges = purges
        self._clock = clock

    def purged(self, request: RenditionRequest, after_purge: int) -> PurgeVerdict | None:
        """Return how what answers `request` was purged since `after_purge` was the last purge, if it was."""
        if after_purge >= self._purges.latest:
            return None  # the usual case, in which no tags need to be computed
        return self._purges.verdict(request.subject, after_purge)

    def age(self, request: RenditionRequest, cached: Rendition, purged: PurgeVerdict | None) -> float:
        """Return the age of `cached` in seconds; a soft purge ends its freshness at that moment."""
        now = self._clock()
        age = now - cached.made_at
        return age if purged is None else max(age, request.lifetimes.s_maxage + max(0.0, now - purged.at))

    def is_current(self, request: RenditionRequest, cached: Rendition) -> bool:
        """Return whether `cached` is fresh and was not purged."""
        fresh = freshness(request.lifetimes, self._clock() - cached.made_at) is Freshness.FRESH
        return fresh and not self.purged(request, cached.after_purge)
