"""
What changes pixels and moves none.

EFFECTS is the order of work: however a URL orders them, effects run from the top down, each on 8-bit sRGB
with or without alpha, and each gets the value of the `Spec` field that it is named after. The meanings are
ipx's, which are sharp's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyvips

from proxy.pipeline.alpha import apart, weighted
from proxy.spec import Spec

_MILD_BLUR = [[1 / 9] * 3] * 3
_MILD_SHARPEN = [[-1 / 24] * 3, [-1 / 24, 32 / 24, -1 / 24], [-1 / 24] * 3]


def blur(image: pyvips.Image, value: tuple[float, ...]) -> pyvips.Image:
    """Gaussian with a sigma in px; bare: a 3x3 box."""
    if value:
        return weighted(image, lambda picture: picture.gaussblur(value[0]))
    return weighted(image, lambda picture: picture.conv(_MILD_BLUR))


def sharpen(image: pyvips.Image, value: tuple[float, ...]) -> pyvips.Image:
    """Sigma in px, slope in flat areas, slope in jagged ones (of lightness in CIELAB); bare: a 3x3 kernel."""
    if not value:
        return weighted(image, lambda picture: picture.conv(_MILD_SHARPEN))
    sigma, flat, jagged = (*value, *(1.0, 2.0)[len(value) - 1 :])
    return apart(image, lambda picture: picture.sharpen(sigma=sigma, m1=flat, m2=jagged).colourspace("srgb"))


def grayscale(image: pyvips.Image, value: bool) -> pyvips.Image:
    """Luminance, in linear light."""
    return image.colourspace("b-w").colourspace("srgb")


EFFECTS: tuple[tuple[str, Callable[[pyvips.Image, Any], pyvips.Image]], ...] = (
    ("blur", blur),
    ("sharpen", sharpen),
    ("grayscale", grayscale),
)


def affected(image: pyvips.Image, spec: Spec) -> pyvips.Image:
    """`image` after all effects that `spec` asks for."""
    for name, effect in EFFECTS:
        value = getattr(spec, name)
        if value is not None and value is not False:
            image = effect(image, value)
    return image
