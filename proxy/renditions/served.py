"""Renditions on their way to a client: those just made, and those that answer a request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from proxy.model.errors import ProxyError
from proxy.model.media import Rendition


@dataclass(frozen=True, slots=True)
class NewRendition:
    """
    A rendition that was made now.

    `timings` are the seconds that each step took. `storable`: the origin lets caches store it. Then other
    processes may have it, too. `stale_original`: it was made from an original that may not be what the origin
    has now. `by_peer`: another process made it, which also puts it into the shared caches. `misnamed`: a
    renderer made it in another environment than its name in caches says, so that it is neither stored under
    that name nor given to other processes.
    """

    rendition: Rendition
    timings: Mapping[str, float] = field(default_factory=dict)
    storable: bool = True
    stale_original: bool = False
    by_peer: bool = False
    misnamed: bool = False


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
