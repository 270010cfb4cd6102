from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from proxy.pipeline.describe.palette import Pixel, palette

pixels = st.lists(st.tuples(*[st.integers(0, 255)] * 3), max_size=60)


def test_each_colour_stands_for_itself_and_the_commonest_comes_first() -> None:
    red, green, blue = (200, 0, 0), (0, 200, 0), (0, 0, 200)
    assert palette([red] * 2 + [green] * 5 + [blue] * 3, 5) == [green, blue, red]


def test_like_pixels_share_a_colour() -> None:
    assert palette([(10, 0, 0), (20, 0, 0), (250, 0, 0)], 2) == [(15, 0, 0), (250, 0, 0)]


def test_nothing_has_no_colours() -> None:
    assert palette([], 5) == []


@given(pixels, st.integers(1, 8))
def test_a_palette_is_small_and_lies_among_its_pixels(given_pixels: list[Pixel], count: int) -> None:
    found = palette(given_pixels, count)
    assert len(found) == len(set(found)) <= count
    assert bool(found) == bool(given_pixels)
    for band in range(3):
        values = [pixel[band] for pixel in given_pixels]
        assert all(min(values) <= colour[band] <= max(values) for colour in found)
    if len(set(given_pixels)) <= count:
        assert set(found) == set(given_pixels)
