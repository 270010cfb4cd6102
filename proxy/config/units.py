"""Quantities as people write them, with their units: `50MB`, `10s`, `50MP`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class Units:
    """The ways to write one kind of quantity; a bare number counts in the unit of factor 1."""

    example: str
    factors: Mapping[str, Fraction]

    def parse(self, given: object) -> object:
        """`50MB` as 50000000; what is not text is left to the field's own type."""
        if not isinstance(given, str):
            return given
        written = re.fullmatch(r"([0-9]{1,15}(?:\.[0-9]{1,9})?) ?([A-Za-z]*)", given.strip())
        factors = {"": Fraction(1)} | {unit.lower(): factor for unit, factor in self.factors.items()}
        if written is None or written[2].lower() not in factors:
            raise ValueError(f"takes {self.example}, not {given!r}")
        number = Fraction(written[1]) * factors[written[2].lower()]
        return int(number) if number.denominator == 1 else float(number)

    def format(self, number: float) -> str:
        """The shortest exact way to write it: 604800 seconds are `1w`."""
        exact = {unit: Fraction(number) / factor for unit, factor in self.factors.items()}
        whole = {unit: count for unit, count in exact.items() if count.denominator == 1}
        unit = min(whole, key=lambda unit: whole[unit], default="")
        return f"{whole[unit]}{unit}" if whole else str(number)


def _units(example: str, **factors: float) -> Units:
    return Units(example=example, factors={unit: Fraction(factor) for unit, factor in factors.items()})


BYTES = _units(
    "a size such as '50MB' or '64MiB'",
    B=1, kB=10**3, MB=10**6, GB=10**9, TB=10**12, KiB=2**10, MiB=2**20, GiB=2**30, TiB=2**40,
)  # fmt: skip
PIXELS = _units("a number of pixels such as '50MP'", px=1, MP=10**6, GP=10**9)
SECONDS = _units("a time such as '10s', '5m', '12h', '1d' or '1w'", s=1, m=60, h=3600, d=86_400, w=604_800)


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeSeconds:
    """Durations in files, `3600` or `1h`: whole seconds from 0 to `most`."""

    most: int

    @property
    def hint(self) -> str:
        return f"a whole number from 0 of seconds, or {SECONDS.example}, at most {self.most}"

    def parse(self, text: str | None) -> int:
        """Return seconds. Raises ValueError."""
        seconds = SECONDS.parse(text)
        if not isinstance(seconds, int) or seconds > self.most:
            raise ValueError(text)
        return seconds
