"""How long a rendition is good for, and what it is still good for after that (RFC 9111, RFC 5861)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

MOMENT = 10
"""Seconds for which others keep what stands in for a better rendition."""

PASSES = 60
"""Seconds after which it is made again, if the better one has not come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifetimes:
    """
    Seconds: in browsers, in CDNs and the own cache, and after that while a new one is made or the origin is
    down. The last two both count from the end of `s_maxage`.
    """

    max_age: int = 86_400
    s_maxage: int = 31_536_000
    stale_while_revalidate: int = 86_400
    stale_if_error: int = 604_800

    @property
    def kept(self) -> int:
        """How long the own cache has a use for it."""
        return self.s_maxage + max(self.stale_while_revalidate, self.stale_if_error)


def passing(lifetimes: Lifetimes) -> Lifetimes:
    """Of what stands in for a better rendition that will soon be here."""
    return Lifetimes(
        max_age=min(lifetimes.max_age, MOMENT),
        s_maxage=min(lifetimes.s_maxage, MOMENT),
        stale_while_revalidate=min(lifetimes.stale_while_revalidate, MOMENT),
        stale_if_error=lifetimes.stale_if_error,
    )


class Freshness(Enum):
    FRESH = auto()
    STALE = auto()
    """Good enough while a new one is made."""
    SPARE = auto()
    """Good only when no new one can be made."""
    SPENT = auto()


def freshness(lifetimes: Lifetimes, age: float) -> Freshness:
    return judged(age - lifetimes.s_maxage, lifetimes.stale_while_revalidate, lifetimes.stale_if_error)


def judged(over: float, stale_while_revalidate: float, stale_if_error: float) -> Freshness:
    """`over` is by how many seconds something is older than it should be."""
    if over < 0:
        return Freshness.FRESH
    if over < stale_while_revalidate:
        return Freshness.STALE
    return Freshness.SPARE if over < stale_if_error else Freshness.SPENT
