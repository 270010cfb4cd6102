"""
Samples that photographs do not have, as levels that can be shown: integers of other widths than 8 and 16
bits, negative ones, and floats.
"""

from __future__ import annotations

from contextlib import suppress
from typing import NamedTuple

import pyvips

from proxy.pipeline.decode.tiff import TiffPage
from proxy.pipeline.decode.tiff_directory import HIGHEST_SAMPLE, LOWEST_SAMPLE, NO_DATA

_FULL_SCALE = {"char": 127.0, "short": 32_767.0, "int": 2_147_483_647.0, "uint": 4_294_967_295.0}
_FLOATS = ("float", "double")
_ABSENT = 1e30
"""Where there is nothing, many files have the lowest float that there is."""

_UNSEEN = 1 / 16
"""Of the full scale: values that lie closer together would come out as one flat area."""

_FLOAT_SCALES = (255.0, 65_535.0)
"""Floats that were made of integers have their scale, where they reach a quarter of it."""


class SampleRange(NamedTuple):
    """The values that are black and white. `light` says that they are linear light, as scRGB's are."""

    low: float
    high: float
    light: bool = False


class Samples(NamedTuple):
    """How the samples of a page are shown: `shown` is `None` for those that photographs have."""

    shown: SampleRange | None = None
    without_alpha: bool = False


def measure_samples(image: pyvips.Image, page: TiffPage) -> Samples:
    """
    Look at all of a page, which decodes it once from the top down, where that is needed to show it.

    A sample that the file does not explain is transparency in most programs, and no picture where all are 0.
    """
    if _is_unusual(image):
        return Samples(_measure_range(_as_light(image), page))
    return Samples(without_alpha=page.alpha_is_unsure and image[image.bands - 1].max() == 0)


def to_usual(image: pyvips.Image, page: TiffPage, samples: Samples) -> pyvips.Image:
    """Convert what was measured to levels, or to scRGB where it is light."""
    if samples.shown:
        return _to_levels(_as_light(image), page, samples.shown)
    return image.extract_band(0, n=image.bands - 1) if samples.without_alpha else image


def _is_unusual(image: pyvips.Image) -> bool:
    return image.interpretation not in ("lab", "labs") and (
        image.format in _FULL_SCALE or image.format in _FLOATS
    )


def _as_light(image: pyvips.Image) -> pyvips.Image:
    """What is compressed as LogLuv comes as CIE XYZ, with a white of 1 where libvips has 100."""
    if image.interpretation != "xyz":
        return image
    return (image * 100).copy(interpretation="xyz").colourspace("scrgb")


def _measure_range(image: pyvips.Image, page: TiffPage) -> SampleRange:
    """
    Choose the range in which a whole picture is shown.

    That is what the file declares, if it does. Integers have the range of their type, as in ImageMagick,
    floats that of light, from 0 to 1, as in libvips: where that leaves a flat area it is the range of the
    values that there are.
    """
    (low,), (high,) = (page.directory.numbers(tag)[:1] or (0.0,) for tag in (LOWEST_SAMPLE, HIGHEST_SAMPLE))
    if low < high:
        return SampleRange(low, high)
    colours = image.extract_band(0, n=_colour_bands(image))
    found = _found(colours, page)
    count = colours.bands
    table = (
        found.ifthenelse(colours, _ABSENT)
        .bandjoin([found.ifthenelse(colours, -_ABSENT), colours <= 1])
        .stats()
    )
    low = min(table(0, 1 + band)[0] for band in range(count))
    high = max(table(1, 1 + count + band)[0] for band in range(count))
    bright = sum(table(4, 1 + 2 * count + band)[0] for band in range(count)) / count < 255 / 2
    if low > high:
        return SampleRange(0, 1)
    if image.format in _FULL_SCALE:
        return _integer_range(low, high, _FULL_SCALE[image.format])
    return _float_range(low, high, bright=bright, coloured=count == 3)


def _integer_range(low: float, high: float, full: float) -> SampleRange:
    if low < high and (low < 0 or high - low < full * _UNSEEN):
        return SampleRange(low, high)
    return SampleRange(0, full)


def _float_range(low: float, high: float, *, bright: bool, coloured: bool) -> SampleRange:
    """A photograph of high dynamic range has lights above 1, and few of them; they are clipped."""
    if low >= -_UNSEEN and high <= 1 + _UNSEEN:
        return SampleRange(0, 1, light=True)
    if coloured and not bright and low >= -0.5:
        return SampleRange(0, 1, light=True)
    for full in _FLOAT_SCALES:
        if low >= 0 and full / 4 <= high <= full and (low == high or high - low >= full * _UNSEEN):
            return SampleRange(0, full)
    if low == high:
        return SampleRange(0, max(abs(low), 1))
    return SampleRange(low, high)


def _to_levels(image: pyvips.Image, page: TiffPage, shown: SampleRange) -> pyvips.Image:
    """
    Convert samples to levels of 16 bits, or to scRGB where they are light. What is no number, or stands for
    nothing, is black.
    """
    bands = _colour_bands(image)
    colours = image.extract_band(0, n=bands)
    found = _found(colours, page)
    share = (found.ifthenelse(colours, shown.low) - shown.low) / (shown.high - shown.low)
    if page.inverted:
        share = found.ifthenelse(share * -1 + 1, 0)
    alpha = _alpha(image, bands)
    if shown.light and bands != 4:
        share = share.clamp(min=-1, max=100).cast("float")
        light = share if bands == 3 else share.bandjoin([share, share])
        return _joined(light.copy(interpretation="scrgb"), alpha, 1.0, "float")
    space = {1: "grey16", 4: "cmyk"}.get(bands, "rgb16")
    levels = (share.clamp(min=0, max=1) * 65_535).rint().cast("ushort")
    return _joined(levels.copy(interpretation=space), alpha, 65_535.0, "ushort")


def _joined(colours: pyvips.Image, alpha: pyvips.Image | None, opaque: float, format: str) -> pyvips.Image:
    return colours if alpha is None else colours.bandjoin((alpha * opaque).cast(format))


def _alpha(image: pyvips.Image, at: int) -> pyvips.Image | None:
    """From 0 to 1, as floats are already."""
    if image.bands <= at:
        return None
    alpha = image[at]
    return (alpha / _FULL_SCALE.get(image.format, 1.0)).clamp(min=0, max=1)


def _colour_bands(image: pyvips.Image) -> int:
    if image.interpretation == "cmyk":
        return 4
    return 3 if image.bands >= 3 else 1


def _found(colours: pyvips.Image, page: TiffPage) -> pyvips.Image:
    """Where there are values: not where a float is no number, or what the file says is none."""
    found = (colours.abs() < _ABSENT) if colours.format in _FLOATS else (colours == colours)
    with suppress(ValueError):
        found = found & (colours != float(page.directory.text(NO_DATA)))
    return found
