"""What lies around and behind the picture: bars, corners, borders, and the ground under transparency."""

from __future__ import annotations

import math
from collections import Counter

import pyvips

from proxy.geometry.boxes import Box, Margins, Size
from proxy.options.values.colours import TRANSPARENT, WHITE, Colour, GeneratedBackground
from proxy.options.values.edges import Edge
from proxy.pipeline.decode.alpha import on_premultiplied, with_alpha

Background = Colour | GeneratedBackground | None

_BLURRED_SIDE = 48
"""A blurred background is made from a copy this small, in px: what it costs does not grow with the canvas."""

_HISTOGRAM_SIDE = 64
_HISTOGRAM_SHIFT = 4


def on_canvas(image: pyvips.Image, canvas: Box, background: Background) -> pyvips.Image:
    """
    Put the picture at `left`, `top` of a canvas of `width` x `height` px. Bars stand beside it, not under it.
    """
    if background is GeneratedBackground.BLURRED:
        ground = blurred_background(image, Size(canvas.width, canvas.height))
        if image.hasalpha():
            ground = with_alpha(ground)
        return ground.insert(image, canvas.left, canvas.top)
    return embed_in(image, canvas, solid_colour(image, background))


def rotated(image: pyvips.Image, angle: float, size: Size, background: Background) -> pyvips.Image:
    """Turn clockwise by `angle` degrees around the middle, on a canvas of exactly `size`."""
    ground = blurred_background(image, size) if background is GeneratedBackground.BLURRED else None
    corner = TRANSPARENT if ground is not None else solid_colour(image, background)
    if corner.alpha < 255:
        image = with_alpha(image)
    turned = _turned(image, angle, size, corner)
    if ground is None:
        return turned
    # What lies on an opaque ground is opaque.
    return ground.composite2(turned, "over").extract_band(0, n=3).cast("uchar")


def extended(image: pyvips.Image, margins: Margins, edge: Edge, background: Background) -> pyvips.Image:
    """Add px on each side: the background, or more of the picture."""
    canvas = Box(
        margins.left,
        margins.top,
        margins.left + image.width + margins.right,
        margins.top + image.height + margins.bottom,
    )
    if edge is Edge.BACKGROUND:
        return on_canvas(image, canvas, background)
    return image.embed(canvas.left, canvas.top, canvas.width, canvas.height, extend=edge.value)


def flattened(image: pyvips.Image, background: Background) -> pyvips.Image:
    """Remove transparency: the picture on its background, and that on white."""
    if not image.hasalpha():
        return image
    if background is GeneratedBackground.BLURRED:
        image = (
            blurred_background(image, Size(image.width, image.height)).composite2(image, "over").cast("uchar")
        )
    ground = (
        WHITE
        if background is None or background is GeneratedBackground.BLURRED
        else _over_white(solid_colour(image, background))
    )
    return image.flatten(background=_colours(ground))


def dominant_colour(image: pyvips.Image) -> Colour:
    """
    Return the mean of the fullest cell of a colour histogram, transparent pixels left out; white when there
    are no others.
    """
    small = _small(image.copy_memory(), _HISTOGRAM_SIDE)
    opaque = [pixel for pixel in _pixels(small) if pixel[-1] >= 128]
    if not opaque:
        return WHITE
    cells = Counter(tuple(value >> _HISTOGRAM_SHIFT for value in pixel[:3]) for pixel in opaque)
    fullest = max(cells, key=lambda cell: (cells[cell], cell))
    members = [p for p in opaque if tuple(value >> _HISTOGRAM_SHIFT for value in p[:3]) == fullest]
    red, green, blue = (round(sum(p[band] for p in members) / len(members)) for band in range(3))
    return Colour(red, green, blue)


def solid_colour(image: pyvips.Image, background: Background) -> Colour:
    """
    Return the one colour of a background. None given: transparent for a picture that has alpha, else white.
    """
    if isinstance(background, Colour):
        return background
    if background is GeneratedBackground.DOMINANT:
        return dominant_colour(image)
    return TRANSPARENT if image.hasalpha() else WHITE


def _colours(colour: Colour) -> list[int]:
    return [colour.red, colour.green, colour.blue]


def _over_white(colour: Colour) -> Colour:
    share = colour.alpha / 255
    return Colour(*(round(255 + (value - 255) * share) for value in _colours(colour)))


def embed_in(image: pyvips.Image, canvas: Box, colour: Colour) -> pyvips.Image:
    """Put the picture on a canvas of one colour, which gets alpha where the colour has."""
    if colour.alpha < 255:
        image = with_alpha(image)
    ground = [*_colours(colour), colour.alpha][: image.bands]
    return image.embed(
        canvas.left, canvas.top, canvas.width, canvas.height, extend="background", background=ground
    )


def _turned(image: pyvips.Image, angle: float, size: Size, corner: Colour) -> pyvips.Image:
    """The middle of the picture, between its pixels' centres, becomes the middle of the canvas."""
    cosine, sine = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    x, y = (image.width - 1) / 2, (image.height - 1) / 2
    share = corner.alpha / 255
    ground = [*(round(value * share) for value in _colours(corner)), corner.alpha]
    return on_premultiplied(
        image,
        lambda picture: picture.affine(
            [cosine, -sine, sine, cosine],
            interpolate=pyvips.Interpolate.new("bicubic"),
            oarea=[0, 0, size.width, size.height],
            odx=(size.width - 1) / 2 - cosine * x + sine * y,
            ody=(size.height - 1) / 2 - sine * x - cosine * y,
            background=ground[: picture.bands],
            extend="background",
            premultiplied=True,
        ),
    )


def blurred_background(image: pyvips.Image, size: Size) -> pyvips.Image:
    """Return an opaque, blurred copy that covers `size`."""
    # Scaling asks for the same rows again and again; what is still to be made would be made each time.
    image = image.copy_memory()
    scale = _BLURRED_SIDE / max(size.width, size.height)
    width, height = (max(1, round(side * scale)) for side in (size.width, size.height))
    opaque = image.flatten(background=_colours(dominant_colour(image))) if image.hasalpha() else image
    across = max(width / image.width, height / image.height)
    small = opaque.resize(max(across, 1 / image.width), vscale=max(across, 1 / image.height))
    small = small.crop((small.width - width) // 2, (small.height - height) // 2, width, height)
    small = small.gaussblur(_BLURRED_SIDE / 20).copy_memory()
    return small.resize(size.width / width, vscale=size.height / height, kernel="cubic")


def _small(image: pyvips.Image, side: int) -> pyvips.Image:
    scale = min(1.0, side / max(image.width, image.height))
    across, down = max(scale, 1 / image.width), max(scale, 1 / image.height)
    return with_alpha(on_premultiplied(image, lambda picture: picture.resize(across, vscale=down)))


def _pixels(image: pyvips.Image) -> list[tuple[int, ...]]:
    values = bytes(image.write_to_memory())
    return list(zip(*(values[band :: image.bands] for band in range(image.bands)), strict=True))
