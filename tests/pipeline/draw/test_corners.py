from __future__ import annotations

import pytest
import pyvips

from proxy.model.limits import Limits
from proxy.model.media import Format
from proxy.pipeline.render import render
from proxy.url.grammar import parse_options
from tests.pictures import disc, loaded, near, pixel, plain, saved

GREY = saved(plain(80, 60, 90, 90, 90), Format.PNG)
CORNERS = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))
"""From the top left one clockwise."""


def rendered(options: str, body: bytes = GREY) -> pyvips.Image:
    return loaded(render(body, parse_options(options), Limits()).body)


def area(image: pyvips.Image) -> float:
    """Pixels that are covered, by their alpha."""
    return float(image[3].avg() / 255 * image.width * image.height)


def test_a_circle_has_the_area_of_a_circle() -> None:
    image = rendered("r_max,w_60,h_60")
    assert abs(area(image) - 3.14159 * 30 * 30) < 3
    assert all(pixel(image, x, y)[3] == 0 for x, y in CORNERS)
    assert pixel(image, 0.5, 0.0)[3] > 240


def test_max_makes_an_ellipse() -> None:
    image = rendered("r_max")
    assert abs(area(image) - 3.14159 * 40 * 30) < 12


@pytest.mark.parametrize("radius", [1, 2, 7, 30])
def test_a_corner_loses_what_lies_outside_of_its_quarter_circle(radius: int) -> None:
    assert abs(80 * 60 - area(rendered(f"r_{radius}")) - (4 - 3.14159) * radius**2) < 1


def test_edges_are_soft_and_keep_their_colour() -> None:
    image = rendered("r_25")
    soft = [p for x in range(25) for y in range(25) if 0 < (p := tuple(image(x, y)))[3] < 255]
    assert len(soft) > 20
    assert all(near(tuple(map(int, p[:3])), (90, 90, 90), 2) for p in soft if p[3] > 40)


@pytest.mark.parametrize("at", range(4))
def test_each_corner_has_its_own_radius(at: int) -> None:
    image = rendered("r_" + ":".join("20" if corner == at else "0" for corner in range(4)))
    seen = [pixel(image, x, y)[3] for x, y in CORNERS]
    assert seen == [0 if corner == at else 255 for corner in range(4)]


def test_the_four_corners_are_mirrors_of_each_other() -> None:
    image = rendered("r_23")
    for other in (image.fliphor(), image.flipver(), image.rot180()):
        assert (image.cast("float") - other.cast("float")).abs().max() == 0


@pytest.mark.parametrize(
    ("options", "corner"),
    [
        ("r_20,f_jpg", (255, 255, 255)),
        ("r_20,b_red,f_jpg", (254, 0, 0)),
        ("r_20,b_red", (255, 0, 0)),
        ("r_20,b_ff000080", (255, 0, 0, 128)),
        ("r_20,b_dominant", (90, 90, 90)),
        ("r_20,b_blurred", (90, 90, 90)),
        ("r_20,bo_5px_solid_blue,b_lime", (0, 255, 0)),
    ],
)
def test_corners_show_the_background(options: str, corner: tuple[int, ...]) -> None:
    assert near(pixel(rendered(options), 0.0, 0.0), corner, 10)


def test_a_background_fills_corners_and_no_holes() -> None:
    image = rendered("r_20,b_red", saved(disc(100, 100, 0, 200, 0), Format.PNG))
    assert pixel(image, 0.0, 0.0) == (255, 0, 0, 255)
    assert pixel(image, 0.5, 0.02)[3] == 0


def test_a_line_goes_around_and_keeps_the_picture() -> None:
    image = rendered("bo_4px_solid_rgb:ff0000")
    assert (image.width, image.height, image.bands) == (88, 68, 3)
    assert all(pixel(image, x, y) == (255, 0, 0) for x, y in CORNERS)
    assert tuple(image(3, 3)) == (255, 0, 0)
    assert (image.crop(4, 4, 80, 60) - [90, 90, 90]).abs().max() == 0


def test_a_line_grows_with_the_dpr() -> None:
    image = rendered("w_40,dpr_2,bo_4px_solid_red,r_10")
    assert (image.width, image.height) == (96, 76)
    assert near(pixel(image, 0.5, 0.09), (255, 0, 0, 255), 2)
    assert near(pixel(image, 0.5, 0.12), (90, 90, 90, 255), 2)


def test_a_line_follows_round_corners() -> None:
    image = rendered("w_60,h_60,r_max,bo_10px_solid_red")
    assert abs(area(image) - 3.14159 * 40 * 40) < 4
    assert pixel(image, 0.0, 0.0)[3] == 0
    for x, y in ((0.5, 0.05), (0.05, 0.5), (0.18, 0.18), (0.82, 0.82)):
        assert near(pixel(image, x, y), (255, 0, 0, 255), 2)
    assert near(pixel(image, 0.3, 0.3), (90, 90, 90, 255), 2)


def test_a_line_may_be_seen_through() -> None:
    image = rendered("bo_4px_solid_ff000080")
    assert pixel(image, 0.0, 0.0) == (255, 0, 0, 128)
    assert pixel(image, 0.5, 0.5) == (90, 90, 90, 255)


def test_bars_are_rounded_with_the_picture_and_margins_lie_outside() -> None:
    image = rendered("w_60,h_60,c_pad,b_blue,r_20,bo_5px_solid_red,pad_3")
    assert (image.width, image.height) == (76, 76)
    assert tuple(image(1, 1)) == (0, 0, 255)
    assert tuple(image(38, 5)) == (255, 0, 0)
    assert tuple(image(38, 10)) == (0, 0, 255)
    assert near(tuple(map(int, image(38, 38))), (90, 90, 90), 1)
