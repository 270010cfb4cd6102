"""What is hidden under an alpha of 0 changes nothing of what is seen."""

from __future__ import annotations

import pytest
import pyvips

from proxy.model.limits import Limits
from proxy.model.media import Format
from proxy.model.negotiation import Bucket
from proxy.pipeline.decode.alpha import with_hidden_filled
from proxy.pipeline.describe.facts import describe
from proxy.pipeline.draw.effects import apply_effects
from proxy.pipeline.render import render
from proxy.url.grammar import parse_options
from tests.paths import PICTURES
from tests.pictures import animation, disc, loaded, photo, plain, saved, tagged

LIMITS = Limits()


def with_hidden(hidden: pyvips.Image, shape: pyvips.Image) -> pyvips.Image:
    """A photograph in a shape, and `hidden` where that has an alpha of 0."""
    width, height = shape.width, shape.height
    colours = (shape[3] > 0).ifthenelse(photo(width, height), hidden)
    return colours.cast("uchar").bandjoin(shape[3]).copy(interpretation="srgb")


def kinds(width: int, height: int) -> list[pyvips.Image]:
    return [
        plain(width, height, 0, 0, 0),
        plain(width, height, 255, 255, 255),
        plain(width, height, 255, 0, 255),
        photo(width, height, 9),
    ]


SHAPES = [disc(90, 60, 0, 0, 0), disc(257, 130, 0, 0, 0), disc(3, 7, 0, 0, 0)]


def visible(image: pyvips.Image) -> pyvips.Image:
    return (image[3] > 0).ifthenelse(image, 0).cast("uchar")


@pytest.mark.parametrize("shape", SHAPES, ids=("90", "257", "3"))
@pytest.mark.parametrize(
    "options",
    [
        "normalize", "normalize,contrast_2", "w_40,h_40,fit_cover,g_attention", "w_40,h_40,c_pad,b_dominant",
        "w_40,h_40,c_fill,g_entropy", "b_dominant,f_jpeg", "trim", "blur", "median", "sharpen", "w_33",
    ],
)  # fmt: skip
def test_hidden_pixels_have_no_say(options: str, shape: pyvips.Image) -> None:
    format = "" if "f_jpeg" in options else ",f_png"
    found = [
        loaded(
            render(
                saved(with_hidden(hidden, shape), Format.PNG), parse_options(options + format), LIMITS
            ).body
        )
        for hidden in kinds(shape.width, shape.height)
    ]
    found = [visible(image) if image.hasalpha() else image for image in found]
    for other in found[1:]:
        assert (other.width, other.height) == (found[0].width, found[0].height)
        assert (other - found[0]).abs().max() == 0


@pytest.mark.parametrize("shape", SHAPES, ids=("90", "257", "3"))
def test_nor_in_what_is_said_of_a_picture(shape: pyvips.Image) -> None:
    told = []
    for hidden in kinds(shape.width, shape.height):
        facts = describe(saved(with_hidden(hidden, shape), Format.PNG), parse_options("_"), LIMITS, Bucket())
        told.append([facts[name] for name in ("dominant", "palette", "blurhash", "thumbhash", "lqip")])
    assert all(each == told[0] for each in told)


@pytest.mark.parametrize("format", [Format.WEBP, Format.AVIF])
@pytest.mark.parametrize("shape", SHAPES[:2], ids=("90", "257"))
def test_nor_in_what_lossy_encoders_make_of_it(format: Format, shape: pyvips.Image) -> None:
    bodies = {
        render(saved(with_hidden(hidden, shape), Format.PNG), parse_options(f"f_{format}"), LIMITS).body
        for hidden in kinds(shape.width, shape.height)
    }
    assert len(bodies) == 1


@pytest.mark.parametrize("format", [Format.WEBP, Format.AVIF])
def test_what_is_hidden_does_not_bleed_into_what_is_seen(format: Format) -> None:
    names = ("alpha-hidden-magenta", "alpha-hidden-same")
    magenta, same = ((PICTURES / f"{name}.png").read_bytes() for name in names)
    rendered = render(magenta, parse_options(f"f_{format}"), LIMITS).body
    original, image = loaded(magenta), loaded(rendered)
    assert (original[3] == 255).ifthenelse((image - original).abs(), 0).max() <= 30
    assert len(rendered) < 1.2 * len(render(same, parse_options(f"f_{format}"), LIMITS).body)


@pytest.mark.parametrize("options", ["f_webp,lossless", "f_png"])
def test_without_loss_nothing_is_filled(options: str) -> None:
    image = with_hidden(plain(90, 60, 255, 0, 255), SHAPES[0])
    body = render(saved(image, Format.PNG), parse_options(options), LIMITS).body
    assert (visible(loaded(body)) - visible(image)).abs().max() == 0


def test_hidden_files_from_outside_are_normalised_alike() -> None:
    one, other = (
        visible(loaded(render((PICTURES / name).read_bytes(), parse_options("normalize,f_png"), LIMITS).body))
        for name in ("normalize-hidden-black.png", "normalize-hidden-white.png")
    )
    assert (one - other).abs().max() == 0


def test_normalize_sees_an_opaque_alpha_as_none() -> None:
    for seed in range(6):
        image, normalize = photo(120, 90, seed), parse_options("normalize")
        opaque = apply_effects(image.addalpha(), normalize)
        assert (apply_effects(image, normalize) - opaque.extract_band(0, n=3)).abs().max() == 0
    nothing = plain(9, 9, 70, 80, 90, 0)
    assert (apply_effects(nothing, normalize)[3]).max() == 0


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 3), (64, 64), (100, 37)])
def test_what_is_filled_is_near_and_nothing_seen_changes(size: tuple[int, int]) -> None:
    width, height = size
    image = plain(width, height, 255, 0, 255, 0).copy_memory()
    image = image.draw_rect([10, 200, 30, 255], 0, 0, 1, 1, fill=True)
    image = tagged(image, orientation=3)
    filled = with_hidden_filled(image)
    assert (filled.extract_band(0, n=3) - [10, 200, 30]).abs().max() <= 3
    assert (filled[3] - image[3]).abs().max() == 0
    assert filled.get("orientation") == 3


def test_nothing_to_fill_and_nothing_to_fill_it_with() -> None:
    for image in (photo(9, 9), photo(9, 9).addalpha(), plain(9, 9, 1, 2, 3, 0)):
        assert with_hidden_filled(image) is image


def test_an_animation_keeps_its_frames_and_delays() -> None:
    moving = animation(20, 10, (255, 0, 0), (0, 255, 0))
    alpha = pyvips.Image.black(20, 20).draw_rect(255, 2, 2, 9, 15, fill=True)
    body = saved(moving.extract_band(0, n=3).bandjoin(alpha), Format.GIF)
    rendered = render(body, parse_options("f_webp"), LIMITS)
    image = pyvips.Image.webpload_buffer(rendered.body, n=-1)
    assert image.get("page-height") == 10
    assert image.get("n-pages") == rendered.frames == 2
