from __future__ import annotations

import pytest
import pyvips
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.geometry.boxes import Box, Size
from proxy.model.limits import Limits
from proxy.model.media import Format
from proxy.pipeline.decode import pixels
from proxy.pipeline.decode.header import read_header
from proxy.pipeline.decode.source import open_original
from proxy.pipeline.find.regions import plan_regions
from proxy.pipeline.render import render
from proxy.url.grammar import parse_options
from tests.paths import PICTURES
from tests.pictures import (
    HERE,
    disc,
    gradient,
    loaded,
    near,
    photo,
    pixel,
    plain,
    quadrants,
    saved,
    tagged,
)

WHITE = [255, 255, 255]


def bordered(
    inside: pyvips.Image, left: int, top: int, right: int, bottom: int, *colour: int
) -> pyvips.Image:
    return inside.embed(
        left, top, left + inside.width + right, top + inside.height + bottom,
        extend="background", background=list(colour) or WHITE,
    )  # fmt: skip


def rendered(options: str, body: bytes) -> pyvips.Image:
    return loaded(render(body, parse_options(options), Limits()).body)


def kept(options: str, body: bytes) -> Box:
    plan, _ = plan_regions(open_original(body, Limits()), parse_options(options), Limits())
    return plan.region


SIDE = st.integers(0, 30)


@settings(deadline=None, max_examples=60)
@given(SIDE, SIDE, SIDE, SIDE, st.integers(4, 60), st.integers(4, 60), st.integers(1, 8))
def test_a_plain_border_is_cut_off_to_the_pixel(
    left: int, top: int, right: int, bottom: int, width: int, height: int, orientation: int
) -> None:
    inside = plain(width, height, 200, 30, 30)
    picture = bordered(inside, left, top, right, bottom)
    body = saved(tagged(picture, orientation=orientation), Format.PNG)
    image = rendered("trim_10_white", body)
    turned = orientation > 4
    assert (image.width, image.height) == ((height, width) if turned else (width, height))
    assert (image - [200, 30, 30]).abs().max() == 0


@pytest.mark.parametrize("format", [Format.JPEG, Format.PNG, Format.WEBP, Format.TIFF])
def test_large_pictures_are_as_exact(format: Format) -> None:
    picture = bordered(plain(1700, 1200, 20, 60, 160), 101, 53, 34, 217)
    # A JPEG's noise around an edge is for the threshold to ignore.
    found = kept("trim_60" if format is Format.JPEG else "trim", saved(picture, format))
    edges = found.left, found.top, found.left + found.width, found.top + found.height
    within = 1 if format in (Format.JPEG, Format.WEBP) else 0
    assert all(abs(a - b) <= within for a, b in zip(edges, (101, 53, 1801, 1253), strict=True))


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (1, 50), (50, 1), (300, 200), (1500, 1100)])
def test_a_picture_that_is_all_border_stays_whole(size: tuple[int, int]) -> None:
    body = saved(plain(*size, 7, 7, 7), Format.PNG)
    assert kept("trim", body).size == Size(*size)


def test_the_threshold_says_what_is_border() -> None:
    body = saved(bordered(plain(40, 30, 235, 235, 235), 10, 10, 10, 10), Format.PNG)
    assert kept("trim_19", body).size == Size(40, 30)
    assert kept("trim_20", body).size == Size(60, 50)
    assert kept("trim_0", body).size == Size(40, 30)


def test_a_single_pixel_is_content_and_the_threshold_ignores_noise() -> None:
    picture = bordered(plain(40, 30, 0, 0, 0), 20, 20, 20, 20)
    body = saved(picture.insert(plain(1, 1, 200, 200, 200), 5, 6), Format.PNG)
    assert kept("trim", body) == Box(5, 6, 55, 44)
    assert kept("trim_60", body) == Box(20, 20, 40, 30)


@pytest.mark.parametrize("size", [(80, 60), (1600, 1200)])
@pytest.mark.parametrize("alpha", [False, True])
def test_what_is_one_px_wide_is_content(size: tuple[int, int], *, alpha: bool) -> None:
    width, height = size
    ground = plain(width, height, 255, 255, 255, *([0] if alpha else []))
    ink = [0, 0, 0, 255][: 4 if alpha else 3]
    for rectangle, fill in (
        ((4, 7, width - 9, height - 12), False),
        ((4, height // 2, width - 9, 1), True),
        ((width // 2, 7, 1, height - 12), True),
        ((width // 3, height // 3, 1, 1), True),
    ):
        body = saved(ground.draw_rect(ink, *rectangle, fill=fill), Format.PNG)
        assert kept("trim", body) == Box(*rectangle)


@pytest.mark.parametrize(("name", "size"), [("trim-frame", (80, 80)), ("trim-rule", (80, 20))])
def test_frames_and_rules_from_outside_are_kept(name: str, size: tuple[int, int]) -> None:
    assert kept("trim", (PICTURES / f"{name}.png").read_bytes()).size == Size(*size)


def test_without_a_colour_the_top_left_pixel_of_the_upright_picture_is_meant() -> None:
    picture = bordered(plain(40, 30, 200, 0, 0), 10, 0, 0, 10, 0, 0, 200)
    for orientation in range(1, 9):
        found = rendered("trim", saved(tagged(picture, orientation=orientation), Format.PNG))
        upright = rendered("_", saved(tagged(picture, orientation=orientation), Format.PNG))
        blue = pixel(upright, 0.0, 0.0) == (0, 0, 200)
        content = (40, 30) if orientation < 5 else (30, 40)
        if blue:
            assert (found.width, found.height) == content
        else:
            # Red is the border then, and blue is what is looked at; it lies along two sides.
            assert (found.width, found.height) == (upright.width, upright.height)


def test_a_colour_that_is_not_there_cuts_nothing() -> None:
    body = saved(bordered(plain(40, 30, 200, 0, 0), 10, 10, 10, 10), Format.PNG)
    assert kept("trim_10_blue", body).size == Size(60, 50)
    assert kept("trim_10_white", body).size == Size(40, 30)


def test_transparency_is_a_border_too() -> None:
    body = saved(disc(100, 60, 0, 0, 0), Format.PNG)
    found = kept("trim", body)
    assert abs(found.left - 26) <= 1
    assert abs(found.width - 49) <= 2
    inside = plain(40, 30, 255, 255, 255, 255)
    clear = saved(bordered(inside, 10, 10, 10, 10, 255, 255, 255, 0), Format.PNG)
    assert kept("trim", clear) == Box(10, 10, 40, 30)


def test_everything_else_sees_the_trimmed_picture() -> None:
    body = saved(bordered(quadrants(200, 100), 30, 40, 50, 60), Format.PNG)
    image = rendered("trim,w_0.5,h_100,fit_inside", body)
    assert (image.width, image.height) == (100, 50)
    assert near(pixel(image, 0.1, 0.1), (230, 20, 20))
    part = rendered("trim,crop_0.5_0.5,g_south_east", body)
    assert (part.width, part.height) == (100, 50)
    assert (part - [230, 220, 20]).abs().max() == 0


def test_a_border_in_a_profile_is_trimmed_as_it_looks() -> None:
    body = saved(bordered(photo(300, 200).colourspace("b-w"), 20, 20, 20, 20, 255), Format.JPEG)
    assert kept("trim_20", body).size == Size(300, 200)


@pytest.mark.parametrize("strategy", ["attention", "entropy"])
@pytest.mark.parametrize("format", HERE)
def test_a_strategy_chooses_the_region_before_anything_is_scaled(strategy: str, format: Format) -> None:
    detail = photo(120, 120).ifthenelse([255, 40, 40], photo(120, 120))
    picture = plain(900, 300, 128, 128, 128).insert(detail, 700, 100)
    found = kept(f"crop_150_150,g_{strategy},w_30", saved(picture, format))
    assert found.size == Size(150, 150)
    assert found.left < 760 < found.left + 150
    assert found.top < 160 < found.top + 150


def test_a_strategy_looks_inside_what_trimming_left() -> None:
    detail = photo(120, 120).ifthenelse([255, 40, 40], photo(120, 120))
    picture = plain(900, 300, 128, 128, 128).insert(detail, 700, 100)
    found = kept("trim,crop_150_150,g_attention", saved(bordered(picture, 50, 50, 50, 50), Format.PNG))
    assert found.top >= 50
    assert found.left < 810 < found.left + 150


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_a_region_of_a_jpeg_is_scaled_on_load_and_looks_the_same(data: st.DataObject) -> None:
    width, height = data.draw(st.integers(40, 800)), data.draw(st.integers(40, 603))
    left, top = data.draw(st.integers(0, 800 - width)), data.draw(st.integers(0, 603 - height))
    scale = data.draw(st.floats(0.04, 1))
    region, size = (
        Box(left, top, width, height),
        Size(max(1, round(width * scale)), max(1, round(height * scale))),
    )
    jpeg, exact = (
        pixels.scaled(body, read_header(body, Limits()), region, size).cast("float") for body in (JPEG, PNG)
    )
    assert (jpeg.width, jpeg.height) == (size.width, size.height)
    assert (jpeg - exact).abs().avg() < 2.5


JPEG = saved(photo(800, 603).insert(gradient(300, 300), 250, 150), Format.JPEG)
PNG = saved(loaded(JPEG), Format.PNG)
