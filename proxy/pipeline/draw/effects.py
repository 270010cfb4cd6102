"""
What changes pixels and moves none.

EFFECTS is the order of work: however a URL orders them, effects run from the top down, each on 8-bit RGB
with or without alpha, and each gets the values of the `Spec` fields that its row names. The meanings are
sharp's (which are ipx's), and so is the order, with these differences: transparency is never thresholded
nor negated, and a median does not count the hidden colours of transparent pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyvips

from proxy.options.spec import OPTIONS, Spec
from proxy.options.values.colours import Colour, Tint
from proxy.pipeline.decode.alpha import ImageFunction, on_colours, on_premultiplied, with_alpha

_MILD_BLUR = ([[1, 1, 1], [1, 1, 1], [1, 1, 1]], 9)
_MILD_SHARPEN = ([[-1, -1, -1], [-1, 32, -1], [-1, -1, -1]], 24)

_FINE_BLUR = 40.0
_FINE_MEDIAN = 16
"""From twice these, in px, both are made on a smaller copy: all that grows with them is what they cost."""

_FINE_PIXELS = 2_000_000
"""Of more px than these a median is made on a smaller copy sooner: of 48 million from 7 px on."""

_SEPIA = ((0.393, 0.769, 0.189), (0.349, 0.686, 0.168), (0.272, 0.534, 0.131))
"""https://www.w3.org/TR/filter-effects-1/#sepiaEquivalent"""


def grayscale(image: pyvips.Image, wanted: bool) -> pyvips.Image:
    """Luminance, in linear light."""
    return image.colourspace("b-w").colourspace("srgb")


def median(image: pyvips.Image, size: int) -> pyvips.Image:
    """The median of a square of `size` px; never one that is larger than the picture."""
    size = min(size, image.width, image.height)
    fine = _FINE_MEDIAN * min(1.0, (_FINE_PIXELS / image.width / image.height) ** 0.5)
    factor = max(1, int(size / fine))
    return on_premultiplied(
        image, lambda picture: _on_smaller_copy(picture, factor, lambda small: small.median(size // factor))
    )


def threshold(image: pyvips.Image, least: int) -> pyvips.Image:
    """Black and white, by luminance."""
    return on_colours(image, lambda colours: (colours.colourspace("b-w") >= least).colourspace("srgb"))


def pixelate(image: pyvips.Image, size: int) -> pyvips.Image:
    """Means of squares of `size` px, counted from the top left corner."""
    size = min(size, max(image.width, image.height))
    small = on_premultiplied(image, lambda picture: picture.shrink(size, size, ceil=True))
    return small.zoom(size, size).crop(0, 0, image.width, image.height)


def blur(image: pyvips.Image, value: tuple[float, ...]) -> pyvips.Image:
    """Gaussian with a sigma in px; bare: a 3x3 box."""
    if not value:
        return on_premultiplied(image, lambda picture: _convolved(picture, *_MILD_BLUR))
    return on_premultiplied(image, lambda picture: _blurred(picture, value[0]))


def unflatten(image: pyvips.Image, wanted: bool) -> pyvips.Image:
    """White, which is a luminance of 255, becomes transparent."""
    image = with_alpha(image)
    colours = image.extract_band(0, n=3)
    return colours.bandjoin(image[3] & (colours.colourspace("b-w") < 255))


def modulate(
    image: pyvips.Image, brightness: float, saturation: float, hue: float, lightness: float
) -> pyvips.Image:
    """Lightness times `brightness` plus `lightness`, chroma times `saturation`, `hue` added: CIE LCh."""
    return on_colours(
        image,
        lambda colours: (
            colours.colourspace("lch")
            .linear([brightness, saturation, 1], [lightness, 0, hue % 360])
            .colourspace("srgb")
        ),
    )


def sharpen(image: pyvips.Image, value: tuple[float, ...]) -> pyvips.Image:
    """Sigma in px, slope in flat areas, slope in jagged ones (of lightness in CIELAB); bare: a 3x3 kernel."""
    if not value:
        return on_premultiplied(image, lambda picture: _convolved(picture, *_MILD_SHARPEN))
    sigma, flat, jagged = value
    return on_premultiplied(
        image, lambda picture: picture.sharpen(sigma=sigma, m1=flat, m2=jagged).colourspace("srgb")
    )


def linear(image: pyvips.Image, value: tuple[float, ...]) -> pyvips.Image:
    """`factor * channel + offset`."""
    factor, offset = value
    return on_colours(image, lambda colours: colours.linear(factor, offset, uchar=True))


def contrast(image: pyvips.Image, factor: float) -> pyvips.Image:
    """The distance from the middle of the scale times `factor`, in each channel."""
    return on_colours(image, lambda colours: colours.linear(factor, 127.5 * (1 - factor) + 0.5, uchar=True))


def normalize(image: pyvips.Image, wanted: bool) -> pyvips.Image:
    """CIELAB's lightness from its 1st to its 99th percentile, stretched to the whole scale."""
    seen = image[3] > 0 if image.hasalpha() else None
    return on_colours(image, lambda colours: _normalize_lightness(colours, seen))


def tint(image: pyvips.Image, value: Tint) -> pyvips.Image:
    """Luminance, with the hue and chroma of a colour; less of it towards black and white."""
    share = value.percent / 100
    tinted = on_colours(image, lambda colours: colours.colourspace("b-w").maplut(_shades(value.colour)))
    return _mix(image, tinted, share)


def sepia(image: pyvips.Image, percent: float) -> pyvips.Image:
    """The matrix of CSS's sepia(), mixed with the picture."""
    share = percent / 100
    matrix = [
        [share * weight + (1 - share) * (row == column) for column, weight in enumerate(weights)]
        for row, weights in enumerate(_SEPIA)
    ]
    return on_colours(image, lambda colours: colours.recomb(matrix).rint().cast("uchar"))


def duotone(image: pyvips.Image, ends: tuple[Colour, Colour]) -> pyvips.Image:
    """Luminance, as a place on the way from one colour to another: sRGB values, mixed."""
    dark, light = ((colour.red, colour.green, colour.blue) for colour in ends)
    share = pyvips.Image.identity() / 255
    scale = share * [light[band] - dark[band] for band in range(3)] + list(dark)
    lut = scale.rint().cast("uchar").copy(interpretation="srgb")
    return on_colours(image, lambda colours: colours.colourspace("b-w").maplut(lut))


def negate(image: pyvips.Image, wanted: bool) -> pyvips.Image:
    """255 minus each channel."""
    return on_colours(image, lambda colours: colours.invert())


def opacity(image: pyvips.Image, share: float) -> pyvips.Image:
    """Alpha times `share`."""
    image = with_alpha(image)
    return image.extract_band(0, n=3).bandjoin((image[3] * share).rint().cast("uchar"))


EFFECTS: tuple[tuple[Callable[..., pyvips.Image], tuple[str, ...]], ...] = (
    (grayscale, ("grayscale",)),
    (median, ("median",)),
    (threshold, ("threshold",)),
    (pixelate, ("pixelate",)),
    (blur, ("blur",)),
    (unflatten, ("unflatten",)),
    (modulate, ("brightness", "saturation", "hue", "lightness")),
    (sharpen, ("sharpen",)),
    (linear, ("linear",)),
    (contrast, ("contrast",)),
    (normalize, ("normalize",)),
    (tint, ("tint",)),
    (sepia, ("sepia",)),
    (duotone, ("duotone",)),
    (negate, ("negate",)),
    (opacity, ("opacity",)),
)


def apply_effects(image: pyvips.Image, spec: Spec) -> pyvips.Image:
    """Apply all effects that `spec` asks for, in the order of EFFECTS."""
    for effect, names in EFFECTS:
        values: list[Any] = [getattr(spec, name) for name in names]
        if values != [OPTIONS[name].default for name in names]:
            image = effect(image, *values)
    return image


def _convolved(image: pyvips.Image, kernel: list[list[int]], scale: int) -> pyvips.Image:
    return image.conv(pyvips.Image.new_from_array(kernel, scale=scale))


def _blurred(image: pyvips.Image, sigma: float) -> pyvips.Image:
    factor = max(1, int(min(sigma / _FINE_BLUR, image.width, image.height)))
    return _on_smaller_copy(image, factor, lambda small: small.gaussblur(sigma / factor))


def _on_smaller_copy(image: pyvips.Image, factor: int, work: ImageFunction) -> pyvips.Image:
    """`work` on a copy whose sides are divided by `factor`, at the size of `image`."""
    if factor == 1:
        return work(image)
    # Held, since enlarging asks for each of its rows again and again.
    small = work(image.shrink(factor, factor, ceil=True)).copy_memory()
    return small.resize(image.width / small.width, vscale=image.height / small.height, kernel="cubic")


def _normalize_lightness(colours: pyvips.Image, seen: pyvips.Image | None) -> pyvips.Image:
    """`seen` is 255 for pixels that count: what transparency hides does not."""
    lab = colours.colourspace("lab")
    lightness = lab[0]
    darkest, lightest = (
        lightness.percent(share) if seen is None else _percentile_of_seen(lightness, seen, share)
        for share in (1, 99)
    )
    if abs(lightest - darkest) <= 1:
        return colours
    factor = 100 / (lightest - darkest)
    stretched = lightness.linear(factor, -darkest * factor)
    return stretched.bandjoin(lab.extract_band(1, n=2)).copy(interpretation="lab").colourspace("srgb")


def _percentile_of_seen(lightness: pyvips.Image, seen: pyvips.Image, percent: float) -> float:
    """libvips' `percent`, of the pixels where `seen` is not 0; 0 where there are none."""
    counted = seen.ifthenelse(lightness.cast("uchar") + 1, 0).cast("uchar")
    levels = int(counted.max())
    if not levels:
        return 0.0
    counts = counted.hist_find().crop(1, 0, levels, 1)
    _, rows = (counts.hist_cum().hist_norm() > percent / 100 * levels).profile()
    return float(rows(0, 0)[0])


def _shades(colour: Colour) -> pyvips.Image:
    """A table from luminance to shades of `colour`; the weights are sharp's."""
    one = pyvips.Image.black(1, 1).linear(1, [colour.red, colour.green, colour.blue])
    wanted = one.colourspace("lab", source_space="srgb")(0, 0)
    greys = pyvips.Image.identity(bands=3).colourspace("lab", source_space="srgb")
    share = greys[0] / 100 - 0.5
    weight = (share * share) * -4 + 1
    shades = greys[0].bandjoin([weight * wanted[1], weight * wanted[2]])
    return shades.colourspace("srgb", source_space="lab")


def _mix(image: pyvips.Image, other: pyvips.Image, share: float) -> pyvips.Image:
    return other if share == 1 else (image * (1 - share) + other * share).rint().cast("uchar")
