"""A PNG's filter follows its content: the smaller of both ways, and no larger than what peers write."""

from __future__ import annotations

import pytest

from benchmarks.pictures import SCENES, graphics, meadow, shrunk, texts
from proxy.model.media import Format
from proxy.pipeline.encode.png_filter import FILTERED, UNFILTERED, png_settings
from proxy.pipeline.encode.savers import encode_image
from tests.pictures import loaded

PHOTOGRAPHS = {each.__name__: shrunk(each(), 400) for each in (*SCENES[:2], meadow)}
DRAWINGS = {**graphics(), **texts()}
PICTURES = {**PHOTOGRAPHS, **DRAWINGS}


@pytest.mark.parametrize("name", PICTURES)
def test_the_sample_finds_the_smaller_file(name: str) -> None:
    image = PICTURES[name]
    sizes = [len(encode_image(image, Format.PNG, **way)) for way in (UNFILTERED, FILTERED)]
    assert len(encode_image(image, Format.PNG)) <= min(sizes) * 1.02


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_photographs_are_filtered_and_a_fifth_smaller(name: str) -> None:
    image = PHOTOGRAPHS[name]
    assert png_settings(image) == FILTERED
    plain = len(encode_image(image, Format.PNG, filter="none"))
    all_filters = len(encode_image(image, Format.PNG, filter="all"))
    size = len(encode_image(image, Format.PNG))
    assert size < 0.8 * plain
    assert size < 1.05 * all_filters


def test_text_is_not_filtered() -> None:
    for image in texts().values():
        assert png_settings(image) == UNFILTERED


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (3, 33)])
def test_sides_of_any_length_keep_their_pixels(size: tuple[int, int]) -> None:
    image = PHOTOGRAPHS["meadow"].crop(0, 0, *size)
    assert (loaded(encode_image(image, Format.PNG))[:3] - image).abs().max() == 0


def test_an_effort_that_is_asked_for_is_given() -> None:
    image = PHOTOGRAPHS["meadow"]
    asked = encode_image(image, Format.PNG, compression=9)
    assert asked == encode_image(image, Format.PNG, compression=9, filter=FILTERED["filter"])
