"""
How a request was answered, as one value: the headers Cache-Status and Server-Timing, the line in the access
log and the metrics are each made from it. It has the words of RFC 9211 (the Cache-Status header).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Forwarded = Literal["miss", "stale", "method", "bypass"]
"""Why no cache answered (RFC 9211 section 2.2): `bypass` is a page, `method` a preflight."""

AnswerKind = Literal["hit", "stale", "miss", "error", "other"]
"""From a cache, from a cache although stale, rendered now, an error, or not an image at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """
    How a request was answered.

    `hit`: from a cache, with `ttl` (seconds, negative) if the rendition is stale. Otherwise `forwarded` says
    why not, `stored` whether the new rendition is in the cache now, `collapsed` whether another request made
    it. `code` is that of the error which is the answer; with `failed_status`, the HTTP status of a failed
    revalidation, the answer is the stale rendition and the error is hidden. `timings` are seconds by step.
    """

    hit: bool = False
    forwarded: Forwarded | None = None
    failed_status: int | None = None
    ttl: int | None = None
    stored: bool = False
    collapsed: bool = False
    code: str | None = None
    timings: Mapping[str, float] = field(default_factory=dict)

    @property
    def answer(self) -> AnswerKind:
        """The kind that metrics count it as."""
        if self.hit:
            return "hit" if self.ttl is None else "stale"
        if self.failed_status is not None:
            return "stale"
        if self.code is not None:
            return "error"
        return "miss" if self.forwarded in ("miss", "stale") else "other"


HIT = Outcome(hit=True)
PAGE = Outcome(forwarded="bypass")
PREFLIGHT = Outcome(forwarded="method")
UNKNOWN = Outcome()
"""Of a response that nothing here made, such as the router's redirect."""
