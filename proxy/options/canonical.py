"""
One spec for one meaning: drop what has no effect, choose one of two spellings.

No picture changes; `w_300,h_200`, `s_300x200` and `w_150,h_100,dpr_2` become equal, and so one cache entry.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

from proxy.model.media import ENCODER, FORMATS
from proxy.options.spec import OPTIONS, Fit, Mode, OutputFormat, Spec
from proxy.options.values.arguments import format_number
from proxy.options.values.colours import WHITE
from proxy.options.values.edges import Edge
from proxy.options.values.positions import MAX_SIDE, Compass, Length, Strategy, round_px

MODE_FITS: Mapping[Mode, tuple[Fit, bool]] = {
    Mode.FIT: (Fit.INSIDE, True),
    Mode.LIMIT: (Fit.INSIDE, False),
    Mode.FILL: (Fit.COVER, True),
    Mode.PAD: (Fit.CONTAIN, True),
    Mode.THUMB: (Fit.COVER, True),
    Mode.AUTO: (Fit.COVER, True),
}
"""Modes that equal a fit and whether it may enlarge; `thumb` does only where it does not seek faces."""

MODE_ANCHORS: Mapping[Mode, Strategy] = {Mode.THUMB: Strategy.FACE, Mode.AUTO: Strategy.ATTENTION}
"""The anchors of modes that have a default one."""

MODE_ENLARGES: Mapping[Mode, bool] = {
    **{mode: enlarge for mode, (_, enlarge) in MODE_FITS.items()},
    Mode.SCALE: True,
    Mode.MFIT: True,
    Mode.MPAD: True,
    Mode.LFILL: False,
    Mode.LPAD: False,
    Mode.CROP: False,
}
"""Whether a mode may enlarge the picture."""

ONE_SIDED_FITS: Mapping[Mode, tuple[Fit, bool]] = {
    Mode.SCALE: (Fit.COVER, True),
    Mode.LFILL: (Fit.COVER, False),
    Mode.LPAD: (Fit.COVER, False),
}
"""Modes that, with one side given, equal a fit and whether it may enlarge."""

CUTTING_MODES = (Mode.LFILL, Mode.CROP, Mode.THUMB)
PADDING_MODES = (Mode.LPAD, Mode.MPAD)


def canonicalise(spec: Spec) -> Spec:
    """Return the one spec that stands for all specs that give the same picture as `spec`."""
    for step in STEPS:
        spec = step(spec)
    return spec


def merge_aspect(spec: Spec) -> Spec:
    """Replace a ratio by the side it gives: `w_300,ar_3:2` is a box of 300 by 200 px."""
    width, height, aspect = spec.width, spec.height, spec.aspect
    if aspect is None:
        return spec
    if width is not None and height is not None:
        return replace(spec, aspect=None)
    if isinstance(width, int) and (other := round_px(width / aspect)) <= MAX_SIDE:
        return replace(spec, height=other, aspect=None)
    if isinstance(height, int) and (other := round_px(height * aspect)) <= MAX_SIDE:
        return replace(spec, width=other, aspect=None)
    return spec


def merge_zoom(spec: Spec) -> Spec:
    """Replace a zoom without a box, which zooms the source: `zoom_0.5` is `w_0.5`."""
    if has_box(spec) or spec.zoom == 1:
        return spec
    enlarge = spec.enlarge if spec.mode is None else MODE_ENLARGES[spec.mode]
    return replace(spec, width=float(spec.zoom), zoom=1.0, mode=None, fit=Fit.COVER, enlarge=enlarge)


def merge_dpr(spec: Spec) -> Spec:
    """
    Multiply the box by zoom and dpr if its sides stay whole px, since the scale is that of the exact box.

    The dpr stays if other lengths are given in CSS px.
    """
    if not has_box(spec):
        # Nothing is enlarged, so a dpr above 1 has no effect.
        return replace(spec, dpr=min(spec.dpr, 1.0) if has_css_lengths(spec) else 1.0)
    zoom, dpr = Fraction(format_number(spec.zoom)), Fraction(format_number(spec.dpr))
    factor = zoom if has_css_lengths(spec) else zoom * dpr
    left = spec.dpr if has_css_lengths(spec) else 1.0
    sides = [side for side in (spec.width, spec.height) if side is not None]
    # A ratio alone has no side to multiply.
    if sides and all(stays_whole(side, factor) for side in sides):
        width, height = (side and int(side * factor) for side in (spec.width, spec.height))
        return replace(spec, width=width, height=height, zoom=1.0, dpr=left)
    if not has_css_lengths(spec) and Fraction(1, 10) <= factor <= 4 and (factor * 10**6).denominator == 1:
        # The zoom has the effect of a dpr.
        return replace(spec, zoom=1.0, dpr=float(factor))
    return spec


def stays_whole(side: Length, factor: Fraction) -> bool:
    return isinstance(side, int) and (side * factor).denominator == 1 and 1 <= side * factor <= MAX_SIDE


def has_css_lengths(spec: Spec) -> bool:
    """Tell whether any length besides the box is given in CSS px."""
    offsets = any(offset is not None and abs(offset) >= 1 for offset in (spec.x, spec.y))
    lengths = (spec.extend, spec.border, spec.radii and spec.radii.corners, spec.min_width, spec.min_height)
    return offsets or bool(spec.overlay or spec.text) or any(length is not None for length in lengths)


def merge_mode(spec: Spec) -> Spec:
    """Replace a mode by the fit that it equals, and choose one of the fits that are equal for one side."""
    mode = spec.mode
    if not has_box(spec):
        return replace(spec, mode=None, fit=Fit.COVER, enlarge=False)
    if mode is not None and mode in MODE_FITS:
        fit, enlarge = MODE_FITS[mode]
        anchor = spec.position or MODE_ANCHORS.get(mode)
        nearer = mode is Mode.THUMB and anchor is Strategy.FACE and has_both_sides(spec)
        spec = replace(spec, mode=mode if nearer else None, fit=fit, enlarge=enlarge, position=anchor)
    elif mode is Mode.SCALE and has_both_sides(spec):
        spec = replace(spec, mode=None, fit=Fit.FILL, enlarge=True)
    elif mode is not None and mode in ONE_SIDED_FITS and not has_both_sides(spec):
        fit, enlarge = ONE_SIDED_FITS[mode]
        spec = replace(spec, mode=None, fit=fit, enlarge=enlarge)
    elif mode is Mode.MPAD and not has_both_sides(spec):
        spec = replace(spec, mode=Mode.MFIT)
    if spec.mode is not None:
        return replace(spec, fit=Fit.COVER, enlarge=False)
    if has_both_sides(spec) or spec.fit is Fit.FILL or (spec.fit is Fit.OUTSIDE and has_minimum(spec)):
        return spec
    return replace(spec, fit=Fit.COVER)


def drop_anchor(spec: Spec) -> Spec:
    """Drop the position and the offsets that decide nothing."""
    if spec.mode is Mode.CROP and spec.position is None and (spec.x, spec.y) != (None, None):
        # Cloudinary counts a crop's offsets from the top left corner.
        spec = replace(spec, position=Compass.NORTHWEST)
    cuts, pads = cuts_and_pads(spec)
    cuts = cuts or (spec.crop is not None and spec.crop.left is None)
    if not cuts and (not pads or isinstance(spec.position, Strategy)):
        # A strategy chooses what to keep; if nothing is cut, the picture lies in the middle of the bars.
        spec = replace(spec, position=None)
    if isinstance(spec.position, Strategy) or not (cuts or pads):
        spec = replace(spec, x=None, y=None)
    spec = replace(spec, x=spec.x or None, y=spec.y or None)
    from_corner = spec.mode is Mode.CROP and (spec.x, spec.y) != (None, None)
    if spec.position is Compass.CENTER and not from_corner:
        spec = replace(spec, position=None)
    return spec


def drop_background(spec: Spec) -> Spec:
    """Drop a background that is not visible: no bars, no corners, and a format that stays transparent."""
    stays = any(row.alpha for format, row in FORMATS.items() if format.value == spec.format)
    return spec if not stays or shows_background(spec) or spec.flatten else replace(spec, background=None)


def shows_background(spec: Spec) -> bool:
    """Tell whether there is an area beside the picture that its background fills."""
    tilted = spec.rotate is not None and spec.rotate % 90 != 0
    margins = spec.extend is not None and spec.extend.edge is Edge.BACKGROUND
    return tilted or margins or spec.radii is not None or cuts_and_pads(spec)[1]


def cuts_and_pads(spec: Spec) -> tuple[bool, bool]:
    """Tell whether the box may cut the picture, and whether it may leave bars."""
    if not has_box(spec):
        return False, False
    fit = spec.fit if spec.mode is None and has_both_sides(spec) else None
    pads = spec.mode in PADDING_MODES or fit is Fit.CONTAIN
    if has_minimum(spec):
        return spec.fit is not Fit.OUTSIDE and spec.mode is not Mode.MFIT, pads
    return spec.mode in CUTTING_MODES or fit is Fit.COVER, pads


def drop_ineffective(spec: Spec) -> Spec:
    """Drop options whose values have no effect, such as a border of 0 px."""
    if spec.extend and not any((spec.extend.top, spec.extend.right, spec.extend.bottom, spec.extend.left)):
        spec = replace(spec, extend=None)
    if spec.radii and spec.radii.corners is not None and not any(spec.radii.corners):
        spec = replace(spec, radii=None)
    if spec.border and not spec.border.width:
        spec = replace(spec, border=None)
    if spec.format is OutputFormat.JPEG and spec.background == WHITE:
        spec = replace(spec, background=None)
    if (format := spec.fixed_format) is not None and not FORMATS[format].quality:
        spec = replace(spec, quality=None)
    if spec.gamma is not None and spec.gamma[0] == spec.gamma[-1]:
        # Darkening and brightening by the same gamma only has an effect on the scaling between the two.
        spec = replace(spec, gamma=spec.gamma[:1] if spec.gamma[0] > 1 else None)
    return replace(spec, rotate=spec.rotate or None)


def drop_encoder_options(spec: Spec) -> Spec:
    """Drop encoder options that the format does not have, and the quality of a lossless file."""
    if (format := spec.fixed_format) is None:
        return spec
    row = FORMATS[format]
    needless = ENCODER - row.encoder | ({"lossless"} if not row.quality else frozenset())
    spec = replace(spec, **{name: OPTIONS[name].default for name in needless})
    return replace(spec, quality=None, chroma=OPTIONS["chroma"].default) if spec.lossless else spec


def merge_frames(spec: Spec) -> Spec:
    """Reduce options of animations: one frame, or one page, is a still; a format may have no animations."""
    still = not spec.animated or spec.frames == 1 or (spec.page is not None and spec.frames is None)
    moves = spec.fixed_format is None or FORMATS[spec.fixed_format].frames
    return replace(
        spec,
        animated=not (still and moves),
        page=spec.page or None,
        frames=None if still or not moves else spec.frames,
    )


def drop_overlay(spec: Spec) -> Spec:
    """Drop the options of an overlay that is not there, or not visible."""
    if spec.text is spec.overlay is None or not spec.overlay_opacity:
        return replace(spec, **default_values("overlay"))
    if spec.text is None:
        spec = replace(spec, **default_values("overlay", below="text_"))
    if spec.overlay_tile or spec.overlay_position is Compass.CENTER:
        spec = replace(spec, overlay_position=None)
    return replace(spec, overlay_x=spec.overlay_x or None, overlay_y=spec.overlay_y or None)


def default_values(about: str, below: str = "") -> dict[str, Any]:
    return {
        name: option.default
        for name, option in OPTIONS.items()
        if option.about == about and name.startswith(below)
    }


STEPS: tuple[Callable[[Spec], Spec], ...] = (
    merge_aspect, drop_ineffective, drop_encoder_options, merge_frames, merge_zoom, merge_mode, drop_anchor,
    drop_overlay, drop_background, merge_dpr,
)  # fmt: skip
"""In this order: offsets without effect are dropped before `merge_dpr` reads them."""


def has_box(spec: Spec) -> bool:
    """Tell whether any of width, height and ratio is given."""
    return (spec.width, spec.height, spec.aspect) != (None, None, None)


def has_both_sides(spec: Spec) -> bool:
    """Tell whether both sides of the box are known, at the latest when the source is."""
    return spec.aspect is not None or None not in (spec.width, spec.height)


def has_minimum(spec: Spec) -> bool:
    """Tell whether a least width or height is given."""
    return (spec.min_width, spec.min_height) != (None, None)
