"""How long a rendition may be served: fresh, stale, or not at all (RFC 9111 section 4.2, RFC 5861)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

PROVISIONAL_MAX_AGE = 10
"""Seconds for which browsers and CDNs may cache a rendition that a better one will replace."""

FLAWED_MAX_AGE = 60
"""Seconds for which anything caches a rendition that lacks something: of a damaged original, or letters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifetimes:
    """
    Seconds for which a rendition may be served, by whom and why.

    `max_age` is for browsers, `s_maxage` for CDNs and this proxy's own cache (RFC 9111 section 5.2.2).
    `stale_while_revalidate` and `stale_if_error` both count from the end of `s_maxage` (RFC 5861): what is
    served while a new one is made, and while none can be made.
    """

    max_age: int = 86_400
    s_maxage: int = 31_536_000
    stale_while_revalidate: int = 86_400
    stale_if_error: int = 604_800

    @property
    def retention(self) -> int:
        """Seconds after which this proxy's own cache has no more use for a rendition."""
        return self.s_maxage + max(self.stale_while_revalidate, self.stale_if_error)


def provisional(lifetimes: Lifetimes, max_age: int = PROVISIONAL_MAX_AGE) -> Lifetimes:
    """Return `lifetimes` shortened to `max_age` s for a rendition that a better one will soon replace."""
    return Lifetimes(
        max_age=min(lifetimes.max_age, max_age),
        s_maxage=min(lifetimes.s_maxage, max_age),
        stale_while_revalidate=min(lifetimes.stale_while_revalidate, max_age),
        stale_if_error=lifetimes.stale_if_error,
    )


class Freshness(Enum):
    """What a cached rendition or original may be used for, best first."""

    FRESH = auto()
    STALE = auto()
    """To be served at once while a new one is made (stale-while-revalidate)."""
    STALE_IF_ERROR = auto()
    """To be served only when no new one can be made (stale-if-error)."""
    EXPIRED = auto()


def freshness(lifetimes: Lifetimes, age: float) -> Freshness:
    """Return what a rendition of `age` seconds is good for under `lifetimes`."""
    staleness = age - lifetimes.s_maxage
    return freshness_past(staleness, lifetimes.stale_while_revalidate, lifetimes.stale_if_error)


def freshness_past(staleness: float, stale_while_revalidate: float, stale_if_error: float) -> Freshness:
    """Return what something is good for that has been stale for `staleness` seconds; fresh when negative."""
    if staleness < 0:
        return Freshness.FRESH
    if staleness < stale_while_revalidate:
        return Freshness.STALE
    return Freshness.STALE_IF_ERROR if staleness < stale_if_error else Freshness.EXPIRED
