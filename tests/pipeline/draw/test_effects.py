from __future__ import annotations

import inspect
from time import process_time

import pytest

from proxy.model.limits import Limits
from proxy.model.media import Format
from proxy.options.spec import OPTIONS, Spec
from proxy.pipeline.draw.effects import EFFECTS, apply_effects
from proxy.pipeline.render import render
from proxy.url.grammar import parse_options
from tests.pictures import (
    CORNERS,
    disc,
    gradient,
    loaded,
    near,
    photo,
    pixel,
    plain,
    quadrants,
    saved,
)


def test_the_table_holds_every_effect_option_once() -> None:
    names = [name for _, fields in EFFECTS for name in fields]
    assert names == [name for name, option in OPTIONS.items() if option.about == "effect" and name in names]
    assert set(names) == {name for name, option in OPTIONS.items() if option.about == "effect"}


def test_every_effect_says_what_it_does() -> None:
    assert all(inspect.getdoc(effect) for effect, _ in EFFECTS)


ASKED = [
    "blur", "blur_0.3", "blur_20", "blur_250", "blur_1000", "sharpen", "sharpen_2", "sharpen_2_0",
    "sharpen_10_3_4", "grayscale", "grayscale,blur_2,sharpen_1", "median", "median_8", "median_1000",
    "threshold", "threshold_255", "pixelate", "pixelate_7", "pixelate_1000", "modulate_1.3_0.5_-90_10",
    "brightness_100", "saturation_0", "hue_360", "lightness_-100", "linear_-1_255", "contrast_0",
    "contrast_3", "normalize", "tint_f80", "tint_f80_30", "sepia", "sepia_10", "duotone_001144_fc6", "negate",
]  # fmt: skip


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize(("width", "height"), [(1, 1), (3, 50), (64, 48)])
def test_an_effect_keeps_size_kind_and_transparency(asked: str, alpha: bool, width: int, height: int) -> None:
    image = photo(width, height).addalpha() if alpha else photo(width, height)
    after = apply_effects(image, parse_options(asked))
    assert (after.width, after.height) == (width, height)
    assert (after.bands, after.format, after.interpretation) == (image.bands, "uchar", "srgb")
    if alpha:
        assert after[3].min() == 255


COLOUR_EFFECTS = [
    "grayscale", "threshold", "modulate_1.3_0.5_-90_10", "linear_1.4_-30", "contrast_2", "normalize",
    "tint_f80", "tint_f80_30", "sepia_60", "duotone_001144_fc6", "negate",
]  # fmt: skip


@pytest.mark.parametrize("asked", COLOUR_EFFECTS)
def test_a_colour_effect_leaves_transparency_alone(asked: str) -> None:
    image = photo(60, 60).bandjoin(disc(60, 60, 0, 0, 0)[3]).copy(interpretation="srgb")
    after = apply_effects(image, parse_options(asked))
    assert (after[3] - image[3]).abs().max() == 0
    assert (after - image).abs().max() > 0


@pytest.mark.parametrize("asked", ["median_5", "blur", "blur_3", "pixelate_4"])
def test_hidden_colours_do_not_bleed(asked: str) -> None:
    """The disc lies on transparent black: not averaged with it, its edge is as bright as its middle."""
    after = apply_effects(disc(80, 80, 220, 120, 40), parse_options(asked))
    seen = (after[3] > 40).ifthenelse(after.extract_band(0, n=3), [220, 120, 40])
    assert (seen - [220, 120, 40]).abs().max() <= 8


def flat(asked: str, *colour: int) -> tuple[int, ...]:
    return pixel(apply_effects(plain(40, 40, *colour), parse_options(asked)), 0.5, 0.5)


@pytest.mark.parametrize(
    ("asked", "colour", "wanted"),
    [
        ("negate", (10, 20, 250), (245, 235, 5)),
        ("linear_2_-10", (10, 100, 250), (10, 190, 255)),
        ("linear_0.5", (10, 100, 250), (5, 50, 125)),
        ("contrast_2", (10, 128, 200), (0, 129, 255)),
        ("contrast_0", (10, 128, 200), (128, 128, 128)),
        ("sepia", (100, 100, 100), (135, 120, 94)),
        ("sepia_50", (100, 100, 100), (118, 110, 97)),
        ("threshold_128", (130, 130, 130), (255, 255, 255)),
        ("threshold_128", (126, 126, 126), (0, 0, 0)),
        ("threshold_0", (126, 12, 1), (126, 12, 1)),
        ("duotone_000_fff", (90, 90, 90), (90, 90, 90)),
        ("duotone_102030_fff", (0, 0, 0), (16, 32, 48)),
        ("duotone_102030_405060", (255, 255, 255), (64, 80, 96)),
        ("tint_f00", (0, 0, 0), (0, 0, 0)),
        ("tint_f00_0", (9, 8, 7), (9, 8, 7)),
        ("saturation_0", (200, 50, 50), (107, 107, 107)),
        ("lightness_100", (200, 50, 50), (255, 255, 255)),
        ("brightness_0", (200, 200, 200), (0, 0, 0)),
    ],
)
def test_an_effect_on_one_colour(asked: str, colour: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    assert near(flat(asked, *colour), wanted, 1)


@pytest.mark.parametrize("degrees", [30, 120, 240])
def test_hue_turns_and_keeps_the_lightness(degrees: int) -> None:
    """sRGB as CIE LCh, before and after."""
    before = plain(1, 1, 150, 110, 110).colourspace("lch")(0, 0)
    after = plain(1, 1, *flat(f"hue_{degrees}", 150, 110, 110)).colourspace("lch")(0, 0)
    assert after[0] == pytest.approx(before[0], abs=1)
    assert after[1] == pytest.approx(before[1], abs=2)
    assert (after[2] - before[2]) % 360 == pytest.approx(degrees, abs=4)
    assert flat(f"hue_{degrees - 360}", 150, 110, 110) == flat(f"hue_{degrees}", 150, 110, 110)


def test_tint_gives_the_middle_its_colour() -> None:
    red, green, blue = flat("tint_ff0000", 119, 119, 119)
    assert red > 180 > 60 > max(green, blue)


def test_normalize_fills_the_scale() -> None:
    dull = (photo(120, 90)[0] * 0.6 + [40, 40, 40]).cast("uchar").copy(interpretation="srgb")
    before, after = (
        image.colourspace("lab")[0] for image in (dull, apply_effects(dull, parse_options("normalize")))
    )
    assert after.min() < 5 < before.min()
    assert after.max() - after.min() > 1.5 * (before.max() - before.min())
    assert (apply_effects(plain(9, 9, 70, 70, 70), Spec(normalize=True)) - 70).abs().max() == 0


def test_pixelate_makes_squares_from_the_top_left() -> None:
    after = apply_effects(gradient(50, 40), Spec(pixelate=16))
    for left, top in ((0, 0), (16, 16), (32, 0), (48, 32)):
        square = after.crop(left, top, min(16, 50 - left), min(16, 40 - top))
        assert square.deviate() == square.extract_band(0, n=3).deviate()
        assert all(square[band].max() == square[band].min() for band in range(3))
    assert after(0, 0) != after(16, 0) != after(32, 0)


def test_median_removes_a_speck_and_keeps_an_edge() -> None:
    image = quadrants(40, 40).insert(plain(1, 1, 255, 255, 255), 8, 8)
    assert pixel(apply_effects(image, Spec(median=3)), 0.2, 0.2) == CORNERS[0]
    assert pixel(apply_effects(image, Spec(median=3)), 0.5, 0.2) == CORNERS[1]


def test_white_becomes_transparent() -> None:
    image = quadrants(40, 40).insert(plain(10, 10, 255, 255, 255), 0, 0)
    after = apply_effects(image, Spec(unflatten=True))
    assert [after(5, 5)[3], after(15, 5)[3]] == [0, 255]
    half = image.bandjoin(128).copy(interpretation="srgb")
    assert apply_effects(half, Spec(unflatten=True))(15, 5)[3] == 128


def test_opacity_thins_what_is_there() -> None:
    assert apply_effects(plain(9, 9, 1, 2, 3), Spec(opacity=0.4))(4, 4) == [1, 2, 3, 102]
    after = apply_effects(disc(60, 60, 220, 120, 40), Spec(opacity=0.5))
    assert [after(0, 0)[3], after(30, 30)[3]] == [0, 128]


def test_a_flattened_picture_is_opaque_before_its_effects() -> None:
    body = saved(disc(60, 60, 220, 120, 40), Format.PNG)
    after = loaded(render(body, parse_options("flatten,b_336699,negate,f_png"), Limits()).body)
    assert after.bands == 3
    assert pixel(after, 0.01, 0.01) == (255 - 0x33, 255 - 0x66, 255 - 0x99)


SCALES = ["blur_79.9", "blur_80.1", "median_31", "median_33"]


@pytest.mark.parametrize("asked", SCALES)
def test_a_large_effect_on_a_smaller_copy_looks_the_same(asked: str) -> None:
    image = photo(300, 220)
    name, _, size = asked.partition("_")
    other = f"{name}_{float(size) - 1:g}"
    difference = (
        apply_effects(image, parse_options(asked)) - apply_effects(image, parse_options(other))
    ).abs()
    assert difference.avg() < 3


def test_a_median_of_many_pixels_is_made_on_a_smaller_copy_sooner() -> None:
    """On all of these 12 million it takes 6 s."""
    image = photo(4000, 3000)
    started = process_time()
    after = apply_effects(image, parse_options("median_31")).copy_memory()
    assert process_time() - started < 3.5
    small, other = (each.resize(0.05).crop(5, 5, 190, 140) for each in (after, image))
    assert (small - other).abs().avg() < 3


@pytest.mark.parametrize(
    "asked", ["blur", "blur_4", "blur_300", "sharpen", "sharpen_2", "median_5", "median_40", "pixelate_6"]
)
def test_what_is_flat_stays_as_it_is(asked: str) -> None:
    image = plain(40, 40, 90, 130, 170)
    after = apply_effects(image, parse_options(asked))
    assert (after.cast("float") - image.cast("float")).abs().max() <= 1


def test_blur_calms_and_sharpen_excites() -> None:
    image = photo(120, 90)
    rough = image.sobel().avg()
    assert (
        apply_effects(image, Spec(blur=(3.0,))).sobel().avg()
        < rough
        < apply_effects(image, Spec(sharpen=())).sobel().avg()
    )
    assert apply_effects(image, Spec(sharpen=(2.0, 1.0, 2.0))).sobel().avg() > rough


def test_grayscale_keeps_lightness_and_transparency() -> None:
    grey = apply_effects(disc(60, 60, 0, 200, 0), Spec(grayscale=True))
    red, green, blue, alpha = grey(30, 30)
    assert red == green == blue
    assert 150 < red < 190
    assert alpha == 255
    assert grey(0, 0)[3] == 0


def test_nothing_asked_is_the_very_image() -> None:
    image = quadrants(4, 4)
    assert apply_effects(image, Spec()) is image
