"""
The protocol of value kinds, which parse and format the values of options, and the kinds of plain values.

`parse` and `format` are inverses, so a value has one canonical text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from proxy.options.values.arguments import (
    format_number,
    parse_decimal,
    parse_integer,
    require_text,
    split_words,
)

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)


class Kind(Protocol[T]):
    """
    What an option takes: reads, writes and describes the values of one type.

    `parse` gets the percent-decoded argument, or `None` for a bare name, and raises ValueError for a text
    that `hint` does not describe. `hint` completes the message "takes ..."; `describe` gives the same in
    JSON. `format` returns `None` for a value that the bare name means.
    """

    @property
    def hint(self) -> str: ...
    def parse(self, text: str | None) -> T: ...
    def format(self, value: T) -> str | None: ...
    def describe(self) -> dict[str, Any]: ...


@dataclass(frozen=True)
class IntegerKind:
    """Whole numbers. `bare` is the value of a bare name and of `true`, `off` the value of `false`."""

    low: int
    high: int
    bare: int | None = None
    off: int | None = None

    @property
    def hint(self) -> str:
        return f"a whole number from {self.low} to {self.high}" + bare_hint(self.bare)

    def parse(self, text: str | None) -> int:
        switched = self.off if text == "false" else self.bare if text in (None, "true") else None
        return parse_integer(require_text(text), self.low, self.high) if switched is None else switched

    def format(self, value: int) -> str:
        return str(value)

    def describe(self) -> dict[str, Any]:
        return {"kind": "integer", "min": self.low, "max": self.high, "bare": self.bare}


@dataclass(frozen=True)
class NumberKind:
    """
    Numbers. `words` are names of numbers, as in `dpr_auto`; `bare` is the value of a bare name and of `true`,
    `off` the value of `false`.
    """

    low: float
    high: float
    words: Mapping[str, float] = field(default_factory=dict)
    bare: float | None = None
    off: float | None = None

    @property
    def hint(self) -> str:
        also = "".join(f" or '{word}'" for word in self.words)
        return f"a number from {format_number(self.low)} to {format_number(self.high)}{also}" + bare_hint(
            self.bare
        )

    def parse(self, text: str | None) -> float:
        switched = self.off if text == "false" else self.bare if text in (None, "true") else None
        if switched is not None:
            return switched
        text = require_text(text)
        return self.words[text] if text in self.words else parse_decimal(text, self.low, self.high)

    def format(self, value: float) -> str:
        return format_number(value)

    def describe(self) -> dict[str, Any]:
        bounds = {"min": self.low, "max": self.high}
        return {"kind": "number", **bounds, "words": list(self.words), "bare": self.bare}


def bare_hint(bare: float | None) -> str:
    return "" if bare is None else f", or nothing for {format_number(bare)}"


@dataclass(frozen=True)
class NumbersKind:
    """
    Sequences of `min_count` to `len(bounds)` numbers, each within its bounds.

    If `min_count` is 0, a bare name and `true` mean `bare`, and `false` switches the option off; an effect
    without numbers takes its own mild default. `rest` are the last numbers if they are left out.
    """

    bounds: tuple[tuple[float, float], ...]
    min_count: int = 0
    bare: tuple[float, ...] = ()
    rest: tuple[float, ...] = ()

    @property
    def hint(self) -> str:
        ranges = ", then ".join(f"{format_number(low)} to {format_number(high)}" for low, high in self.bounds)
        count = (
            "a number" if len(self.bounds) == 1 else f"{max(self.min_count, 1)} to {len(self.bounds)} numbers"
        )
        return f"{count} from {ranges}" + ("" if self.min_count else ", or nothing")

    def parse(self, text: str | None) -> tuple[float, ...] | None:
        if text in (None, "true") and not self.min_count:
            return self.bare
        if text == "false" and not self.min_count:
            return None
        parts = split_words(text)
        if not max(self.min_count, 1) <= len(parts) <= len(self.bounds):
            raise ValueError(text)
        numbers = [
            parse_decimal(part, low, high) for part, (low, high) in zip(parts, self.bounds, strict=False)
        ]
        missing = len(self.bounds) - len(numbers)
        return (*numbers, *(self.rest[-missing:] if missing else ()))

    def format(self, value: tuple[float, ...]) -> str | None:
        first = len(self.bounds) - len(self.rest)
        while len(value) > first and value[-1:] == self.rest[len(value) - 1 - first : len(value) - first]:
            value = value[:-1]
        return "_".join(map(format_number, value)) or None

    def describe(self) -> dict[str, Any]:
        bounds = [{"min": low, "max": high} for low, high in self.bounds]
        return {"kind": "numbers", "numbers": bounds, "least": self.min_count}


@dataclass(frozen=True)
class FlagKind:
    """Booleans; a bare name is true."""

    hint: ClassVar[str] = "nothing, 'true', '1', 'false' or '0'"
    meaning: ClassVar[Mapping[str | None, bool]] = {
        None: True, "true": True, "1": True, "false": False, "0": False
    }  # fmt: skip

    def parse(self, text: str | None) -> bool:
        if text not in self.meaning:
            raise ValueError(text)
        return self.meaning[text]

    def format(self, value: bool) -> str | None:
        return None if value else "false"

    def describe(self) -> dict[str, Any]:
        return {"kind": "flag"}


@dataclass(frozen=True)
class ChoiceKind(Generic[E]):
    """
    Members of an enumeration. `aliases` are other names of a member, which are read and never written.
    `conditional` says where a member exists that not every deployment has.
    """

    choices: type[E]
    aliases: Mapping[str, str] = field(default_factory=dict)
    conditional: Mapping[str, str] = field(default_factory=dict)

    @property
    def hint(self) -> str:
        always = (choice for choice in self.choices if choice not in self.conditional)
        also = "".join(f", and {choice} {where}" for choice, where in self.conditional.items())
        return "one of " + ", ".join([*always, *self.aliases]) + also

    def parse(self, text: str | None) -> E:
        text = require_text(text)
        return self.choices(self.aliases.get(text, text))

    def format(self, value: E) -> str:
        return value.value

    def describe(self) -> dict[str, Any]:
        return {"kind": "choice", "choices": list(self.choices), "aliases": list(self.aliases)}


@dataclass(frozen=True)
class PresetNamesKind:
    """Names of presets, up to eight, as in `a:b`."""

    hint: ClassVar[str] = "a preset's name, or several with ':' between them"
    pattern: ClassVar[str] = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"

    def parse(self, text: str | None) -> tuple[str, ...]:
        names = tuple(require_text(text).split(":"))
        if not all(re.fullmatch(self.pattern, name, re.ASCII) for name in names) or len(names) > 8:
            raise ValueError(text)
        return names

    def format(self, value: tuple[str, ...]) -> str:
        return ":".join(value)

    def describe(self) -> dict[str, Any]:
        return {"kind": "names", "pattern": self.pattern}


@dataclass(frozen=True)
class TextKind:
    """Texts of up to `max_length` characters, without control characters and those in `without`."""

    max_length: int
    without: str = ""

    @property
    def hint(self) -> str:
        also = f" and none of {' '.join(self.without)}" if self.without else ""
        return f"1 to {self.max_length} characters, no control characters{also}"

    def parse(self, text: str | None) -> str:
        text = require_text(text)
        if not 1 <= len(text) <= self.max_length or any(
            character in self.without or unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")
            for character in text
        ):
            raise ValueError(text)
        return text

    def format(self, value: str) -> str:
        return value

    def describe(self) -> dict[str, Any]:
        return {"kind": "text", "max_length": self.max_length}


class AutoQuality(StrEnum):
    """How similar to the uncompressed picture a rendition must be when the encoder chooses the quality."""

    BEST = "auto:best"
    GOOD = "auto:good"
    ECO = "auto:eco"
    LOW = "auto:low"


@dataclass(frozen=True)
class QualityKind:
    """Qualities of encoders, 1 to 100, or the level of an automatic one."""

    hint: ClassVar[str] = "a whole number from 1 to 100, or auto, auto:best, auto:good, auto:eco, auto:low"

    def parse(self, text: str | None) -> int | AutoQuality:
        parts = split_words(text)
        if parts[0] != "auto":
            return parse_integer(require_text(text), 1, 100)
        return AutoQuality(":".join(parts if len(parts) > 1 else ["auto", "good"]))

    def format(self, value: int | AutoQuality) -> str:
        return str(value)

    def describe(self) -> dict[str, Any]:
        return {"kind": "quality", "min": 1, "max": 100, "words": ["auto", *AutoQuality]}
