"""Scaling: by which kernel, in which light, and from the source's colours to those that were asked for."""

from __future__ import annotations

import pyvips

from proxy.geometry.boxes import Size
from proxy.options.spec import Icc, Kernel, Spec
from proxy.pipeline.decode import icc
from proxy.pipeline.decode.alpha import on_colours, on_premultiplied
from proxy.pipeline.decode.colour import (
    as_srgb,
    eight_bits,
    normalise_samples,
    profile_fits,
    to_rgb,
    with_profile,
)
from proxy.pipeline.decode.colour_description import ColourDescription


def loaders_may_scale(spec: Spec) -> bool:
    """
    Whether a loader may do part of the scaling: it scales values as they are encoded, by its own kernel.
    """
    return not spec.linear_light and spec.gamma is None and spec.kernel is Kernel.LANCZOS3


def resampled(
    image: pyvips.Image,
    target: Size,
    profile: bytes | None,
    spec: Spec,
    hdr: ColourDescription | None = None,
) -> pyvips.Image:
    """
    Scale an image as it was decoded, with the profile that it came with, to 8-bit RGB of exactly `target` px.

    What is finer than 8 bits stays so until the colours are converted. Without `linear-light` and `gamma`
    values are scaled as they are encoded, and before they are converted: there are fewer of them then.

    A profile that no picture can be made with is ignored: some are damaged behind a header that is in order.
    """
    image = normalise_samples(image)
    try:
        made = _resampled(image, target, profile, spec, hdr)
        as_srgb(made)
    except pyvips.Error:
        if profile is None:
            raise
        return _resampled(with_profile(image, None), target, None, spec)
    return made


def _resampled(
    image: pyvips.Image,
    target: Size,
    profile: bytes | None,
    spec: Spec,
    hdr: ColourDescription | None = None,
) -> pyvips.Image:
    if hdr is not None and (spec.gamma is not None or spec.linear_light):
        image, profile, hdr = to_rgb(image, profile, depth=16, hdr=hdr), None, None
    if spec.linear_light and _size(image) != target:
        return _in_linear_light(image, target, profile, spec)
    if spec.gamma is not None:
        return _between_gammas(image, target, profile, spec, spec.gamma)
    return to_rgb(_resized(image, target, spec.kernel), profile, spec.icc, hdr=hdr)


def _in_linear_light(image: pyvips.Image, target: Size, profile: bytes | None, spec: Spec) -> pyvips.Image:
    keeps = spec.icc is Icc.KEEP and profile is not None and icc.is_matrix(profile)
    if keeps and profile_fits(image, profile):
        light = _resized(image.icc_import(embedded=True, pcs="xyz"), target, spec.kernel)
        return with_profile(eight_bits(light.icc_export(depth=8)), profile)
    # sRGB's curve is Display P3's too.
    light = to_rgb(image, profile, spec.icc, depth=16).colourspace("scrgb")
    return eight_bits(_resized(light, target, spec.kernel).colourspace("srgb"))


def _between_gammas(
    image: pyvips.Image, target: Size, profile: bytes | None, spec: Spec, gamma: tuple[float, ...]
) -> pyvips.Image:
    """
    sharp's `gamma`: darkened by the first before it is scaled, brightened by the last after. Between the two
    it is in floats, since shadows would be lost in 8 bits.
    """
    darker, brighter = gamma[0], gamma[-1]
    image = to_rgb(image, profile, spec.icc, depth=16)
    deep = image.format == "ushort"
    table = ((pyvips.Image.identity(ushort=deep) / (65_535 if deep else 255)) ** darker) * 255
    light = on_colours(image, lambda colours: colours.maplut(table))
    if deep and image.hasalpha():
        light = light.extract_band(0, n=3).bandjoin(image[3] / 257)
    light = _resized(light.copy(interpretation="srgb"), target, spec.kernel)
    encoded = on_colours(light, lambda colours: (colours.clamp(min=0, max=255) / 255) ** (1 / brighter) * 255)
    return encoded.rint().cast("uchar")


def _resized(image: pyvips.Image, target: Size, kernel: Kernel) -> pyvips.Image:
    if _size(image) == target:
        return image
    across, down = target.width / image.width, target.height / image.height
    return on_premultiplied(image, lambda picture: picture.resize(across, vscale=down, kernel=kernel.value))


def _size(image: pyvips.Image) -> Size:
    return Size(image.width, image.height)
