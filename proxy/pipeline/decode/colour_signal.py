"""How an original says what its samples mean, where libvips does not see it, and samples that obey it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pyvips

from proxy.model.media import Body, Format, Incoming, InputOnly
from proxy.pipeline.decode import icc
from proxy.pipeline.decode.alpha import on_colours
from proxy.pipeline.decode.colour import with_profile
from proxy.pipeline.decode.colour_description import (
    ADOBE_RGB_CURVE,
    ADOBE_RGB_PRIMARIES,
    HLG,
    PQ,
    ColourDescription,
    from_code_points,
)
from proxy.pipeline.decode.heif_colour import has_narrow_alpha, read_heif_colour
from proxy.pipeline.decode.heif_items import read_items
from proxy.pipeline.decode.icc_writer import profile_for
from proxy.pipeline.decode.png_colour import read_png_colour

_GREYS: Mapping[str, bool] = {"srgb": False, "rgb16": False, "b-w": True, "grey16": True}
"""Of spaces whose samples can be described: whether they are grey."""

_ADOBE_RGB = ColourDescription(
    name="Adobe RGB (1998)", primaries=ADOBE_RGB_PRIMARIES, transfer=ADOBE_RGB_CURVE
)
_INTEROPERABILITY, _COLOUR_SPACE = "exif-ifd4-InteroperabilityIndex", "exif-ifd2-ColorSpace"

_MAXIMUM: Mapping[str, int] = {"uchar": 255, "ushort": 65_535}


@dataclass(frozen=True, slots=True, kw_only=True)
class ColourSignal:
    """
    What is done in place of what libvips would: `profile` is the one that counts, and `hdr` is tone-mapped.
    Of narrow samples, or alpha, 16 of 255 is the darkest and 235 the brightest.
    """

    name: str | None
    profile: bytes | None = field(default=None, repr=False)
    hdr: ColourDescription | None = None
    narrow: bool = False
    narrow_alpha: bool = False

    def applied(self, image: pyvips.Image) -> pyvips.Image:
        """Return decoded samples that take their whole range, with the profile that counts."""
        if self.narrow:
            image = on_colours(image, _expanded)
        if self.narrow_alpha and image.hasalpha():
            last = image.bands - 1
            image = image.extract_band(0, n=last).bandjoin(_expanded(image[last]))
        if self.name is not None and self.profile is not None and image.bands <= 2:
            # Of a grey profile Little CMS makes a table that is 9 levels off in the shadows of linear light.
            image = _as_rgb(image)
        return with_profile(image, self.profile)


def is_dcf_adobe_rgb(image: pyvips.Image) -> bool:
    """
    Whether EXIF says Adobe RGB, as cameras write it that bring no ICC profile: DCF 2.0 (CIPA DC-009), 3.3.5,
    an interoperability index of R03 and a colour space that is not sRGB.
    """
    if not image.get_typeof(_INTEROPERABILITY) or not image.get(_INTEROPERABILITY).startswith("R03"):
        return False
    return not image.get_typeof(_COLOUR_SPACE) or not image.get(_COLOUR_SPACE).startswith(("1 ", "sRGB"))


def read_colour_signal(
    body: Body, format: Incoming, interpretation: str, profile: bytes | None, *, dcf_adobe_rgb: bool = False
) -> ColourSignal | None:
    """
    Return what an original says of its colours beside the ICC profile that libvips found, and with
    `dcf_adobe_rgb` in EXIF; `None` where that, or sRGB, is all.
    """
    grey = _GREYS.get(interpretation)
    if grey is None:
        return None
    found: ColourDescription | None = None
    narrow_alpha = False
    has_profile = profile is not None and icc.profile_space(profile) == ("grey" if grey else "rgb")
    if format is Format.PNG:
        found = read_png_colour(body, has_profile=has_profile)
    elif format in (Format.AVIF, InputOnly.HEIC) and (items := read_items(body)) is not None:
        found = read_heif_colour(items, has_profile=has_profile)
        narrow_alpha = has_narrow_alpha(items)
    elif format is Format.JPEG and dcf_adobe_rgb and not grey and not has_profile:
        found = _ADOBE_RGB
    if found is None and profile is not None:
        found = _hdr_of_profile(profile)
    if found is None or (found.is_srgb and found.full_range and profile is None):
        return ColourSignal(name=None, profile=profile, narrow_alpha=True) if narrow_alpha else None
    return ColourSignal(
        name=found.name,
        profile=None if found.is_srgb else profile_for(found),
        hdr=found if found.is_hdr else None,
        narrow=not found.full_range,
        narrow_alpha=narrow_alpha,
    )


def _hdr_of_profile(profile: bytes) -> ColourDescription | None:
    """A colour engine takes PQ and HLG for ordinary curves, and shows them dark."""
    codes = icc.code_points(profile)
    if codes is None or codes[1] not in (PQ, HLG) or icc.profile_space(profile) != "rgb":
        return None
    return from_code_points(*codes)


def _as_rgb(image: pyvips.Image) -> pyvips.Image:
    """Grey, with alpha or without, in three bands."""
    bands = [image[0]] * 2 + ([image[1]] if image.bands == 2 else [])
    return image[0].bandjoin(bands).copy(interpretation="rgb16" if image.format == "ushort" else "srgb")


def _expanded(samples: pyvips.Image) -> pyvips.Image:
    """ITU-R BT.2100, table 9: 219 steps of 8 bits from 16 on, or as many times more of 16 bits."""
    if samples.format not in _MAXIMUM:
        return samples
    step = 256 if samples.format == "ushort" else 1
    whole = (samples - 16 * step) * (_MAXIMUM[samples.format] / (219 * step))
    return whole.rint().cast(samples.format)
