"""With which quality a JPEG was saved, told from its quantisation table."""

from __future__ import annotations

import struct
from functools import cache

from proxy.model.media import Body

_ANNEX_K = (
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55,
    14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62,
    18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92,
    49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
)  # fmt: skip
"""ITU T.81 annex K.1, of luminance; libjpeg, and so most of the world, scales it by quality."""

_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD9)})
_START_OF_SCAN = 0xDA
_TABLES = 0xDB


def jpeg_quality(body: Body) -> int | None:
    """
    Estimate the quality, 1..100, that a JPEG was saved with: that of libjpeg whose quantisation table is as
    coarse as the file's first one; `None` when there is none.
    """
    try:
        table = _luminance_sum(body)
    except (struct.error, IndexError):
        return None
    return (
        None
        if table is None
        else min(range(1, 101), key=lambda quality: abs(_sums_by_quality()[quality] - table))
    )


def _luminance_sum(body: Body) -> int | None:
    """The sum of the steps of table 0, whatever their order (T.81 B.2.4.1)."""
    at = 2
    while True:
        if body[at] != 0xFF:
            return None
        marker = body[at + 1]
        if marker in _WITHOUT_LENGTH or marker == 0xFF:
            at += 1 if marker == 0xFF else 2
            continue
        (length,) = struct.unpack_from(">H", body, at + 2)
        if marker == _TABLES and body[at + 4] & 0x0F == 0:
            wide = body[at + 4] >> 4
            return int(sum(struct.unpack_from(">64H" if wide else ">64B", body, at + 5)))
        if marker == _START_OF_SCAN:
            return None
        at += 2 + length


@cache
def _sums_by_quality() -> dict[int, int]:
    sums = {}
    for quality in range(1, 101):
        scale = 5000 // quality if quality < 50 else 200 - 2 * quality
        sums[quality] = sum(min(max((step * scale + 50) // 100, 1), 255) for step in _ANNEX_K)
    return sums
