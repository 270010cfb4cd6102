"""What the writer of a refused URL probably meant: what stands behind a refusal, or nothing."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection

SIMILAR = 0.7
SHORTEST = 3
"""Letters. Shorter names are all alike."""

FOREIGN = (
    "ac", "af", "br", "co", "d", "dn", "du", "eo", "fl", "fps", "if", "ki", "so", "sp", "u", "vc", "vs", "z",
)  # fmt: skip
"""https://cloudinary.com/documentation/transformation_reference: what has no counterpart here."""


def nearest(name: str, names: Collection[str]) -> str:
    near = [each for each in names if each == name.lower()]
    if not near and len(name) >= SHORTEST:
        longer = [each for each in names if len(each) >= SHORTEST]
        near = difflib.get_close_matches(name[:64], longer, n=1, cutoff=SIMILAR)
    return f"; did you mean {str(near[0])!r}?" if near else ""


def of_option(name: str, item: str, names: Collection[str]) -> str:
    """For an option called `name` that there is not, of which all of `item` was written."""
    if not name:
        return ": '_' means none where it stands alone" if item else ": a separator too many"
    if re.fullmatch(r"\d+x\d+", item):
        return f"; did you mean 's_{item}'?"
    if (glued := re.fullmatch(r"([a-z]+)(\d[\d.x]*)", item)) and glued[1] in names:
        return f"; did you mean '{glued[1]}_{glued[2]}'?"
    if name in FOREIGN or name.startswith("$"):
        return ": a parameter of Cloudinary's that has no counterpart here"
    family = name.startswith("e_")
    return nearest(name, [each for each in names if each.startswith("e_") is family])


def shown(text: str) -> str:
    return text if len(text) <= 64 else text[:63] + "…"
