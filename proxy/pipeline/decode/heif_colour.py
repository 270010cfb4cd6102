"""
What a HEIF or AVIF file says of its colours beside an ICC profile: `nclx` (ISO/IEC 14496-12, 12.1.5), or the
AV1 bitstream where there is none (AV1 Image File Format, 2.2.1).

libheif converts by matrix and range, and hands out an alpha plane as it is stored.
"""

from __future__ import annotations

import struct

from proxy.pipeline.decode.av1_sequence import Av1Colour, read_sequence_colour
from proxy.pipeline.decode.colour_description import ColourDescription, from_code_points
from proxy.pipeline.decode.heif_items import HeifItems

_CONFIGURATION_SIZE = 4
_MAX_SEARCHED = 4096
_ALPHA = (b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha", b"urn:mpeg:hevc:2015:auxid:1")


def read_heif_colour(items: HeifItems, *, has_profile: bool) -> ColourDescription | None:
    """
    Return what a file says of its picture; `None` where it says nothing, or its ICC profile comes first
    (MIAF, 7.3.6.4). That of an HDR picture does not: it cannot say how bright the picture is.
    """
    item = items.primary
    coded = _nclx(items, item) or _nclx(items, tile := items.first_tile(item)) or _sequence(items, tile)
    if coded is None:
        return None
    found = from_code_points(coded.primaries, coded.transfer, peak=_peak(items, item))
    return None if found is None or (has_profile and not found.is_hdr) else found


def has_narrow_alpha(items: HeifItems) -> bool:
    """Whether the alpha plane is AV1 of limited range: 16 of 255 is transparent, and 235 opaque."""
    for item in items.describing(items.primary):
        kind = items.property_of(item, b"auxC")
        if kind is not None and bytes(kind[4 : 4 + 64]).split(b"\0")[0] in _ALPHA:
            tile = items.first_tile(item)
            coded = _sequence(items, tile) or _nclx(items, item)
            return coded is not None and not coded.full_range
    return False


def _nclx(items: HeifItems, item: int) -> Av1Colour | None:
    for kind, content in items.properties.get(item, ()):
        if kind == b"colr" and bytes(content[:4]) == b"nclx" and len(content) >= 11:
            primaries, transfer, matrix, flags = struct.unpack_from(">HHHB", content, 4)
            return Av1Colour(
                primaries=primaries, transfer=transfer, matrix=matrix, full_range=bool(flags >> 7)
            )
    return None


def _sequence(items: HeifItems, item: int) -> Av1Colour | None:
    configuration = items.property_of(item, b"av1C")
    if configuration is None:
        return None
    coded = read_sequence_colour(configuration[_CONFIGURATION_SIZE:])
    return coded or read_sequence_colour(items.contents.get(item, b"")[:_MAX_SEARCHED])


def _peak(items: HeifItems, item: int) -> float | None:
    """
    The brightest light of the picture, in cd/m2 (14496-12, 12.1.6), or else of the display that it was made
    on (12.1.7).
    """
    level = items.property_of(item, b"clli")
    brightest: int = struct.unpack_from(">H", level)[0] if level is not None and len(level) >= 4 else 0
    display = items.property_of(item, b"mdcv")
    if brightest or display is None or len(display) < 24:
        return brightest or None
    return struct.unpack_from(">I", display, 16)[0] / 10_000 or None
