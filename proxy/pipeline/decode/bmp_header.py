"""
The headers of BMP files, and of bitmaps in icons: read by us, since libvips would ask ImageMagick, which is
far more than a hostile file should reach.

The headers of Windows and OS/2: https://learn.microsoft.com/windows/win32/gdi/bitmap-storage
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field, replace

from proxy.model.errors import BrokenImage
from proxy.model.media import Body

Masks = tuple[int, int, int, int]
"""Of red, green, blue and alpha; alpha's is 0 where there is none."""

FILE_HEADER_SIZE = 14

HEADER_SIZES = frozenset({12, 40, 52, 56, 64, 108, 124})
"""Bytes of each header that there is; two letters alone begin many a text."""

_PLAIN, _ALPHA_MASKED = 0, 6
_RUNS = {1: 8, 2: 4}
_MASKED = (3, _ALPHA_MASKED)
_DEFAULT_MASKS = {16: (0x7C00, 0x3E0, 0x1F, 0), 32: (0xFF0000, 0xFF00, 0xFF, 0)}
_ICONS_ALPHA = 0xFF000000
_EMBEDDED = 0x4D424544


@dataclass(frozen=True, slots=True, kw_only=True)
class Bitmap:
    """
    `width` and `height` are px; rows are stored from the bottom up unless `downwards`. `palette` is of blue,
    green, red, each entry `entry` bytes long, and empty where pixels have colours of their own. `runs` says
    that rows are run-length encoded. `pixels` may be shorter than they should be.
    """

    width: int
    height: int
    depth: int
    downwards: bool
    masks: Masks
    runs: bool = False
    entry: int = 4
    palette: Body = field(default=b"", repr=False)
    pixels: Body = field(default=b"", repr=False)
    profile: bytes | None = field(default=None, repr=False)

    @property
    def stride(self) -> int:
        """Bytes of a row, which ends at a multiple of four."""
        return (self.width * self.depth + 31) // 32 * 4


def parse_bmp(body: Body) -> Bitmap:
    """Read the headers and the palette of a BMP file. Raises BrokenImage."""
    try:
        (start,) = struct.unpack_from("<I", body, 10)
        return _parse(memoryview(body)[FILE_HEADER_SIZE:], start - FILE_HEADER_SIZE)
    except (struct.error, IndexError) as error:
        raise BrokenImage("the original's bmp header cannot be read") from error


def parse_icon_bitmap(body: Body) -> Bitmap:
    """
    Read the headers and the palette of a bitmap in an icon, which has no file header.

    The height that it declares is that of the picture and of its mask, which follows in `pixels`. Raises
    BrokenImage.
    """
    try:
        found = _parse(memoryview(body), None)
        if found.height < 2 or found.runs:
            raise BrokenImage("the original is a damaged ico image")
        return replace(found, height=found.height // 2)
    except (struct.error, IndexError) as error:
        raise BrokenImage("the original's ico header cannot be read") from error


def _parse(body: memoryview, start: int | None) -> Bitmap:
    """`start` is where the pixels are, `None` in an icon: right after the palette."""
    (size,) = struct.unpack_from("<I", body)
    if size not in HEADER_SIZES:
        raise BrokenImage("the original is a bmp image of an unknown kind")
    compression, colours = _PLAIN, 0
    if size == 12:
        width, height, _, depth = struct.unpack_from("<4H", body, 4)
    else:
        width, height, _, depth, compression = struct.unpack_from("<iiHHI", body, 4)
        (colours,) = struct.unpack_from("<I", body, 32)
    if width <= 0 or height == 0:
        raise BrokenImage("the original is a bmp image without pixels")
    # In OS/2's second header 3 is a fax.
    allowed = (_PLAIN, *_RUNS) if size == 64 else (_PLAIN, *_RUNS, *_MASKED)
    if compression not in allowed or _RUNS.get(compression, depth) != depth:
        raise BrokenImage(f"the original is a bmp image of compression {compression}, which is not decoded")
    if depth not in ((16, 32) if compression in _MASKED else (1, 2, 4, 8, 16, 24, 32)):
        raise BrokenImage(f"the original is a bmp image of {depth} bits, which is not decoded")
    masks, after = _masks(body, size, compression, depth)
    if start is None and depth == 32 and not masks[3]:
        masks = (*masks[:3], _ICONS_ALPHA)
    entry = 3 if size == 12 else 4
    count = 0 if depth > 8 else min(colours or 1 << depth, 1 << depth)
    # Of a photograph, a palette is a suggestion for screens that cannot show it.
    end = after + entry * (count if depth <= 8 else colours if start is None else 0)
    start = end if start is None else start
    return Bitmap(
        width=width,
        height=abs(height),
        depth=depth,
        downwards=height < 0,
        masks=masks,
        runs=compression in _RUNS,
        entry=entry,
        palette=body[after : min(after + entry * count, max(start, after))],
        pixels=body[max(start, 0) :],
        profile=_profile(body, size),
    )


def _masks(body: memoryview, size: int, compression: int, depth: int) -> tuple[Masks, int]:
    """And where the header with them ends."""
    if compression not in _MASKED:
        return _DEFAULT_MASKS.get(depth, (0, 0, 0, 0)), size
    count = 4 if compression == _ALPHA_MASKED or size >= 56 else 3
    found = struct.unpack_from(f"<{count}I", body, 40)
    red, green, blue, alpha = (*found, 0)[:4]
    masks = (red, green, blue, alpha)
    told = [mask for mask in masks if mask]
    if not (red and green and blue) or sum(told) >> depth or red | green | blue | alpha != sum(told):
        raise BrokenImage("the original is a bmp image whose colours overlap")
    if not all(_is_one_run(mask) for mask in told):
        raise BrokenImage("the original is a bmp image whose colours are scattered")
    return masks, max(size, 40 + 4 * count)


def _is_one_run(mask: int) -> bool:
    low = mask & -mask
    return (mask // low + 1) & (mask // low) == 0


def _profile(body: memoryview, size: int) -> bytes | None:
    """That of a BITMAPV5HEADER, where it is in the file."""
    if size < 124 or struct.unpack_from("<I", body, 56)[0] != _EMBEDDED:
        return None
    at, length = struct.unpack_from("<II", body, 112)
    return bytes(body[at : at + length]) or None
