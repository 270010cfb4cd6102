"""Where a picture is cut so that its faces stay in sight: boxes in, a box out, and no detector."""

from __future__ import annotations

from collections.abc import Iterable

from proxy.geometry.boxes import Box, Size

FACE_SHARE = 0.5
"""Of a thumbnail's side: faces are found from chin to brows, and have hair and a neck."""


def group_faces(faces: Iterable[Box], room: Size) -> Box:
    """
    Return the box around the largest face, and around each smaller one as long as all of it fits into `room`.
    """
    largest, *others = sorted(faces, key=lambda face: (-face.size.pixels, face.left, face.top))
    around = largest
    for face in others:
        both = union_box(around, face)
        if both.width <= room.width and both.height <= room.height:
            around = both
    return around


def union_box(one: Box, other: Box) -> Box:
    """Return the smallest box around two."""
    left, top = min(one.left, other.left), min(one.top, other.top)
    right = max(one.left + one.width, other.left + other.width)
    bottom = max(one.top + one.height, other.top + other.height)
    return Box(left, top, right - left, bottom - top)


def centre_on(around: Box, outer: Size, inner: Size) -> Box:
    """Return the box of size `inner` that has `around` as much in its middle as it can inside of `outer`."""
    left = around.left + (around.width - inner.width) // 2
    top = around.top + (around.height - inner.height) // 2
    return Box(
        max(0, min(left, outer.width - inner.width)),
        max(0, min(top, outer.height - inner.height)),
        inner.width,
        inner.height,
    )


def zoom_on(around: Box, crop: Size) -> float:
    """Return the factor that makes `around` FACE_SHARE of a picture that is cut to `crop`; never below 1."""
    return max(1.0, FACE_SHARE * min(crop.width / around.width, crop.height / around.height))


def scale_box(box: Box, was: Size, now: Size) -> Box:
    """Return where a box of a picture of the size `was` lies in the same picture of the size `now`."""
    across, down = now.width / was.width, now.height / was.height
    return Box(
        round(box.left * across),
        round(box.top * down),
        max(1, round(box.width * across)),
        max(1, round(box.height * down)),
    )
