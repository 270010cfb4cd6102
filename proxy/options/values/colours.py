"""Colours and tints in URLs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar

from proxy.options.values.arguments import format_number, parse_decimal, require_text, split_words


@dataclass(frozen=True, slots=True)
class Colour:
    """A colour in sRGB with alpha, each channel from 0 to 255."""

    red: int
    green: int
    blue: int
    alpha: int = 255

    @property
    def hex(self) -> str:
        text = bytes((self.red, self.green, self.blue, self.alpha)).hex()
        return text[:6] if self.alpha == 255 else text


class GeneratedBackground(StrEnum):
    """Backgrounds that are generated from the picture."""

    BLURRED = "blurred"
    DOMINANT = "dominant"


WHITE = Colour(255, 255, 255)
TRANSPARENT = Colour(255, 255, 255, 0)


@dataclass(frozen=True)
class ColourKind:
    """Colours; with `generated`, also the backgrounds `blurred` and `dominant`."""

    generated: bool = False
    hint_words: ClassVar[str] = (
        "a colour: 3, 4, 6 or 8 hex digits, a CSS name, rgb:RRGGBB, rgb(r,g,b), transparent"
    )

    @property
    def hint(self) -> str:
        return self.hint_words + (", blurred, dominant" if self.generated else "")

    def parse(self, text: str | None) -> Colour | GeneratedBackground:
        text = require_text(text).lower()
        return (
            GeneratedBackground(text)
            if self.generated and text in list(GeneratedBackground)
            else read_colour(text)
        )

    def format(self, value: Colour | GeneratedBackground) -> str:
        return value.hex if isinstance(value, Colour) else value.value

    def describe(self) -> dict[str, Any]:
        return {"kind": "colour", "words": [*GeneratedBackground] if self.generated else []}


@dataclass(frozen=True, slots=True)
class Tint:
    """A colour that tints the picture by `percent`, 0 to 100; the rest are its own colours."""

    colour: Colour
    percent: float = 100.0


@dataclass(frozen=True)
class TintKind:
    """Tints, the colour first."""

    hint: ClassVar[str] = (
        "an opaque colour, and then a percentage from 0 to 100, or nothing for 100: ff0000, ff0000_40"
    )

    def parse(self, text: str | None) -> Tint:
        text = require_text(text)
        try:
            return Tint(read_opaque_colour(text))
        except ValueError:
            colour, percent = re.split(r"[_:=](?=[^_:=]*$)", text)
            return Tint(read_opaque_colour(colour), parse_decimal(percent, 0, 100))

    def format(self, value: Tint) -> str:
        return value.colour.hex + ("" if value.percent == 100 else f"_{format_number(value.percent)}")

    def describe(self) -> dict[str, Any]:
        return {"kind": "tint"}


@dataclass(frozen=True)
class PercentTintKind:
    """Tints as Cloudinary writes them, the percentage first."""

    hint: ClassVar[str] = (
        "a percentage from 0 to 100, or nothing for 60, and then an opaque colour, or nothing for red: "
        "40, 40:blue"
    )

    def parse(self, text: str | None) -> Tint:
        percent, *colour = re.split(r"[_:=]", text or "60", maxsplit=1)
        return Tint(read_opaque_colour(colour[0] if colour else "red"), parse_decimal(percent, 0, 100))

    def format(self, value: Tint) -> str:
        return f"{format_number(value.percent)}:{value.colour.hex}"

    def describe(self) -> dict[str, Any]:
        return {"kind": "percent-tint"}


@dataclass(frozen=True)
class ColourPairKind:
    """Pairs of opaque colours."""

    hint: ClassVar[str] = "two opaque colours, for the shadows and for the highlights: 001144_ffcc66"

    def parse(self, text: str | None) -> tuple[Colour, Colour]:
        dark, light = split_words(text)
        return read_opaque_colour(dark), read_opaque_colour(light)

    def format(self, value: tuple[Colour, Colour]) -> str:
        return "_".join(colour.hex for colour in value)

    def describe(self) -> dict[str, Any]:
        return {"kind": "colours", "count": 2}


def read_opaque_colour(text: str) -> Colour:
    """Parse a colour. Raises ValueError, also for one that is not opaque."""
    colour = read_colour(text)
    if colour.alpha < 255:
        raise ValueError(text)
    return colour


def read_colour(text: str) -> Colour:
    """Parse a colour in any of its spellings (CSS Color Module Level 4). Raises ValueError."""
    text = text.lower()
    if text in NAMED_COLOURS:
        return NAMED_COLOURS[text]
    if call := re.fullmatch(r"rgb\(\s*(\d{1,3})\s*,\s*(\d{1,3})\s*,\s*(\d{1,3})\s*\)", text, re.ASCII):
        if max(map(int, call.groups())) > 255:
            raise ValueError(text)
        return Colour(*map(int, call.groups()))
    digits = re.fullmatch(r"(?:#|rgb[:_])?([0-9a-f]{3,4}|[0-9a-f]{6}|[0-9a-f]{8})", text, re.ASCII)
    if not digits:
        raise ValueError(text)
    short = len(digits[1]) < 5
    return Colour(*bytes.fromhex("".join(d * 2 for d in digits[1]) if short else digits[1]))


# https://www.w3.org/TR/css-color-4/#named-colors
_CSS = """
aliceblue f0f8ff antiquewhite faebd7 aqua 00ffff aquamarine 7fffd4 azure f0ffff beige f5f5dc bisque ffe4c4
black 000000 blanchedalmond ffebcd blue 0000ff blueviolet 8a2be2 brown a52a2a burlywood deb887
cadetblue 5f9ea0 chartreuse 7fff00 chocolate d2691e coral ff7f50 cornflowerblue 6495ed cornsilk fff8dc
crimson dc143c cyan 00ffff darkblue 00008b darkcyan 008b8b darkgoldenrod b8860b darkgray a9a9a9
darkgreen 006400 darkgrey a9a9a9 darkkhaki bdb76b darkmagenta 8b008b darkolivegreen 556b2f
darkorange ff8c00 darkorchid 9932cc darkred 8b0000 darksalmon e9967a darkseagreen 8fbc8f
darkslateblue 483d8b darkslategray 2f4f4f darkslategrey 2f4f4f darkturquoise 00ced1 darkviolet 9400d3
deeppink ff1493 deepskyblue 00bfff dimgray 696969 dimgrey 696969 dodgerblue 1e90ff firebrick b22222
floralwhite fffaf0 forestgreen 228b22 fuchsia ff00ff gainsboro dcdcdc ghostwhite f8f8ff gold ffd700
goldenrod daa520 gray 808080 green 008000 greenyellow adff2f grey 808080 honeydew f0fff0 hotpink ff69b4
indianred cd5c5c indigo 4b0082 ivory fffff0 khaki f0e68c lavender e6e6fa lavenderblush fff0f5
lawngreen 7cfc00 lemonchiffon fffacd lightblue add8e6 lightcoral f08080 lightcyan e0ffff
lightgoldenrodyellow fafad2 lightgray d3d3d3 lightgreen 90ee90 lightgrey d3d3d3 lightpink ffb6c1
lightsalmon ffa07a lightseagreen 20b2aa lightskyblue 87cefa lightslategray 778899 lightslategrey 778899
lightsteelblue b0c4de lightyellow ffffe0 lime 00ff00 limegreen 32cd32 linen faf0e6 magenta ff00ff
maroon 800000 mediumaquamarine 66cdaa mediumblue 0000cd mediumorchid ba55d3 mediumpurple 9370db
mediumseagreen 3cb371 mediumslateblue 7b68ee mediumspringgreen 00fa9a mediumturquoise 48d1cc
mediumvioletred c71585 midnightblue 191970 mintcream f5fffa mistyrose ffe4e1 moccasin ffe4b5
navajowhite ffdead navy 000080 oldlace fdf5e6 olive 808000 olivedrab 6b8e23 orange ffa500 orangered ff4500
orchid da70d6 palegoldenrod eee8aa palegreen 98fb98 paleturquoise afeeee palevioletred db7093
papayawhip ffefd5 peachpuff ffdab9 peru cd853f pink ffc0cb plum dda0dd powderblue b0e0e6 purple 800080
rebeccapurple 663399 red ff0000 rosybrown bc8f8f royalblue 4169e1 saddlebrown 8b4513 salmon fa8072
sandybrown f4a460 seagreen 2e8b57 seashell fff5ee sienna a0522d silver c0c0c0 skyblue 87ceeb
slateblue 6a5acd slategray 708090 slategrey 708090 snow fffafa springgreen 00ff7f steelblue 4682b4
tan d2b48c teal 008080 thistle d8bfd8 tomato ff6347 turquoise 40e0d0 violet ee82ee wheat f5deb3
white ffffff whitesmoke f5f5f5 yellow ffff00 yellowgreen 9acd32
"""
_WORDS = _CSS.split()

NAMED_COLOURS: Mapping[str, Colour] = {
    "transparent": TRANSPARENT,
    **{name: Colour(*bytes.fromhex(digits)) for name, digits in zip(_WORDS[::2], _WORDS[1::2], strict=True)},
}
