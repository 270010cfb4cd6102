"""
The size that a file declares, read from its first bytes by us.

libvips is asked too, but it reports 1x1 for some images past its own coordinate limit and calls others
broken; the gate has to see the true figures, and to name them.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping

from proxy.geometry.boxes import Size
from proxy.model.media import Body, Format, Incoming, InputOnly
from proxy.pipeline.decode import bmp_header, ico


def declared_size(body: Body, format: Incoming) -> Size | None:
    """
    Read the size in px that a file declares for its picture as stored.

    Returns `None` where it cannot be followed: the decoder will say why. Raises BrokenImage where the decoder
    is ours.
    """
    try:
        reader = _READERS.get(format)
        return reader(body) if reader else None
    except (struct.error, IndexError, OverflowError):
        # OverflowError: BigTIFF's places have 64 bits, more than a place in memory may have.
        return None


def _png(body: Body) -> Size | None:
    """PNG 11.2.1: IHDR comes first, so its place is fixed."""
    width, height = struct.unpack_from(">II", body, 16)
    return Size(width, height)


def _gif(body: Body) -> Size | None:
    """GIF89a section 18: the logical screen."""
    width, height = struct.unpack_from("<HH", body, 6)
    return Size(width, height)


_STARTS_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD9)})


def _jpeg(body: Body) -> Size | None:
    """ITU T.81 B.1.1: markers, each with its length, up to the first start of frame."""
    at = 2
    while True:
        if body[at] != 0xFF:
            at += 1
        elif (marker := body[at + 1]) in _STARTS_OF_FRAME:
            height, width = struct.unpack_from(">HH", body, at + 5)
            return Size(width, height)
        elif marker == 0xFF:
            at += 1
        elif marker in _WITHOUT_LENGTH:
            at += 2
        else:
            at += 2 + struct.unpack_from(">H", body, at + 2)[0]


def _webp(body: Body) -> Size | None:
    """RFC 9649 section 2.7 (VP8X), RFC 6386 section 9.1 (VP8), RFC 9649 section 3.4 (VP8L)."""
    match bytes(body[12:16]):
        case b"VP8X":
            low, high, down, far = struct.unpack_from("<HBHB", body, 24)
            return Size((low | high << 16) + 1, (down | far << 16) + 1)
        case b"VP8 ":
            width, height = struct.unpack_from("<HH", body, 26)
            return Size(width & 0x3FFF, height & 0x3FFF)
        case b"VP8L":
            (packed,) = struct.unpack_from("<I", body, 21)
            return Size((packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1)
    return None


def _avif(body: Body) -> Size | None:
    """ISO/IEC 23008-12, 6.5.3: the largest `ispe`; an image made of tiles has one for itself and for each."""
    found = [
        struct.unpack_from(">II", box, 4)
        for box in _boxes(body[: 1 << 20], (b"meta", b"iprp", b"ipco", b"ispe"))
    ]
    return max((Size(width, height) for width, height in found), key=lambda size: size.pixels, default=None)


def _boxes(body: Body, path: tuple[bytes, ...]) -> Iterator[Body]:
    """The contents of every box found down one path of types (ISO/IEC 14496-12, 4.2)."""
    at = 0
    while at + 8 <= len(body):
        size, kind = struct.unpack_from(">I4s", body, at)
        start = at + 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", body, start)
            start += 8
        end = at + size if size else len(body)
        if end < start:
            return
        if kind == path[0]:
            # `meta` is a full box: version and flags stand before its children.
            inside = body[start + 4 if kind == b"meta" else start : end]
            if len(path) == 1:
                yield inside
            else:
                yield from _boxes(inside, path[1:])
        at = end


def _tiff(body: Body) -> Size | None:
    """TIFF 6.0 section 2, and BigTIFF: ImageWidth and ImageLength of the first directory."""
    order = "<" if body[0] == ord("I") else ">"
    (version,) = struct.unpack_from(order + "H", body, 2)
    big = version == 43
    (at,) = struct.unpack_from(order + ("Q" if big else "I"), body, 8 if big else 4)
    (count,) = struct.unpack_from(order + ("Q" if big else "H"), body, at)
    at += 8 if big else 2
    found: dict[int, int] = {}
    for _ in range(min(count, 4096)):
        tag, kind = struct.unpack_from(order + "HH", body, at)
        if tag in (256, 257):
            value = order + {3: "H", 16: "Q"}.get(kind, "I")
            (found[tag],) = struct.unpack_from(value, body, at + (12 if big else 8))
        at += 20 if big else 12
    return Size(found[256], found[257]) if len(found) == 2 else None


def _jxl(body: Body) -> Size | None:
    """ISO/IEC 18181-1, A.3: SizeHeader, from the first bits of the codestream, behind its signature."""
    if body[0] != 0xFF:
        whole, parts = (list(_boxes(body[: 1 << 20], (kind,))) for kind in (b"jxlc", b"jxlp"))
        body = [*whole, *(part[4:] for part in parts)][0]
    bits = _Bits(bytes(body[2:16]))
    small = bits.take(1)
    height = (bits.take(5) + 1) * 8 if small else bits.side()
    if ratio := bits.take(3):
        across, down = _JXL_RATIOS[ratio - 1]
        return Size(height * across // down, height)
    return Size((bits.take(5) + 1) * 8 if small else bits.side(), height)


_JXL_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))


class _Bits:
    """Of a JPEG XL codestream: the lowest bit of a byte comes first. Raises IndexError at the end."""

    def __init__(self, body: bytes) -> None:
        self._left, self._count = int.from_bytes(body, "little"), 8 * len(body)

    def take(self, count: int) -> int:
        if count > self._count:
            raise IndexError(count)
        value = self._left & ((1 << count) - 1)
        self._left, self._count = self._left >> count, self._count - count
        return value

    def side(self) -> int:
        return self.take((9, 13, 18, 30)[self.take(2)]) + 1


def _bmp(body: Body) -> Size:
    bitmap = bmp_header.parse_bmp(body)
    return Size(bitmap.width, bitmap.height)


def _ico(body: Body) -> Size:
    """That of the picture which is shown; directories have one byte for a side."""
    return ico.best_picture(body)[1]


_READERS: Mapping[Incoming, Callable[[Body], Size | None]] = {
    Format.JPEG: _jpeg,
    Format.PNG: _png,
    Format.GIF: _gif,
    Format.WEBP: _webp,
    Format.AVIF: _avif,
    InputOnly.HEIC: _avif,
    Format.TIFF: _tiff,
    Format.JXL: _jxl,
    InputOnly.BMP: _bmp,
    InputOnly.ICO: _ico,
}
