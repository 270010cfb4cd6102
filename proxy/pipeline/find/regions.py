"""
What has to be looked for in the picture before its plan is made: the border that is trimmed off, faces, and
the region that a strategy chooses.
"""

from __future__ import annotations

from dataclasses import replace

import pyvips

from proxy.geometry.boxes import Box, Size
from proxy.geometry.plan import Plan, plan
from proxy.model.errors import TooCostly
from proxy.model.limits import Limits
from proxy.model.media import Note
from proxy.options.spec import Mode, Spec
from proxy.options.values.edges import Trim
from proxy.pipeline.decode.libvips import libvips
from proxy.pipeline.decode.source import PixelSource
from proxy.pipeline.draw.compose import smart_crop_offset
from proxy.pipeline.find.faces import plan_around_faces

_STRATEGY_SIDE = 512
"""A strategy sees no more in more px than this on the longer side; libvips' own looks at 32."""


def plan_regions(
    source: PixelSource, spec: Spec, limits: Limits, max_side: int | None = None
) -> tuple[Plan, tuple[Note, ...]]:
    """
    Plan `source`, and look in it for what the plan leaves open. Returns the plan, its region in px of the
    upright source, and what did not go as one would expect.

    Raises UnusableOriginal and ResultTooLarge.
    """
    with libvips(TooCostly, "the original could not be looked at with the memory that a renderer may use"):
        trimmed = _trim(source, spec.trim)
        exact = source.header.exact if trimmed.size == source.header.upright else None
        geometry = plan(spec, trimmed.size, limits, max_side, exact)
        geometry, notes = plan_around_faces(source, trimmed, geometry, zoom=spec.mode is Mode.THUMB)
        left, top = _region_offset(source, trimmed, geometry)
    return replace(
        geometry, region=replace(geometry.region, left=trimmed.left + left, top=trimmed.top + top)
    ), notes


def _region_offset(source: PixelSource, trimmed: Box, plan: Plan) -> tuple[int, int]:
    """Left and top of the region in the trimmed picture."""
    region = plan.region
    if plan.region_strategy is None or region.size == trimmed.size:
        return region.left, region.top
    scale = min(1.0, _STRATEGY_SIDE / trimmed.size.longest)
    small = source.scaled(trimmed, _times(trimmed.size, scale))
    left, top = smart_crop_offset(small, _times(region.size, scale), plan.region_strategy)
    return (
        min(round(left / scale), trimmed.width - region.width),
        min(round(top / scale), trimmed.height - region.height),
    )


def _times(size: Size, scale: float) -> Size:
    return Size(max(1, round(size.width * scale)), max(1, round(size.height * scale)))


def _trim(source: PixelSource, trim: Trim | None) -> Box:
    """What is left of the upright picture; all of it when it is border through and through."""
    size = source.header.upright
    whole = Box(0, 0, size.width, size.height)
    if trim is None:
        return whole
    image = source.scaled(whole, size)
    colour = trim.colour and [trim.colour.red, trim.colour.green, trim.colour.blue, trim.colour.alpha]
    ground = [*(colour or image(0, 0)), 255.0][: 4 if image.hasalpha() else 3]
    return _bounds(image, ground, trim.threshold) or whole


def _bounds(image: pyvips.Image, ground: list[float], threshold: float) -> Box | None:
    """
    Every pixel that differs from the ground in its colours or in its alpha: sharp's way to see transparency.
    """
    # Without `line_art` libvips looks at a median of 3x3, which has lost frames and rules of 1 px.
    settings = {"threshold": threshold, "line_art": True}
    boxes = [image.find_trim(background=ground[:3], **settings)]
    if image.hasalpha():
        boxes.append(image[3].find_trim(background=ground[3:], **settings))
    seen = [box for box in boxes if box[2] and box[3]]
    if not seen:
        return None
    left, top = min(box[0] for box in seen), min(box[1] for box in seen)
    right, bottom = max(box[0] + box[2] for box in seen), max(box[1] + box[3] for box in seen)
    return Box(left, top, right - left, bottom - top)
