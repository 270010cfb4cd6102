"""How a new rendition is made: fetch its originals, have it rendered, once in the whole cluster."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from proxy.model.media import Rendition
from proxy.purges.marks import PurgeState
from proxy.renditions.cluster import Leadership
from proxy.renditions.inputs import OriginalSource, fetch_inputs
from proxy.renditions.render import RenderedPicture, Rendering
from proxy.renditions.request import RenditionRequest, identity, is_named_in
from proxy.renditions.served import NewRendition
from proxy.renditions.singleflight import SingleFlight


class RenderAllowance(Protocol):
    """What clients may have made. `spend` counts one more rendition, or raises RateLimited."""

    async def spend(self) -> None: ...

    async def close(self) -> None: ...


class UnlimitedRenders:
    """The allowance of a deployment that limits none."""

    async def spend(self) -> None:
        pass

    async def close(self) -> None:
        pass


class RenditionMaker:
    """
    Makes renditions of originals from `origin`, within the clients' `allowance`, here or wherever
    `leadership` says. It closes the last two.
    """

    def __init__(
        self,
        origin: OriginalSource,
        rendering: Rendering,
        leadership: Leadership,
        clock: Callable[[], float],
        allowance: RenderAllowance | None = None,
    ) -> None:
        self._origin = origin
        self._rendering = rendering
        self._leadership = leadership
        self._clock = clock
        self._allowance = allowance or UnlimitedRenders()
        self._renders: SingleFlight[RenderedPicture] = SingleFlight()

    async def make(
        self, request: RenditionRequest, name: str, known: Rendition | None, state: PurgeState
    ) -> NewRendition:
        """
        Return a new rendition. If `known` is what would be made, it is that, as if made now. `state` is what
        was known of purges before. Raises ProxyError.
        """
        if not state.leased:  # what a peer has made may be older than a purge
            return await self._make(request, name, known, state)
        flight = f"{state.number}\n{name}"
        return await self._leadership.lead_or_follow(flight, lambda: self._make(request, name, known, state))

    async def close(self) -> None:
        await self._renders.close()
        await self._leadership.close()
        await self._allowance.close()

    async def _make(
        self, request: RenditionRequest, name: str, known: Rendition | None, state: PurgeState
    ) -> NewRendition:
        if state.leased or known is None:  # else it is a hit that has to be validated
            self._rendering.require_room()
        if known is None:
            await self._allowance.spend()
        started = time.perf_counter()
        timings: dict[str, float] = {}
        inputs = await fetch_inputs(self._origin, request)
        fetched = time.perf_counter()
        environment = self._rendering.environment
        if known is not None and known.matches(identity(request, known.format, inputs.version, environment)):
            rendition = replace(known, made_at=self._clock())
        else:
            if known is not None:
                await self._allowance.spend()
            # One for each version, also for those who may not share the way to it.
            made = await self._renders.join(
                f"{name}\n{inputs.version}", lambda: self._rendering.render(request, inputs)
            )
            rendition, timings, environment = made.rendition, made.timings, made.environment
        return NewRendition(
            replace(rendition, after_purge=state.number),
            {"fetch": fetched - started, **timings},
            storable=inputs.storable,
            stale_original=inputs.is_stale,
            misnamed=not is_named_in(environment, name),
        )
