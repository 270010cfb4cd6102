"""The one hop to a renderer: a request and what it is made from go in, a rendition comes out."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Any, Protocol

from proxy.model.limits import Limits
from proxy.model.media import Note, Rendition, parse_format
from proxy.model.negotiation import format_bucket
from proxy.origins.sources import LocatedKey
from proxy.renditions.inputs import Inputs
from proxy.renditions.request import RenditionRequest, identity


class Reply(Protocol):
    @property
    def header(self) -> Mapping[str, Any]: ...
    @property
    def body(self) -> bytes: ...
    @property
    def queue_seconds(self) -> float: ...


class Renderers(Protocol):
    def require_room(self) -> None: ...
    async def run(self, task: str, header: dict[str, Any], body: bytes, seconds: float, /) -> Reply: ...
    async def run_behind(
        self, task: str, header: dict[str, Any], body: bytes, seconds: float, /
    ) -> Reply: ...


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

    def require_room(self) -> None:
        """Raises Overloaded when so much waits that nothing should be fetched for more."""
        self._renderers.require_room()

    async def render(
        self, request: RenditionRequest, inputs: Inputs, *, background: bool = False
    ) -> tuple[Rendition, dict[str, float]]:
        header: dict[str, Any] = {
            "options": request.options,
            "accepted": format_bucket(request.accepted),
            "limits": asdict(self._limits_of(request.original)),
            "background": background,
            "overlay": inputs.overlay_bytes,
        }
        if request.overlay is not None:
            header["overlay_limits"] = asdict(self._limits_of(request.overlay))
        run = self._renderers.run_behind if background else self._renderers.run
        reply = await run(request.task, header, inputs.body, self._limits.render_timeout)
        rendition = Rendition(
            body=reply.body,
            format=parse_format(reply.header["format"]),
            width=reply.header["width"],
            height=reply.header["height"],
            etag=identity(request, reply.header["format"], inputs.version),
            last_modified=inputs.last_modified,
            made_at=self._clock(),
            notes=tuple(map(Note, reply.header.get("notes", ()))),
        )
        return rendition, {"queue": reply.queue_seconds, **reply.header["timings"]}

    def _limits_of(self, located: LocatedKey) -> Limits:
        return replace(self._limits, formats=located.formats)
