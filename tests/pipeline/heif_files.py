"""AVIF files that say this or that of their colours: Pillow's or libvips', with boxes put in."""

from __future__ import annotations

import struct
from io import BytesIO

import pyvips
from PIL import Image


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


def nclx(primaries: int, transfer: int, matrix: int = 6, *, full: bool = True) -> bytes:
    return box(b"colr", b"nclx" + struct.pack(">HHHB", primaries, transfer, matrix, full << 7))


def avif(image: Image.Image, *codes: int, **more: object) -> bytes:
    """Encoded by libavif, which writes an `nclx`: its primaries, transfer function and matrix are `codes`."""
    file = BytesIO()
    image.save(file, "AVIF", **{"quality": 100, "subsampling": "4:4:4", "speed": 8} | more)
    body = file.getvalue()
    at = body.index(b"colrnclx") + 8
    written = struct.pack(f">{len(codes)}H", *codes)
    return body[:at] + written + body[at + len(written) :]


def without_colr(body: bytes) -> bytes:
    return body.replace(b"colrnclx", b"freenclx")


def deep_avif(image: pyvips.Image, *properties: bytes, bits: int = 10) -> bytes:
    """16-bit RGB encoded by libvips, with 10 or 12 bits."""
    body: bytes = image.heifsave_buffer(
        compression="av1", Q=100, bitdepth=bits, subsample_mode="off", effort=0
    )
    for each in properties:
        body = with_property(body, each)
    return body


def with_property(body: bytes, added: bytes) -> bytes:
    """Append a property, and associate every item with it. Sizes of 32 bits, and places of `iloc` alike."""
    whole = bytearray(body)
    ipco, ipma = body.index(b"ipco"), body.index(b"ipma")
    (size,) = struct.unpack_from(">I", whole, ipco - 4)
    number = _count(body[ipco + 4 : ipco - 4 + size]) + 1
    (count,) = struct.unpack_from(">I", whole, ipma + 8)
    entries, at = b"", ipma + 12
    for _ in range(count):
        many = whole[at + 2]
        entries += bytes(whole[at : at + 2]) + bytes([many + 1]) + bytes(whole[at + 3 : at + 3 + many])
        entries += bytes([number])
        at += 3 + many
    grown = len(added) + count
    whole[ipma + 12 : at] = entries
    whole[ipco - 4 + size : ipco - 4 + size] = added
    for kind, by in ((b"ipco", len(added)), (b"iprp", grown), (b"meta", grown)):
        _grow(whole, body.index(kind) - 4, by)
    _grow(whole, whole.index(b"ipma", ipco + size) - 4, count)
    iloc = body.index(b"iloc")
    assert body[iloc + 4] in (0, 1)
    (items,) = struct.unpack_from(">H", body, iloc + 10)
    at = iloc + 12
    offset, length, base = body[iloc + 8] >> 4, body[iloc + 8] & 15, body[iloc + 9] >> 4
    for _ in range(items):
        at += 4 if body[iloc + 4] == 0 else 6
        assert base in (0, 4)
        if base:
            _grow(whole, at, grown)
        at += base
        (extents,) = struct.unpack_from(">H", body, at)
        at += 2
        for _ in range(extents):
            if not base:
                _grow(whole, at, grown)
            at += offset + length
    return bytes(whole)


def _count(boxes: bytes) -> int:
    at = number = 0
    while at < len(boxes):
        at += int(struct.unpack_from(">I", boxes, at)[0])
        number += 1
    return number


def _grow(whole: bytearray, at: int, by: int) -> None:
    struct.pack_into(">I", whole, at, struct.unpack_from(">I", whole, at)[0] + by)
