"""
ICC profiles, read just far enough to leave alone what is sRGB already and to refuse what would only break.

Most photographs on the web carry an sRGB profile, and converting sRGB to sRGB costs up to half as much again
as the whole rendition.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping

MAX_PROFILE_BYTES = 1_000_000
"""Larger ones are dropped: they have crashed decoders (lovell/sharp issue 937)."""

_HEADER = 128
_SPACES: Mapping[bytes, str] = {b"RGB ": "rgb", b"GRAY": "grey", b"CMYK": "cmyk"}

_SRGB_COLORANTS: Mapping[bytes, tuple[float, float, float]] = {
    b"rXYZ": (0.4360, 0.2225, 0.0139),
    b"gXYZ": (0.3851, 0.7169, 0.0971),
    b"bXYZ": (0.1431, 0.0606, 0.7141),
}
"""IEC 61966-2-1 primaries, adapted to D50 as ICC.1 asks."""

_COLORANT_TOLERANCE = 0.0025
_CURVE_TOLERANCE = 0.004


def profile_space(profile: bytes) -> str | None:
    """Return `rgb`, `grey` or `cmyk` for a profile worth handing to a colour engine, else `None`."""
    if not _HEADER + 4 <= len(profile) <= MAX_PROFILE_BYTES or profile[36:40] != b"acsp":
        return None
    if struct.unpack_from(">I", profile)[0] > len(profile):
        return None
    return _SPACES.get(profile[16:20])


def is_srgb(profile: bytes) -> bool:
    """
    Whether the colours under this profile are sRGB's within what 8 bits can tell.

    Only profiles made of three primaries and three curves are judged; whatever is unclear is no.
    """
    try:
        tags = _tags(profile)
        if profile_space(profile) != "rgb" or b"A2B0" in tags:
            return False
        primaries = all(
            abs(got - wanted) <= _COLORANT_TOLERANCE
            for name, colorant in _SRGB_COLORANTS.items()
            for got, wanted in zip(_xyz(tags[name]), colorant, strict=True)
        )
        return primaries and all(_is_srgb_curve(tags[name]) for name in (b"rTRC", b"gTRC", b"bTRC"))
    except (struct.error, KeyError, IndexError, OverflowError, ZeroDivisionError):
        return False


def is_matrix(profile: bytes) -> bool:
    """Whether the colours are three primaries and three curves, which read the same both ways."""
    try:
        tags = _tags(profile)
    except struct.error:
        return False
    return b"A2B0" not in tags and {b"rXYZ", b"gXYZ", b"bXYZ", b"rTRC", b"gTRC", b"bTRC"} <= tags.keys()


def code_points(profile: bytes) -> tuple[int, int] | None:
    """Return primaries and transfer function by ITU-T H.273, as ICC.1:2022, 9.2.17 has them."""
    try:
        tag = _tags(profile).get(b"cicp", b"")
    except struct.error:
        return None
    return (tag[8], tag[9]) if tag[:4] == b"cicp" and len(tag) >= 12 else None


def _tags(profile: bytes) -> dict[bytes, bytes]:
    """ICC.1:2022, 7.3: the tag table."""
    (count,) = struct.unpack_from(">I", profile, _HEADER)
    rows = [struct.unpack_from(">4sII", profile, _HEADER + 4 + 12 * row) for row in range(min(count, 100))]
    return {name: profile[offset : offset + size] for name, offset, size in rows}


def _xyz(tag: bytes) -> tuple[float, ...]:
    return tuple(number / 65536 for number in struct.unpack_from(">3i", tag, 8))


def _is_srgb_curve(tag: bytes) -> bool:
    curve = _curve(tag)
    points = [step / 32 for step in range(33)]
    return curve is not None and all(abs(curve(x) - _srgb(x)) <= _CURVE_TOLERANCE for x in points)


def _srgb(x: float) -> float:
    return x / 12.92 if x <= 0.04045 else float(((x + 0.055) / 1.055) ** 2.4)


def _curve(tag: bytes) -> Callable[[float], float] | None:
    """ICC.1:2022, 10.6 (a table or a gamma) and 10.18 (a formula: only the kind that sRGB is)."""
    if tag[:4] == b"curv":
        (count,) = struct.unpack_from(">I", tag, 8)
        if count < 2:
            gamma = struct.unpack_from(">H", tag, 12)[0] / 256 if count else 1.0
            return lambda x: float(x**gamma)
        table = struct.unpack_from(f">{count}H", tag, 12)
        return lambda x: table[round(x * (count - 1))] / 65535
    if tag[:4] == b"para" and struct.unpack_from(">H", tag, 8)[0] == 3:
        g, a, b, c, d = (number / 65536 for number in struct.unpack_from(">5i", tag, 12))
        return lambda x: float(max(0.0, a * x + b) ** g) if x >= d else c * x
    return None


def profile_description(profile: bytes) -> str | None:
    """
    Return what a profile calls itself.

    ICC.1:2022, 10.15 (multiLocalizedUnicodeType: the first record) and ICC.1:2001-04, 6.5.17
    (textDescriptionType: its ASCII part).
    """
    try:
        tag = _tags(profile)[b"desc"]
        if tag[:4] == b"mluc":
            size, offset = struct.unpack_from(">II", tag, 20)
            text = tag[offset : offset + size].decode("utf-16-be", "replace")
        elif tag[:4] == b"desc":
            (size,) = struct.unpack_from(">I", tag, 8)
            text = tag[12 : 12 + size].decode("ascii", "replace")
        else:
            return None
    except (struct.error, KeyError):
        return None
    return text.rstrip("\0").strip() or None
