"""Every pixel of small pictures, against pictures that are lists of lists."""

from __future__ import annotations

import itertools

import pytest
import pyvips
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.model.limits import Limits
from proxy.model.media import Format
from proxy.options.values.edges import Edge
from proxy.pipeline.render import render
from proxy.url.grammar import parse_options
from tests.pictures import loaded, saved, tagged

Rows = list[list[int]]
"""One number a pixel: its red."""

WIDTH, HEIGHT = 5, 3
LABELLED: Rows = [[10 * (1 + x + y * WIDTH) for x in range(WIDTH)] for y in range(HEIGHT)]


def drawn(rows: Rows) -> pyvips.Image:
    red = pyvips.Image.new_from_array(rows).cast("uchar")
    return red.bandjoin([red, red]).copy(interpretation="srgb")


def seen(options: str, body: bytes) -> Rows:
    image = loaded(render(body, parse_options(options), Limits()).body)
    pixels = bytes(image[0].write_to_memory())
    return [[*pixels[y * image.width : (y + 1) * image.width]] for y in range(image.height)]


def turned(rows: Rows) -> Rows:
    """A quarter clockwise."""
    return [list(column) for column in zip(*rows[::-1], strict=True)]


def flopped(rows: Rows) -> Rows:
    return [row[::-1] for row in rows]


def upright(orientation: int, rows: Rows) -> Rows:
    """Exif 2.32, 4.6.4 A, as quarters clockwise and then a mirror."""
    for _ in range({1: 0, 2: 0, 3: 2, 4: 2, 5: 1, 6: 1, 7: 3, 8: 3}[orientation]):
        rows = turned(rows)
    return flopped(rows) if orientation in (2, 4, 5, 7) else rows


@pytest.mark.parametrize("orientation", range(1, 9))
def test_all_orientations_rotations_and_mirrors(orientation: int) -> None:
    body = saved(tagged(drawn(LABELLED), orientation=orientation), Format.PNG)
    for quarters, flip, flop, oriented in itertools.product(range(4), *[(False, True)] * 3):
        rows = upright(orientation, LABELLED) if oriented else LABELLED
        for _ in range(quarters):
            rows = turned(rows)
        rows = rows[::-1] if flip else rows
        rows = flopped(rows) if flop else rows
        options = f"rotate_{90 * quarters},flip_{flip},flop_{flop},autoorient_{oriented}".lower()
        assert seen(options, body) == rows, options


@pytest.mark.parametrize("orientation", range(1, 9))
def test_regions_and_crops_lie_in_the_upright_picture(orientation: int) -> None:
    body = saved(tagged(drawn(LABELLED), orientation=orientation), Format.PNG)
    rows = upright(orientation, LABELLED)
    assert seen("crop_1_0_2_3", body) == [row[1:3] for row in rows[:3]]
    assert seen("w_2,h_2,c_crop,g_south_east", body) == [row[-2:] for row in rows[-2:]]
    assert seen("w_2,h_2,c_crop,x_1,y_0", body) == [row[1:3] for row in rows[:2]]
    assert seen("crop_2_2,g_north_east,rotate_90", body) == turned([row[-2:] for row in rows[:2]])
    assert seen("w_2,h_1,c_crop,g_north_west,rotate_90,flop", body) == [flopped(turned(rows))[0][:2]]


def index(at: int, length: int, edge: Edge) -> int | None:
    """Which pixel is seen at `at` of a row that goes on for ever."""
    if 0 <= at < length:
        return at
    if edge is Edge.BACKGROUND:
        return None
    if edge is Edge.COPY:
        return min(max(at, 0), length - 1)
    if edge is Edge.REPEAT:
        return at % length
    around = at % (2 * length)
    return around if around < length else 2 * length - 1 - around


@settings(deadline=None)
@given(st.tuples(*[st.integers(0, 12)] * 4), st.sampled_from(Edge))
def test_a_picture_goes_on_as_its_edge_says(sides: tuple[int, int, int, int], edge: Edge) -> None:
    top, right, bottom, left = sides
    body = saved(drawn(LABELLED), Format.PNG)
    wanted = [
        [
            7 if row is None or column is None else LABELLED[row][column]
            for column in (index(x, WIDTH, edge) for x in range(-left, WIDTH + right))
        ]
        for row in (index(y, HEIGHT, edge) for y in range(-top, HEIGHT + bottom))
    ]
    assert seen(f"extend_{top}_{right}_{bottom}_{left}_{edge},b_070707", body) == wanted


@settings(deadline=None)
@given(st.data())
def test_a_crop_without_scaling_moves_no_pixel(data: st.DataObject) -> None:
    width, height = data.draw(st.integers(1, WIDTH)), data.draw(st.integers(1, HEIGHT))
    x, y = data.draw(st.integers(0, 9)), data.draw(st.integers(0, 9))
    left, top = min(x, WIDTH - width), min(y, HEIGHT - height)
    body = saved(drawn(LABELLED), Format.PNG)
    wanted = [row[left : left + width] for row in LABELLED[top : top + height]]
    assert seen(f"w_{width},h_{height},c_crop,x_{x},y_{y}", body) == wanted
    assert seen(f"crop_{x}_{y}_{width}_{height}", body) == wanted
