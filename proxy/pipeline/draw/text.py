"""Text as a picture: Pango draws the letters, and all that a client wrote is text to it, never markup."""

from __future__ import annotations

import html
import math

import pyvips

from proxy.geometry import overlay
from proxy.geometry.boxes import Box, Size, exact, position
from proxy.model.errors import InvalidValue
from proxy.options.spec import Spec
from proxy.options.values.colours import WHITE, Colour
from proxy.options.values.overlays import TextAlign
from proxy.options.values.positions import round_px
from proxy.pipeline.decode.libvips import libvips

FONT = "DejaVu Sans"
"""The one in `proxy/fonts`, so it is the same everywhere."""

_ALIGN = {TextAlign.LEFT: "low", TextAlign.CENTER: "centre", TextAlign.RIGHT: "high"}

_BREAK_FACTOR = 2
"""Times its room: a word that is longer is broken, since it could not be read any more if it were shrunk."""

_THICKEN_STEP = 4
"""px that an outline grows in one pass; what it costs grows with the square."""


def render_text(spec: Spec, canvas: Size, dpr: float) -> tuple[pyvips.Image, Box]:
    """
    Draw the spec's text as RGBA; return it and where it lies on `canvas`.

    It is wrapped between words, and within those that are far too long, then made smaller when it is wider
    than asked for or higher than the canvas. Raises InvalidValue when there is nothing to see in the text.
    """
    line = round_px(spec.text_outline.width * exact(dpr)) if spec.text_outline else 0
    size = overlay.font_size(spec, canvas, dpr)
    widest = overlay.wrap_width(spec, canvas, dpr)
    with libvips(InvalidValue, "'text' has nothing in it that can be drawn"):
        room = max(widest - 2 * line, 1)
        letters = _letters(spec, size, room, "word")
        if letters.width > _BREAK_FACTOR * room:
            letters = _letters(spec, size, room, "word-char")
        image = _fill(letters, spec.text_color or WHITE)
        if spec.text_outline:
            thick = _thicken(
                letters.embed(line, line, letters.width + 2 * line, letters.height + 2 * line), line
            )
            outline = _fill(thick, spec.text_outline.color)
            image = outline.composite2(image, "over", x=line, y=line).rint().cast("uchar")
        image = _fit(image, Size(widest, canvas.height))
    found = Size(image.width, image.height)
    x, y = spec.overlay_x or 0.0, spec.overlay_y or 0.0
    left, top = position(canvas, found, spec.overlay_position, x, y, exact(dpr))
    return image, Box(left, top, found.width, found.height)


def _letters(spec: Spec, size: int, width: int, wrap: str) -> pyvips.Image:
    return pyvips.Image.text(
        html.escape(spec.text or "", quote=False),
        font=f"{spec.text_font or FONT} {size}px",
        width=width,
        wrap=wrap,
        align=_ALIGN[spec.text_align],
        dpi=72,
    ).copy_memory()


def _fill(mask: pyvips.Image, colour: Colour) -> pyvips.Image:
    alpha = mask if colour.alpha == 255 else (mask * (colour.alpha / 255)).rint().cast("uchar")
    flat = mask.new_from_image([colour.red, colour.green, colour.blue])
    return flat.copy(interpretation="srgb").bandjoin(alpha)


def _thicken(mask: pyvips.Image, radius: int) -> pyvips.Image:
    """Every letter `radius` px thicker on all sides. Discs add up to a disc, so small steps will do."""
    while radius > 0:
        step = min(radius, _THICKEN_STEP)
        mask = mask.conv(_disc(step), precision="integer").cast("uchar").copy_memory()
        radius -= step
    return mask


def _disc(radius: int) -> pyvips.Image:
    side = range(-radius, radius + 1)
    reach = radius + 0.5
    return pyvips.Image.new_from_array(
        [[1 if math.hypot(x, y) < reach else 0 for x in side] for y in side], scale=1, offset=0
    )


def _fit(image: pyvips.Image, room: Size) -> pyvips.Image:
    size = overlay.shrink_into(Size(image.width, image.height), room)
    if size == Size(image.width, image.height):
        return image
    across, down = size.width / image.width, size.height / image.height
    return image.premultiply().resize(across, vscale=down).unpremultiply().rint().cast("uchar")
