"""
Boxes in px, and where one lies in another. All of it is exact: lengths are fractions until they are rounded,
and each is rounded once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from proxy.options.values.arguments import format_number
from proxy.options.values.positions import Anchor, Compass, FocalPoint, Length


@dataclass(frozen=True, slots=True)
class Size:
    """Width and height in whole px."""

    width: int
    height: int

    @property
    def pixels(self) -> int:
        return self.width * self.height

    @property
    def longest(self) -> int:
        return max(self.width, self.height)

    @property
    def swapped(self) -> Size:
        return Size(self.height, self.width)


@dataclass(frozen=True, slots=True)
class ExactSize:
    """px that are not whole yet, of a drawing."""

    width: Fraction
    height: Fraction

    @property
    def swapped(self) -> ExactSize:
        return ExactSize(self.height, self.width)


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in whole px, counted from the top left corner."""

    left: int
    top: int
    width: int
    height: int

    @property
    def size(self) -> Size:
        return Size(self.width, self.height)


@dataclass(frozen=True, slots=True)
class Margins:
    """px."""

    top: int = 0
    right: int = 0
    bottom: int = 0
    left: int = 0


HORIZONTAL_ENDS: Mapping[Compass, int] = {
    Compass.WEST: 0, Compass.NORTHWEST: 0, Compass.SOUTHWEST: 0,
    Compass.EAST: 1, Compass.NORTHEAST: 1, Compass.SOUTHEAST: 1,
}  # fmt: skip
VERTICAL_ENDS: Mapping[Compass, int] = {
    Compass.NORTH: 0, Compass.NORTHWEST: 0, Compass.NORTHEAST: 0,
    Compass.SOUTH: 1, Compass.SOUTHWEST: 1, Compass.SOUTHEAST: 1,
}  # fmt: skip
"""At which end of an axis an anchor lies: 0 or 1; in the middle when it is in neither."""


def position(
    outer: Size,
    inner: Size,
    anchor: Anchor | None,
    x: float = 0.0,
    y: float = 0.0,
    dpr: Fraction = Fraction(1),
) -> tuple[int, int]:
    """
    Return left and top of `inner` in `outer`: the anchor's place, moved by the offsets, kept inside.

    A strategy finds its place in the picture, later; until then it stands in the middle.
    """
    room = outer.width - inner.width, outer.height - inner.height
    if isinstance(anchor, FocalPoint):
        left = round(exact(anchor.x) * outer.width) - inner.width // 2 + offset_px(x, outer.width, dpr)
        top = round(exact(anchor.y) * outer.height) - inner.height // 2 + offset_px(y, outer.height, dpr)
    else:
        point = anchor if isinstance(anchor, Compass) else Compass.CENTER
        left = start_along(room[0], HORIZONTAL_ENDS.get(point), offset_px(x, outer.width, dpr))
        top = start_along(room[1], VERTICAL_ENDS.get(point), offset_px(y, outer.height, dpr))
    return max(0, min(left, room[0])), max(0, min(top, room[1]))


def start_along(room: int, end: int | None, moved: int) -> int:
    """
    Return the first px of what leaves `room` px along an axis, at its `end` (0 or 1) or in the middle,
    `moved` inwards.
    """
    if end is None:
        return round(Fraction(room + 1, 2)) + moved
    return room - moved if end else moved


def offset_px(value: float, outer: int, dpr: Fraction) -> int:
    """Return px: `value` itself from 1 on, below that a share of the outer side."""
    return round(exact(value) * (dpr if abs(value) >= 1 else outer))


def length_px(length: Length, side: int | Fraction) -> Fraction:
    """Return px, unrounded: a whole number as it is, a share of `side`."""
    return Fraction(length) if isinstance(length, int) else exact(length) * side


def exact(number: float) -> Fraction:
    """Return what was written as a fraction, not what a float made of it."""
    return Fraction(format_number(number))
