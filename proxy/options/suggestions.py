"""Suggestions for messages about refused URLs: "did you mean 'blur'?"."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection

MIN_SIMILARITY = 0.7
MIN_NAME_LENGTH = 3
"""Letters; all shorter names are similar."""

UNSUPPORTED_PARAMETERS = (
    "ac", "af", "br", "co", "d", "dn", "du", "eo", "fl", "fps", "if", "ki", "so", "sp", "u", "vc", "vs", "z",
)  # fmt: skip
"""Parameters of https://cloudinary.com/documentation/transformation_reference without a counterpart here."""


def did_you_mean(name: str, names: Collection[str]) -> str:
    """Return `; did you mean 'NAME'?` with the most similar of `names`, or an empty text."""
    near = [each for each in names if each == name.lower()]
    if not near and len(name) >= MIN_NAME_LENGTH:
        longer = [each for each in names if len(each) >= MIN_NAME_LENGTH]
        near = difflib.get_close_matches(name[:64], longer, n=1, cutoff=MIN_SIMILARITY)
    return f"; did you mean {str(near[0])!r}?" if near else ""


def suggest_option(name: str, item: str, names: Collection[str]) -> str:
    """Explain an unknown option `name`, written as `item`; the text continues a message, and may be empty."""
    if not name:
        return ": '_' means none where it stands alone" if item else ": a separator too many"
    if re.fullmatch(r"\d+x\d+", item):
        return f"; did you mean 's_{item}'?"
    if (glued := re.fullmatch(r"([a-z]+)(\d[\d.x]*)", item)) and glued[1] in names:
        return f"; did you mean '{glued[1]}_{glued[2]}'?"
    if name in UNSUPPORTED_PARAMETERS or name.startswith("$"):
        return ": a parameter of Cloudinary's that has no counterpart here"
    family = name.startswith("e_")
    return did_you_mean(name, [each for each in names if each.startswith("e_") is family])


def shorten(text: str) -> str:
    """Shorten a text for a message, to 64 characters."""
    return text if len(text) <= 64 else text[:63] + "…"
