"""Text as a picture: Pango draws the letters, and all that a client wrote is text to it, never markup."""

from __future__ import annotations

import html
import math

import pyvips

from proxy.fonts.letters import font_coverage, has_emoji
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
        image = _in_colour(letters, spec.text_color or WHITE)
        if spec.text_outline:
            mask = letters.extract_band(letters.bands - 1)
            thick = _thicken(mask.embed(line, line, mask.width + 2 * line, mask.height + 2 * line), line)
            outline = _fill(thick, spec.text_outline.color)
            image = outline.composite2(image, "over", x=line, y=line).rint().cast("uchar")
        image = _fit(image, Size(widest, canvas.height))
    found = Size(image.width, image.height)
    x, y = spec.overlay_x or 0.0, spec.overlay_y or 0.0
    left, top = position(canvas, found, spec.overlay_position, x, y, exact(dpr))
    return image, Box(left, top, found.width, found.height)


def _letters(spec: Spec, size: int, width: int, wrap: str) -> pyvips.Image:
    """A mask of the letters, or where there are emoji, RGBA with letters of the text's colour."""
    text = html.escape(spec.text or "", quote=False)
    emoji = has_emoji(spec.text or "", font_coverage())
    if emoji:
        colour = spec.text_color or WHITE
        text = f'<span foreground="#{colour.red:02x}{colour.green:02x}{colour.blue:02x}">{text}</span>'
    return pyvips.Image.text(
        text,
        rgba=emoji,
        font=f"{spec.text_font or FONT} {size}px",
        width=width,
        wrap=wrap,
        align=_ALIGN[spec.text_align],
        dpi=72,
    ).copy_memory()


def _in_colour(letters: pyvips.Image, colour: Colour) -> pyvips.Image:
    """RGBA. Emoji keep their own colours."""
    if letters.bands == 1:
        return _fill(letters, colour)
    if colour.alpha == 255:
        return letters
    alpha = (letters.extract_band(3) * (colour.alpha / 255)).rint().cast("uchar")
    return letters.extract_band(0, n=3).bandjoin(alpha)


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
