"""
HDR pictures on a usual display: PQ and HLG (ITU-R BT.2100) to sRGB by conversion method A of Report ITU-R
BT.2446-1, clause 4 (https://www.itu.int/pub/R-REP-BT.2446).

Nothing is clipped up to the peak: BT.2408's reference white of 203 cd/m2 becomes 69 % of the signal under a
peak of 1000, and what is brighter has the rest.
"""

from __future__ import annotations

import math

import pyvips

from proxy.pipeline.decode.colour_description import (
    BT2020_PRIMARIES,
    PQ,
    SRGB_PRIMARIES,
    ColourDescription,
)
from proxy.pipeline.decode.rgb_matrix import conversion

DEFAULT_PEAK, MIN_PEAK, MAX_PEAK = 1000.0, 203.0, 10_000.0
"""cd/m2: of pictures that do not say theirs (BT.2100's for HLG), BT.2408's reference white, and PQ's end."""

SDR_PEAK = 100.0
GAMMA = 2.4
"""BT.2446-1's display, and the power under which it weighs colours."""

LUMA = (0.2627, 0.6780, 0.0593)
"""BT.2020, table 4."""

_M1, _M2 = 2610 / 16384, 2523 / 4096 * 128
_C1, _C2, _C3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
"""BT.2100, table 4."""

_A, _B, _C = 0.17883277, 0.28466892, 0.55991073
_SYSTEM_GAMMA = 1.2
"""BT.2100, table 5, for a display of 1000 cd/m2."""

_SATURATION = 1.1
_RED_LOSS = 0.1
_STEPS = 65_536


def to_sdr(image: pyvips.Image, description: ColourDescription, depth: int = 8) -> pyvips.Image:
    """
    Convert PQ or HLG RGB, with or without alpha, of 8 or 16 bits, to sRGB of `depth` bits. Raises ValueError
    for primaries that are not three colours.
    """
    mapped = _tone_mapped(_encoded_light(image, description), _peak(description))
    linear = _looked_up(mapped, _steps() ** GAMMA)
    linear = linear.recomb(_matrix(conversion(BT2020_PRIMARIES, SRGB_PRIMARIES)))
    maximum = 65_535 if depth == 16 else 255
    levels = _looked_up(linear, (_srgb_encoded(_steps()) * maximum).rint())
    if image.hasalpha():
        own = 65_535 if image.format == "ushort" else 255
        levels = levels.bandjoin((image[image.bands - 1] * (maximum / own)).rint())
    format, space = ("ushort", "rgb16") if depth == 16 else ("uchar", "srgb")
    return levels.cast(format).copy(interpretation=space)


def _peak(description: ColourDescription) -> float:
    if description.transfer != PQ:
        return DEFAULT_PEAK
    return min(max(description.peak or DEFAULT_PEAK, MIN_PEAK), MAX_PEAK)


def _looked_up(image: pyvips.Image, table: pyvips.Image) -> pyvips.Image:
    """
    What stands in a table of _STEPS from 0 to 1: powers of floats would take most of the time. Of sRGB's
    steepest part one step is a twentieth of a level of 8 bits.
    """
    return (image * (_STEPS - 1)).rint().cast("ushort").maplut(table)


def _steps() -> pyvips.Image:
    return pyvips.Image.identity(ushort=True) / (_STEPS - 1)


def _encoded_light(image: pyvips.Image, description: ColourDescription) -> pyvips.Image:
    """BT.2020 of the HDR display under GAMMA, of which 1 is the peak."""
    colours = image.extract_band(0, n=3) if image.bands >= 3 else image[0].bandjoin([image[0]] * 2)
    wide = image.format == "ushort"
    sample = pyvips.Image.identity(ushort=wide) / _white(image)
    table = _pq_light(sample) / _peak(description) if description.transfer == PQ else _hlg_light(sample)
    if description.transfer == PQ and description.primaries == BT2020_PRIMARIES:
        return colours.maplut(table.clamp(min=0, max=1) ** (1 / GAMMA))
    light = colours.maplut(table)
    if description.primaries != BT2020_PRIMARIES:
        light = light.recomb(_matrix(conversion(description.primaries, BT2020_PRIMARIES)))
    if description.transfer != PQ:
        brightness = light.recomb([list(LUMA)]).clamp(min=0)
        light *= brightness ** (_SYSTEM_GAMMA - 1)
    return light.clamp(min=0, max=1) ** (1 / GAMMA)


def _white(image: pyvips.Image) -> int:
    """The highest sample: libvips moves 10 and 12 bits to the upper end of 16."""
    if image.format != "ushort":
        return 255
    bits = image.get("bits-per-sample") if image.get_typeof("bits-per-sample") else 16
    return 65_536 - (1 << 16 - bits) if 8 < bits < 16 else 65_535


def _pq_light(sample: pyvips.Image) -> pyvips.Image:
    """cd/m2 (BT.2100, table 4: EOTF)."""
    root = sample.clamp(min=0, max=1) ** (1 / _M2)
    return ((root - _C1).clamp(min=0, max=1) / (root * -_C3 + _C2)) ** (1 / _M1) * 10_000


def _hlg_light(sample: pyvips.Image) -> pyvips.Image:
    """Light of the scene, 0 to 1 (BT.2100, table 5: the inverse OETF)."""
    return (sample <= 0.5).ifthenelse(sample**2 / 3, (((sample - _C) / _A).exp() + _B) / 12)


def _tone_mapped(encoded: pyvips.Image, peak: float) -> pyvips.Image:
    """R'G'B' of BT.2020 for the SDR display, from those of the HDR display (BT.2446-1, table 2)."""
    brightness = encoded.recomb([list(LUMA)])
    mapped = _looked_up(brightness, _curve(_steps(), peak))
    scale = mapped / (brightness.clamp(min=1e-6, max=1) * _SATURATION)
    red = (encoded[0] - brightness) * scale
    blue = (encoded[2] - brightness) * scale
    luma = mapped - (red * (_RED_LOSS / (2 * (1 - LUMA[0])))).clamp(min=0, max=1)
    green = (red * LUMA[0] + blue * LUMA[2]) / -LUMA[1]
    return (red + luma).bandjoin([green + luma, blue + luma])


def _curve(brightness: pyvips.Image, peak: float) -> pyvips.Image:
    """BT.2446-1, table 2: tone mapping, steps 1 to 3."""
    bright, dim = (1 + 32 * (limit / 10_000) ** (1 / GAMMA) for limit in (peak, SDR_PEAK))
    place = (brightness * (bright - 1) + 1).log() / math.log(bright)
    knee = (place * -1.1510 + 2.7811) * place - 0.6302
    compressed = (place <= 0.7399).ifthenelse(
        place * 1.0770, (place < 0.9909).ifthenelse(knee, place * 0.5 + 0.5)
    )
    return ((compressed * math.log(dim)).exp() - 1) / (dim - 1)


def _srgb_encoded(linear: pyvips.Image) -> pyvips.Image:
    """IEC 61966-2-1."""
    return (linear <= 0.0031308).ifthenelse(linear * 12.92, linear ** (1 / 2.4) * 1.055 - 0.055)


def _matrix(rows: tuple[tuple[float, ...], ...]) -> pyvips.Image:
    return pyvips.Image.new_from_array([list(row) for row in rows])
