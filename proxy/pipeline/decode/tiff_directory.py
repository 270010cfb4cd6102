"""The directory of a page of a TIFF, read and written anew with what decoding needs (TIFF 6.0, section 2)."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

from proxy.model.media import Body

BITS, COMPRESSION, PHOTOMETRIC = 258, 259, 262
SAMPLES_PER_PIXEL, ROWS_PER_STRIP, STRIP_OFFSETS, STRIP_BYTE_COUNTS, PLANAR = 277, 278, 273, 279, 284
COLOUR_MAP, INK_SET, EXTRA_SAMPLES, SAMPLE_FORMAT = 320, 332, 338, 339
TILE_OFFSETS, TILE_BYTE_COUNTS = 324, 325
SUBSAMPLING, ORIENTATION = 530, 274
WIDTH, HEIGHT, TILE_WIDTH, TILE_HEIGHT = 256, 257, 322, 323
LOWEST_SAMPLE, HIGHEST_SAMPLE, NO_DATA = 340, 341, 42_113
"""The last one is GDAL's: https://gdal.org/en/stable/drivers/raster/gtiff.html"""

_DECODING = frozenset(
    {
        WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, 266, STRIP_OFFSETS, SAMPLES_PER_PIXEL, ROWS_PER_STRIP,
        STRIP_BYTE_COUNTS, PLANAR, 292, 293, 317, COLOUR_MAP, TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS,
        TILE_BYTE_COUNTS, INK_SET, EXTRA_SAMPLES, SAMPLE_FORMAT, 347, 529, SUBSAMPLING, 531, 532,
        34_675, 50_674,
    }
)  # fmt: skip
"""All that changes pixels. libtiff warns of oddities in many others, and its warnings count as damage."""

_TYPES = {1: "B", 2: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 11: "f", 12: "d", 13: "I", 16: "Q", 17: "q"}
_WIDTHS = {kind: struct.calcsize("=" + letter) for kind, letter in _TYPES.items()}
_SHORT = 3
_MAX_TAGS, _MAX_PAGES, _MAX_VALUES, _MAX_SAMPLES = 4096, 65_536, 1 << 20, 64
_UNSPECIFIED = 0
_COLOURS = {0: 1, 1: 1, 2: 3, 3: 1, 5: 4, 6: 3, 8: 3, 9: 3, 10: 3}


class TiffEntry(NamedTuple):
    """One tag: the type and the number of its values, where in the file they are, and its bytes as stored."""

    kind: int
    values: int
    at: int
    stored: bytes


_NO_ENTRY = TiffEntry(0, 0, 0, b"")


@dataclass(frozen=True, slots=True, kw_only=True)
class TiffDirectory:
    """What a page says of itself, by tag. `order` is that of `struct`; `big` is BigTIFF."""

    body: Body = field(repr=False)
    order: str = "<"
    big: bool = False
    entries: Mapping[int, TiffEntry] = field(default_factory=dict, repr=False)

    def numbers(self, tag: int) -> tuple[float, ...]:
        """Return the values of a tag, none where they cannot be read."""
        kind, count, at, _ = self.entries.get(tag, _NO_ENTRY)
        if kind not in _TYPES or count > _MAX_VALUES:
            return ()
        with suppress(struct.error, OverflowError):
            values = struct.unpack_from(f"{self.order}{count}{_TYPES[kind]}", self.body, at)
            return tuple(value if math.isfinite(value) else 0 for value in values)
        return ()

    def first(self, tag: int, default: int) -> int:
        """Return the first value of a tag, which is a whole number."""
        found = self.numbers(tag)
        return int(found[0]) if found else default

    def text(self, tag: int) -> str:
        """Return the value of a tag that is text."""
        return bytes(int(value) & 255 for value in self.numbers(tag)).split(b"\0")[0].decode("latin-1")

    @property
    def extra_samples(self) -> int | None:
        """How many samples of a pixel are of no colour, where the photometric interpretation tells."""
        samples = self.first(SAMPLES_PER_PIXEL, 1)
        colours = _COLOURS.get(self.first(PHOTOMETRIC, 1))
        return None if colours is None else max(0, samples - colours)


class _Layout(NamedTuple):
    """Where things are in a file: `first` the place of the first directory, `room` that of a value."""

    order: str
    big: bool
    first: int
    counted: str
    offset: str
    entry: int
    room: int


def _layout(body: Body) -> _Layout:
    order = "<" if body[0] == ord("I") else ">"
    if struct.unpack_from(order + "H", body, 2) == (43,):
        return _Layout(order, True, 8, order + "Q", order + "Q", 20, 12)
    return _Layout(order, False, 4, order + "H", order + "I", 12, 8)


def _directories(body: Body, layout: _Layout) -> Iterator[tuple[int, int]]:
    """Where the entries of each page are, and how many, as far as the pages can be followed."""
    seen: set[int] = set()
    with suppress(struct.error, IndexError, OverflowError):
        (at,) = struct.unpack_from(layout.offset, body, layout.first)
        while at and at not in seen and len(seen) < _MAX_PAGES:
            seen.add(at)
            (count,) = struct.unpack_from(layout.counted, body, at)
            start = at + struct.calcsize(layout.counted)
            end = start + layout.entry * count
            if not count or end > len(body):
                return
            yield start, count
            (at,) = struct.unpack_from(layout.offset, body, end)


def count_pages(body: Body) -> int:
    """Return how many pages there are before one that cannot be read."""
    with suppress(struct.error, IndexError):
        return sum(1 for _ in _directories(body, _layout(body)))
    return 0


def read_directory(body: Body, page: int) -> TiffDirectory:
    """Read the directory of a page, which counts from 0; it is empty where that cannot be read."""
    found: dict[int, TiffEntry] = {}
    with suppress(struct.error, IndexError, OverflowError):
        layout = _layout(body)
        start, count = next(islice(_directories(body, layout), page, None), (0, 0))
        for entry in range(start, start + layout.entry * min(count, _MAX_TAGS), layout.entry):
            tag, kind, values = struct.unpack_from(f"{layout.order}HH{layout.offset[-1]}", body, entry)
            at = entry + layout.room
            if values * _WIDTHS.get(kind, 1) > layout.entry - layout.room:
                (at,) = struct.unpack_from(layout.offset, body, at)
            stored = bytes(body[entry : entry + layout.entry])
            found.setdefault(tag, TiffEntry(kind, values, at, stored))
        return TiffDirectory(body=body, order=layout.order, big=layout.big, entries=found)
    return TiffDirectory(body=body)


def single_page(directory: TiffDirectory, shorts: Mapping[int, int]) -> bytes:
    """
    Return a file of this page alone, with those of its tags that decoding needs. `shorts` are values that
    replace those of the file.

    Samples beyond the colours that the file does not explain are called unspecified, as the standard wants.
    """
    order, big = directory.order, directory.big
    body = bytearray(directory.body)
    body += bytes(-len(body) % 8)
    entries = {tag: each.stored for tag, each in directory.entries.items() if tag in _DECODING}
    for tag, value in shorts.items():
        entries[tag] = _short_entry(body, directory, tag, (value,))
    extra, known = directory.extra_samples, directory.numbers(EXTRA_SAMPLES)
    if extra is not None and extra != len(known):
        entries.pop(EXTRA_SAMPLES, None)
        if 0 < extra <= _MAX_SAMPLES:
            values = (*(int(value) & 0xFFFF for value in known), *(extra * (_UNSPECIFIED,)))[:extra]
            entries[EXTRA_SAMPLES] = _short_entry(body, directory, EXTRA_SAMPLES, values)
    at = len(body)
    body += struct.pack(order + ("Q" if big else "H"), len(entries))
    body += b"".join(stored for _, stored in sorted(entries.items()))
    body += bytes(8 if big else 4)
    struct.pack_into(order + ("Q" if big else "I"), body, 8 if big else 4, at)
    return bytes(body)


def _short_entry(body: bytearray, directory: TiffDirectory, tag: int, values: tuple[int, ...]) -> bytes:
    """An entry of shorts, which are put at the end of `body` where the entry has no place for them."""
    order, room = directory.order, 8 if directory.big else 4
    offset = "Q" if directory.big else "I"
    packed = struct.pack(f"{order}{len(values)}H", *values).ljust(room, b"\0")
    if len(packed) > room:
        packed, values_at_end = struct.pack(order + offset, len(body)), packed
        body += values_at_end + bytes(-len(values_at_end) % 8)
    return struct.pack(order + "HH" + offset, tag, _SHORT, len(values)) + packed
