"""
How a picture meets its box: one function for each mode of `fit` and `c`, and nothing else.

What they answer is exact: a side is rounded once, by `positions.round_px`, when all that scales it is known.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

from proxy.geometry.boxes import ExactSize, Size
from proxy.options.spec import Fit, Mode
from proxy.options.values.positions import round_px

Side = Fraction | None
ONE = Fraction(1)


@dataclass(frozen=True, slots=True)
class ExactFit:
    """
    How a mode answers: what the sides are multiplied by, and the box that the picture is cut to, in px; where
    the box has no side nothing is cut. With `pads` a picture that is smaller lies on a canvas of that size.
    """

    across: Fraction
    down: Fraction
    width: Side = None
    height: Side = None
    pads: bool = False

    @property
    def largest(self) -> Fraction:
        return max(self.across, self.down)

    def enlarged(self, factor: Fraction) -> ExactFit:
        """The picture larger in the same box."""
        return replace(self, across=self.across * factor, down=self.down * factor)

    def times(self, factor: Fraction) -> ExactFit:
        """The picture and its box, both."""
        width, height = self.width and self.width * factor, self.height and self.height * factor
        return replace(self.enlarged(factor), width=width, height=height)


@dataclass(frozen=True, slots=True)
class RoundedFit:
    """Whole px: the picture scaled to `resize`, cut to `visible`, lying on `canvas` or on none."""

    resize: Size
    visible: Size
    canvas: Size | None = None


def round_fit(source: Size | ExactSize, fit: ExactFit) -> RoundedFit:
    """Round an exact fit to whole px, each side once."""
    resize = Size(round_px(source.width * fit.across), round_px(source.height * fit.down))
    wanted = Size(
        round_px(fit.width) if fit.width else resize.width,
        round_px(fit.height) if fit.height else resize.height,
    )
    visible = Size(min(wanted.width, resize.width), min(wanted.height, resize.height))
    return RoundedFit(resize, visible, wanted if fit.pads and wanted != visible else None)


def clamp_box(source: Size | ExactSize, width: Side, height: Side, enlarge: bool) -> tuple[Side, Side]:
    """
    Shrink a box of two sides into the source, its ratio kept, unless it may `enlarge`. ipx's
    `clampDimensionsPreservingAspectRatio`.
    """
    if enlarge or not (width and height):
        return width, height
    ratio = Fraction(round_px(width), round_px(height))
    if width > source.width:
        width, height = Fraction(source.width), Fraction(round_px(source.width / ratio))
    if height > source.height:
        width, height = Fraction(round_px(source.height * ratio)), Fraction(source.height)
    return width, height


def scale_factors(source: Size | ExactSize, width: Side, height: Side) -> tuple[Fraction, Fraction]:
    """Return the factor that each side asks for; one that is missing follows the other."""
    across = width and width / source.width
    down = height and height / source.height
    return across or down or ONE, down or across or ONE


def cover(source: Size | ExactSize, width: Side, height: Side, enlarge: bool) -> ExactFit:
    """Fill the box, and cut what is over."""
    width, height = clamp_box(source, width, height, enlarge)
    scale = max(scale_factors(source, width, height))
    scale = scale if enlarge else min(scale, ONE)
    return ExactFit(scale, scale, width, height)


def contain(source: Size | ExactSize, width: Side, height: Side, enlarge: bool) -> ExactFit:
    """Lie in the box whole, with bars beside it."""
    if not (width and height):
        return inside(source, width, height, enlarge)
    width, height = clamp_box(source, width, height, enlarge)
    scale = min(scale_factors(source, width, height))
    return ExactFit(scale, scale, width, height, pads=True)


def fill(source: Size | ExactSize, width: Side, height: Side, enlarge: bool) -> ExactFit:
    """Stretch to the box."""
    width, height = clamp_box(source, width, height, enlarge)
    across = width / source.width if width else ONE
    down = height / source.height if height else ONE
    if not enlarge:
        across, down = min(across, ONE), min(down, ONE)
    return ExactFit(across, down, width, height)


def inside(source: Size | ExactSize, width: Side, height: Side, enlarge: bool) -> ExactFit:
    """Be as large as fits into the box."""
    scale = min(scale_factors(source, width, height))
    scale = scale if enlarge else min(scale, ONE)
    return ExactFit(scale, scale, width, height)


def outside(source: Size | ExactSize, width: Side, height: Side, enlarge: bool) -> ExactFit:
    """Be as small as covers the box; nothing is cut."""
    scale = max(scale_factors(source, width, height))
    scale = scale if enlarge else min(scale, ONE)
    return ExactFit(scale, scale)


def mfit(source: Size | ExactSize, width: Side, height: Side, enlarge: bool) -> ExactFit:
    """Be as large as fits into the box, and never made smaller."""
    scale = max(ONE, min(scale_factors(source, width, height)))
    return ExactFit(scale, scale)


def lfill(source: Size | ExactSize, width: Side, height: Side, enlarge: bool) -> ExactFit:
    """Fill the box, and never be enlarged."""
    scale = min(ONE, max(scale_factors(source, width, height)))
    return ExactFit(scale, scale, width, height)


def lpad(source: Size | ExactSize, width: Side, height: Side, enlarge: bool) -> ExactFit:
    """Lie in the box whole, with bars beside it, and never be enlarged."""
    scale = min(ONE, *scale_factors(source, width, height))
    return ExactFit(scale, scale, width, height, pads=True)


def mpad(source: Size | ExactSize, width: Side, height: Side, enlarge: bool) -> ExactFit:
    """Be enlarged into the box, with bars beside it; what is larger stays as it is."""
    up = min(scale_factors(source, width, height))
    return ExactFit(up, up, width, height, pads=True) if up >= 1 else ExactFit(ONE, ONE)


def crop(source: Size | ExactSize, width: Side, height: Side, enlarge: bool) -> ExactFit:
    """Cut the box out, unscaled."""
    return ExactFit(ONE, ONE, width, height)


def thumb(source: Size | ExactSize, width: Side, height: Side, enlarge: bool) -> ExactFit:
    """Fill the box. How near one comes to faces is known when they are found."""
    return cover(source, width, height, True)


MODES: Mapping[Fit | Mode, Callable[[Size | ExactSize, Side, Side, bool], ExactFit]] = {
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
    Mode.THUMB: thumb,
}
"""Every mode that `canonicalise` leaves."""
