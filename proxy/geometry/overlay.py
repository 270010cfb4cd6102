"""How large what lies over a picture is, and where it lies: exact, before any of its pixels is touched."""

from __future__ import annotations

import math
from fractions import Fraction

from proxy.geometry.boxes import Box, Size, exact, length_px, offset_px, position
from proxy.options.spec import Spec
from proxy.options.values.positions import Length, round_px

MAX_GLYPH_COVERAGE = 2
"""
Letters of a size in px need about 0.6 of its square each; more than twice the canvas cannot be seen, and
would only be drawn to be made smaller again.
"""


def overlay_box(spec: Spec, canvas: Size, natural: Size, dpr: float) -> Box:
    """
    Return where a picture of `natural` px lies on `canvas`: in the width asked for, and never larger than it.
    """
    size = shrink_into(overlay_size(spec, canvas, natural, exact(dpr)), canvas)
    x, y = spec.overlay_x or 0.0, spec.overlay_y or 0.0
    left, top = position(canvas, size, spec.overlay_position, x, y, exact(dpr))
    return Box(left, top, size.width, size.height)


def overlay_size(spec: Spec, canvas: Size, natural: Size, dpr: Fraction) -> Size:
    """Return the size in the width asked for, the height in proportion; without a width, its own at dpr 1."""
    width = spec.overlay_width
    scale = dpr if width is None else Fraction(overlay_width(width, canvas, dpr), natural.width)
    return Size(round_px(natural.width * scale), round_px(natural.height * scale))


def overlay_width(width: Length, canvas: Size, dpr: Fraction) -> int:
    """Return a width in px: a share of the canvas, or px times `dpr`."""
    return round_px(length_px(width, canvas.width) * (dpr if isinstance(width, int) else 1))


def shrink_into(size: Size, canvas: Size) -> Size:
    """Shrink a size in proportion until it fits into `canvas`."""
    scale = min(Fraction(canvas.width, size.width), Fraction(canvas.height, size.height))
    if scale >= 1:
        return size
    return Size(
        min(round_px(size.width * scale), canvas.width), min(round_px(size.height * scale), canvas.height)
    )


def tile_gaps(spec: Spec, canvas: Size, dpr: float) -> tuple[int, int]:
    """Return the px between tiles, across and down."""
    return tuple(  # type: ignore[return-value]  # two
        max(0, offset_px(gap or 0.0, side, exact(dpr)))
        for gap, side in ((spec.overlay_x, canvas.width), (spec.overlay_y, canvas.height))
    )


def wrap_width(spec: Spec, canvas: Size, dpr: float) -> int:
    """Return the width in px at which a text wraps."""
    width = spec.overlay_width
    return canvas.width if width is None else min(overlay_width(width, canvas, exact(dpr)), canvas.width)


def font_size(spec: Spec, canvas: Size, dpr: float) -> int:
    """
    Return the size of the letters in px. No text that fits is made smaller, none takes more than a picture.
    """
    length = len(spec.text or "x")
    return max(
        1,
        min(
            round_px(spec.text_size * exact(dpr)),
            canvas.width,
            canvas.height,
            math.isqrt(MAX_GLYPH_COVERAGE * canvas.pixels // length),
        ),
    )
