"""Overlays in URLs: pictures and texts that lie over a picture, and how they look."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar

from proxy.model.errors import InvalidKey
from proxy.model.keys import clean_key
from proxy.options.values.arguments import parse_integer, require_text
from proxy.options.values.colours import Colour, ColourKind
from proxy.options.values.kinds import TextKind
from proxy.options.values.positions import Anchor, AnchorKind, Strategy

MAX_OVERLAY_TEXT_LENGTH = 256
"""Characters."""


class BlendMode(StrEnum):
    """Blend modes of https://www.w3.org/TR/compositing-1/#blending, and `add` (`plus-lighter`)."""

    OVER = "over"
    MULTIPLY = "multiply"
    SCREEN = "screen"
    OVERLAY = "overlay"
    DARKEN = "darken"
    LIGHTEN = "lighten"
    DODGE = "dodge"
    BURN = "burn"
    HARD = "hard"
    SOFT = "soft"
    DIFFERENCE = "difference"
    EXCLUSION = "exclusion"
    ADD = "add"


class TextAlign(StrEnum):
    """How the lines of a text are aligned."""

    LEFT = "left"
    CENTER = "center"
    RIGHT = "right"


@dataclass(frozen=True, slots=True)
class TextOutline:
    """A line around letters: its width in px, and its colour."""

    width: int
    color: Colour


@dataclass(frozen=True)
class TextOutlineKind:
    """Outlines of letters: `2`, or with a colour `2_black`."""

    max_width: ClassVar[int] = 20
    hint: ClassVar[str] = (
        f"a whole number of px from 1 to {max_width}, and then a colour: 2, 2_black, 3_336699"
    )
    colour: ColourKind = field(default=ColourKind(), repr=False)

    def parse(self, text: str | None) -> TextOutline:
        width, *colour = re.split(r"[_:=]", require_text(text), maxsplit=1)
        found = self.colour.parse(colour[0]) if colour else Colour(0, 0, 0)
        if not isinstance(found, Colour):
            raise ValueError(text)  # noqa: TRY004  what `parse` raises for whatever is not in the hint
        return TextOutline(parse_integer(width, 1, self.max_width), found)

    def format(self, value: TextOutline) -> str:
        return f"{value.width}_{value.color.hex}"

    def describe(self) -> dict[str, Any]:
        return {"kind": "outline", "min": 1, "max": self.max_width}


@dataclass(frozen=True)
class OverlayPositionKind(AnchorKind):
    """Anchors that do not depend on the content of the picture."""

    hint: ClassVar[str] = (
        "one of center, north, northeast, east, southeast, south, southwest, west, northwest (or top, left, "
        "right-top, ne, …), or fp_X_Y with X and Y from 0 to 1"
    )

    def parse(self, text: str | None) -> Anchor:
        place = super().parse(text)
        if isinstance(place, Strategy):
            raise ValueError(text)  # noqa: TRY004
        return place

    def describe(self) -> dict[str, Any]:
        told = super().describe()
        return told | {"choices": [each for each in told["choices"] if not isinstance(each, Strategy)]}


@dataclass(frozen=True)
class OverlayKind:
    """
    Overlays: names of presets.yaml, or keys.

    In a URL the `/` of a key is a `:`, as in Cloudinary's URLs, or `%2F`; a key that has colons and no slash
    is written with a slash before it.
    """

    hint: ClassVar[str] = "the name of an overlay, or a key with ':' for each '/': brand:logo.png"
    max_length: ClassVar[int] = 512

    def parse(self, text: str | None) -> str:
        text = require_text(text)
        key = text.removeprefix("/") if "/" in text else text.replace(":", "/")
        try:
            if not 1 <= len(key) <= self.max_length:
                raise ValueError(text)
            return clean_key(key)
        except InvalidKey:
            raise ValueError(text) from None

    def format(self, value: str) -> str:
        if ":" in value:
            return value if "/" in value else f"/{value}"
        return value.replace("/", ":")

    def describe(self) -> dict[str, Any]:
        return {"kind": "overlay", "max_length": self.max_length}


@dataclass(frozen=True)
class OverlayTextKind(TextKind):
    """Texts that are not only spaces."""

    max_length: int = MAX_OVERLAY_TEXT_LENGTH

    @property
    def hint(self) -> str:
        return f"{super().hint}, and not only spaces"

    def parse(self, text: str | None) -> str:
        if not require_text(text).strip():
            raise ValueError(text)
        return super().parse(text)


@dataclass(frozen=True)
class FontKind:
    """Fonts by family and style, as Pango names them, without its sizes, files and settings."""

    hint: ClassVar[str] = "a font's name such as DejaVu Sans Bold: 1 to 64 letters, digits, spaces, '-'"
    pattern: ClassVar[str] = r"[A-Za-z][A-Za-z0-9 -]{0,62}[A-Za-z0-9]"

    def parse(self, text: str | None) -> str:
        if not re.fullmatch(self.pattern, require_text(text), re.ASCII):
            raise ValueError(text)
        return require_text(text)

    def format(self, value: str) -> str:
        return value

    def describe(self) -> dict[str, Any]:
        return {"kind": "font", "pattern": self.pattern}


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowedOverlays:
    """
    The overlays that URLs may use: by name, with the fields that each stands for, and by key.

    A key has to begin with one of `keys`; `*` among them allows any key.
    """

    named: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    keys: tuple[str, ...] = ()

    def find(self, name: str) -> Mapping[str, Any] | None:
        """Return the fields that an overlay stands for, or `None` if it is not allowed."""
        if name in self.named:
            return self.named[name]
        return {"overlay": name} if "*" in self.keys or name.startswith(self.keys) else None
