"""From the scaled picture to the finished one: the rest of a plan, step by step in its order."""

from __future__ import annotations

import pyvips

from proxy.geometry.boxes import Margins, Size
from proxy.geometry.plan import Plan
from proxy.options.spec import Spec
from proxy.options.values.colours import WHITE, GeneratedBackground
from proxy.options.values.edges import Edge
from proxy.options.values.positions import Strategy
from proxy.pipeline.draw import canvas
from proxy.pipeline.draw.corners import with_corners_and_border
from proxy.pipeline.draw.effects import apply_effects
from proxy.pipeline.draw.overlay import Layer, lay_over

_TURNS = ("", "rot90", "rot180", "rot270")

_SMART_CROPS = {Strategy.ATTENTION: "attention", Strategy.ENTROPY: "entropy"}
"""Faces are looked for elsewhere, and are boxes by now."""


def draw_picture(
    image: pyvips.Image, spec: Spec, plan: Plan, layer: Layer | None = None, *, alpha: bool
) -> pyvips.Image:
    """
    Draw a picture of `plan.resize` px as planned, to `plan.result` px, with `layer` on it; `alpha` says
    whether the format has transparency.
    """
    image = turn_and_mirror(image, plan)
    image = crop_to_plan(image, plan)
    if spec.flatten:
        image = canvas.flattened(image, spec.background)
    image = in_memory_for_background(apply_effects(image, spec), spec)
    if plan.canvas is not None:
        image = in_memory_for_background(canvas.on_canvas(image, plan.canvas, spec.background), spec)
    if plan.radii is not None or plan.border:
        colour = spec.border.colour if spec.border else WHITE
        image = in_memory_for_background(
            with_corners_and_border(image, plan.radii, plan.border, colour, spec.background), spec
        )
    if plan.angle:
        image = in_memory_for_background(
            canvas.rotated(image, plan.angle, plan.rotated, spec.background), spec
        )
    if plan.extend != Margins():
        edge = spec.extend.edge if spec.extend else Edge.BACKGROUND
        image = canvas.extended(image, plan.extend, edge, spec.background)
    image = lay_over(image, layer)
    return image if alpha else canvas.flattened(image, spec.background)


def in_memory_for_background(image: pyvips.Image, spec: Spec) -> pyvips.Image:
    """
    Make the pixels now where later steps look at them for their background: they would be made anew for each
    look.
    """
    return image.copy_memory() if isinstance(spec.background, GeneratedBackground) else image


def turn_and_mirror(image: pyvips.Image, plan: Plan) -> pyvips.Image:
    """Turn by the planned quarters, then mirror."""
    if plan.turn:
        image = getattr(image, _TURNS[plan.turn])()
    if plan.flip:
        image = image.flipver()
    if plan.flop:
        image = image.fliphor()
    return image


def crop_to_plan(image: pyvips.Image, plan: Plan) -> pyvips.Image:
    """Keep the planned box, or the one that the planned strategy chooses."""
    box = plan.crop
    if (image.width, image.height) == (box.width, box.height):
        return image
    left, top = (
        smart_crop_offset(image, box.size, plan.strategy)
        if plan.strategy is not None
        else (box.left, box.top)
    )
    return image.crop(left, top, box.width, box.height)


def smart_crop_offset(image: pyvips.Image, size: Size, strategy: Strategy) -> tuple[int, int]:
    """Return left and top of what a strategy keeps when the picture is cropped to `size`."""
    cut = image.smartcrop(size.width, size.height, interesting=_SMART_CROPS[strategy])
    return -cut.xoffset, -cut.yoffset
