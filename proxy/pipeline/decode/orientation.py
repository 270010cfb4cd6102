"""Where an upright picture lies in the stored one: the eight orientations of EXIF."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pyvips

from proxy.geometry.boxes import Box, Size


@dataclass(frozen=True, slots=True)
class Orientation:
    """Where an upright point lies in the stored picture: axes swapped, then counted from the end."""

    transposed: bool = False
    mirrored: bool = False
    flipped: bool = False


ORIENTATIONS: Mapping[int, Orientation] = {
    1: Orientation(),
    2: Orientation(mirrored=True),
    3: Orientation(mirrored=True, flipped=True),
    4: Orientation(flipped=True),
    5: Orientation(transposed=True),
    6: Orientation(transposed=True, flipped=True),
    7: Orientation(transposed=True, mirrored=True, flipped=True),
    8: Orientation(transposed=True, mirrored=True),
}
"""Exif 2.32, 4.6.4 A, tag 274."""


def to_stored(region: Box, turned: Orientation, stored: Size) -> Box:
    """Return where a box of the upright picture lies in the stored one, whose size is `stored`."""
    left, top, width, height = region.left, region.top, region.width, region.height
    if turned.transposed:
        left, top, width, height = top, left, height, width
    return Box(
        stored.width - left - width if turned.mirrored else left,
        stored.height - top - height if turned.flipped else top,
        width,
        height,
    )


def to_upright(image: pyvips.Image, turned: Orientation) -> pyvips.Image:
    """
    Turn a stored picture upright. Its tag is ignored, and does not survive: `turned` is from the header that
    was judged.
    """
    if turned.mirrored:
        image = image.fliphor()
    if turned.flipped:
        image = image.flipver()
    return image.rot90().fliphor() if turned.transposed else image
