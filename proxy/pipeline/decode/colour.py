"""Every colour space that comes in leaves as 8 bits of RGB: sRGB, unless another was asked for."""

from __future__ import annotations

import pyvips

from proxy.options.spec import Icc
from proxy.pipeline.decode.colour_description import ColourDescription
from proxy.pipeline.decode.icc import is_srgb, profile_space
from proxy.pipeline.decode.tone_map import to_sdr

_BANDS = {"rgb": 3, "grey": 1, "cmyk": 4}
_RGB_BANDS = (3, 4)
_SAMPLE_MAXIMUM = {"char": 127, "short": 32_767, "int": 2_147_483_647, "uint": 4_294_967_295}
_SIXTEEN_BIT_SPACE = {
    "srgb": "rgb16",
    "rgb16": "rgb16",
    "b-w": "grey16",
    "grey16": "grey16",
    "multiband": "multiband",
}


def normalise_samples(image: pyvips.Image) -> pyvips.Image:
    """
    Convert samples that only scientific TIFFs have to those that photographs have: integers of other widths
    to 16 bits, negative ones to black, and grey floats to RGB floats, light from 0 to 1.
    """
    maximum, sixteen = _SAMPLE_MAXIMUM.get(image.format), _SIXTEEN_BIT_SPACE.get(image.interpretation)
    if maximum and sixteen:
        return (image * (65_535 / maximum)).cast("ushort").copy(interpretation=sixteen)
    if image.format in ("float", "double") and image.interpretation == "b-w":
        return image[0].bandjoin([image[0]] * 2).copy(interpretation="scrgb")
    return image


def to_rgb(
    image: pyvips.Image,
    profile: bytes | None,
    icc: Icc = Icc.SRGB,
    depth: int = 8,
    hdr: ColourDescription | None = None,
) -> pyvips.Image:
    """
    Convert to 3 bands, or 4 with alpha; in another space than sRGB the profile is in the metadata. `depth` 16
    leaves an image of more than 8 bits at 16.

    `profile` is the embedded one: used when it fits the image, else ignored. Its intent is perceptual, which
    is ICC's for photographs. CMYK without a usable one is read with libvips' own profile, whose perceptual
    tables turn black into brown. Effects and colours of URLs mean the values of the space that was asked for.
    What is `hdr` is sRGB after it was tone-mapped, and goes on from there.
    """
    if hdr is not None and image.format in ("uchar", "ushort"):
        image, profile = to_sdr(image, hdr, depth if icc is not Icc.P3 else 16), None
    usable = profile_fits(image, profile)
    if profile and not usable:
        image = image.copy()
        image.remove("icc-profile-data")
    fine = image.format != "uchar"
    depth = depth if fine else 8
    is_rgb = usable and profile is not None and profile_space(profile) == "rgb"
    shown_as_srgb = not usable or profile is None or (is_rgb and is_srgb(profile))
    own = profile if is_rgb and icc is not Icc.P3 else None
    if not shown_as_srgb and not (icc is Icc.KEEP and is_rgb):
        image = image.icc_transform(
            "p3" if icc is Icc.P3 else "srgb", embedded=True, intent="perceptual", depth=depth
        )
        own = None
    else:
        if image.interpretation == "multiband":
            image = _interpret_bands(image)
        if icc is Icc.P3:
            image = image.colourspace("rgb16" if fine else "srgb")
            image = image.icc_transform("p3", input_profile="srgb", embedded=False, depth=depth)
    if icc is Icc.P3:
        own = pyvips.Operation.call("profile_load", "p3")
    if depth == 16:
        return with_profile(_rgb_or_rgba(image.colourspace("rgb16")), own)
    return with_profile(eight_bits(image.colourspace("srgb")), own)


def profile_fits(image: pyvips.Image, profile: bytes | None) -> bool:
    """Whether the embedded profile can be read and describes as many channels as the image has."""
    space = profile_space(profile) if profile else None
    return space is not None and _BANDS[space] == image.bands - image.hasalpha()


def with_profile(image: pyvips.Image, profile: bytes | None) -> pyvips.Image:
    """
    Attach a copy of `profile`, or detach any.

    What libvips itself attaches while it converts, its CMYK profile too, is a reference to memory that goes
    with the operation, before the metadata do.
    """
    image = image.copy()
    if image.get_typeof("icc-profile-data"):
        image.remove("icc-profile-data")
    if profile is not None:
        image.set_type(pyvips.GValue.blob_type, "icc-profile-data", profile)
    return image


def needs_profile(image: pyvips.Image) -> bool:
    """Whether the picture's colours need its profile to be understood."""
    return bool(image.get_typeof("icc-profile-data")) and not is_srgb(image.get("icc-profile-data"))


def as_greyscale(image: pyvips.Image) -> pyvips.Image | None:
    """
    Return one band, and alpha where there is any, of a picture whose colours are all greys; `None` of others,
    and of one with a profile, which is about colours.
    """
    if needs_profile(image):
        return None
    step = max(1, min(image.width, image.height) // 64)
    for each in (image.subsample(step, step), image):
        red, green, blue = (each[band] for band in range(3))
        if (red - green).abs().max() or (red - blue).abs().max():
            return None
    grey = image[0].bandjoin(image[3]) if image.hasalpha() else image[0]
    return grey.copy(interpretation="b-w")


def to_space_of(other: pyvips.Image, image: pyvips.Image) -> pyvips.Image:
    """Convert `image`, which is sRGB without alpha, to the space of `other`."""
    if not needs_profile(other):
        return image
    imported = image.icc_import(input_profile="srgb", embedded=False)
    return with_profile(imported, other.get("icc-profile-data")).icc_export(depth=8)


def as_srgb(image: pyvips.Image) -> pyvips.Image:
    """Convert what `to_rgb` returned to sRGB, for steps that take values for sRGB's."""
    if not needs_profile(image):
        return image
    return with_profile(eight_bits(image.icc_transform("srgb", embedded=True, depth=8)), None)


def eight_bits(image: pyvips.Image) -> pyvips.Image:
    """Cut to 3 or 4 bands of 8 bits."""
    image = _rgb_or_rgba(image)
    return image if image.format == "uchar" else image.cast("uchar")


def _rgb_or_rgba(image: pyvips.Image) -> pyvips.Image:
    if image.bands in _RGB_BANDS:
        return image
    return image.extract_band(0, n=4 if image.bands > 4 else 3)


def _interpret_bands(image: pyvips.Image) -> pyvips.Image:
    """Bands without a meaning: the first three are red, green and blue, or the first one is grey."""
    grey = image.bands < 3
    wide = image.format == "ushort"
    space = ("grey16" if wide else "b-w") if grey else ("rgb16" if wide else "srgb")
    return image.extract_band(0, n=1 if grey else 3).copy(interpretation=space)
