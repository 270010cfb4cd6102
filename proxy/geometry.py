"""Where every pixel goes, decided before any is touched."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from proxy.boxes import Box, Margins, Size, exact, position, px
from proxy.canonical import nearest
from proxy.errors import ResultTooLarge
from proxy.limits import Limits
from proxy.modes import MODES, Placed
from proxy.places import Anchor, Region, Strategy
from proxy.spec import Fit, Mode, Spec


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """
    What happens to the upright source, in the order of the fields.

    Cut `region` out; scale it to exactly `resize`; turn it clockwise by `turn` quarters; mirror it (`flip`
    top to bottom, `flop` left to right); keep `crop` of it, or a box of that size where `strategy` says;
    apply the effects; put it on `canvas`, where it lies at left and top; rotate by `angle` degrees
    clockwise, which gives `rotated`; extend it by `extend`. The picture then has the size `result`.
    `dpr` is what offsets and paddings were multiplied by.
    """

    region: Box
    resize: Size
    turn: int
    flip: bool
    flop: bool
    crop: Box
    strategy: Strategy | None
    canvas: Box | None
    angle: float
    rotated: Size
    extend: Margins
    result: Size
    dpr: float


def plan(spec: Spec, source: Size, limits: Limits, max_side: int | None = None) -> Plan:
    """
    `source` is the size in px after orientation and trim; `max_side` is the output format's own bound.
    Raises ResultTooLarge. The rendered size always equals `result`.
    """
    region = cut(spec.crop, source, spec.position)
    degrees = spec.rotate or 0.0
    turn, angle = (int(degrees) // 90, 0.0) if degrees % 90 == 0 else (0, degrees)
    if spec.flip != spec.flop:
        angle = -angle % 360  # mirrored before it is rotated, and meant the other way round
    upright = region.size.swapped if turn % 2 else region.size
    placed, dpr = place(spec, upright)
    offsets = spec.x or 0.0, spec.y or 0.0
    shown, canvas = placed.visible, placed.canvas
    unrotated = canvas or shown
    rotated = grown(unrotated, angle)
    extend = margins(spec, dpr)
    result = Size(rotated.width + extend.left + extend.right, rotated.height + extend.top + extend.bottom)
    for size in (placed.resize, unrotated, rotated, result):
        refuse_large(size, limits, max_side)
    return Plan(
        region=region,
        resize=placed.resize.swapped if turn % 2 else placed.resize,
        turn=turn,
        flip=spec.flip,
        flop=spec.flop,
        crop=Box(*position(placed.resize, shown, spec.position, *offsets, dpr), shown.width, shown.height),
        strategy=spec.position if isinstance(spec.position, Strategy) and shown != placed.resize else None,
        canvas=None
        if canvas is None
        else Box(*position(canvas, shown, spec.position, *offsets, dpr), canvas.width, canvas.height),
        angle=angle,
        rotated=rotated,
        extend=extend,
        result=result,
        dpr=float(dpr),
    )


def cut(region: Region | None, source: Size, anchor: Anchor | None) -> Box:
    """A region of the source, moved and shortened until it lies inside."""
    if region is None:
        return Box(0, 0, source.width, source.height)
    size = Size(
        min(nearest(px(region.width, source.width)), source.width),
        min(nearest(px(region.height, source.height)), source.height),
    )
    if region.left is None or region.top is None:
        left, top = position(source, size, anchor)
    else:
        left, top = round(px(region.left, source.width)), round(px(region.top, source.height))
    return Box(
        min(left, source.width - size.width), min(top, source.height - size.height), size.width, size.height
    )


def place(spec: Spec, source: Size) -> tuple[Placed, Fraction]:
    """The mode's answer, and the dpr that is left once nothing may be enlarged."""
    mode = MODES[spec.mode or spec.fit]
    dpr = exact(spec.dpr)
    width, height = (whole_px(side) for side in box(spec, source))
    if width is None and height is None:
        return Placed(source, source), min(dpr, Fraction(1))
    placed = mode(source, whole_px(width and width * dpr), whole_px(height and height * dpr), spec.enlarge)
    if spec.enlarge or spec.mode in (Mode.MFIT, Mode.MPAD, Mode.CROP):
        return placed, dpr
    # What the same box would give at dpr 1 tells how much may be added before anything is enlarged.
    single = mode(source, width, height, False).resize
    room = min(Fraction(source.width, single.width), Fraction(source.height, single.height))
    return placed, min(dpr, room)


def box(spec: Spec, source: Size) -> tuple[Fraction | None, Fraction | None]:
    """The wanted sides in px, unrounded, at dpr 1."""
    width = None if spec.width is None else px(spec.width, source.width)
    height = None if spec.height is None else px(spec.height, source.height)
    aspect = spec.aspect
    if aspect is None:
        return width, height
    if width is None and height is None:
        wide = source.width * aspect.denominator > source.height * aspect.numerator
        around = spec.fit is Fit.CONTAIN or spec.mode in (Mode.LPAD, Mode.MPAD)
        if wide is around:
            return Fraction(source.width), source.width / aspect
        return source.height * aspect, Fraction(source.height)
    if width is None and height is not None:
        return height * aspect, height
    return width, width and width / aspect


def whole_px(side: Fraction | None) -> Fraction | None:
    return None if side is None else Fraction(nearest(side))


def grown(size: Size, degrees: float) -> Size:
    """What holds the picture when it is rotated."""
    cosine, sine = (abs(f(math.radians(degrees))) for f in (math.cos, math.sin))
    return Size(
        max(1, round(size.width * cosine + size.height * sine)),
        max(1, round(size.width * sine + size.height * cosine)),
    )


def margins(spec: Spec, dpr: Fraction) -> Margins:
    border = spec.extend
    if border is None:
        return Margins()
    return Margins(*(round(side * dpr) for side in (border.top, border.right, border.bottom, border.left)))


def refuse_large(size: Size, limits: Limits, max_side: int | None) -> None:
    longest = min(limits.max_result_side, max_side or limits.max_result_side)
    if max(size.width, size.height) > longest:
        raise ResultTooLarge(
            f"the picture would be {size.width}x{size.height}; no side may be longer than {longest} px",
            value=f"{size.width}x{size.height}", allowed=f"{longest} px",
        )  # fmt: skip
    if size.pixels > limits.max_result_pixels:
        raise ResultTooLarge(
            f"the picture would be {size.width}x{size.height}; at most {limits.max_result_pixels} pixels",
            value=f"{size.width}x{size.height}", allowed=f"{limits.max_result_pixels} pixels",
        )  # fmt: skip
