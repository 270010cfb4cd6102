"""Pages of TIFFs, told to libvips such that it shows them right, and refused where it would not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pyvips

from proxy.model.errors import BrokenImage
from proxy.model.media import Body, Format
from proxy.pipeline.decode.libvips import LIBVIPS_ERRORS
from proxy.pipeline.decode.loaders import open_image
from proxy.pipeline.decode.tiff_directory import (
    BITS,
    COLOUR_MAP,
    COMPRESSION,
    EXTRA_SAMPLES,
    INK_SET,
    ORIENTATION,
    PHOTOMETRIC,
    SAMPLE_FORMAT,
    SAMPLES_PER_PIXEL,
    SUBSAMPLING,
    TiffDirectory,
    count_pages,
    read_directory,
    single_page,
)

_OLD_JPEG, _JPEG = 6, 7
_WHITE_IS_ZERO, _GREY, _RGB, _PALETTE, _SEPARATED, _YCBCR, _CIELAB, _ICCLAB, _ITULAB = (
    0,
    1,
    2,
    3,
    5,
    6,
    8,
    9,
    10,
)
_UNSIGNED, _FLOAT = 1, 3
_UNSPECIFIED = 0
_CMYK_INKS = 1

_FULL_RANGE = (
    (1.0, 0.0, 1.402),
    (1.0, -0.344136, -0.714136),
    (1.0, 1.772, 0.0),
)
"""Section 21 with the coefficients of ITU-R BT.601, which are the default ones."""

_LAB_SCALES: Mapping[tuple[int, int], tuple[float, float, bool]] = {
    (_CIELAB, 8): (255, 1, True),
    (_CIELAB, 16): (65_535, 256, True),
    (_ICCLAB, 8): (255, 1, False),
    (_ICCLAB, 16): (65_280, 256, False),
}
"""
By photometric interpretation and bits: what L* of 100 and a* of 1 are stored as, and whether a* and b* are
signed, or have 128 added (section 23, and Adobe's technical note of 2002 for ICCLAB).
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class TiffPage:
    """
    One page as `body`, a file of its own, and what libvips does not tell of it. `pages` are all of the file.
    `lab` says that samples are CIELAB, which libvips is told to be RGB; `ycbcr` that they are YCbCr;
    `inverted` that 0 is white, though libvips is told that it is black; `alpha_is_unsure` that the file does
    not explain the sample that follows the colours.
    """

    directory: TiffDirectory = field(repr=False)
    body: bytes = field(repr=False)
    pages: int
    orientation: int
    lab: tuple[float, float, bool] | None = None
    ycbcr: bool = False
    inverted: bool = False
    alpha_is_unsure: bool = False


def read_page(body: Body, page: int) -> TiffPage:
    """
    Read what a page, which counts from 0, says of itself.

    Raises BrokenImage for what libvips would show as something else, or leave blank.
    """
    directory = read_directory(body, page)
    if reason := _shown_wrong(directory):
        raise BrokenImage(f"the original is a tiff image of {reason}, which cannot be read here")
    photometric = directory.first(PHOTOMETRIC, 1)
    bits, sample_format = directory.first(BITS, 1), directory.first(SAMPLE_FORMAT, _UNSIGNED)
    lab = None if sample_format == _FLOAT else _LAB_SCALES.get((photometric, bits))
    # libvips inverts some types of samples and not others.
    inverted = photometric == _WHITE_IS_ZERO and (bits > 16 or sample_format != _UNSIGNED)
    told = {PHOTOMETRIC: _RGB, SAMPLE_FORMAT: _UNSIGNED} if lab else {PHOTOMETRIC: _GREY} if inverted else {}
    extra = directory.extra_samples
    return TiffPage(
        directory=directory,
        body=single_page(directory, told),
        pages=count_pages(body),
        orientation=directory.first(ORIENTATION, 1),
        lab=lab,
        inverted=inverted,
        ycbcr=photometric == _YCBCR and directory.first(COMPRESSION, 1) != _JPEG,
        alpha_is_unsure=extra == 1 and directory.first(EXTRA_SAMPLES, _UNSPECIFIED) == _UNSPECIFIED,
    )


def _shown_wrong(directory: TiffDirectory) -> str | None:
    """What libvips leaves out, or takes samples for what they are not."""
    compression, photometric = directory.first(COMPRESSION, 1), directory.first(PHOTOMETRIC, 1)
    bits, samples = directory.first(BITS, 1), directory.first(SAMPLES_PER_PIXEL, 1)
    is_float = directory.first(SAMPLE_FORMAT, _UNSIGNED) == _FLOAT
    subsampled = photometric == _YCBCR and directory.first(SUBSAMPLING, 2) != 1
    if compression == _OLD_JPEG or (subsampled and compression != _JPEG):
        return "old-style JPEG or YCbCr"
    if photometric == _YCBCR and bits != 8:
        return f"YCbCr of {bits} bits"
    if photometric == _PALETTE and (bits > 8 or len(directory.numbers(COLOUR_MAP)) < 3 << bits):
        return "colours that no palette has"
    if photometric == _SEPARATED and (samples < 4 or directory.first(INK_SET, _CMYK_INKS) != _CMYK_INKS):
        return "other inks than CMYK"
    lab = photometric in (_CIELAB, _ICCLAB, _ITULAB)
    if lab and (
        samples < 3 or not ((photometric, bits) in _LAB_SCALES or (photometric == _CIELAB and is_float))
    ):
        return "an unusual kind of CIELAB"
    return None


def strictness(page: TiffPage) -> str:
    """
    Return libvips' `fail_on` for a page: of tiles that cannot be decoded libtiff only warns, and leaves them
    blank, so warnings are errors unless it has one about the directory itself.

    Raises libvips' errors.
    """
    try:
        open_image(page.body, Format.TIFF, fail_on="warning")
    except LIBVIPS_ERRORS:
        return "error"
    return "warning"


def to_rgb_samples(image: pyvips.Image, page: TiffPage) -> pyvips.Image:
    """Convert full-range YCbCr of 8 bits, and CIELAB of any, to RGB; other samples stay as they are."""
    if page.ycbcr:
        matrix = pyvips.Image.new_from_array([list(row) for row in _FULL_RANGE])
        rgb = (image.extract_band(0, n=3) - [0, 128, 128]).recomb(matrix).rint().cast("uchar")
        return rgb.copy(interpretation="srgb")
    if page.lab:
        return _from_lab(image, *page.lab)
    return image


def _from_lab(image: pyvips.Image, white: float, unit: float, signed: bool) -> pyvips.Image:
    lightness, *chroma = (image[band] for band in range(3))
    if signed:
        half = 128 * unit
        chroma = [(each >= half).ifthenelse(each - 2 * half, each) for each in chroma]
    else:
        chroma = [each - 128 * unit for each in chroma]
    lab = (lightness * (100 / white)).bandjoin([each / unit for each in chroma]).cast("float")
    rgb = lab.copy(interpretation="lab").colourspace("rgb16")
    if image.bands > 3:
        alpha = image[3] if image.format == "ushort" else image[3] * 257
        rgb = rgb.bandjoin(alpha.cast("ushort"))
    return rgb
