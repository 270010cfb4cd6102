from __future__ import annotations

import itertools

import pytest

from proxy.model.limits import Limits
from proxy.model.media import Format
from proxy.options.spec import OutputFormat, Spec
from proxy.pipeline.render import render
from tests.pictures import CORNERS, loaded, near, pixel, quadrants, saved, tagged

Corners = tuple[tuple[int, int, int], ...]

PLACES = ((0.1, 0.1), (0.9, 0.1), (0.1, 0.9), (0.9, 0.9))


def turned(corners: Corners) -> Corners:
    """A quarter clockwise: what was bottom left is top left."""
    a, b, c, d = corners
    return c, a, d, b


def flipped(corners: Corners) -> Corners:
    a, b, c, d = corners
    return c, d, a, b


def flopped(corners: Corners) -> Corners:
    a, b, c, d = corners
    return b, a, d, c


def upright(orientation: int, corners: Corners) -> Corners:
    """Exif 2.32, 4.6.4 A: what a viewer has to do for each value of the tag, in rotations and mirrors."""
    quarters = {1: 0, 2: 0, 3: 2, 4: 2, 5: 1, 6: 1, 7: 3, 8: 3}[orientation]
    for _ in range(quarters):
        corners = turned(corners)
    return flopped(corners) if orientation in (2, 4, 5, 7) else corners


def seen(body: bytes) -> Corners:
    image = loaded(body)
    found = [pixel(image, x, y)[:3] for x, y in PLACES]
    return tuple(next((c for c in CORNERS if near(got, c, 40)), got) for got in found)  # type: ignore[misc]


STORED = {
    (format, orientation): saved(tagged(quadrants(60, 40), orientation=orientation), format)
    for format in (Format.JPEG, Format.PNG, Format.WEBP, Format.TIFF)
    for orientation in range(1, 9)
}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", [Format.JPEG, Format.PNG, Format.WEBP, Format.TIFF])
def test_every_orientation_comes_out_upright(format: Format, orientation: int) -> None:
    rendered = render(STORED[format, orientation], Spec(format=OutputFormat.PNG), Limits())
    assert seen(rendered.body) == upright(orientation, CORNERS)
    assert (rendered.width, rendered.height) == ((60, 40) if orientation < 5 else (40, 60))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_rotation_comes_after_orientation_and_mirrors_after_rotation(orientation: int) -> None:
    for quarters, flip, flop in itertools.product(range(4), (False, True), (False, True)):
        spec = Spec(rotate=90.0 * quarters, flip=flip, flop=flop, format=OutputFormat.PNG)
        corners = upright(orientation, CORNERS)
        for _ in range(quarters):
            corners = turned(corners)
        corners = flipped(corners) if flip else corners
        corners = flopped(corners) if flop else corners
        assert seen(render(STORED[Format.PNG, orientation], spec, Limits()).body) == corners


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_can_be_left_alone(orientation: int) -> None:
    rendered = render(STORED[Format.JPEG, orientation], Spec(autoorient=False), Limits())
    assert seen(rendered.body) == CORNERS
    assert "orientation" not in loaded(rendered.body).get_fields()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_scaling_and_cutting_see_the_upright_picture(orientation: int) -> None:
    spec = Spec(width=20, height=20, format=OutputFormat.PNG)
    rendered = render(STORED[Format.JPEG, orientation], spec, Limits())
    assert (rendered.width, rendered.height) == (20, 20)
    assert seen(rendered.body) == upright(orientation, CORNERS)
