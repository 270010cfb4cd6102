"""How a new rendition is made: fetch its originals, have it rendered, once in the whole cluster."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from proxy.model.media import Rendition
from proxy.renditions.cluster import Leadership
from proxy.renditions.inputs import OriginalSource, fetch_inputs
from proxy.renditions.render import Rendering
from proxy.renditions.request import RenditionRequest, identity
from proxy.renditions.served import NewRendition


class RenditionMaker:
    """Makes renditions of originals from `origin`, here or wherever `leadership` says, which it closes."""

    def __init__(
        self,
        origin: OriginalSource,
        rendering: Rendering,
        leadership: Leadership,
        clock: Callable[[], float],
    ) -> None:
        self._origin = origin
        self._rendering = rendering
        self._leadership = leadership
        self._clock = clock

    async def make(
        self, request: RenditionRequest, name: str, known: Rendition | None, after_purge: int
    ) -> NewRendition:
        """
        Return a new rendition. If `known` is what would be made, it is that, as if made now. `after_purge` is
        the number of the last purge. Raises ProxyError.
        """
        flight = f"{after_purge}\n{name}"
        return await self._leadership.lead_or_follow(flight, lambda: self._make(request, known, after_purge))

    async def close(self) -> None:
        await self._leadership.close()

    async def _make(
        self, request: RenditionRequest, known: Rendition | None, after_purge: int
    ) -> NewRendition:
        self._rendering.require_room()
        started = time.perf_counter()
        timings: dict[str, float] = {}
        inputs = await fetch_inputs(self._origin, request)
        fetched = time.perf_counter()
        if known is not None and known.matches(identity(request, known.format, inputs.version)):
            rendition = replace(known, made_at=self._clock())
        else:
            rendition, timings = await self._rendering.render(request, inputs)
        return NewRendition(
            replace(rendition, after_purge=after_purge),
            {"fetch": fetched - started, **timings},
            storable=inputs.storable,
            stale_original=inputs.is_stale,
        )
