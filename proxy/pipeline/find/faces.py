"""
Faces, found by dlib's detector of frontal faces: histograms of oriented gradients, all in its library, with
no model to download. It comes with the extra `image-proxy[faces]`.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

import pyvips

from proxy.geometry.boxes import Box, Size
from proxy.geometry.faces import centre_on, group_faces, scale_box, zoom_on
from proxy.geometry.plan import Plan
from proxy.geometry.visible import View, narrow_view, to_result
from proxy.model.errors import TooCostly
from proxy.model.media import Note
from proxy.options.values.positions import Strategy
from proxy.pipeline.decode.libvips import libvips
from proxy.pipeline.decode.source import PixelSource
from proxy.pipeline.draw.canvas import flattened

SEARCHED_SIDE = 1000
"""px of the longer side of what is searched: faces of 80 px and more are found, an eighth of a square."""

MAX_SEARCH_ZOOM = 2.0
"""Small pictures are made larger for it by no more than this: more px have no more to show."""

DETECTION_THRESHOLD = 0.0
"""dlib's own threshold: what is below is more often no face than one."""


def searched_size(size: Size) -> Size:
    """Return the size of the copy in which faces are searched for."""
    scale = min(MAX_SEARCH_ZOOM, SEARCHED_SIDE / max(size.width, size.height))
    return Size(max(1, round(size.width * scale)), max(1, round(size.height * scale)))


def plan_around_faces(
    source: PixelSource, trimmed: Box, plan: Plan, *, zoom: bool
) -> tuple[Plan, tuple[Note, ...]]:
    """
    Look for faces, and put boxes in place of the strategy `face`, or `attention` where no face is found.

    `trimmed` is what is left of the upright picture. `zoom` makes the faces as large as thumbnails show them,
    and at most as large as they are.
    """
    if Strategy.FACE not in (plan.strategy, plan.region_strategy):
        return plan, ()
    region = plan.region
    searched = trimmed
    if plan.region_strategy is None:
        searched = replace(region, left=trimmed.left + region.left, top=trimmed.top + region.top)
    copy = searched_size(searched.size)
    found = detect_faces(source.scaled(searched, copy))
    if not found:
        note = Note.NO_FACE_DETECTOR if found is None else Note.NO_FACE
        return _with_attention(plan), (note,)
    faces = [scale_box(face, copy, searched.size) for face in found]
    if plan.region_strategy is not None:
        region = centre_on(group_faces(faces, region.size), trimmed.size, region.size)
        faces = [replace(face, left=face.left - region.left, top=face.top - region.top) for face in faces]
    plan = replace(plan, region=region, region_strategy=None)
    if plan.strategy is not None:
        plan = _crop_around(faces, plan, zoom=zoom)
    return plan, ()


def _crop_around(faces: list[Box], plan: Plan, *, zoom: bool) -> Plan:
    """`faces` are px of the region."""
    view = View(
        region=plan.region, resize=plan.resize, turn=plan.turn, flip=plan.flip, flop=plan.flop, crop=plan.crop
    )
    around = _group_in_view(faces, view)
    if zoom:
        own = max(1.0, plan.region.width / plan.resize.width)
        factor = min(zoom_on(around, plan.crop.size), own)
        grown = Size(round(plan.resize.width * factor), round(plan.resize.height * factor))
        view = replace(view, resize=grown)
        around = _group_in_view(faces, view)
    outer = view.resize.swapped if view.turn % 2 else view.resize
    view = replace(view, crop=centre_on(around, outer, plan.crop.size))
    if view.resize != plan.resize:
        view = narrow_view(view)
    return replace(plan, region=view.region, resize=view.resize, crop=view.crop, strategy=None)


def _group_in_view(faces: list[Box], view: View) -> Box:
    turned = [to_result(scale_box(face, view.region.size, view.resize), view.resize, view) for face in faces]
    return group_faces(turned, view.crop.size)


def _with_attention(plan: Plan) -> Plan:
    instead = {Strategy.FACE: Strategy.ATTENTION}
    return replace(
        plan,
        strategy=plan.strategy and instead.get(plan.strategy, plan.strategy),
        region_strategy=plan.region_strategy and instead.get(plan.region_strategy, plan.region_strategy),
    )


def detect_faces(image: pyvips.Image) -> list[Box] | None:
    """Return boxes in px of `image`, the most certain first; `None` where no detector is installed."""
    found_by = detector()
    if found_by is None:
        return None
    import numpy

    with libvips(TooCostly, "there was not enough memory to look for faces"):
        grey = bytes(flattened(image, None).colourspace("b-w").write_to_memory())
    pixels = numpy.frombuffer(grey, numpy.uint8).reshape(image.height, image.width)
    found, _, _ = found_by.run(pixels, 0, DETECTION_THRESHOLD)
    return [_inside(face, image) for face in found]


@lru_cache(maxsize=1)
def detector() -> Any:
    """
    Load the face detector; `None` without the extra. It takes 0.7 s, so a renderer does it before it takes a
    job.
    """
    try:
        import dlib
    except ImportError:
        return None
    return dlib.get_frontal_face_detector()


def _inside(face: Any, image: pyvips.Image) -> Box:
    left, top = max(0, face.left()), max(0, face.top())
    right, bottom = min(image.width, face.right() + 1), min(image.height, face.bottom() + 1)
    return Box(left, top, max(1, right - left), max(1, bottom - top))
