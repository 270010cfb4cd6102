"""TIFF files for tests, written tag by tag: what no encoder here writes can be made with it, too."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER = 256, 257, 258, 259, 262, 266
STRIP_OFFSETS, SAMPLES_PER_PIXEL, ROWS_PER_STRIP, STRIP_BYTE_COUNTS, PLANAR = 273, 277, 278, 279, 284
PREDICTOR, COLOUR_MAP, INK_SET, EXTRA_SAMPLES, SAMPLE_FORMAT, SUBSAMPLING = 317, 320, 332, 338, 339, 530
LOWEST_SAMPLE, HIGHEST_SAMPLE, NO_DATA = 340, 341, 42_113

MIN_IS_WHITE, MIN_IS_BLACK, RGB, PALETTE, SEPARATED, YCBCR, CIELAB, ICCLAB, ITULAB = (
    0,
    1,
    2,
    3,
    5,
    6,
    8,
    9,
    10,
)

_LONG_TAGS = {WIDTH, HEIGHT, STRIP_OFFSETS, ROWS_PER_STRIP, STRIP_BYTE_COUNTS}
_KINDS: dict[type, tuple[int, str]] = {float: (12, "d"), str: (2, "B")}
Value = int | float | str | Sequence[int]


def make_tiff(
    width: int,
    height: int,
    strips: bytes | Sequence[bytes],
    *,
    bits: Sequence[int] = (8,),
    photometric: int = MIN_IS_BLACK,
    order: str = "<",
    tags: Mapping[int, Value] | None = None,
) -> bytes:
    """
    Write a TIFF of one page. `strips` are their bytes as stored; `bits` has one number for each sample;
    `order` is that of `struct`. Values of `tags` are shorts, floats of 64 bits, text or several shorts.
    """
    strips = [strips] if isinstance(strips, bytes) else strips
    rows = -(-height // len(strips))
    entries: dict[int, Value] = {
        WIDTH: width, HEIGHT: height, BITS: tuple(bits), COMPRESSION: 1, PHOTOMETRIC: photometric,
        STRIP_OFFSETS: (), SAMPLES_PER_PIXEL: len(bits), ROWS_PER_STRIP: rows,
        STRIP_BYTE_COUNTS: [len(strip) for strip in strips], **(tags or {}),
    }  # fmt: skip
    at = 8
    offsets = []
    for strip in strips:
        offsets.append(at)
        at += len(strip)
    entries[STRIP_OFFSETS] = offsets
    at += at % 2
    data = b"".join(strips)
    directory, outside = [], b""
    outside_at = at + 2 + 12 * len(entries) + 4
    for tag, value in sorted(entries.items()):
        kind, letter = (4, "I") if tag in _LONG_TAGS else _KINDS.get(type(value), (3, "H"))
        values: Sequence[float] = (
            list(value.encode() + b"\0")
            if isinstance(value, str)
            else (value,)
            if isinstance(value, int | float)
            else value
        )
        packed = struct.pack(f"{order}{len(values)}{letter}", *values)
        if len(packed) > 4:
            stored = struct.pack(order + "I", outside_at + len(outside))
            outside += packed + bytes(len(packed) % 2)
        else:
            stored = packed.ljust(4, b"\0")
        directory.append(struct.pack(order + "HHI", tag, kind, len(values)) + stored)
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, at)
    return b"".join(
        (
            head,
            data.ljust(at - 8, b"\0"),
            struct.pack(order + "H", len(entries)),
            *directory,
            bytes(4),
            outside,
        )
    )
