"""What a PNG says of its colours beside an ICC profile (PNG third edition, 11.3.2)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping

from proxy.model.media import Body
from proxy.pipeline.decode.colour_description import (
    SRGB_PRIMARIES,
    Chromaticities,
    ColourDescription,
    from_code_points,
    from_gamma,
)
from proxy.pipeline.decode.rgb_matrix import adapted_colorants

_SIGNATURE_SIZE = 8
_MAX_CHUNKS = 1000
_SIZES: Mapping[bytes, int] = {b"cICP": 4, b"sRGB": 1, b"gAMA": 4, b"cHRM": 32, b"mDCV": 24, b"cLLI": 8}
_END_OF_COLOURS = frozenset({b"PLTE", b"IDAT", b"IEND"})
_MAX_INTENT = 3

SRGB = ColourDescription(name="sRGB")


def read_png_colour(body: Body, *, has_profile: bool) -> ColourDescription | None:
    """
    Return what a PNG's chunks say of its colours, the first of `cICP`, `iCCP`, `sRGB`, and `gAMA` with `cHRM`
    (4.3, "colour chunk precedence"); `None` where they say nothing, or its ICC profile comes first.
    """
    chunks = _chunks(body)
    if (coded := _from_cicp(chunks)) is not None:
        return coded
    if has_profile:
        return None
    if b"sRGB" in chunks and chunks[b"sRGB"][0] <= _MAX_INTENT:
        return SRGB
    gamma = struct.unpack(">I", chunks[b"gAMA"])[0] / 100_000 if b"gAMA" in chunks else None
    primaries = _chromaticities(chunks[b"cHRM"]) if b"cHRM" in chunks else None
    return from_gamma(gamma or None, primaries) if gamma or primaries else None


def _chunks(body: Body) -> dict[bytes, bytes]:
    """
    The chunks about colours that come where they must, each of the size that it must have. Damaged ones are
    left out, and the first of two counts.
    """
    found: dict[bytes, bytes] = {}
    at = _SIGNATURE_SIZE
    for _ in range(_MAX_CHUNKS):
        if at + 12 > len(body):
            break
        length, kind = struct.unpack_from(">I4s", body, at)
        if kind in _END_OF_COLOURS:
            break
        if _SIZES.get(kind) == length and kind not in found and at + 12 + length <= len(body):
            (crc,) = struct.unpack_from(">I", body, at + 8 + length)
            if zlib.crc32(body[at + 4 : at + 8 + length]) == crc:
                found[kind] = bytes(body[at + 8 : at + 8 + length])
        at += 12 + length
    return found


def _from_cicp(chunks: Mapping[bytes, bytes]) -> ColourDescription | None:
    """11.3.2.6: samples are RGB, so another matrix than 0 is an error."""
    if b"cICP" not in chunks:
        return None
    primaries, transfer, matrix, full_range = chunks[b"cICP"]
    if matrix != 0 or full_range > 1:
        return None
    return from_code_points(primaries, transfer, full_range=bool(full_range), peak=_peak(chunks))


def _peak(chunks: Mapping[bytes, bytes]) -> float | None:
    """11.3.2.7 and 11.3.2.8: the brightest light of the picture, or else of its maker's display."""
    brightest = 0
    if b"cLLI" in chunks:
        (brightest, _) = struct.unpack(">II", chunks[b"cLLI"])
    if not brightest and b"mDCV" in chunks:
        (brightest,) = struct.unpack_from(">I", chunks[b"mDCV"], 16)
    return brightest / 10_000 or None


def _chromaticities(chunk: bytes) -> Chromaticities | None:
    white_x, white_y, *primaries = (value / 100_000 for value in struct.unpack(">8I", chunk))
    red, green, blue = zip(primaries[::2], primaries[1::2], strict=True)
    found = Chromaticities(red, green, blue, (white_x, white_y))
    if all(
        abs(value - usual) < 0.001
        for pair, srgb in zip(found, SRGB_PRIMARIES, strict=True)
        for value, usual in zip(pair, srgb, strict=True)
    ):
        return SRGB_PRIMARIES
    try:
        adapted_colorants(found)
    except ValueError:
        return None
    return found
