"""
EXIF blocks (Exif 2.32, TIFF 6.0): reading one that strangers wrote, and writing one with what may stay.

Values go from one to the other as bytes: libvips' own way, through text, is not exact.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

MAX_TAGS = 1000
"""Of one directory; Exif names about 150 in all."""

MAX_EXIF_BYTES = 64_000
"""What a JPEG's segment holds, and libvips writes (65,533), without its own part."""

ORIENTATION = 0x0112
UPRIGHT = 1
_SHORT, _LONG = 3, 4
_PLACE_OF_CAMERA, _PLACE_OF_GPS, _PLACE_OF_INTEROP = 0x8769, 0x8825, 0xA005
_DIRECTORIES: Mapping[str, tuple[str, int]] = {
    "camera": ("main", _PLACE_OF_CAMERA),
    "gps": ("main", _PLACE_OF_GPS),
    "interop": ("camera", _PLACE_OF_INTEROP),
}
"""Where the place of each directory is written."""

_SIZES: Mapping[int, int] = {
    1: 1,
    2: 1,
    3: 2,
    4: 4,
    5: 8,
    6: 1,
    7: 1,
    8: 2,
    9: 4,
    10: 8,
    11: 4,
    12: 8,
    129: 1,
}
"""Bytes of a value, by type: TIFF 6.0 section 2, and Exif 3.0's UTF-8."""

_SIDES: Mapping[str, tuple[int, int]] = {"main": (0x0100, 0x0101), "camera": (0xA002, 0xA003)}

_STORAGE = frozenset(
    {0x0111, 0x0117, 0x0144, 0x0145, 0x014A, 0x0201, 0x0202, 0x02BC, 0x83BB, 0x8649, 0x8773}
    | {_PLACE_OF_CAMERA, _PLACE_OF_GPS, _PLACE_OF_INTEROP}
)
"""Places of pixels and directories, which are elsewhere now, and blocks that other parts of a file hold."""

_PREFIX = b"Exif\0\0"


@dataclass(frozen=True, slots=True)
class Tag:
    """One entry of a directory: its type, how many values it has, and their bytes as they came."""

    type: int
    count: int
    value: bytes = field(repr=False)


Directory = Mapping[int, Tag]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exif:
    """
    The directories of a block by name (main, camera, gps, interop), without that of the thumbnail. `order` is
    that of bytes, as `struct` has it. `partial`: some of it could not be read.
    """

    order: str
    directories: Mapping[str, Directory]
    partial: bool = False


def parse_exif(block: bytes) -> Exif | None:
    """
    Read a block, with or without `Exif\\0\\0` before it; `None` where that is none.

    Each directory is read once, wherever it says that others are; tags whose values lie outside of the block
    are left out, and what lies in no value is not seen.
    """
    block = block.removeprefix(_PREFIX)
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(block[:4])
    if order is None or len(block) < 8:
        return None
    main, partial = _directory(block, order, *struct.unpack_from(order + "I", block, 4))
    directories = {"main": main}
    for name, (parent, tag) in _DIRECTORIES.items():
        place = directories.get(parent, {}).get(tag)
        if place is None:
            continue
        if place.type not in (_LONG, 13) or len(place.value) != 4:
            partial = True
            continue
        directories[name], cut = _directory(block, order, *struct.unpack(order + "I", place.value))
        partial = partial or cut
    return Exif(order=order, directories=directories, partial=partial)


def _directory(block: bytes, order: str, at: int) -> tuple[dict[int, Tag], bool]:
    """The tags of one, the first where one is there twice; and whether any was left out."""
    if at + 2 > len(block):
        return {}, True
    (count,) = struct.unpack_from(order + "H", block, at)
    readable = min(count, MAX_TAGS, (len(block) - at - 2) // 12)
    found: dict[int, Tag] = {}
    partial, total = readable < count, 0
    for entry in range(at + 2, at + 2 + 12 * readable, 12):
        number, type, values = struct.unpack_from(order + "HHI", block, entry)
        # 13 is a place of a directory (TIFF technical note 1).
        size = (4 if type == 13 else _SIZES.get(type, 0)) * values
        start = entry + 8 if size <= 4 else struct.unpack_from(order + "I", block, entry + 8)[0]
        if size == 0 and values == 0 and type in _SIZES:
            found.setdefault(number, Tag(type, 0, b""))
        elif size == 0 or start + size > len(block) or (total + size > len(block)):
            # Tags that share their bytes are more than the block.
            partial = True
        elif number not in found:
            total += size
            found[number] = Tag(type, values, block[start : start + size])
    return found, partial


def keep_tags(exif: Exif, allowed: frozenset[int] | None, width: int, height: int) -> Exif:
    """
    Return what may stay of a block beside a picture of `width` by `height` px: the tags `allowed` of the main
    and the camera's directory, or all for `None`. Sizes and the orientation are those of the picture now.
    """
    kept: dict[str, dict[int, Tag]] = {}
    for name, tags in exif.directories.items():
        if allowed is not None and name not in ("main", "camera"):
            continue
        kept[name] = {
            number: tag
            for number, tag in tags.items()
            if number not in _STORAGE and (allowed is None or number in allowed)
        }
        kept[name].pop(ORIENTATION, None)
        if name == "main" and allowed is None:
            kept[name][ORIENTATION] = Tag(_SHORT, 1, struct.pack(exif.order + "H", UPRIGHT))
        for number, side in zip(_SIDES.get(name, ()), (width, height), strict=False):
            if number in kept[name]:
                kept[name][number] = Tag(_LONG, 1, struct.pack(exif.order + "I", side))
    return Exif(order=exif.order, directories={name: tags for name, tags in kept.items() if tags})


def build_exif(exif: Exif) -> bytes:
    """Return the block of these directories, from its TIFF header on; nothing where there are no tags."""
    if not exif.directories:
        return b""
    present = {"main", *exif.directories}
    if "interop" in present:
        present.add("camera")
    names = [name for name in ("main", *_DIRECTORIES) if name in present]
    children = {
        name: [
            (child, tag) for child, (parent, tag) in _DIRECTORIES.items() if parent == name and child in names
        ]
        for name in names
    }
    at, places = 8, {}
    for name in names:
        places[name] = at
        at += _directory_bytes(exif.directories.get(name, {}), len(children[name]))
    parts = [(b"II*\0" if exif.order == "<" else b"MM\0*"), struct.pack(exif.order + "I", 8)]
    for name in names:
        tags = dict(exif.directories.get(name, {}))
        for child, number in children[name]:
            tags[number] = Tag(_LONG, 1, struct.pack(exif.order + "I", places[child]))
        parts.append(_packed(tags, exif.order, places[name]))
    return b"".join(parts)


def within_bytes(exif: Exif, max_bytes: int) -> Exif:
    """Return `exif` without its longest values, as few as have to go for a block of at most `max_bytes`."""
    sizes = sorted(
        (
            (len(tag.value), name, number)
            for name, tags in exif.directories.items()
            for number, tag in tags.items()
        ),
        reverse=True,
    )
    excess = len(build_exif(exif)) - max_bytes
    dropped: set[tuple[str, int]] = set()
    for size, name, number in sizes:
        if excess <= 0:
            break
        dropped.add((name, number))
        excess -= size
    kept = {
        name: {number: tag for number, tag in tags.items() if (name, number) not in dropped}
        for name, tags in exif.directories.items()
    }
    return Exif(
        order=exif.order,
        directories={name: tags for name, tags in kept.items() if tags},
        partial=exif.partial or bool(dropped),
    )


def _directory_bytes(tags: Directory, places: int) -> int:
    values = sum(_even(len(tag.value)) for tag in tags.values() if len(tag.value) > 4)
    return 2 + 12 * (len(tags) + places) + 4 + values


def _packed(tags: Directory, order: str, at: int) -> bytes:
    after = at + 2 + 12 * len(tags) + 4
    rows, values = [struct.pack(order + "H", len(tags))], []
    for number, tag in sorted(tags.items()):
        row = struct.pack(order + "HHI", number, tag.type, tag.count)
        if len(tag.value) <= 4:
            rows.append(row + tag.value.ljust(4, b"\0"))
            continue
        rows.append(row + struct.pack(order + "I", after))
        values.append(tag.value.ljust(_even(len(tag.value)), b"\0"))
        after += _even(len(tag.value))
    return b"".join((*rows, bytes(4), *values))


def _even(length: int) -> int:
    return length + (length & 1)


def text_of(tag: Tag) -> str | None:
    """Return the text of a tag that has one, up to its first NUL."""
    if tag.type not in (2, 129):
        return None
    return re.split(rb"\0", tag.value, maxsplit=1)[0].decode("utf-8", "replace")


def texts_of(exif: Exif, numbers: Sequence[int]) -> dict[int, str]:
    """Return the texts of the main and the camera's directory that have one of these numbers."""
    tags = {**exif.directories.get("camera", {}), **exif.directories.get("main", {})}
    texts = ((number, text_of(tags[number])) for number in islice(numbers, MAX_TAGS) if number in tags)
    return {number: text for number, text in texts if text is not None}
