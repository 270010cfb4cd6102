"""Every colour space that comes in leaves as 8-bit sRGB."""

from __future__ import annotations

import pyvips

from proxy.pipeline import profiles

_BANDS = {"rgb": 3, "grey": 1, "cmyk": 4}
_SRGB_BANDS = (3, 4)


def to_srgb(image: pyvips.Image, profile: bytes | None) -> pyvips.Image:
    """
    8-bit sRGB, 3 bands or 4 with alpha.

    `profile` is the embedded one: obeyed when it fits the image and is not sRGB itself, else ignored. Its
    intent is perceptual, which is ICC's for photographs. CMYK without a usable one is read with libvips'
    own profile, whose perceptual tables turn black into brown.
    """
    space = profiles.colour_space(profile) if profile else None
    usable = space is not None and _BANDS[space] == image.bands - image.hasalpha()
    if profile and not usable:
        image = image.copy()
        image.remove("icc-profile-data")
    if usable and profile and not profiles.is_srgb(profile):
        image = image.icc_transform("srgb", embedded=True, intent="perceptual", depth=8)
    elif image.interpretation == "multiband":
        image = _named(image)
    image = image.colourspace("srgb")
    if image.bands not in _SRGB_BANDS:
        image = image.extract_band(0, n=4 if image.bands > 4 else 3)
    return image if image.format == "uchar" else image.cast("uchar")


def _named(image: pyvips.Image) -> pyvips.Image:
    """Bands that nobody named: the first three are red, green and blue, or the first one is grey."""
    grey = image.bands < 3
    wide = image.format == "ushort"
    space = ("grey16" if wide else "b-w") if grey else ("rgb16" if wide else "srgb")
    return image.extract_band(0, n=1 if grey else 3).copy(interpretation=space)
