from __future__ import annotations

from time import process_time

import pytest
import pyvips

from proxy.config.presets import load_presets
from proxy.model.limits import Limits
from proxy.model.media import Format
from proxy.model.negotiation import Bucket
from proxy.options.spec import Fit, OutputFormat, Spec
from proxy.options.values.colours import Colour, GeneratedBackground
from proxy.options.values.edges import Edge, Padding
from proxy.pipeline.render import render
from proxy.url.grammar import parse_options
from tests.paths import ROOT
from tests.pictures import disc, gradient, loaded, near, photo, pixel, plain, quadrants, saved

WITH_ALPHA = [Format.PNG, Format.WEBP, Format.TIFF]
ORANGE = (255, 140, 0)


def rendered(body: bytes, **options: object) -> pyvips.Image:
    return loaded(render(body, Spec(**options), Limits()).body)  # type: ignore[arg-type]  # a table's row


@pytest.mark.parametrize("format", WITH_ALPHA)
@pytest.mark.parametrize(
    "options",
    [{"width": 37}, {"width": 600, "enlarge": True}, {"width": 90, "blur": (3.0,)},
     {"width": 80, "rotate": 20.0}, {"width": 80, "sharpen": ()}, {"width": 80, "blur": ()}],
    ids=str,
)  # fmt: skip
def test_edges_of_transparency_have_no_dark_fringe(format: Format, options: dict[str, object]) -> None:
    """A bright disc on transparent black: as far as a pixel can be seen it has the disc's colour."""
    body = saved(disc(200, 200, *ORANGE), format, **({"lossless": True} if format is Format.WEBP else {}))
    image = rendered(body, format=OutputFormat.PNG, **options)
    for band, value in enumerate(ORANGE):
        off = (image[band].cast("float") - value) * (image[3] / 255)
        assert off.min() >= -3, band
        assert off.max() <= 8, band  # the resampler's own ringing, cut off at full alpha


def test_an_opaque_alpha_changes_no_colour() -> None:
    image = gradient(301, 203)
    without = rendered(saved(image, Format.PNG), width=97)
    with_alpha = rendered(saved(image.addalpha(), Format.PNG), width=97)
    assert with_alpha[3].min() == 255
    assert (with_alpha[0:3].cast("float") - without.cast("float")).abs().max() <= 1


@pytest.mark.parametrize(
    ("background", "colour"),
    [
        (None, (255, 255, 255)),
        (Colour(10, 20, 200), (10, 20, 200)),
        (Colour(255, 0, 0, 128), (255, 127, 127)),
        (Colour(255, 255, 255, 0), (255, 255, 255)),
        (GeneratedBackground.DOMINANT, ORANGE),
    ],
)
def test_a_format_without_alpha_gets_a_ground(background: Colour, colour: tuple[int, ...]) -> None:
    body = saved(disc(100, 100, *ORANGE), Format.PNG)
    image = rendered(body, background=background, format=OutputFormat.JPEG, quality=95)
    assert near(pixel(image, 0.02, 0.02), colour, 6)
    assert near(pixel(image, 0.5, 0.5), ORANGE, 6)


@pytest.mark.parametrize(
    ("options", "ground"),
    [("w_50,b_red", None), ("w_50,b_red,flatten", (255, 0, 0)), ("w_50,b_red,f_jpeg,q_95", (255, 0, 0))],
)
def test_a_background_is_seen_through_the_picture_when_it_is_flattened(
    options: str, ground: tuple[int, ...] | None
) -> None:
    body = saved(disc(100, 100, *ORANGE), Format.PNG)
    corner = pixel(loaded(render(body, parse_options(options), Limits()).body), 0.02, 0.02)
    assert near(corner[:3], ground, 6) if ground else corner[3] == 0


def test_logos_of_partners_stand_on_white_in_formats_with_transparency_too() -> None:
    presets = load_presets(ROOT / "presets.yaml")
    spec = parse_options("p_partner", presets.options, presets.defaults)
    body = saved(disc(400, 400, *ORANGE), Format.PNG)
    made = render(body, spec, Limits(), Bucket(webp=True))
    image = loaded(made.body)
    assert (made.format, image.width, image.height) == (Format.WEBP, 320, 160)
    for across in (0.1, 0.27, 0.9):
        assert near(pixel(image, across, 0.03), (255, 255, 255, 255)[: image.bands], 3)
    assert not image.hasalpha() or image[3].min() == 255


def test_a_blurred_ground_is_opaque() -> None:
    image = rendered(
        saved(disc(100, 100, *ORANGE), Format.PNG),
        background=GeneratedBackground.BLURRED,
        format=OutputFormat.JPEG,
    )
    assert near(pixel(image, 0.02, 0.02), ORANGE, 30)


BARS = {"width": 100, "height": 100, "fit": Fit.CONTAIN, "format": OutputFormat.PNG}


@pytest.mark.parametrize(
    ("background", "bar"),
    [
        (None, (255, 255, 255)),
        (Colour(0, 128, 255), (0, 128, 255)),
        (Colour(0, 128, 255, 100), (0, 128, 255, 100)),
        (Colour(255, 255, 255, 0), (255, 255, 255, 0)),
    ],
)
def test_bars_have_the_background(background: Colour | None, bar: tuple[int, ...]) -> None:
    image = rendered(saved(quadrants(200, 100), Format.PNG), background=background, **BARS)
    assert (image.width, image.height) == (100, 100)
    assert pixel(image, 0.5, 0.1) == pixel(image, 0.5, 0.9) == bar
    assert pixel(image, 0.2, 0.4)[:3] == (230, 20, 20)


def test_bars_of_a_transparent_picture_are_transparent_until_asked() -> None:
    body = saved(plain(200, 100, 200, 0, 0, 128), Format.PNG)
    assert pixel(rendered(body, **BARS), 0.5, 0.1)[3] == 0
    filled = rendered(body, background=Colour(0, 0, 255), **BARS)
    assert pixel(filled, 0.5, 0.1) == (0, 0, 255, 255)
    assert near(pixel(filled, 0.5, 0.5), (200, 0, 0, 128), 1)


def test_blurred_bars_show_the_picture_beside_them() -> None:
    image = rendered(saved(quadrants(200, 100), Format.PNG), background=GeneratedBackground.BLURRED, **BARS)
    assert near(pixel(image, 0.05, 0.05), (230, 20, 20), 40)
    assert near(pixel(image, 0.95, 0.95), (230, 220, 20), 40)


def test_the_dominant_colour_is_the_commonest() -> None:
    body = saved(plain(200, 100, 30, 60, 90).insert(plain(60, 60, 255, 0, 0), 0, 0), Format.PNG)
    image = rendered(body, background=GeneratedBackground.DOMINANT, **BARS)
    assert near(pixel(image, 0.5, 0.05), (30, 60, 90), 3)


@pytest.mark.parametrize("angle", [10.0, 45.0, 135.0, 200.0, 359.0])
def test_a_free_rotation_fills_its_corners(angle: float) -> None:
    body = saved(quadrants(120, 120), Format.PNG)
    options = {"rotate": angle, "background": Colour(1, 2, 3), "format": OutputFormat.PNG}
    image = rendered(body, **options)
    assert near(pixel(image, 0.0, 0.0), (1, 2, 3), 2)
    assert image.bands == 3


def test_a_free_rotation_goes_clockwise_around_the_middle() -> None:
    image = rendered(saved(quadrants(121, 121), Format.PNG), rotate=45.0)
    assert near(pixel(image, 0.5, 0.2), (230, 20, 20))
    assert near(pixel(image, 0.8, 0.5), (20, 200, 20))
    assert near(pixel(image, 0.5, 0.8), (230, 220, 20))
    assert near(pixel(image, 0.2, 0.5), (20, 20, 230))


@pytest.mark.parametrize("edge", Edge)
def test_a_border_shows_what_its_edge_says(edge: Edge) -> None:
    image = rendered(saved(quadrants(40, 40), Format.PNG), extend=Padding(10, 10, 10, 10, edge))
    red, white, yellow = (230, 20, 20), (255, 255, 255), (230, 220, 20)
    assert (image.width, image.height) == (60, 60)
    corner = {Edge.BACKGROUND: white, Edge.COPY: red, Edge.REPEAT: yellow, Edge.MIRROR: red}[edge]
    assert pixel(image, 0.0, 0.0) == corner
    assert tuple(image(10, 10)) == red


def test_a_border_comes_after_effects() -> None:
    options = {"extend": Padding(10, 10, 10, 10), "grayscale": True, "background": Colour(255, 0, 0)}
    image = rendered(saved(quadrants(40, 40), Format.PNG), format=OutputFormat.PNG, **options)
    assert pixel(image, 0.0, 0.0) == (255, 0, 0)


def test_a_picture_that_is_turned_on_a_blurred_ground_is_made_once() -> None:
    """And not once for each row of the small copies that the ground is made of: 22 s of CPU at this size."""
    body = saved(photo(2400, 1800), Format.JPEG)
    started = process_time()
    jpeg = render(body, parse_options("rotate_45,b_blurred,f_jpeg"), Limits())
    assert process_time() - started < 8
    assert (jpeg.width, jpeg.height) == (2970, 2970)


def test_what_lies_on_a_blurred_ground_has_no_transparency_left() -> None:
    body = saved(disc(60, 40, 200, 30, 30), Format.PNG)
    assert not loaded(render(body, parse_options("rotate_30,b_blurred,f_png"), Limits()).body).hasalpha()
