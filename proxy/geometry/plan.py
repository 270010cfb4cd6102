"""Where every pixel goes, decided before any is touched."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction

from proxy.geometry.boxes import Box, ExactSize, Margins, Size, exact, length_px, position
from proxy.geometry.fit import MODES, ONE, ExactFit, clamp_box, round_fit
from proxy.geometry.visible import View, narrow_view
from proxy.model.errors import ResultTooLarge
from proxy.model.limits import Limits
from proxy.options.canonical import has_minimum
from proxy.options.spec import Fit, Mode, Spec
from proxy.options.values.positions import Strategy, round_px

Radius = tuple[float, float]
"""Across and down, in px."""

Corners = tuple[Radius, Radius, Radius, Radius]
"""From the top left one clockwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """
    What happens to the upright source, in the order of the fields.

    Cut `region` out, or one of that size where `region_strategy` says; scale it to exactly `resize`; turn it
    clockwise by `turn` quarters; mirror it (`flip` top to bottom, `flop` left to right); keep `crop` of it,
    or a box of that size where `strategy` says; apply the effects; put it on `canvas`, where it lies at left
    and top; round its corners by `radii` and draw a `border` of that many px around it, which gives
    `bordered`; rotate by `angle` degrees clockwise, which gives `rotated`; extend it by `extend`. The picture
    then has the size `result`.
    `dpr` is what offsets and paddings were multiplied by.
    """

    region: Box
    region_strategy: Strategy | None
    resize: Size
    turn: int
    flip: bool
    flop: bool
    crop: Box
    strategy: Strategy | None
    canvas: Box | None
    radii: Corners | None
    border: int
    bordered: Size
    angle: float
    rotated: Size
    extend: Margins
    result: Size
    dpr: float

    @property
    def sizes(self) -> tuple[Size, ...]:
        """Of everything that is made on the way, the result being one."""
        canvas = (self.canvas or self.crop).size
        return self.resize, canvas, self.bordered, self.rotated, self.result


def plan(
    spec: Spec,
    source: Size,
    limits: Limits,
    max_side: int | None = None,
    exact_source: ExactSize | None = None,
) -> Plan:
    """
    Compute the sizes and boxes of a rendition. Its size always equals `result`.

    `source` is the size in px after orientation and trim; `max_side` is the bound of the format that `spec`
    names; `exact_source` is the size of a drawing before it is rounded, whose ratio counts where all of it is
    shown. What would be longer than `limits.max_result_side` is made smaller as a whole, offsets and paddings
    too. Raises ResultTooLarge.
    """
    region = source_region(spec, source)
    shown = exact_source if exact_source and region.size == source else region.size
    upright = shown.swapped if quarter_turns(spec) % 2 else shown
    fit, dpr = fit_to_box(spec, upright)
    found = lay_out(spec, region, upright, fit, dpr)
    factor = Fraction(1)
    while (longest := found.result.longest) > limits.max_result_side and longest > 1:
        # Every rounding may be up by a px, so once is not always enough.
        factor *= Fraction(limits.max_result_side, longest)
        found = lay_out(spec, region, upright, fit.times(factor), dpr * factor)
    if max_side is not None:
        refuse_long(found.result, str(spec.format), max_side)
    if is_too_large(found, limits):
        found = narrow_plan(found)
    for size in found.sizes:
        refuse_large(size, limits)
    return found


def is_too_large(plan: Plan, limits: Limits) -> bool:
    """Whether what is cut away should not be made. A strategy looks at all of it, if that can be."""
    longest = limits.max_result_side
    if plan.strategy or plan.region_strategy:
        longest = max(longest, limits.max_source_side)
    return plan.resize.longest > longest or plan.resize.pixels > limits.max_result_pixels


def narrow_plan(plan: Plan) -> Plan:
    """
    Return the same from as much of the source as is seen. Where a strategy cannot look, the middle is shown.
    """
    view = narrow_view(
        View(
            region=plan.region,
            resize=plan.resize,
            turn=plan.turn,
            flip=plan.flip,
            flop=plan.flop,
            crop=plan.crop,
        )
    )
    return replace(
        plan, region=view.region, region_strategy=None, resize=view.resize, crop=view.crop, strategy=None
    )


def lay_out(spec: Spec, region: Box, upright: Size | ExactSize, fit: ExactFit, dpr: Fraction) -> Plan:
    """Return the plan in whole px; `upright` is the region's size after quarter turns."""
    turn, angle = quarter_turns(spec), (spec.rotate or 0.0)
    angle = 0.0 if turn else angle
    if spec.flip != spec.flop:
        angle = -angle % 360  # mirrored before it is rotated, and meant the other way round
    whole = round_fit(upright, fit)
    offsets = spec.x or 0.0, spec.y or 0.0
    shown, canvas = whole.visible, whole.canvas
    border = round(spec.border.width * dpr) if spec.border else 0
    bordered = Size((canvas or shown).width + 2 * border, (canvas or shown).height + 2 * border)
    rotated = rotated_size(bordered, angle)
    extend = padding_margins(spec, dpr)
    strategy = spec.position if isinstance(spec.position, Strategy) else None
    return Plan(
        region=region,
        region_strategy=strategy if spec.crop and spec.crop.left is None else None,
        resize=whole.resize.swapped if turn % 2 else whole.resize,
        turn=turn,
        flip=spec.flip,
        flop=spec.flop,
        crop=Box(*position(whole.resize, shown, spec.position, *offsets, dpr), shown.width, shown.height),
        strategy=strategy if shown != whole.resize or spec.mode is Mode.THUMB else None,
        canvas=None
        if canvas is None
        else Box(*position(canvas, shown, spec.position, *offsets, dpr), canvas.width, canvas.height),
        radii=corner_radii(spec, canvas or shown, dpr),
        border=border,
        bordered=bordered,
        angle=angle,
        rotated=rotated,
        extend=extend,
        result=Size(rotated.width + extend.left + extend.right, rotated.height + extend.top + extend.bottom),
        dpr=float(dpr),
    )


def quarter_turns(spec: Spec) -> int:
    """Return the clockwise quarters, when they are all that the picture is rotated by."""
    degrees = spec.rotate or 0.0
    return 0 if degrees % 90 else int(degrees) // 90


def source_region(spec: Spec, source: Size) -> Box:
    """
    Return a region of the source, moved and shortened until it lies inside. Its offsets are px of the source.
    """
    region = spec.crop
    if region is None:
        return Box(0, 0, source.width, source.height)
    size = Size(
        min(round_px(length_px(region.width, source.width)), source.width),
        min(round_px(length_px(region.height, source.height)), source.height),
    )
    if region.left is None or region.top is None:
        left, top = position(source, size, spec.position, spec.x or 0.0, spec.y or 0.0)
    else:
        left, top = round(length_px(region.left, source.width)), round(length_px(region.top, source.height))
    return Box(
        min(left, source.width - size.width), min(top, source.height - size.height), size.width, size.height
    )


def fit_to_box(spec: Spec, source: Size | ExactSize) -> tuple[ExactFit, Fraction]:
    """
    Return the mode's answer, its minimum applied, and the dpr that is left once nothing may be enlarged.
    """
    zoom, dpr = exact(spec.zoom), exact(spec.dpr)
    width, height = (side and whole_px(side) * zoom for side in requested_box(spec, source))
    if width is None and height is None:
        return apply_minimum(spec, source, ExactFit(ONE, ONE), min(dpr, ONE)), min(dpr, ONE)
    mode = MODES[spec.mode or spec.fit]
    if not (spec.enlarge or spec.mode in (Mode.MFIT, Mode.MPAD, Mode.CROP, Mode.THUMB)):
        # What the same box gives at dpr 1 tells how much may be added before anything is enlarged.
        room = min(dpr, 1 / mode(source, width, height, False).largest)
    else:
        room = dpr
    if not has_minimum(spec):
        return mode(source, width and width * dpr, height and height * dpr, spec.enlarge), room
    # What a floor enlarges is cut to the box that there is, and not to one that could not be filled.
    width, height = width and width * room, height and height * room
    fit = apply_minimum(spec, source, mode(source, width, height, spec.enlarge), room)
    if spec.mode is None and spec.fit in (Fit.COVER, Fit.CONTAIN):
        # The box lies inside what it is cut from, and that is larger now.
        width, height = clamp_box(round_fit(source, fit).resize, width, height, spec.enlarge)
        fit = replace(fit, width=width, height=height)
    return fit, room


def apply_minimum(spec: Spec, source: Size | ExactSize, fit: ExactFit, dpr: Fraction) -> ExactFit:
    """Enlarge a fit to `min_width` and `min_height`."""
    if spec.min_width is not None:
        fit = fit.enlarged(max(ONE, spec.min_width * dpr / (source.width * fit.across)))
    if spec.min_height is not None:
        fit = fit.enlarged(max(ONE, spec.min_height * dpr / (source.height * fit.down)))
    return fit


def requested_box(spec: Spec, source: Size | ExactSize) -> tuple[Fraction | None, Fraction | None]:
    """Return the wanted sides in px, unrounded, at dpr 1 and zoom 1."""
    width = None if spec.width is None else length_px(spec.width, source.width)
    height = None if spec.height is None else length_px(spec.height, source.height)
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


def whole_px(side: Fraction) -> Fraction:
    return Fraction(round_px(side))


def rotated_size(size: Size, degrees: float) -> Size:
    """Return the size that holds the picture when it is rotated."""
    cosine, sine = (abs(f(math.radians(degrees))) for f in (math.cos, math.sin))
    return Size(
        max(1, round(size.width * cosine + size.height * sine)),
        max(1, round(size.width * sine + size.height * cosine)),
    )


def corner_radii(spec: Spec, size: Size, dpr: Fraction) -> Corners | None:
    """
    Return the radii in px; where they do not fit along a side, all shrink alike.

    https://www.w3.org/TR/css-backgrounds-3/#corner-overlap
    """
    if spec.radii is None:
        return None
    if spec.radii.corners is None:
        ellipse = size.width / 2, size.height / 2
        return ellipse, ellipse, ellipse, ellipse
    one, two, three, four = (radius * dpr for radius in spec.radii.corners)
    sides = ((size.width, one + two), (size.height, two + three), (size.width, three + four))
    shares = [Fraction(side) / both for side, both in (*sides, (size.height, four + one)) if both]
    one, two, three, four = (radius * min(ONE, *shares) for radius in (one, two, three, four))
    return circular_radius(one), circular_radius(two), circular_radius(three), circular_radius(four)


def circular_radius(radius: Fraction) -> Radius:
    return float(radius), float(radius)


def padding_margins(spec: Spec, dpr: Fraction) -> Margins:
    """Return the px that `extend` adds on each side."""
    border = spec.extend
    if border is None:
        return Margins()
    return Margins(*(round(side * dpr) for side in (border.top, border.right, border.bottom, border.left)))


def refuse_long(size: Size, format: str, max_side: int) -> None:
    """Raise ResultTooLarge for a side of more than `max_side` px, the bound of `format`."""
    if size.longest > max_side:
        raise ResultTooLarge(
            f"the picture would be {size.width}x{size.height}, and the sides of 'f_{format}' have "
            f"at most {max_side} px",
            option="f", value=format, allowed=f"sides of at most {max_side} px",
        )  # fmt: skip


def refuse_large(size: Size, limits: Limits) -> None:
    """Raise ResultTooLarge for more than `limits.max_result_pixels`."""
    if size.pixels > limits.max_result_pixels:
        raise ResultTooLarge(
            f"the picture would be {size.width}x{size.height}; at most {limits.max_result_pixels} pixels",
            value=f"{size.width}x{size.height}", allowed=f"{limits.max_result_pixels} pixels",
        )  # fmt: skip
