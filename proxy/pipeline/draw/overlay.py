"""What lies over the finished picture: another one, decoded with the same care, or a text."""

from __future__ import annotations

from dataclasses import dataclass

import pyvips

from proxy.geometry import overlay
from proxy.geometry.boxes import Box, Size
from proxy.geometry.plan import Plan
from proxy.model.errors import UnusableOriginal, UnusableOverlay
from proxy.model.limits import Limits
from proxy.options.spec import Spec
from proxy.options.values.overlays import BlendMode
from proxy.pipeline.decode.alpha import on_colours, with_alpha
from proxy.pipeline.decode.colour import to_space_of
from proxy.pipeline.decode.source import open_original
from proxy.pipeline.draw.text import render_text

_MODES = {
    BlendMode.OVER: "over", BlendMode.MULTIPLY: "multiply", BlendMode.SCREEN: "screen",
    BlendMode.OVERLAY: "overlay", BlendMode.DARKEN: "darken", BlendMode.LIGHTEN: "lighten",
    BlendMode.DODGE: "colour-dodge", BlendMode.BURN: "colour-burn", BlendMode.HARD: "hard-light",
    BlendMode.SOFT: "soft-light", BlendMode.DIFFERENCE: "difference", BlendMode.EXCLUSION: "exclusion",
    BlendMode.ADD: "add",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Layer:
    """RGBA in memory, `opacity` counted in, at `left`, `top` of every frame that it lies over."""

    image: pyvips.Image
    left: int
    top: int
    mode: str


def make_layer(
    spec: Spec, body: bytes | memoryview | None, under: pyvips.Image, plan: Plan, limits: Limits
) -> Layer | None:
    """
    Prepare what `spec` lays over a picture that is made by `plan` from `under`: all that can be made once for
    many frames.

    `body` is the overlay's original. Returns `None` where there is nothing to lay, or no font has any letter
    of the text. Raises UnusableOverlay, and InvalidValue for a text in which nothing is seen.
    """
    canvas, dpr = plan.result, plan.dpr
    if spec.text == "":
        return None
    if spec.text is not None:
        image, box = render_text(spec, canvas, dpr)
    elif spec.overlay is not None and body is not None:
        image, box = _picture(spec, body, canvas, dpr, limits)
        image = on_colours(image, lambda colours: to_space_of(under, colours))
    else:
        return None
    if spec.overlay_opacity < 100:
        image = _with_opacity(image, spec.overlay_opacity / 100)
    if spec.overlay_tile:
        image, box = _tile(image, overlay.tile_gaps(spec, canvas, dpr), canvas), Box(0, 0, 0, 0)
    return Layer(image.copy_memory(), box.left, box.top, _MODES[spec.overlay_blend])


def lay_over(image: pyvips.Image, layer: Layer | None) -> pyvips.Image:
    """Lay `layer` on `image`, which keeps its bands: what was opaque stays so."""
    if layer is None:
        return image
    mixed = image.composite2(layer.image, layer.mode, x=layer.left, y=layer.top)
    if not image.hasalpha():
        mixed = mixed.extract_band(0, n=3)
    return mixed if mixed.format == image.format else mixed.rint().cast(image.format)


def _picture(
    spec: Spec, body: bytes | memoryview, canvas: Size, dpr: float, limits: Limits
) -> tuple[pyvips.Image, Box]:
    """In sRGB; the first frame."""
    try:
        original = open_original(body, limits)
        size = original.header.upright
        box = overlay.overlay_box(spec, canvas, size, dpr)
        return with_alpha(original.scaled(Box(0, 0, size.width, size.height), box.size)), box
    except UnusableOriginal as error:
        message = f"the overlay {spec.overlay!r}: {error.message}"
        raise UnusableOverlay(message, option="overlay", value=spec.overlay) from error


def _with_opacity(image: pyvips.Image, share: float) -> pyvips.Image:
    colours, alpha = image.extract_band(0, n=3), image.extract_band(3)
    return colours.bandjoin((alpha * share).rint().cast("uchar"))


def _tile(image: pyvips.Image, gaps: tuple[int, int], canvas: Size) -> pyvips.Image:
    tile = image.embed(0, 0, image.width + gaps[0], image.height + gaps[1], extend="black")
    across, down = -(-canvas.width // tile.width), -(-canvas.height // tile.height)
    return tile.replicate(across, down).crop(0, 0, canvas.width, canvas.height)
