"""Grids of AVIF for tests: no encoder here makes them (ISO/IEC 23008-12, 6.6.2.3)."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import pyvips

from proxy.model.media import Format
from tests.pictures import saved

_HIDDEN = 1


def box(kind: bytes, *content: bytes) -> bytes:
    body = b"".join(content)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def full_box(kind: bytes, version: int, flags: int, *content: bytes) -> bytes:
    return box(kind, struct.pack(">I", version << 24 | flags), *content)


def coded(image: pyvips.Image) -> tuple[bytes, bytes]:
    """The AV1 data of a picture and its configuration box."""
    body = saved(image, Format.AVIF, keep="none")
    config = body.index(b"av1C") - 4
    (length,) = struct.unpack_from(">I", body, config)
    data = body.index(b"mdat")
    (size,) = struct.unpack_from(">I", body, data - 4)
    return body[data + 4 : data - 4 + size], body[config : config + length]


def grid_avif(tiles: Sequence[pyvips.Image], across: int, lost: Sequence[int] = ()) -> bytes:
    """
    Write a grid of tiles of one size, row by row; those that are `lost`, counted from 0, have no data.
    """
    parts = [coded(tile) for tile in tiles]
    width, height = tiles[0].width, tiles[0].height
    down = len(tiles) // across
    grid = struct.pack(">BBBBHH", 0, 0, down - 1, across - 1, width * across, height * down)
    datas = [b"" if at in lost else data for at, (data, _) in enumerate(parts)] + [grid]
    count = len(parts)
    items = range(1, count + 2)
    entries = [
        full_box(
            b"infe", 2, 0 if item > count else _HIDDEN,
            struct.pack(">HH4s", item, 0, b"grid" if item > count else b"av01"), b"\0",
        )
        for item in items
    ]  # fmt: skip
    references = struct.pack(f">{count + 2}H", count + 1, count, *items[:-1])
    properties = box(
        b"ipco",
        full_box(b"ispe", 0, 0, struct.pack(">II", width, height)),
        full_box(b"ispe", 0, 0, struct.pack(">II", width * across, height * down)),
        full_box(b"pixi", 0, 0, b"\3\10\10\10"),
        parts[0][1],
    )
    linked = b"".join(
        struct.pack(">HB", item, 2) + b"\2\3" if item > count else struct.pack(">HB", item, 3) + b"\1\3\x84"
        for item in items
    )

    def meta(start: int) -> bytes:
        at, extents = start, b""
        for item, data in zip(items, datas, strict=True):
            extents += struct.pack(">HHHII", item, 0, 1, at, len(data))
            at += len(data)
        return full_box(
            b"meta", 0, 0,
            full_box(b"hdlr", 0, 0, bytes(4), b"pict", bytes(13)),
            full_box(b"pitm", 0, 0, struct.pack(">H", count + 1)),
            full_box(b"iloc", 0, 0, struct.pack(">BBH", 0x44, 0, count + 1), extents),
            full_box(b"iinf", 0, 0, struct.pack(">H", count + 1), *entries),
            full_box(b"iref", 0, 0, box(b"dimg", references)),
            box(b"iprp", properties, full_box(b"ipma", 0, 0, struct.pack(">I", count + 1), linked)),
        )  # fmt: skip

    head = box(b"ftyp", b"avif", bytes(4), b"avifmif1miaf")
    start = len(head) + len(meta(0)) + 8
    return head + meta(start) + box(b"mdat", *datas)
