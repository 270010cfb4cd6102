"""
The items of a HEIF file, AVIF among them, and their properties: as far as colours need them.

ISO/IEC 14496-12 (boxes, 8.11 `meta`) and ISO/IEC 23008-12 (9.3 `iprp`). All of it is linear in the size of
`meta`, and what is damaged is left out.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from proxy.model.media import Body

MAX_META_BYTES = 1 << 20
MAX_ENTRIES = 8192
"""Of each table: a picture of 8192 tiles has half a gigapixel."""

_MAX_BOXES = 4096
_DAMAGE = (struct.error, IndexError, OverflowError)

Property = tuple[bytes, Body]
"""The type of a box and its content."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeifItems:
    """
    The primary item, what each refers to (by type of reference, from and to), the properties of each in
    order, and the place of the first piece of each in the file or in `idat`.
    """

    primary: int
    references: tuple[tuple[bytes, int, int], ...] = ()
    properties: dict[int, tuple[Property, ...]] = field(default_factory=dict)
    contents: dict[int, Body] = field(default_factory=dict)

    def property_of(self, item: int, kind: bytes) -> Body | None:
        """Return the first property of a type that an item has."""
        return next((content for name, content in self.properties.get(item, ()) if name == kind), None)

    def first_tile(self, item: int) -> int:
        """Return the first item that `item` is derived from, or itself."""
        derived = (to for kind, start, to in self.references if kind == b"dimg" and start == item)
        return next(derived, item)

    def describing(self, item: int) -> Iterator[int]:
        """Return the items that refer to `item` as their master: its alpha, or its depth."""
        return (start for kind, start, to in self.references if kind == b"auxl" and to == item)


def read_items(body: Body) -> HeifItems | None:
    """Read `meta`; `None` where there is no primary item."""
    view = memoryview(body)
    meta = next((content for kind, content in _boxes(view) if kind == b"meta"), None)
    if meta is None:
        return None
    found: dict[bytes, memoryview] = {}
    for kind, content in _boxes(meta[4 : MAX_META_BYTES + 4]):
        found.setdefault(kind, content)
    with suppress(KeyError, *_DAMAGE):
        primary = struct.unpack_from(">I" if found[b"pitm"][0] else ">H", found[b"pitm"], 4)[0]
        return HeifItems(
            primary=primary,
            references=tuple(_references(found.get(b"iref"))),
            properties=_properties(found.get(b"iprp")),
            contents=dict(_contents(found.get(b"iloc"), view, found.get(b"idat"))),
        )
    return None


def _boxes(body: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """14496-12, 4.2."""
    at = 0
    for _ in range(_MAX_BOXES):
        if at + 8 > len(body):
            return
        size, kind = struct.unpack_from(">I4s", body, at)
        start = at + 8
        if size == 1:
            if at + 16 > len(body):
                return
            (size,) = struct.unpack_from(">Q", body, start)
            start += 8
        end = at + size if size else len(body)
        if end < start:
            return
        yield kind, body[start : min(end, len(body))]
        at = end


def _references(iref: memoryview | None) -> Iterator[tuple[bytes, int, int]]:
    """14496-12, 8.11.12."""
    if iref is None or not len(iref):
        return
    number, size = ("I", 4) if iref[0] else ("H", 2)
    left = MAX_ENTRIES
    with suppress(*_DAMAGE):
        for kind, content in _boxes(iref[4:]):
            start, count = struct.unpack_from(f">{number}H", content)
            for at in range(min(count, left)):
                (to,) = struct.unpack_from(">" + number, content, size + 2 + size * at)
                yield kind, start, to
            left -= min(count, left)


def _properties(iprp: memoryview | None) -> dict[int, tuple[Property, ...]]:
    """23008-12, 9.3.2."""
    found: dict[int, tuple[Property, ...]] = {}
    if iprp is None:
        return found
    shared: list[Property] = []
    tables: list[memoryview] = []
    for kind, content in _boxes(iprp):
        if kind == b"ipco" and not shared:
            shared = list(_boxes(content))
        elif kind == b"ipma":
            tables.append(content)
    left = MAX_ENTRIES
    with suppress(*_DAMAGE):
        for table in tables:
            version, wide = table[0], table[3] & 1
            (count,) = struct.unpack_from(">I", table, 4)
            at = 8
            for _ in range(min(count, left)):
                (item,) = struct.unpack_from(">I" if version else ">H", table, at)
                at += 4 if version else 2
                many = table[at]
                at += 1
                places = struct.unpack_from(f">{many}{'H' if wide else 'B'}", table, at)
                at += many * (2 if wide else 1)
                # The highest bit says that a reader must know the property, and 0 is none.
                numbers = [place & (0x7FFF if wide else 0x7F) for place in places]
                found.setdefault(item, tuple(shared[each - 1] for each in numbers if 0 < each <= len(shared)))
            left -= min(count, left)
    return found


def _contents(
    iloc: memoryview | None, body: memoryview, idat: memoryview | None
) -> Iterator[tuple[int, Body]]:
    """14496-12, 8.11.3: what lies in this file or in `idat`, and of each its first extent."""
    if iloc is None or len(iloc) < 8:
        return
    version = iloc[0]
    sizes = (iloc[4] >> 4, iloc[4] & 15, iloc[5] >> 4, iloc[5] & 15 if version else 0)
    if not {*sizes} <= {0, 4, 8}:
        return
    offset_size, length_size, base_size, index_size = sizes
    with suppress(*_DAMAGE):
        (count,) = struct.unpack_from(">H" if version < 2 else ">I", iloc, 6)
        at = 8 if version < 2 else 10
        for _ in range(min(count, MAX_ENTRIES)):
            (item,) = struct.unpack_from(">H" if version < 2 else ">I", iloc, at)
            at += 2 if version < 2 else 4
            method = 0
            if version:
                method = struct.unpack_from(">H", iloc, at)[0] & 15
                at += 2
            (reference,) = struct.unpack_from(">H", iloc, at)
            base = _number(iloc, at + 2, base_size)
            at += 2 + base_size
            (extents,) = struct.unpack_from(">H", iloc, at)
            first = at + 2 + index_size
            start = base + _number(iloc, first, offset_size)
            length = _number(iloc, first + offset_size, length_size)
            at += 2 + extents * (index_size + offset_size + length_size)
            holder = {0: body, 1: idat}.get(method)
            if extents and reference == 0 and holder is not None and start < len(holder):
                yield item, holder[start : start + length if length else len(holder)]


def _number(body: memoryview, at: int, size: int) -> int:
    if at + size > len(body):
        raise IndexError(at)
    return int.from_bytes(body[at : at + size], "big")
