"""Animations: each frame is a picture of its own, and what one frame decides holds for all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain

import pyvips

from proxy.geometry.boxes import Box
from proxy.geometry.plan import Plan
from proxy.options.spec import Spec
from proxy.options.values.colours import GeneratedBackground
from proxy.pipeline.decode.header import Header
from proxy.pipeline.draw import canvas
from proxy.pipeline.draw.compose import crop_to_plan, draw_picture, turn_and_mirror
from proxy.pipeline.draw.effects import apply_effects
from proxy.pipeline.draw.overlay import Layer


def draw_frames(
    first: pyvips.Image,
    others: Iterable[pyvips.Image],
    spec: Spec,
    plan: Plan,
    layer: Layer | None = None,
    *,
    alpha: bool,
) -> Iterator[pyvips.Image]:
    """Draw each frame as `draw_picture` does, in memory, and with nothing of its neighbours."""
    for frame in chain((first,), others):
        yield draw_picture(frame, spec, plan, layer, alpha=alpha).copy_memory()


def stack_frames(frames: Iterable[pyvips.Image], header: Header) -> pyvips.Image:
    """Put frames on top of each other, with their delays and their loop, as libvips' savers take them."""
    all_frames = list(frames)
    stacked = pyvips.Image.arrayjoin(all_frames, across=1).copy()
    stacked.set_type(pyvips.GValue.gint_type, "page-height", all_frames[0].height)
    stacked.set_type(pyvips.GValue.gint_type, "n-pages", len(all_frames))
    stacked.set_type(pyvips.GValue.gint_type, "loop", header.loop)
    stacked.remove("delay")
    if header.delays:
        delays = header.delays[header.page : header.page + len(all_frames)]
        stacked.set_type(pyvips.GValue.array_int_type, "delay", list(delays))
    return stacked


def frame_at(stacked: pyvips.Image, count: int, at: int) -> pyvips.Image:
    """Return frame `at`, from 0 on, of `count` that `stack_frames` put on top of each other."""
    height = stacked.height // count
    return stacked if count == 1 else stacked.crop(0, at * height, stacked.width, height)


def pin_choices(first: pyvips.Image, spec: Spec, plan: Plan) -> tuple[Spec, Plan]:
    """
    Decide by the first frame what depends on pixels: a crop that jumps and bars that flicker are no picture.
    """
    upright = turn_and_mirror(first, plan)
    shown = crop_to_plan(upright, plan)
    if plan.strategy is not None:
        # libvips keeps where an area was cut out as a negative offset.
        place = Box(-shown.xoffset, -shown.yoffset, shown.width, shown.height)
        plan = replace(plan, crop=place, strategy=None)
    if spec.background is GeneratedBackground.DOMINANT:
        spec = replace(spec, background=canvas.dominant_colour(apply_effects(shown, spec)))
    return spec, plan
