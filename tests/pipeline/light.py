"""
Colours computed from the standards with floats, one at a time: what the pipeline does with tables, matrices
and profiles is compared with it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy

Pair = tuple[float, float]
Primaries = tuple[Pair, Pair, Pair, Pair]
"""Red, green, blue and white."""

D65 = (0.3127, 0.3290)
SRGB: Primaries = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06), D65)
P3: Primaries = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), D65)
DCI: Primaries = (*P3[:3], (0.314, 0.351))
BT2020: Primaries = ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), D65)
BT470M: Primaries = ((0.67, 0.33), (0.21, 0.71), (0.14, 0.08), (0.310, 0.316))
BT470BG: Primaries = ((0.64, 0.33), (0.29, 0.60), (0.15, 0.06), D65)
SMPTE170M: Primaries = ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), D65)
ADOBE: Primaries = ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06), D65)

Light = Callable[[float], float]


def srgb_light(v: float) -> float:
    return v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4


def srgb_sample(light: float) -> float:
    light = min(max(light, 0.0), 1.0)
    return 12.92 * light if light <= 0.0031308 else 1.055 * light ** (1 / 2.4) - 0.055


def to_xyz(primaries: Primaries) -> numpy.ndarray:
    """SMPTE RP 177."""
    columns = numpy.array([[x / y, 1.0, (1 - x - y) / y] for x, y in primaries[:3]]).T
    x, y = primaries[3]
    white = numpy.array([x / y, 1.0, (1 - x - y) / y])
    matrix: numpy.ndarray = columns * numpy.linalg.solve(columns, white)
    return matrix


def to_linear_srgb(rgb: Sequence[float], primaries: Primaries) -> numpy.ndarray:
    """By way of CIE XYZ, with a white that is adapted by Bradford's matrix."""
    bradford = numpy.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
    whites = [bradford @ to_xyz(each) @ numpy.ones(3) for each in (primaries, SRGB)]
    adapted = numpy.linalg.inv(bradford) @ numpy.diag(whites[1] / whites[0]) @ bradford
    linear: numpy.ndarray = numpy.linalg.inv(to_xyz(SRGB)) @ adapted @ to_xyz(primaries) @ numpy.array(rgb)
    return linear


def to_srgb(samples: Sequence[float], primaries: Primaries, light: Light) -> tuple[float, float, float]:
    """Samples of 0 to 255, to the same."""
    linear = to_linear_srgb([light(value / 255) for value in samples], primaries)
    red, green, blue = (255 * srgb_sample(float(value)) for value in linear)
    return red, green, blue


def pq_light(v: float) -> float:
    """cd/m2: SMPTE ST 2084."""
    root = v ** (1 / 78.84375)
    return float(10_000 * (max(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)) ** (1 / 0.1593017578125))


def pq_sample(nits: float) -> float:
    power = (nits / 10_000) ** 0.1593017578125
    return float(((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375)


def hlg_light(v: float) -> float:
    """Of the scene: ARIB STD-B67."""
    return v * v / 3 if v <= 0.5 else (math.exp((v - 0.55991073) / 0.17883277) + 0.28466892) / 12


def method_a(light: Sequence[float], peak: float) -> tuple[float, float, float]:
    """
    Report ITU-R BT.2446-1, 4.2, from BT.2020 light in cd/m2 to sRGB of 0 to 255: in Y'CbCr, as it is written
    there.
    """
    r, g, b = ((min(max(each, 0.0), peak) / peak) ** (1 / 2.4) for each in light)
    y = 0.2627 * r + 0.6780 * g + 0.0593 * b
    hdr, sdr = (1 + 32 * (limit / 10_000) ** (1 / 2.4) for limit in (peak, 100))
    yp = math.log(1 + (hdr - 1) * y) / math.log(hdr)
    if yp <= 0.7399:
        yc = 1.0770 * yp
    elif yp < 0.9909:
        yc = -1.1510 * yp**2 + 2.7811 * yp - 0.6302
    else:
        yc = 0.5 * yp + 0.5
    ysdr = (sdr**yc - 1) / (sdr - 1)
    f = ysdr / (1.1 * y) if y else 0.0
    cb, cr = f * (b - y) / 1.8814, f * (r - y) / 1.4746
    yt = ysdr - max(0.1 * cr, 0)
    rgb = (
        yt + 1.4746 * cr,
        yt - 0.2627 * 1.4746 / 0.6780 * cr - 0.0593 * 1.8814 / 0.6780 * cb,
        yt + 1.8814 * cb,
    )
    linear = to_linear_srgb([min(max(each, 0.0), 1.0) ** 2.4 for each in rgb], BT2020)
    red, green, blue = (255 * srgb_sample(float(value)) for value in linear)
    return red, green, blue


def hlg_display_light(samples: Sequence[float]) -> list[float]:
    """cd/m2 of a display of 1000: BT.2100, table 5."""
    scene = [hlg_light(value / 255) for value in samples]
    brightness = 0.2627 * scene[0] + 0.6780 * scene[1] + 0.0593 * scene[2]
    return [1000 * brightness**0.2 * each for each in scene]
