"""Rotations in URLs: degrees, and words for mirroring and for EXIF."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from proxy.options.values.arguments import format_number, parse_decimal


class Turn(StrEnum):
    """Words that stand for an angle: Cloudinary's, and `true` and `false` of ipx, whose `a` is `animated`."""

    EXIF = "exif"
    IGNORE = "ignore"
    HFLIP = "hflip"
    VFLIP = "vflip"
    TRUE = "true"
    FALSE = "false"


CLOUDINARY_TURNS = (Turn.EXIF, Turn.IGNORE, Turn.HFLIP, Turn.VFLIP)


@dataclass(frozen=True)
class AngleKind:
    """Angles in degrees clockwise, and words; several are joined by a dot, as Cloudinary does: `hflip.90`."""

    words: tuple[Turn, ...] = CLOUDINARY_TURNS

    @property
    def hint(self) -> str:
        return f"degrees from -360 to 360, or {', '.join(self.words)}"

    def parse(self, text: str | None) -> tuple[float | Turn, ...]:
        if text is None:
            return (Turn.EXIF,)
        if re.match(r"-?[0-9]", text):
            return (parse_decimal(text, -360.0, 360.0) % 360,)
        return tuple(
            self._word(part) if part.isalpha() else parse_decimal(part, -360.0, 360.0) % 360
            for part in text.split(".")
        )

    def _word(self, text: str) -> Turn:
        word = Turn(text)
        if word not in self.words:
            raise ValueError(text)
        return word

    def format(self, value: float) -> str:
        """Format degrees; words have been expanded to the options that they stand for."""
        return format_number(value)

    def describe(self) -> dict[str, Any]:
        return {"kind": "angle", "min": -360, "max": 360, "words": list(self.words)}
