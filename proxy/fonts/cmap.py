"""
Which characters a font has, and what it is called, as its tables `cmap` and `name` say (OpenType 1.9.1,
https://learn.microsoft.com/typography/opentype/spec/cmap).

Pango tells of no letter that it could not draw: it draws a box with the number of the letter in its place.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

COLOUR_TABLES = frozenset({b"CBDT", b"COLR", b"sbix"})
"""Tables of pictures in place of outlines."""

MAX_FACES = 64
MAX_TABLE_BYTES = 4_000_000

CodeRange = tuple[int, int]
"""The first and the last of consecutive characters."""

_SFNT_VERSIONS = frozenset({b"\0\1\0\0", b"OTTO", b"true"})
_CMAP_ORDER = ((3, 10), (0, 6), (0, 4), (3, 1), (0, 3), (0, 2), (0, 1), (0, 0), (3, 0))
"""Platform and encoding of Unicode's tables, those of all its planes first; the last is of symbol fonts."""

_FAMILY_NAMES = frozenset({1, 16, 21})
_UNICODE_PLATFORMS = frozenset({0, 3})


@dataclass(frozen=True, slots=True, kw_only=True)
class FontFace:
    """One font of a file: its family's names, its characters, and whether they are coloured pictures."""

    families: frozenset[str]
    characters: tuple[CodeRange, ...]
    coloured: bool


def read_faces(file: Path) -> Iterator[FontFace]:
    """Yield the fonts of a file, one or those of a collection; none where it cannot be read as one."""
    with suppress(OSError, struct.error), file.open("rb") as font:
        seen: dict[tuple[int, int], tuple[CodeRange, ...]] = {}
        for offset in _face_offsets(font):
            tables = _tables(font, offset)
            place = tables.get(b"cmap")
            if place is None:
                continue
            if place not in seen:  # those of a collection often share it
                seen[place] = tuple(_characters(_read(font, *place)))
            names = _read(font, *tables[b"name"]) if b"name" in tables else bytes(6)
            yield FontFace(
                families=frozenset(_families(names)),
                characters=seen[place],
                coloured=not COLOUR_TABLES.isdisjoint(tables),
            )


def _face_offsets(font: BinaryIO) -> tuple[int, ...]:
    """Where the table directories are."""
    start = _read(font, 0, 12)
    if start[:4] in _SFNT_VERSIONS:
        return (0,)
    if start[:4] != b"ttcf":
        return ()
    count = min(struct.unpack(">I", start[8:12])[0], MAX_FACES)
    return struct.unpack(f">{count}I", _read(font, 12, 4 * count))


def _tables(font: BinaryIO, offset: int) -> Mapping[bytes, tuple[int, int]]:
    """Offset and length of each table, by its tag."""
    (count,) = struct.unpack(">H", _read(font, offset + 4, 2))
    records = struct.iter_unpack(">4sIII", _read(font, offset + 12, 16 * count))
    return {tag: (start, length) for tag, _, start, length in records}


def _read(font: BinaryIO, offset: int, length: int) -> bytes:
    font.seek(offset)
    return font.read(min(length, MAX_TABLE_BYTES))


def _characters(table: bytes) -> Iterator[CodeRange]:
    (count,) = struct.unpack_from(">H", table, 2)
    found = {
        (platform, encoding): offset
        for platform, encoding, offset in struct.iter_unpack(">HHI", table[4 : 4 + 8 * count])
    }
    for place in _CMAP_ORDER:
        if place in found:
            part = table[found[place] :]
            (format,) = struct.unpack_from(">H", part)
            if format in _CMAP_READERS:
                return _CMAP_READERS[format](part)
    return iter(())


def _segments(part: bytes) -> Iterator[CodeRange]:
    """Format 4: segments of the first plane, some of which have holes: glyph 0, which stands for none."""
    (doubled,) = struct.unpack_from(">H", part, 6)
    count = doubled // 2
    ends, starts, deltas, offsets = (
        struct.unpack_from(f">{count}H", part, at)
        for at in (14, 16 + doubled, 16 + 2 * doubled, 16 + 3 * doubled)
    )
    for at, (end, start, delta, offset) in enumerate(zip(ends, starts, deltas, offsets, strict=True)):
        if start > end or start == 0xFFFF:
            continue
        if offset == 0:
            yield from _without(-delta & 0xFFFF, start, end)
            continue
        glyphs = part[16 + 3 * doubled + 2 * at + offset :][: 2 * (end - start + 1)]
        for code, (glyph,) in enumerate(struct.iter_unpack(">H", glyphs[: len(glyphs) & -2]), start):
            if glyph and (glyph + delta) & 0xFFFF:
                yield code, code


def _without(hole: int, start: int, end: int) -> Iterator[CodeRange]:
    """All from `start` to `end` but `hole`."""
    parts = ((start, hole - 1), (hole + 1, end)) if start <= hole <= end else ((start, end),)
    return (part for part in parts if part[0] <= part[1])


def _trimmed(part: bytes) -> Iterator[CodeRange]:
    """Format 6: an array of glyphs."""
    first, count = struct.unpack_from(">HH", part, 6)
    for code, (glyph,) in enumerate(struct.iter_unpack(">H", part[10 : 10 + 2 * count]), first):
        if glyph:
            yield code, code


def _groups(part: bytes) -> Iterator[CodeRange]:
    """Formats 12 and 13: groups of all planes."""
    (count,) = struct.unpack_from(">I", part, 12)
    for start, end, glyph in struct.iter_unpack(">III", part[16 : 16 + 12 * count]):
        start += not glyph
        if start <= end <= 0x10FFFF:
            yield start, end


_CMAP_READERS = {4: _segments, 6: _trimmed, 12: _groups, 13: _groups}


def _families(table: bytes) -> Iterator[str]:
    """What its family is called in each language."""
    _, count, storage = struct.unpack_from(">HHH", table)
    for platform, _, _, name, length, offset in struct.iter_unpack(">6H", table[6 : 6 + 12 * count]):
        if name in _FAMILY_NAMES and platform in _UNICODE_PLATFORMS:
            yield table[storage + offset :][:length].decode("utf-16-be", "replace")
