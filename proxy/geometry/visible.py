"""
As much of a source as is seen, for where all of it, scaled, would be too much: one row of 1500 px that covers
a box of 300x200 would be 300,000 px wide before it is cut.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from proxy.geometry.boxes import Box, Size
from proxy.options.values.positions import round_px

_REACH = 3
"""px on each side that lanczos3 makes a pixel from: of the source, or of the result when that is smaller."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """
    `region` of a source scaled to `resize`, turned clockwise by `turn` quarters, mirrored, and cut to `crop`.
    """

    region: Box
    resize: Size
    turn: int
    flip: bool
    flop: bool
    crop: Box


def narrow_view(view: View) -> View:
    """
    Return the same view from the least of the region; to a px of the result, since regions are of whole px.
    """
    seen = to_source(view)
    left, width, x = _span(seen.left, seen.width, view.region.width, view.resize.width)
    top, height, y = _span(seen.top, seen.height, view.region.height, view.resize.height)
    resize = Size(
        round_px(Fraction(width * view.resize.width, view.region.width)),
        round_px(Fraction(height * view.resize.height, view.region.height)),
    )
    x, y = min(x, resize.width - seen.width), min(y, resize.height - seen.height)
    return View(
        region=Box(view.region.left + left, view.region.top + top, width, height),
        resize=resize,
        turn=view.turn,
        flip=view.flip,
        flop=view.flop,
        crop=to_result(Box(x, y, seen.width, seen.height), resize, view),
    )


def _span(start: int, length: int, side: int, scaled: int) -> tuple[int, int, int]:
    """Along one axis: the first px of the source, how many, and where the crop starts in them, scaled."""
    scale = Fraction(scaled, side)
    reach = math.ceil(_REACH * max(Fraction(1), 1 / scale))
    first = max(0, math.floor(start / scale) - reach)
    last = min(side, math.ceil((start + length) / scale) + reach)
    return first, last - first, start - round(first * scale)


def to_result(box: Box, outer: Size, view: View) -> Box:
    """Return where `box` of `outer` lies when both were turned and mirrored."""
    for _ in range(view.turn):
        box, outer = _quarter(box, outer)
    return _mirrored(box, outer, view)


def to_source(view: View) -> Box:
    """Return where `crop` lies in `resize`, before it is turned and mirrored."""
    outer = view.resize.swapped if view.turn % 2 else view.resize
    box = _mirrored(view.crop, outer, view)
    for _ in range(-view.turn % 4):
        box, outer = _quarter(box, outer)
    return box


def _quarter(box: Box, outer: Size) -> tuple[Box, Size]:
    """Clockwise."""
    return Box(outer.height - box.top - box.height, box.left, box.height, box.width), outer.swapped


def _mirrored(box: Box, outer: Size, view: View) -> Box:
    left = outer.width - box.left - box.width if view.flop else box.left
    top = outer.height - box.top - box.height if view.flip else box.top
    return Box(left, top, box.width, box.height)
