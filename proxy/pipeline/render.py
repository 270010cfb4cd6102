"""
Pixels. The only package that imports pyvips, and everything in it is synchronous.

`render` is the whole road of a picture: sniff, judge the header, plan, decode and scale, draw, encode.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from time import perf_counter

from proxy.model import negotiation
from proxy.model.errors import TooCostly
from proxy.model.limits import Limits
from proxy.model.media import FORMATS, Format, Note
from proxy.options.spec import Spec
from proxy.pipeline.decode import pixels
from proxy.pipeline.decode.header import Header
from proxy.pipeline.decode.libvips import libvips
from proxy.pipeline.draw import animation
from proxy.pipeline.draw.compose import drawn
from proxy.pipeline.draw.overlay import layer
from proxy.pipeline.encode.cost import without_slow_avif
from proxy.pipeline.encode.savers import savable
from proxy.pipeline.encode.smallest import written
from proxy.pipeline.encoding import order
from proxy.pipeline.outcome import course, output_format


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """`width` and `height` are px of one frame; `timings` are seconds of wall clock by stage."""

    body: bytes = field(repr=False)
    format: Format
    width: int
    height: int
    source: Header
    timings: dict[str, float]
    frames: int = 1
    notes: tuple[Note, ...] = ()
    encodings: int = 1


def render(
    body: bytes | memoryview,
    spec: Spec,
    limits: Limits,
    accepted: negotiation.Bucket | None = None,
    overlay: bytes | memoryview | None = None,
    overlay_limits: Limits | None = None,
    *,
    patient: bool = False,
) -> Rendered:
    """
    One original under one spec. `accepted` is what `f_auto` and `f_best` may choose among; unless `patient`,
    that excludes an AVIF which would take too long. `overlay` is the original of what the spec lays over it,
    under limits of its own if it has any.

    Raises UnusableOriginal (NotAnImage, BrokenImage, NoSuchPage, TooManyPixels, TooCostly, UnusableOverlay),
    ResultTooLarge, and InvalidValue for a text in which nothing is seen.
    """
    started = perf_counter()
    accepted = accepted or negotiation.Bucket()
    made = course(body, spec, limits, accepted)
    scaled = pixels.frames(
        body,
        made.head,
        made.frames,
        made.plan.region,
        made.plan.resize,
        spec=spec,
    )
    first = next(scaled)
    decoded = perf_counter()
    with libvips(TooCostly, "the picture could not be made with the memory that a renderer may use"):
        alpha = FORMATS[made.format].alpha
        over = layer(spec, overlay, first, made.plan, overlay_limits or limits)
        if made.frames == 1:
            image = drawn(first, spec, made.plan, over, alpha=alpha)
            if image is not first:
                image = image.copy_memory()
        else:
            frames = animation.drawn_frames(first, scaled, spec, made.plan, over, alpha=alpha)
            image = animation.column(frames, made.head)
        transformed = perf_counter()
        wanted = now = order(body, spec, made, image, accepted)
        if spec.negotiates and not patient:
            alpha = bool(image.hasalpha()) or spec.lossless
            now = without_slow_avif(wanted, made.plan.result, accepted, limits.avif_budget, alpha=alpha)
        file = written(image, now)
    return Rendered(
        body=file.body,
        format=file.format,
        width=image.width,
        height=image.height // made.frames,
        source=made.head,
        timings={
            "decode": decoded - started,
            "transform": transformed - decoded,
            "encode": perf_counter() - transformed,
        },
        frames=made.frames,
        notes=made.notes if now is wanted else (*made.notes, Note.AVIF_FOLLOWS),
        encodings=file.encodings,
    )


__all__ = ["Header", "Rendered", "output_format", "render", "savable"]
