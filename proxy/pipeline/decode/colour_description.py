"""
What a file says of its colours without an ICC profile: primaries, a transfer function and a range.

Code points are those of ITU-T H.273 (https://www.itu.int/rec/T-REC-H.273), which PNG's `cICP`, the `nclx` of
HEIF and AV1 share.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple


class Chromaticities(NamedTuple):
    """CIE 1931 (x, y) of the three primaries and of white."""

    red: tuple[float, float]
    green: tuple[float, float]
    blue: tuple[float, float]
    white: tuple[float, float]


class TransferCurve(NamedTuple):
    """
    From a sample to light, both 0 to 1: `(scale * x + offset) ** gamma`, or `slope * x` below `split`.

    That is ICC's parametric curve of type 3.
    """

    gamma: float
    scale: float = 1.0
    offset: float = 0.0
    slope: float = 0.0
    split: float = 0.0

    def light(self, sample: float) -> float:
        """Return the light of a sample."""
        if sample < self.split:
            return self.slope * sample
        return float(max(0.0, self.scale * sample + self.offset) ** self.gamma)


UNSPECIFIED = 2
PQ, HLG = 16, 18

_D65, _C, _E = (0.3127, 0.3290), (0.310, 0.316), (1 / 3, 1 / 3)

SRGB_PRIMARIES = Chromaticities((0.640, 0.330), (0.300, 0.600), (0.150, 0.060), _D65)
BT2020_PRIMARIES = Chromaticities((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), _D65)
_SMPTE_170M = Chromaticities((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), _D65)

PRIMARIES: Mapping[int, Chromaticities] = {
    1: SRGB_PRIMARIES,
    4: Chromaticities((0.67, 0.33), (0.21, 0.71), (0.14, 0.08), _C),
    5: Chromaticities((0.64, 0.33), (0.29, 0.60), (0.15, 0.06), _D65),
    6: _SMPTE_170M,
    7: _SMPTE_170M,
    8: Chromaticities((0.681, 0.319), (0.243, 0.692), (0.145, 0.049), _C),
    9: BT2020_PRIMARIES,
    10: Chromaticities((1.0, 0.0), (0.0, 1.0), (0.0, 0.0), _E),
    11: Chromaticities((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), (0.314, 0.351)),
    12: Chromaticities((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), _D65),
    22: Chromaticities((0.630, 0.340), (0.295, 0.605), (0.155, 0.077), _D65),
}
"""H.273, table 2."""

SRGB_CURVE = TransferCurve(2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)


def _log_table(decades: float) -> tuple[float, ...]:
    return (0.0, *(10 ** (decades * (step / 1023 - 1)) for step in range(1, 1024)))


TRANSFERS: Mapping[int, TransferCurve | tuple[float, ...]] = {
    # Video cameras' curves, which displays do not undo: browsers show them as sRGB (Chromium's
    # gfx::ColorSpace), and so does whoever made the picture.
    **dict.fromkeys((1, 6, 11, 12, 13, 14, 15), SRGB_CURVE),
    4: TransferCurve(2.2),
    5: TransferCurve(2.8),
    7: TransferCurve(1 / 0.45, 1 / 1.1115, 0.1115 / 1.1115, 1 / 4, 0.0912),
    8: TransferCurve(1.0),
    9: _log_table(2.0),
    10: _log_table(2.5),
    17: tuple(min(1.0, 52.37 / 48 * (step / 1023) ** 2.6) for step in range(1024)),
}
"""H.273, table 3: light for samples from 0 to 1, as a formula or at equal steps; without PQ and HLG."""

ADOBE_RGB_PRIMARIES = Chromaticities((0.64, 0.33), (0.21, 0.71), (0.15, 0.06), _D65)
ADOBE_RGB_CURVE = TransferCurve(563 / 256)
"""Adobe RGB (1998) Color Image Encoding, 4.3."""

_SRGB_GAMMA = 1 / 2.2
_GAMMA_TOLERANCE = 0.005
_MIN_EXPONENT, _MAX_EXPONENT = 0.1, 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ColourDescription:
    """
    What samples mean. `transfer` is the way to light, and the code points PQ or HLG for these; `name` is what
    a person is told. `full_range` is `False` where samples themselves have head- and footroom (BT.2100,
    table 9). `peak` is the brightest light of an HDR picture in cd/m2, where the file says it.
    """

    name: str
    primaries: Chromaticities = SRGB_PRIMARIES
    transfer: TransferCurve | tuple[float, ...] | int = SRGB_CURVE
    full_range: bool = True
    peak: float | None = None

    @property
    def is_srgb(self) -> bool:
        """Whether its colours are those of sRGB."""
        return self.primaries == SRGB_PRIMARIES and self.transfer == SRGB_CURVE

    @property
    def is_hdr(self) -> bool:
        """Whether it has more light than a usual display shows."""
        return self.transfer in (PQ, HLG)


def from_code_points(
    primaries: int, transfer: int, *, full_range: bool = True, peak: float | None = None
) -> ColourDescription | None:
    """
    Describe colours by code points of H.273, of which one may be unspecified; `None` where both are, or one
    is not known.
    """
    if primaries == transfer == UNSPECIFIED:
        return None
    chromaticities = PRIMARIES.get(primaries, SRGB_PRIMARIES if primaries == UNSPECIFIED else None)
    curve: TransferCurve | tuple[float, ...] | int | None
    if transfer in (PQ, HLG):
        curve = transfer
    else:
        curve = TRANSFERS.get(transfer, SRGB_CURVE if transfer == UNSPECIFIED else None)
    if chromaticities is None or curve is None:
        return None
    return ColourDescription(
        name=f"CICP {primaries}/{transfer}",
        primaries=chromaticities,
        transfer=curve,
        full_range=full_range,
        peak=peak,
    )


def from_gamma(gamma: float | None, primaries: Chromaticities | None) -> ColourDescription | None:
    """
    Describe colours as PNG's `gAMA` and `cHRM` do; `None` where they say nothing that can be meant.

    `gamma` is that of the encoding: 1/2.2 is sRGB's curve, as it is to browsers.
    """
    curve = SRGB_CURVE
    if gamma is not None and abs(gamma - _SRGB_GAMMA) > _GAMMA_TOLERANCE:
        if not _MIN_EXPONENT <= gamma <= _MAX_EXPONENT:
            return None
        curve = TransferCurve(1 / gamma)
    names = ([f"gamma {gamma:.5f}"] if gamma is not None else []) + (["chromaticities"] if primaries else [])
    return ColourDescription(name=" and ".join(names), primaries=primaries or SRGB_PRIMARIES, transfer=curve)
