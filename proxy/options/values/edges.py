"""
What becomes of a picture's edge, as people write it in URLs: the plain border that is cut off, the corners
that are rounded, the line that is drawn around.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, ClassVar

from proxy.options.values.colours import Colour, read_colour
from proxy.options.values.kinds import decimal, plain, whole, within, words, written
from proxy.options.values.positions import LONGEST


@dataclass(frozen=True, slots=True)
class Trim:
    """
    A border is what differs from `colour` by at most `threshold`, in every channel. No colour: that of the
    top left pixel.
    """

    threshold: float = 10.0
    colour: Colour | None = None


@dataclass(frozen=True)
class TrimKind:
    """`highest` is what a threshold of all there is is called."""

    highest: float = 255.0

    @property
    def hint(self) -> str:
        return f"a number from 0 to {plain(self.highest)}, or nothing for 10, and then a colour (10_ffffff)"

    def parse(self, text: str | None) -> Trim:
        if text is None:
            return Trim()
        threshold, *colour = re.split("[_:=]", text, maxsplit=1)
        return Trim(within(decimal(threshold), 0.0, self.highest), read_colour(colour[0]) if colour else None)

    def format(self, value: Trim) -> str:
        return plain(value.threshold) + (f"_{value.colour.hex}" if value.colour else "")

    def describe(self) -> dict[str, Any]:
        return {"kind": "trim", "min": 0, "max": self.highest, "default": Trim().threshold}


@dataclass(frozen=True, slots=True)
class Radii:
    """px, from the top left corner clockwise; `None` is half a side, which makes an ellipse."""

    corners: tuple[int, int, int, int] | None


@dataclass(frozen=True)
class RadiiKind:
    """One number for all corners, or as CSS and Cloudinary have it for two, three and four."""

    hint: ClassVar[str] = (
        f"max, or 1 to 4 whole numbers from 0 to {LONGEST} (top left, top right, bottom right, bottom left)"
    )

    def parse(self, text: str | None) -> Radii:
        if text == "max":
            return Radii(None)
        given = [within(whole(part), 0, LONGEST) for part in words(text)]
        if len(given) > 4:
            raise ValueError(text)
        one, two, three, four = (given * 4 if len(given) < 3 else [*given, given[1]])[:4]
        return Radii((one, two, three, four))

    def format(self, value: Radii) -> str:
        if value.corners is None:
            return "max"
        one, *others = value.corners
        return str(one) if others == [one] * 3 else ":".join(map(str, value.corners))

    def describe(self) -> dict[str, Any]:
        return {"kind": "radii", "min": 0, "max": LONGEST, "words": ["max"]}


@dataclass(frozen=True, slots=True)
class Line:
    """Drawn around the picture, `width` px on each side."""

    width: int
    colour: Colour


@dataclass(frozen=True)
class LineKind:
    """Cloudinary's `4px_solid_red`."""

    hint: ClassVar[str] = f"WIDTHpx_solid_COLOUR, the width from 0 to {LONGEST}: 4px_solid_ff0000"

    def parse(self, text: str | None) -> Line:
        parts = re.fullmatch(r"([0-9]+)(?:px)?[_:=]solid[_:=](.+)", written(text), re.ASCII)
        if parts is None:
            raise ValueError(text)
        return Line(within(whole(parts[1]), 0, LONGEST), read_colour(parts[2]))

    def format(self, value: Line) -> str:
        return f"{value.width}px_solid_{value.colour.hex}"

    def describe(self) -> dict[str, Any]:
        return {"kind": "line", "min": 0, "max": LONGEST}
