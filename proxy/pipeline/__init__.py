"""
Pixels. The only package that imports pyvips, and everything in it is synchronous.

`render` is the whole road of a picture: sniff, judge the header, plan, decode and scale, draw, encode.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from time import perf_counter

from proxy import geometry, negotiation
from proxy.errors import TooCostly
from proxy.limits import Limits
from proxy.media import FORMATS, Format
from proxy.pipeline import decode
from proxy.pipeline.decode import Header
from proxy.pipeline.drawing import drawn
from proxy.pipeline.edge import libvips
from proxy.pipeline.encode import encoded, savable
from proxy.spec import Output, Spec


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """`width` and `height` are px of one frame; `timings` are seconds of wall clock by stage."""

    body: bytes = field(repr=False)
    format: Format
    width: int
    height: int
    source: Header
    timings: dict[str, float]


def render(
    body: bytes | memoryview, spec: Spec, limits: Limits, accepted: negotiation.Bucket | None = None
) -> Rendered:
    """
    One original under one spec. `accepted` is what `f_auto` may choose among.

    Raises UnusableOriginal (NotAnImage, BrokenImage, TooManyPixels, TooCostly) and ResultTooLarge.
    """
    started = perf_counter()
    head = decode.header(body, limits)
    if not spec.autoorient:
        head = replace(head, orientation=1)
    format = output_format(spec, head, accepted or negotiation.Bucket())
    row = FORMATS[format]
    plan = geometry.plan(spec, head.upright, limits, row.max_side)
    scaled = decode.scaled(body, head, plan.region, plan.resize, icc=spec.icc, linear=spec.linear_light)
    decoded = perf_counter()
    with libvips(TooCostly, "the picture could not be made with the memory that a renderer may use"):
        image = drawn(scaled, spec, plan, alpha=row.alpha)
        if image is not scaled:
            image = image.copy_memory()
        transformed = perf_counter()
        written = encoded(image, format, spec.quality, spec.keep)
    return Rendered(
        body=written,
        format=format,
        width=image.width,
        height=image.height,
        source=head,
        timings={
            "decode": decoded - started,
            "transform": transformed - decoded,
            "encode": perf_counter() - transformed,
        },
    )


def output_format(spec: Spec, head: Header, accepted: negotiation.Bucket) -> Format:
    """What the spec says; else the source's own when the web shows it; else jpeg, or png for transparency."""
    if spec.format is Output.AUTO:
        return negotiation.choose(accepted, savable(), alpha=head.alpha, animated=False)
    if spec.format is not None:
        return Format(spec.format)
    if FORMATS[head.format].web and head.format in savable():
        return head.format
    return Format.PNG if head.alpha else Format.JPEG


__all__ = ["Header", "Rendered", "output_format", "render", "savable"]
