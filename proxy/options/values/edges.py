"""
The edges of a picture, as URLs describe them: what is trimmed, how corners are rounded, the border that is
drawn around it, and the padding that extends it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar

from proxy.options.values.arguments import (
    format_number,
    parse_decimal,
    parse_integer,
    require_text,
    split_words,
)
from proxy.options.values.colours import Colour, read_colour
from proxy.options.values.positions import MAX_SIDE


@dataclass(frozen=True, slots=True)
class Trim:
    """
    What counts as a plain border: pixels that differ from `colour` by at most `threshold` in every channel.

    Without a colour, that of the top left pixel counts.
    """

    threshold: float = 10.0
    colour: Colour | None = None


@dataclass(frozen=True)
class TrimKind:
    """Trims, with thresholds from 0 to `max_threshold`."""

    max_threshold: float = 255.0

    @property
    def hint(self) -> str:
        highest = format_number(self.max_threshold)
        return f"a number from 0 to {highest}, or nothing for 10, and then a colour (10_ffffff)"

    def parse(self, text: str | None) -> Trim:
        if text is None:
            return Trim()
        threshold, *colour = re.split("[_:=]", text, maxsplit=1)
        return Trim(
            parse_decimal(threshold, 0.0, self.max_threshold),
            read_colour(colour[0]) if colour else None,
        )

    def format(self, value: Trim) -> str:
        return format_number(value.threshold) + (f"_{value.colour.hex}" if value.colour else "")

    def describe(self) -> dict[str, Any]:
        return {"kind": "trim", "min": 0, "max": self.max_threshold, "default": Trim().threshold}


@dataclass(frozen=True, slots=True)
class Radii:
    """The radii of corners in px, clockwise from the top left; `None` is half of each side, an ellipse."""

    corners: tuple[int, int, int, int] | None


@dataclass(frozen=True)
class RadiiKind:
    """Radii: one for all corners, or two to four as in CSS border-radius and in Cloudinary."""

    hint: ClassVar[str] = (
        f"max, or 1 to 4 whole numbers from 0 to {MAX_SIDE} (top left, top right, bottom right, bottom left)"
    )

    def parse(self, text: str | None) -> Radii:
        if text == "max":
            return Radii(None)
        given = [parse_integer(part, 0, MAX_SIDE) for part in split_words(text)]
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
        return {"kind": "radii", "min": 0, "max": MAX_SIDE, "words": ["max"]}


@dataclass(frozen=True, slots=True)
class Border:
    """A line around the picture, `width` px on each side."""

    width: int
    colour: Colour


@dataclass(frozen=True)
class BorderKind:
    """Borders as Cloudinary writes them: `4px_solid_red`."""

    hint: ClassVar[str] = f"WIDTHpx_solid_COLOUR, the width from 0 to {MAX_SIDE}: 4px_solid_ff0000"

    def parse(self, text: str | None) -> Border:
        parts = re.fullmatch(r"([0-9]+)(?:px)?[_:=]solid[_:=](.+)", require_text(text), re.ASCII)
        if parts is None:
            raise ValueError(text)
        return Border(parse_integer(parts[1], 0, MAX_SIDE), read_colour(parts[2]))

    def format(self, value: Border) -> str:
        return f"{value.width}px_solid_{value.colour.hex}"

    def describe(self) -> dict[str, Any]:
        # Clients of options.json know it by this name.
        return {"kind": "line", "min": 0, "max": MAX_SIDE}


class Edge(StrEnum):
    """What an extended picture shows outside its old edges."""

    BACKGROUND = "background"
    COPY = "copy"
    REPEAT = "repeat"
    MIRROR = "mirror"


@dataclass(frozen=True, slots=True)
class Padding:
    """The px that extend a picture on each side, and what they show."""

    top: int
    right: int
    bottom: int
    left: int
    edge: Edge = Edge.BACKGROUND


@dataclass(frozen=True)
class PaddingKind:
    """Paddings: one number for all sides, two (top/bottom, left/right), or four clockwise from the top."""

    hint: ClassVar[str] = (
        f"1, 2 or 4 whole numbers from 0 to {MAX_SIDE} (top, right, bottom, left), and then background, "
        "copy, repeat or mirror"
    )

    def parse(self, text: str | None) -> Padding:
        parts = split_words(text)
        edge = Edge(parts.pop()) if parts[-1] in list(Edge) else Edge.BACKGROUND
        if len(parts) not in (1, 2, 4):
            raise ValueError(text)
        sides = [parse_integer(part, 0, MAX_SIDE) for part in parts]
        top, right, bottom, left = (sides * 4)[:4]
        return Padding(top, right, bottom, left, edge)

    def format(self, value: Padding) -> str:
        text = f"{value.top}_{value.right}_{value.bottom}_{value.left}"
        return text if value.edge is Edge.BACKGROUND else f"{text}_{value.edge}"

    def describe(self) -> dict[str, Any]:
        # Clients of options.json know it by this name.
        return {"kind": "border", "min": 0, "max": MAX_SIDE, "edges": list(Edge)}
