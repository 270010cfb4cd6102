"""
How a picture meets its box: one function for each mode of `fit` and `c`, and nothing else.

A scaled side is `max(1, round_half_away(side * scale))`, which `canonical.nearest` is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from proxy.boxes import Size
from proxy.canonical import nearest
from proxy.spec import Fit, Mode

Side = Fraction | None


@dataclass(frozen=True, slots=True)
class Placed:
    """How a mode answers: the picture scaled to `resize`, cut to `visible`, lying on `canvas` or on none."""

    resize: Size
    visible: Size
    canvas: Size | None = None


def clamped(source: Size, width: Fraction, height: Fraction) -> tuple[Fraction, Fraction]:
    """The box inside the source, its ratio kept. ipx's `clampDimensionsPreservingAspectRatio`."""
    ratio = width / height
    if width > source.width:
        width, height = Fraction(source.width), Fraction(nearest(source.width / ratio))
    if height > source.height:
        width, height = Fraction(nearest(source.height * ratio)), Fraction(source.height)
    return width, height


def scaled(source: Size, scale: Fraction) -> Size:
    return Size(nearest(source.width * scale), nearest(source.height * scale))


def scales(source: Size, width: Side, height: Side) -> tuple[Fraction, Fraction]:
    """The scale that each side asks for; one that is missing follows the other."""
    across = width and width / source.width
    down = height and height / source.height
    return across or down or Fraction(1), down or across or Fraction(1)


def rounded(width: Side, height: Side, size: Size) -> Size:
    """The box in whole px; a missing side is the picture's."""
    return Size(nearest(width) if width else size.width, nearest(height) if height else size.height)


def cover(source: Size, width: Side, height: Side, enlarge: bool) -> Placed:
    if width and height and not enlarge:
        width, height = clamped(source, width, height)
    scale = max(scales(source, width, height))
    resize = scaled(source, scale if enlarge else min(scale, Fraction(1)))
    return Placed(resize, within(rounded(width, height, resize), resize))


def within(size: Size, outer: Size) -> Size:
    return Size(min(size.width, outer.width), min(size.height, outer.height))


def contain(source: Size, width: Side, height: Side, enlarge: bool) -> Placed:
    if not (width and height):
        return inside(source, width, height, enlarge)
    if not enlarge:
        width, height = clamped(source, width, height)
    return padded(source, width, height, min(scales(source, width, height)))


def padded(source: Size, width: Side, height: Side, scale: Fraction) -> Placed:
    resize = scaled(source, scale)
    canvas = rounded(width, height, resize)
    visible = within(resize, canvas)
    return Placed(resize, visible, canvas if canvas != visible else None)


def fill(source: Size, width: Side, height: Side, enlarge: bool) -> Placed:
    if width and height and not enlarge:
        width, height = clamped(source, width, height)
    resize = rounded(width, height, source)
    resize = resize if enlarge else within(resize, source)
    return Placed(resize, resize)


def inside(source: Size, width: Side, height: Side, enlarge: bool) -> Placed:
    scale = min(scales(source, width, height))
    resize = scaled(source, scale if enlarge else min(scale, Fraction(1)))
    return Placed(resize, resize)


def outside(source: Size, width: Side, height: Side, enlarge: bool) -> Placed:
    scale = max(scales(source, width, height))
    resize = scaled(source, scale if enlarge else min(scale, Fraction(1)))
    return Placed(resize, resize)


def mfit(source: Size, width: Side, height: Side, enlarge: bool) -> Placed:
    resize = scaled(source, max(Fraction(1), min(scales(source, width, height))))
    return Placed(resize, resize)


def lfill(source: Size, width: Side, height: Side, enlarge: bool) -> Placed:
    resize = scaled(source, min(Fraction(1), max(scales(source, width, height))))
    return Placed(resize, within(rounded(width, height, resize), resize))


def lpad(source: Size, width: Side, height: Side, enlarge: bool) -> Placed:
    return padded(source, width, height, min(Fraction(1), *scales(source, width, height)))


def mpad(source: Size, width: Side, height: Side, enlarge: bool) -> Placed:
    up = min(scales(source, width, height))
    return padded(source, width, height, up) if up > 1 else Placed(source, source)


def crop(source: Size, width: Side, height: Side, enlarge: bool) -> Placed:
    return Placed(source, within(rounded(width, height, source), source))


MODES: Mapping[Fit | Mode, Callable[[Size, Side, Side, bool], Placed]] = {
    Fit.COVER: cover,
    Fit.CONTAIN: contain,
    Fit.FILL: fill,
    Fit.INSIDE: inside,
    Fit.OUTSIDE: outside,
    Mode.MFIT: mfit,
    Mode.LFILL: lfill,
    Mode.LPAD: lpad,
    Mode.MPAD: mpad,
    Mode.CROP: crop,
}
"""Every mode that `canonical.settle` leaves."""
