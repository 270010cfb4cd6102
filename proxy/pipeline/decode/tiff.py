"""What of a TIFF libvips shows as something else (TIFF 6.0, sections 21 and 22)."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from contextlib import suppress

import pyvips

from proxy.model.media import Body

_COMPRESSION, _PHOTOMETRIC, _SUBSAMPLING = 259, 262, 530
_OLD_JPEG, _JPEG = 6, 7
_YCBCR = 6
_MAX_TAGS, _MAX_PAGES = 4096, 65_536

_FULL_RANGE = (
    (1.0, 0.0, 1.402),
    (1.0, -0.344136, -0.714136),
    (1.0, 1.772, 0.0),
)
"""Section 21 with the coefficients of ITU-R BT.601, which are the default ones."""


def tiff_tags(body: Body, page: int) -> Mapping[int, int]:
    """Return the first value of each short or long tag of a page, from 0 on, as far as they can be read."""
    found: dict[int, int] = {}
    with suppress(struct.error, IndexError, OverflowError):
        order = "<" if body[0] == ord("I") else ">"
        (version,) = struct.unpack_from(order + "H", body, 2)
        big = version == 43
        head, size, counted, place = (8, 20, "Q", 12) if big else (4, 12, "H", 8)
        offset = "Q" if big else "I"
        (at,) = struct.unpack_from(order + offset, body, head)
        for number in range(min(page, _MAX_PAGES) + 1):
            (count,) = struct.unpack_from(order + counted, body, at)
            start = at + (8 if big else 2)
            if number == page:
                for tag_at in range(start, start + size * min(count, _MAX_TAGS), size):
                    tag, kind = struct.unpack_from(order + "HH", body, tag_at)
                    value = order + {3: "H", 16: "Q"}.get(kind, "I")
                    (found[tag],) = struct.unpack_from(value, body, tag_at + place)
            (at,) = struct.unpack_from(order + offset, body, start + size * count)
    return found


def without_later_pages(body: Body, page: int) -> bytes:
    """Return a file that ends with `page`, so that libvips warns of none behind it."""
    whole = bytearray(body)
    with suppress(struct.error, IndexError, OverflowError):
        order = "<" if body[0] == ord("I") else ">"
        big = struct.unpack_from(order + "H", body, 2) == (43,)
        at, size, counted, offset = (8, 20, "Q", "Q") if big else (4, 12, "H", "I")
        for _ in range(min(page, _MAX_PAGES) + 1):
            (at,) = struct.unpack_from(order + offset, body, at)
            (count,) = struct.unpack_from(order + counted, body, at)
            at += (8 if big else 2) + size * count
        struct.pack_into(order + offset, whole, at, 0)
    return bytes(whole)


def shows_wrong(tags: Mapping[int, int]) -> bool:
    """
    Whether libvips leaves out what it cannot decode, or takes samples for what they are not: JPEG as TIFF 6.0
    had it first, and YCbCr that is subsampled outside of JPEG.
    """
    compression = tags.get(_COMPRESSION, 1)
    subsampled = tags.get(_PHOTOMETRIC) == _YCBCR and tags.get(_SUBSAMPLING, 2) != 1
    return compression == _OLD_JPEG or (subsampled and compression != _JPEG)


def has_ycbcr_samples(tags: Mapping[int, int]) -> bool:
    """Whether libvips hands out YCbCr as if it was RGB: all that is not JPEG's, which converts it."""
    return tags.get(_PHOTOMETRIC) == _YCBCR and tags.get(_COMPRESSION, 1) not in (_OLD_JPEG, _JPEG)


def to_rgb_samples(image: pyvips.Image) -> pyvips.Image:
    """Convert full-range YCbCr of 8 bits to RGB."""
    matrix = pyvips.Image.new_from_array([list(row) for row in _FULL_RANGE])
    rgb = (image.extract_band(0, n=3) - [0, 128, 128]).recomb(matrix).rint().cast("uchar")
    return rgb.copy(interpretation="srgb")
