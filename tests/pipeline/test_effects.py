from __future__ import annotations

import inspect

import pytest

from proxy.pipeline.effects import EFFECTS, affected
from proxy.spec import OPTIONS, Spec
from tests.pictures import disc, photo, plain, quadrants


def test_the_table_holds_every_effect_option_once() -> None:
    names = [name for name, _ in EFFECTS]
    assert sorted(names) == sorted(name for name, option in OPTIONS.items() if option.about == "effect")


def test_every_effect_says_what_it_does() -> None:
    assert all(inspect.getdoc(effect) for _, effect in EFFECTS)


ASKED = [
    {"blur": ()}, {"blur": (0.3,)}, {"blur": (20.0,)}, {"blur": (250.0,)},
    {"sharpen": ()}, {"sharpen": (2.0,)}, {"sharpen": (2.0, 0.0)}, {"sharpen": (10.0, 3.0, 4.0)},
    {"grayscale": True}, {"grayscale": True, "blur": (2.0,), "sharpen": (1.0,)},
]  # fmt: skip


@pytest.mark.parametrize("asked", ASKED, ids=str)
@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize(("width", "height"), [(1, 1), (3, 50), (64, 48)])
def test_an_effect_keeps_size_kind_and_transparency(
    asked: dict[str, object], alpha: bool, width: int, height: int
) -> None:
    image = photo(width, height).addalpha() if alpha else photo(width, height)
    after = affected(image, Spec(**asked))  # type: ignore[arg-type]  # a table's row
    assert (after.width, after.height) == (width, height)
    assert (after.bands, after.format, after.interpretation) == (image.bands, "uchar", "srgb")
    if alpha:
        assert after[3].min() == 255


@pytest.mark.parametrize(
    "asked", [{"blur": ()}, {"blur": (4.0,)}, {"sharpen": ()}, {"sharpen": (2.0,)}], ids=str
)
def test_what_is_flat_stays_as_it_is(asked: dict[str, object]) -> None:
    image = plain(40, 40, 90, 130, 170)
    after = affected(image, Spec(**asked))  # type: ignore[arg-type]  # a table's row
    assert (after.cast("float") - image.cast("float")).abs().max() <= 1


def test_blur_calms_and_sharpen_excites() -> None:
    image = photo(120, 90)
    rough = image.sobel().avg()
    assert (
        affected(image, Spec(blur=(3.0,))).sobel().avg()
        < rough
        < affected(image, Spec(sharpen=())).sobel().avg()
    )
    assert affected(image, Spec(sharpen=(2.0,))).sobel().avg() > rough


def test_grayscale_keeps_lightness_and_transparency() -> None:
    grey = affected(disc(60, 60, 0, 200, 0), Spec(grayscale=True))
    red, green, blue, alpha = grey(30, 30)
    assert red == green == blue
    assert 150 < red < 190
    assert alpha == 255
    assert grey(0, 0)[3] == 0


def test_nothing_asked_is_the_very_image() -> None:
    image = quadrants(4, 4)
    assert affected(image, Spec()) is image
