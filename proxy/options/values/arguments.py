"""Arguments of options: how words and numbers are read from a text, and how numbers are written."""

from __future__ import annotations

import math
import re
from typing import TypeVar

T = TypeVar("T")


def split_words(text: str | None) -> list[str]:
    """Split an argument of several parts: `10_20`, `10:20` and `10=20` are equal. Raises ValueError."""
    return re.split(r"[_:=]", require_text(text))


def require_text(text: str | None) -> str:
    """Return the argument of an option. Raises ValueError for a bare name."""
    if text is None:
        raise ValueError(text)
    return text


def parse_integer(text: str, low: int, high: int) -> int:
    """Read a whole number from `low` to `high` in its one spelling. Raises ValueError."""
    # int() also takes '+3', '1_0', ' 3', '٣' and '007': one number, many URLs.
    if not re.fullmatch(r"-?(0|[1-9][0-9]{0,11})", text, re.ASCII) or text == "-0":
        raise ValueError(text)
    return check_range(int(text), low, high)


def parse_decimal(text: str, low: float = -math.inf, high: float = math.inf) -> float:
    """
    Read a number from `low` to `high`, rounded to six decimals: divisions in JavaScript send sixteen. Raises
    ValueError.
    """
    if not re.fullmatch(r"-?(0|[1-9][0-9]{0,11})(\.[0-9]{1,20})?", text, re.ASCII):
        raise ValueError(text)
    return check_range(round(float(text), 6) + 0.0, low, high)


def format_number(value: float) -> str:
    """Format a number with up to six decimals, without trailing zeros and without an exponent."""
    return f"{value:.6f}".rstrip("0").rstrip(".")


def check_range(value: T, low: T, high: T) -> T:
    """Return `value` if it is between `low` and `high`, both included. Raises ValueError."""
    if not low <= value <= high:  # type: ignore[operator]  # int or float, both are ordered
        raise ValueError(value)
    return value
