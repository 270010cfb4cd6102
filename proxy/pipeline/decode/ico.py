"""Which of an icon's pictures is shown: the largest, since smaller ones are made of it here."""

from __future__ import annotations

import struct

from proxy.geometry.boxes import Size
from proxy.model.errors import BrokenImage
from proxy.model.media import Body
from proxy.pipeline.decode.bmp_header import parse_icon_bitmap

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"

MAX_PICTURES = 256
"""Of the directory that are looked at; real icons have about ten."""


def best_picture(body: Body) -> tuple[memoryview, Size]:
    """
    Choose the largest picture of an icon, and of pictures of one size that of the most bits.

    Returns its bytes, a PNG or a bitmap for `parse_icon_bitmap`, and its size. Those that
    cannot be read do not count. Raises BrokenImage where there is no other.
    """
    whole = memoryview(body)
    found = [each for row in range(MAX_PICTURES) if (each := _picture(whole, row)) is not None]
    if not found:
        raise BrokenImage("the original is an ico image without pictures that can be read")
    _, part, size = max(found, key=lambda each: each[0])
    return part, size


def lacks_larger_picture(body: Body) -> bool:
    """Whether the directory has a larger picture than `best_picture` finds, and that cannot be read."""
    whole = memoryview(body)
    (count,) = struct.unpack_from("<H", whole, 4)
    _, best = best_picture(body)
    lost = [
        whole[6 + 16 * row] or 256
        for row in range(min(count, MAX_PICTURES))
        if 6 + 16 * row < len(whole) and _picture(whole, row) is None
    ]
    return max(lost, default=0) > best.width


def _picture(whole: memoryview, row: int) -> tuple[tuple[int, int], memoryview, Size] | None:
    """One row of the directory: what tells the best, its bytes, and its size."""
    try:
        (count,) = struct.unpack_from("<H", whole, 4)
        if row >= count:
            return None
        bits, length, at = struct.unpack_from("<HII", whole, 6 + 16 * row + 6)
        part = whole[at : at + length]
        width, height, bits = _size_and_bits(part, bits)
    except (struct.error, BrokenImage):
        return None
    return (width * height, bits), part, Size(width, height)


def _size_and_bits(part: memoryview, bits: int) -> tuple[int, int, int]:
    """What the picture itself says: directories have one byte for a side, and many are wrong."""
    if part[:8] == PNG_SIGNATURE:
        width, height = struct.unpack_from(">II", part, 16)
        return width, height, bits
    bitmap = parse_icon_bitmap(part)
    return bitmap.width, bitmap.height, bitmap.depth
