"""
AVIF that follows: where it takes longer than a client should wait, another format is served, and the AVIF is
made in a second run in the background, which replaces it in the cache.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import structlog

from proxy.caches import LayeredCache
from proxy.model.errors import ProxyError, TooCostly
from proxy.model.media import Rendition
from proxy.renditions.inputs import OriginalSource, fetch_inputs
from proxy.renditions.render import Rendering
from proxy.renditions.request import RenditionRequest, is_named_in
from proxy.renditions.served import NewRendition
from proxy.renditions.singleflight import SingleFlight
from proxy.renditions.validity import TRANSIENT_FAILURES

log = structlog.get_logger()

PROVISIONAL_LIFETIME = 60.0
"""Seconds after which a provisional rendition is made again, if no AVIF has replaced it."""

AVIF_RETRY_DELAY = 3_600.0
"""Seconds until an AVIF that took too long even in the background is tried again."""


class AvifFollowUp:
    """The second runs of this process: one at a time for each name, as background jobs of the renderers."""

    def __init__(
        self,
        origin: OriginalSource,
        rendering: Rendering,
        cache: LayeredCache[Rendition],
        clock: Callable[[], float],
    ) -> None:
        self._origin = origin
        self._rendering = rendering
        self._cache = cache
        self._clock = clock
        self._runs: SingleFlight[None] = SingleFlight()

    def schedule(self, request: RenditionRequest, name: str, new: NewRendition, lifetime: float) -> float:
        """
        Start the second run for `new`, if it is provisional and is this process's to follow up.

        Return for how many of the `lifetime` seconds the cache may have `new` under `name`.
        """
        if not new.rendition.is_provisional:
            return lifetime
        if lifetime > 0 and not new.stale_original and not new.by_peer:
            self._runs.start(name, lambda: self._run(request, name, new.rendition))
        return min(lifetime, PROVISIONAL_LIFETIME)

    async def close(self) -> None:
        """Cancel all runs."""
        await self._runs.close()

    async def _run(self, request: RenditionRequest, name: str, provisional: Rendition) -> None:
        """
        Replace `provisional`: by the AVIF, or by itself as final where that cannot be made. An AVIF that took
        too long may be the machine's fault, and leaves `provisional` until it is tried again.
        """
        try:
            self._rendering.require_room()
            inputs = await fetch_inputs(self._origin, request)
            if inputs.is_stale:
                return
            made = await self._rendering.render(request, inputs, background=True)
            if not is_named_in(made.environment, name):
                return
            rendition = replace(made.rendition, after_purge=provisional.after_purge)
        except TRANSIENT_FAILURES as failure:
            log.warning("finishing_failed", error=failure.code)
            return
        except TooCostly as failure:
            log.warning("finishing_failed", error=failure.code)
            lifetime = min(AVIF_RETRY_DELAY, request.lifetimes.retention)
            await self._cache.put(name, provisional, provisional.cache_lifetime(lifetime))
            return
        except ProxyError as refusal:
            log.info("finishing_refused", error=refusal.code)
            rendition = provisional.as_final()
        age = self._clock() - rendition.made_at
        lifetime = rendition.cache_lifetime(request.lifetimes.retention - age)
        await self._cache.put(name, rendition, lifetime)
