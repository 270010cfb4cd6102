"""Every colour space that comes in leaves as 8 bits of RGB: sRGB, unless another was asked for."""

from __future__ import annotations

import pyvips

from proxy.pipeline import profiles
from proxy.spec import Icc

_BANDS = {"rgb": 3, "grey": 1, "cmyk": 4}
_RGB_BANDS = (3, 4)


def to_rgb(image: pyvips.Image, profile: bytes | None, icc: Icc = Icc.SRGB) -> pyvips.Image:
    """
    8 bits, 3 bands or 4 with alpha; in another space than sRGB its profile is in the metadata.

    `profile` is the embedded one: obeyed when it fits the image, else ignored. Its intent is perceptual,
    which is ICC's for photographs. CMYK without a usable one is read with libvips' own profile, whose
    perceptual tables turn black into brown. Effects and colours of URLs mean the values of the space that
    was asked for.
    """
    space = profiles.colour_space(profile) if profile else None
    usable = space is not None and _BANDS[space] == image.bands - image.hasalpha()
    if profile and not usable:
        image = image.copy()
        image.remove("icc-profile-data")
    is_srgb = not usable or profile is None or (space == "rgb" and profiles.is_srgb(profile))
    own = profile if usable and space == "rgb" and icc is not Icc.P3 else None
    if not is_srgb and not (icc is Icc.KEEP and space == "rgb"):
        image = image.icc_transform(
            "p3" if icc is Icc.P3 else "srgb", embedded=True, intent="perceptual", depth=8
        )
        own = None
    else:
        if image.interpretation == "multiband":
            image = _named(image)
        image = _eight_bits(image.colourspace("srgb"))
        if icc is Icc.P3:
            image = image.icc_transform("p3", input_profile="srgb", embedded=False, depth=8)
    if icc is Icc.P3:
        own = pyvips.Operation.call("profile_load", "p3")
    return _described(_eight_bits(image.colourspace("srgb")), own)


def _described(image: pyvips.Image, profile: bytes | None) -> pyvips.Image:
    """
    With a copy of `profile`, or with none. What libvips itself attaches while it converts, its CMYK profile
    too, is a reference to memory that goes with the operation, before the metadata do.
    """
    image = image.copy()
    if image.get_typeof("icc-profile-data"):
        image.remove("icc-profile-data")
    if profile is not None:
        image.set_type(pyvips.GValue.blob_type, "icc-profile-data", profile)
    return image


def is_named(image: pyvips.Image) -> bool:
    """Whether the picture's colours need its profile to be understood."""
    return bool(image.get_typeof("icc-profile-data")) and not profiles.is_srgb(image.get("icc-profile-data"))


def _eight_bits(image: pyvips.Image) -> pyvips.Image:
    if image.bands not in _RGB_BANDS:
        image = image.extract_band(0, n=4 if image.bands > 4 else 3)
    return image if image.format == "uchar" else image.cast("uchar")


def _named(image: pyvips.Image) -> pyvips.Image:
    """Bands that nobody named: the first three are red, green and blue, or the first one is grey."""
    grey = image.bands < 3
    wide = image.format == "ushort"
    space = ("grey16" if wide else "b-w") if grey else ("rgb16" if wide else "srgb")
    return image.extract_band(0, n=1 if grey else 3).copy(interpretation=space)
