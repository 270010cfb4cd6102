"""Corners that are rounded, and the line around a picture."""

from __future__ import annotations

import math
from functools import lru_cache

import pyvips

from proxy.geometry.boxes import Box, Size
from proxy.geometry.plan import Corners, Radius
from proxy.options.values.colours import Colour, GeneratedBackground
from proxy.pipeline.decode.alpha import with_alpha
from proxy.pipeline.draw.canvas import Background, blurred_background, embed_in, solid_colour

MAX_CACHED_MASK_PIXELS = 1_000_000
"""px, of 4 bytes each, that a mask may have to be cached for the next frame."""


def with_corners_and_border(
    image: pyvips.Image, radii: Corners | None, line: int, colour: Colour, background: Background
) -> pyvips.Image:
    """
    Round the corners, and draw a border of `line` px that follows them.

    Outside of both lies the background, or nothing when there is none; neither lies under the picture's own
    transparency.
    """
    size = Size(image.width + 2 * line, image.height + 2 * line)
    canvas = Box(line, line, size.width, size.height)
    if radii is None:
        return embed_in(image, canvas, colour)
    inner = _coverage(Size(image.width, image.height), radii).embed(*_box(canvas))
    outer = _coverage(size, _enlarged_radii(radii, line)) if line else inner
    mixed = with_alpha(image).embed(*_box(canvas)).premultiply() * inner
    if line:
        mixed += (outer - inner).clamp(min=0, max=1) * _premultiplied(colour)
    unsolid = background is None or background is GeneratedBackground.BLURRED
    ground = background if unsolid else solid_colour(image, background)
    if isinstance(ground, Colour):
        mixed += (outer * -1 + 1) * _premultiplied(ground)
    elif ground is not None:
        mixed += with_alpha(blurred_background(image, size)) * (outer * -1 + 1)
    mixed = mixed.copy(interpretation=image.interpretation).unpremultiply().rint().cast("uchar")
    # What is opaque through and through stays so.
    covered = ground is not None and (ground is GeneratedBackground.BLURRED or _opaque(ground))
    seen_through = image.hasalpha() or not covered or (line and not _opaque(colour))
    whole = embed_in(image, canvas, colour) if line else image
    whole = with_alpha(whole) if seen_through else whole
    return _with_corners(whole, mixed.extract_band(0, n=whole.bands), _enlarged_radii(radii, line))


def _with_corners(whole: pyvips.Image, mixed: pyvips.Image, radii: Corners) -> pyvips.Image:
    """`mixed` in the corners: libvips then makes no more of it than those."""
    for at, (across, down) in enumerate(radii):
        width, height = min(math.ceil(across), whole.width), min(math.ceil(down), whole.height)
        if width and height:
            left = whole.width - width if at in (1, 2) else 0
            top = whole.height - height if at in (2, 3) else 0
            whole = whole.insert(mixed.crop(left, top, width, height), left, top)
    return whole


def _opaque(colour: Colour | GeneratedBackground) -> bool:
    return isinstance(colour, Colour) and colour.alpha == 255


def _premultiplied(colour: Colour) -> list[float]:
    share = colour.alpha / 255
    return [colour.red * share, colour.green * share, colour.blue * share, colour.alpha]


def _box(box: Box) -> tuple[int, int, int, int]:
    return box.left, box.top, box.width, box.height


def _enlarged_radii(radii: Corners, by: int) -> Corners:
    """A corner that is square stays square."""
    one, two, three, four = ((x + by, y + by) if x and y else (0.0, 0.0) for x, y in radii)
    return one, two, three, four


def _coverage(size: Size, radii: Corners) -> pyvips.Image:
    return _cached_mask(size, radii) if size.pixels <= MAX_CACHED_MASK_PIXELS else _mask(size, radii)


@lru_cache(maxsize=2)
def _cached_mask(size: Size, radii: Corners) -> pyvips.Image:
    """All frames of an animation have the same one, and making it is most of the work."""
    return _mask(size, radii).copy_memory()


def _mask(size: Size, radii: Corners) -> pyvips.Image:
    """How much of each pixel lies inside the rounded box, 0..1."""
    mask = (pyvips.Image.black(size.width, size.height) + 1).cast("float")
    for at, (across, down) in enumerate(radii):
        if not (across and down):
            continue
        patch = _corner((across, down))
        right, bottom = at in (1, 2), at in (2, 3)
        patch = patch.fliphor() if right else patch
        patch = patch.flipver() if bottom else patch
        left, top = size.width - patch.width if right else 0, size.height - patch.height if bottom else 0
        mask = mask.insert(patch, left, top)
    return mask


def _corner(radius: Radius) -> pyvips.Image:
    """
    The top left one. How far a pixel's centre lies from an ellipse is only known nearly; for a circle this
    is exact. https://iquilezles.org/articles/ellipsedist/
    """
    across, down = radius
    at = pyvips.Image.xyz(math.ceil(across), math.ceil(down)) + 0.5
    away = (at * -1 + [across, down]).clamp(min=0, max=max(radius))
    near, steep = _length(away / [across, down]), _length(away / [across**2, down**2])
    distance = near * (near - 1) / (steep + 1e-9)
    return (distance * -1 + 0.5).clamp(min=0, max=1).cast("float")


def _length(vector: pyvips.Image) -> pyvips.Image:
    return (vector[0] * vector[0] + vector[1] * vector[1]) ** 0.5
