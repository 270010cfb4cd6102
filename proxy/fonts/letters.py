"""
Letters that no font has: Pango would draw a box with their number, so they are left out, and told.

The fonts are read as far as a text needs them, once in a process: those beside the package first.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

from proxy.fonts.cmap import CodeRange, FontFace, read_faces
from proxy.fonts.files import OWN_FONTS_FILE, font_files

_MARKS = frozenset({"Mn", "Mc", "Me"})
_NO_LETTERS = _MARKS | {"Cc", "Cf", "Cs", "Zs", "Zl", "Zp"}
_EMOJI_CATEGORIES = frozenset({"So", "Sk", "Me", "Cn"})
"""Of emoji, the colours of skin, the keycap, and emoji that are younger than this Python's Unicode."""

_JOINERS = frozenset("\u200c\u200d")
_HANGUL_FILLERS = frozenset("\u115f\u1160\u3164\uffa0")

_INVISIBLE: tuple[CodeRange, ...] = (
    (0xAD, 0xAD), (0x34F, 0x34F), (0x61C, 0x61C), (0x17B4, 0x17B5), (0x180B, 0x180F), (0x200B, 0x200F),
    (0x202A, 0x202E), (0x2060, 0x206F), (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF), (0x1D173, 0x1D17A),
    (0xE0000, 0xE0FFF),
)  # fmt: skip
"""
Default_Ignorable_Code_Point (Unicode 17, section 5.21) as Pango takes it: joiners, directions, variation
selectors, tags. Fillers of Hangul and formats of shorthand it draws as boxes.
"""

_UNICODE_END = 0x110000

MAX_LOGGED_LETTERS = 16


class FontCoverage:
    """Which characters the fonts of `files` have; each is read when it is first needed."""

    def __init__(self, files: Iterable[Path]) -> None:
        self._faces = (face for file in files for face in read_faces(file))
        self._drawn = bytearray(_UNICODE_END)
        self._coloured = bytearray(_UNICODE_END)
        self._families: set[str] = set()

    def has(self, character: str) -> bool:
        """Whether there is a font that has `character`, or all that it is composed of."""
        return self._has(character) or (
            (parts := unicodedata.normalize("NFD", character)) != character and all(map(self._has, parts))
        )

    def is_coloured(self, character: str) -> bool:
        """Whether there is a font that has `character` as a coloured picture, an emoji."""
        for _ in self._read():
            pass
        return bool(self._coloured[ord(character)])

    @property
    def families(self) -> frozenset[str]:
        """The names of all families, as they are written in the fonts."""
        for _ in self._read():
            pass
        return frozenset(self._families)

    def _has(self, character: str) -> bool:
        code = ord(character)
        return bool(self._drawn[code]) or any(self._drawn[code] for _ in self._read())

    def _read(self) -> Iterator[FontFace]:
        for face in self._faces:
            self._families |= face.families
            for first, last in face.characters:
                each = b"\1" * (last - first + 1)
                self._drawn[first : last + 1] = each
                if face.coloured:
                    self._coloured[first : last + 1] = each
            yield face


@lru_cache(maxsize=1)
def font_coverage() -> FontCoverage:
    """Return the coverage of the fonts of this process, which stay as they are for its life."""
    return FontCoverage(sorted(font_files(), key=_reading_order))


def _reading_order(file: Path) -> tuple[bool, int]:
    """Ours, which have most letters of most texts, then small ones: those for Chinese take the longest."""
    ours = file.parent == OWN_FONTS_FILE.parent
    try:
        return not ours, file.stat().st_size
    except OSError:
        return True, 0


def drawable(text: str, coverage: FontCoverage) -> tuple[str, str]:
    """
    Return `text` without what would be drawn as a box, and the letters that are missing in it, each once, in
    their order.

    Marks, spaces and format characters are no letters: where no font has them they are left out, or become a
    plain space, and are not told. Marks on a letter that is left out go with it.
    """
    if not boxes(text, coverage):
        return text, ""
    kept: list[str] = []
    missing: dict[str, None] = {}
    was_left_out = False
    for character in unicodedata.normalize("NFC", text):
        category = unicodedata.category(character)
        if was_left_out and (category in _MARKS or character in _JOINERS):
            continue
        was_left_out = False
        if is_invisible(character) or coverage.has(character):
            kept.append(character)
        elif category == "Zs":
            kept.append(" ")
        elif is_letter(character):
            missing[character] = None
            was_left_out = True
    return "".join(kept), "".join(missing)


def boxes(text: Iterable[str], coverage: FontCoverage) -> str:
    """Return the characters of `text` that would be drawn as boxes: letters, and others that no font has."""
    return "".join(each for each in text if not (is_invisible(each) or coverage.has(each)))


def is_invisible(character: str) -> bool:
    """Whether Pango draws nothing for it, in whatever font."""
    code = ord(character)
    return code < 0x20 or any(first <= code <= last for first, last in _INVISIBLE)


def is_letter(character: str) -> bool:
    """Whether it is drawn by itself: no mark on another, no space, no control or format character."""
    return not (
        unicodedata.category(character) in _NO_LETTERS
        or character in _HANGUL_FILLERS
        or is_invisible(character)
    )


def has_emoji(text: str, coverage: FontCoverage) -> bool:
    """Whether `text` has what a font draws as a coloured picture."""
    return any(
        unicodedata.category(each) in _EMOJI_CATEGORIES and coverage.is_coloured(each)
        for each in text
        if not each.isascii()
    )


def code_points(letters: str, limit: int = MAX_LOGGED_LETTERS) -> str:
    """Return the first `limit` of `letters` as `U+6F22 U+5B57`: they have no say in how a log looks."""
    told = [f"U+{ord(letter):04X}" for letter in letters[:limit]]
    return " ".join([*told, *(["..."] if len(letters) > limit else [])])
