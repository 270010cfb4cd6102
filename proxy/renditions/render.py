"""The one hop to a renderer: a request and what it is made from go in, a rendition comes out."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import structlog

from proxy.fonts.letters import code_points
from proxy.model.limits import Limits
from proxy.model.media import Rendition, with_road
from proxy.model.negotiation import format_bucket
from proxy.origins.sources import LocatedKey
from proxy.renderers import Job, JobKind, Reply
from proxy.renditions.cost import reading_seconds
from proxy.renditions.inputs import Inputs
from proxy.renditions.request import RenditionRequest, identity, rendering_environment

log = structlog.get_logger()


class Renderers(Protocol):
    """
    What gives jobs to renderers. `fingerprint` names all that they render with, as far as is known; the reply
    to a job says what it was for that one.
    """

    @property
    def fingerprint(self) -> str: ...

    def require_room(self) -> None: ...
    async def run(self, job: Job, *, timeout: float) -> Reply: ...  # noqa: ASYNC109  the renderer's


@dataclass(frozen=True, slots=True)
class RenderedPicture:
    """A rendition, the seconds that each step took, and the environment in which it was made."""

    rendition: Rendition
    timings: dict[str, float]
    environment: str


class Rendering:
    """Makes renditions in `renderers`, within `limits`. `clock` gives unix seconds."""

    def __init__(
        self,
        renderers: Renderers,
        limits: Limits,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._renderers = renderers
        self._limits = limits
        self._clock = clock
        self._environments: tuple[str, str] = ("", rendering_environment(limits, ""))

    @property
    def environment(self) -> str:
        """The rendering environment of what is made from now on, unless the renderers change."""
        fingerprint, environment = self._environments
        if fingerprint != self._renderers.fingerprint:
            fingerprint = self._renderers.fingerprint
            environment = rendering_environment(self._limits, fingerprint)
            self._environments = fingerprint, environment
        return environment

    def require_room(self) -> None:
        """Raises Overloaded when so much waits that nothing should be fetched for more."""
        self._renderers.require_room()

    async def render(
        self, request: RenditionRequest, inputs: Inputs, *, background: bool = False
    ) -> RenderedPicture:
        """Have a rendition made of `inputs`. Raises what `RendererClient.run` raises."""
        job = Job(
            kind=JobKind(request.task),
            options=request.options,
            accepted=format_bucket(request.accepted),
            limits=self._limits_of(request.original),
            overlay_limits=None if request.overlay is None else self._limits_of(request.overlay),
            background=background,
            fingerprint=self._renderers.fingerprint,
            cost=request.cost + sum(map(reading_seconds, inputs.sizes)),
            batchable=request.task == JobKind.RENDER and request.overlay is None and not background,
            original=inputs.original.body,
            overlay=None if inputs.overlay is None else inputs.overlay.body,
        )
        reply = await self._renderers.run(job, timeout=self._limits.render_timeout)
        file = reply.files[0]
        if file.missing_letters:
            log.warning("letters_missing", key=request.key, letters=code_points(file.missing_letters))
        environment = rendering_environment(self._limits, reply.fingerprint)
        rendition = Rendition(
            body=file.body,
            format=file.format,
            width=file.width,
            height=file.height,
            etag=with_road(
                identity(request, file.format, inputs.version, environment), shared=file.shared_decode
            ),
            last_modified=inputs.last_modified,
            made_at=self._clock(),
            notes=file.notes,
        )
        return RenderedPicture(rendition, {"queue": reply.queue_seconds, **reply.timings}, environment)

    def _limits_of(self, located: LocatedKey) -> Limits:
        return replace(self._limits, formats=located.formats)
