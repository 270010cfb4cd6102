"""Refusals that were expensive to find out and will be the same the next time, for a while."""

from __future__ import annotations

from typing import NamedTuple

from cachetools import TTLCache

from proxy.model.errors import (
    OriginalNotFound,
    OriginalTooLarge,
    ProxyError,
    ResultTooLarge,
    UnusableOriginal,
    without_traceback,
)
from proxy.renditions.request import RenditionRequest
from proxy.renditions.validity import Validity

CACHED_REFUSALS = (UnusableOriginal, ResultTooLarge, OriginalNotFound, OriginalTooLarge)
"""Errors that cost a fetch or a renderer's time to find out, and stay until the original changes."""

_ABOUT_THE_ORIGINAL = (OriginalNotFound, OriginalTooLarge)
"""Those of them that are the same for every rendition of a key."""

MAX_BYTES = 16_000_000
"""Of all refusals, whose names and messages may have long keys in them."""

_OVERHEAD = 1_200  # bytes of a short refusal, measured


class _Refusal(NamedTuple):
    error: ProxyError
    after_purge: int
    size: int


class NegativeCache:
    """
    Errors of `CACHED_REFUSALS`, each for `lifetime` seconds or until a purge, in this process alone. `name`
    is what caches know a rendition by, `original_name` names its original in its present version.
    """

    def __init__(self, lifetime: float, validity: Validity) -> None:
        self._refusals: TTLCache[str, _Refusal] = TTLCache(
            maxsize=MAX_BYTES, ttl=lifetime, getsizeof=lambda refusal: refusal.size
        )
        self._validity = validity

    def raise_cached(self, request: RenditionRequest, name: str, original_name: str) -> None:
        """Raise the error that is cached for `request`, if there is one."""
        for each in (name, original_name):
            refusal = self._refusals.get(each)
            if refusal is not None and not self._validity.purged(request, refusal.after_purge):
                raise without_traceback(refusal.error)

    def put(self, error: ProxyError, after_purge: int, name: str, original_name: str) -> None:
        """Cache `error`, found out when `after_purge` was the number of the last purge."""
        about = original_name if isinstance(error, _ABOUT_THE_ORIGINAL) else name
        self._refusals[about] = _Refusal(without_traceback(error), after_purge, _OVERHEAD + 8 * len(about))
