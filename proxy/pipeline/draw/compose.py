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
from proxy.pipeline.draw.corners import outlined
from proxy.pipeline.draw.effects import affected
from proxy.pipeline.draw.overlay import Layer, laid

_TURNS = ("", "rot90", "rot180", "rot270")

_INTERESTING = {Strategy.ATTENTION: "attention", Strategy.ENTROPY: "entropy"}
"""Faces are looked for elsewhere, and are boxes by now."""


def drawn(
    image: pyvips.Image, spec: Spec, plan: Plan, over: Layer | None = None, *, alpha: bool
) -> pyvips.Image:
    """
    From `plan.resize` to `plan.result`, and `over` on it; `alpha` says whether the format has transparency.
    """
    image = mirrored(image, plan)
    image = cut(image, plan)
    if spec.flatten:
        image = canvas.flattened(image, spec.background)
    image = held(affected(image, spec), spec)
    if plan.canvas is not None:
        image = held(canvas.barred(image, plan.canvas, spec.background), spec)
    if plan.radii is not None or plan.border:
        colour = spec.border.colour if spec.border else WHITE
        image = held(outlined(image, plan.radii, plan.border, colour, spec.background), spec)
    if plan.angle:
        image = held(canvas.rotated(image, plan.angle, plan.rotated, spec.background), spec)
    if plan.extend != Margins():
        edge = spec.extend.edge if spec.extend else Edge.BACKGROUND
        image = canvas.extended(image, plan.extend, edge, spec.background)
    image = laid(image, over)
    return image if alpha else canvas.flattened(image, spec.background)


def held(image: pyvips.Image, spec: Spec) -> pyvips.Image:
    """In memory where steps to come look at it for their ground: it would be made anew for each look."""
    return image.copy_memory() if isinstance(spec.background, GeneratedBackground) else image


def mirrored(image: pyvips.Image, plan: Plan) -> pyvips.Image:
    if plan.turn:
        image = getattr(image, _TURNS[plan.turn])()
    if plan.flip:
        image = image.flipver()
    if plan.flop:
        image = image.fliphor()
    return image


def cut(image: pyvips.Image, plan: Plan) -> pyvips.Image:
    box = plan.crop
    if (image.width, image.height) == (box.width, box.height):
        return image
    left, top = chosen(image, box.size, plan.strategy) if plan.strategy is not None else (box.left, box.top)
    return image.crop(left, top, box.width, box.height)


def chosen(image: pyvips.Image, size: Size, strategy: Strategy) -> tuple[int, int]:
    """Left and top of what a strategy keeps when the picture is cut to `size`."""
    cut = image.smartcrop(size.width, size.height, interesting=_INTERESTING[strategy])
    return -cut.xoffset, -cut.yoffset
