"""Lengths, boxes, ratios, regions and anchors in URLs, before the size of the source is known."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Any, ClassVar

from proxy.options.values.arguments import (
    check_range,
    format_number,
    parse_decimal,
    parse_integer,
    require_text,
    split_words,
)

Length = int | float
"""Px if it is an int, a share of the side of the source if it is a float."""

MAX_SIDE = 8192
"""The longest side, in px, that a URL may ask for."""


def format_length(value: Length) -> str:
    """Format a length; a share always has a decimal point."""
    if isinstance(value, int):
        return str(value)
    text = format_number(value)
    return text if "." in text else f"{text}.0"


@dataclass(frozen=True)
class LengthKind:
    """Lengths: `300` is px, and `0.5`, with a decimal point, a share of the source."""

    low: ClassVar[int] = 1
    high: ClassVar[int] = MAX_SIDE
    max_share: ClassVar[float] = 10.0
    hint: ClassVar[str] = f"a whole number from 1 to {MAX_SIDE}, or a share up to 10 such as 0.5"

    def parse(self, text: str | None) -> Length:
        text = require_text(text)
        if "." not in text:
            return parse_integer(text, self.low, self.high)
        return parse_decimal(text, 0.0001, self.max_share)

    def format(self, value: Length) -> str:
        return format_length(value)

    def describe(self) -> dict[str, Any]:
        return {"kind": "side", "min": self.low, "max": self.high, "max_share": self.max_share}


@dataclass(frozen=True)
class BoxKind:
    """Boxes: `300x200`, or `300` for a square; decimals are rounded, for clients that divide."""

    hint: ClassVar[str] = f"WIDTHxHEIGHT or one number, each from 1 to {MAX_SIDE}"

    def parse(self, text: str | None) -> tuple[int, int]:
        width, _, height = require_text(text).partition("x")
        sides = [
            check_range(int(parse_decimal(side) + 0.5), 1, MAX_SIDE) for side in (width, height or width)
        ]
        if require_text(text).endswith("x"):
            raise ValueError(text)
        return sides[0], sides[1]

    def format(self, value: tuple[int, int]) -> str:
        return f"{value[0]}x{value[1]}"

    def describe(self) -> dict[str, Any]:
        return {"kind": "box", "min": 1, "max": MAX_SIDE}


@dataclass(frozen=True)
class RatioKind:
    """Ratios of width to height: `16:9`, `16_9`, `1.5`."""

    hint: ClassVar[str] = "a ratio from 0.01 to 100: 16:9, 16_9 or 1.5"

    def parse(self, text: str | None) -> Fraction:
        parts = split_words(text)
        if len(parts) > 2:
            raise ValueError(text)
        over, under = (Fraction(str(parse_decimal(part))) for part in [*parts, "1"][:2])
        if not under:
            raise ValueError(text)
        return check_range((over / under).limit_denominator(100_000), Fraction(1, 100), Fraction(100))

    def format(self, value: Fraction) -> str:
        return f"{value.numerator}:{value.denominator}"

    def describe(self) -> dict[str, Any]:
        return {"kind": "ratio", "min": 0.01, "max": 100}


class Compass(StrEnum):
    """The middle of a picture, its corners, and the middles of its sides."""

    CENTER = "center"
    NORTH = "north"
    NORTHEAST = "northeast"
    EAST = "east"
    SOUTHEAST = "southeast"
    SOUTH = "south"
    SOUTHWEST = "southwest"
    WEST = "west"
    NORTHWEST = "northwest"


class Strategy(StrEnum):
    """Ways to find an anchor in the content of a picture."""

    ATTENTION = "attention"
    ENTROPY = "entropy"
    FACE = "face"


@dataclass(frozen=True, slots=True)
class FocalPoint:
    """A point that stays visible, as shares of width and height, 0 to 1."""

    x: float
    y: float


Anchor = Compass | Strategy | FocalPoint

_VERTICAL = {
    "top": "north",
    "north": "north",
    "n": "north",
    "bottom": "south",
    "south": "south",
    "s": "south",
}
_HORIZONTAL = {"left": "west", "west": "west", "w": "west", "right": "east", "east": "east", "e": "east"}
_MIDDLE = ("center", "centre", "middle", "c")
# sharp's numbers, which ipx takes.
_NUMBERS = dict(
    zip(
        "012345678",
        ("center", "north", "east", "south", "west", "northeast", "southeast", "southwest", "northwest"),
        strict=True,
    )
)
_STRATEGIES = {
    "16": Strategy.ENTROPY, "17": Strategy.ATTENTION,
    "auto": Strategy.ATTENTION, "smart": Strategy.ATTENTION, "faces": Strategy.FACE,
    **{strategy.value: strategy for strategy in Strategy},
}  # fmt: skip


def _points() -> dict[str, Compass]:
    """Every spelling of the nine points: words in either order, joined by nothing or a separator."""
    spelled = dict.fromkeys(_MIDDLE, Compass.CENTER)
    spelled |= {number: Compass(name) for number, name in _NUMBERS.items()}
    for one, north in _VERTICAL.items():
        spelled[one] = Compass(north)
        for middle in _MIDDLE[:2]:
            spelled |= {f"{one} {middle}": Compass(north), f"{middle} {one}": Compass(north)}
        for other, east in _HORIZONTAL.items():
            point = Compass(north + east)
            spelled |= {f"{one} {other}": point, f"{other} {one}": point, one + other: point}
    for one, east in _HORIZONTAL.items():
        spelled[one] = Compass(east)
        for middle in _MIDDLE[:2]:
            spelled |= {f"{one} {middle}": Compass(east), f"{middle} {one}": Compass(east)}
    return spelled


COMPASS_POINTS: Mapping[str, Compass] = _points()


@dataclass(frozen=True)
class AnchorKind:
    """Anchors: compass points, strategies and focal points, in the spellings of ipx, sharp and Cloudinary."""

    hint: ClassVar[str] = (
        "one of center, north, northeast, east, southeast, south, southwest, west, northwest (or top, left, "
        "right-top, ne, …), attention, entropy, face, or fp_X_Y with X and Y from 0 to 1"
    )

    def parse(self, text: str | None) -> Anchor:
        parts = split_words(text)
        if parts[0] == "fp" and len(parts) == 3:
            return FocalPoint(*(parse_decimal(part, 0.0, 1.0) for part in parts[1:]))
        name = re.sub(r"[-_+: ]", " ", require_text(text)).lower()
        place = _STRATEGIES.get(name) or COMPASS_POINTS.get(name)
        if place is None:
            raise ValueError(text)
        return place

    def format(self, value: Anchor) -> str:
        if isinstance(value, FocalPoint):
            return f"fp_{format_number(value.x)}_{format_number(value.y)}"
        return value.value

    def describe(self) -> dict[str, Any]:
        return {"kind": "anchor", "choices": [*Compass, *Strategy], "focal_point": "fp_X_Y"}


@dataclass(frozen=True, slots=True)
class Region:
    """A part of the source; without `left` and `top` the anchor decides where it lies."""

    left: Length | None
    top: Length | None
    width: Length
    height: Length


@dataclass(frozen=True)
class RegionKind:
    """Regions: left, top, width and height, or width and height."""

    max_px: ClassVar[int] = 65_535
    hint: ClassVar[str] = (
        f"left_top_width_height or width_height, each in px up to {max_px} or a share of the source (0.5)"
    )

    def parse(self, text: str | None) -> Region:
        lengths = [self._length(part) for part in split_words(text)]
        if len(lengths) not in (2, 4) or not all(lengths[-2:]):
            raise ValueError(text)
        width, height = lengths[-2:]
        left, top = lengths[:2] if len(lengths) == 4 else (None, None)
        return Region(left, top, width, height)

    def _length(self, text: str) -> Length:
        if "." not in text:
            return parse_integer(text, 0, self.max_px)
        share = parse_decimal(text, 0.0, float(self.max_px))
        return share if share <= 1 else int(share + 0.5)

    def format(self, value: Region) -> str:
        lengths = (value.left, value.top, value.width, value.height)
        return "_".join(format_length(length) for length in lengths if length is not None)

    def describe(self) -> dict[str, Any]:
        return {"kind": "region", "min": 0, "max": self.max_px}


def round_px(length: Fraction | int) -> int:
    """Round a length to whole px, at least 1; halves are rounded up."""
    return max(1, int(length + Fraction(1, 2)))
