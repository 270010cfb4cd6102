from __future__ import annotations

from typing import Any

import pytest
import pyvips

from proxy.model.limits import Limits
from proxy.model.media import Format
from proxy.model.negotiation import Bucket
from proxy.options.spec import Icc, OutputFormat, Spec
from proxy.pipeline.decode.colour import to_rgb
from proxy.pipeline.describe.facts import describe
from proxy.pipeline.render import render
from tests.pictures import gradient, loaded, near, pixel, plain, saved, tagged
from tests.pipeline.profiles import ADOBE, SRGB, formula, gamma, grey, matrix

COLOURS = [(200, 100, 50), (40, 120, 200), (128, 128, 128), (250, 240, 230)]
PNG = Spec(format=OutputFormat.PNG)


def middle(body: bytes, spec: Spec = PNG) -> tuple[int, ...]:
    return pixel(loaded(render(body, spec, Limits()).body).colourspace("srgb"), 0.5, 0.5)


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("format", [Format.JPEG, Format.PNG, Format.WEBP, Format.TIFF, Format.AVIF])
def test_display_p3_becomes_srgb(format: Format, colour: tuple[int, ...]) -> None:
    image = plain(32, 32, *colour).icc_transform("p3", input_profile="srgb")
    assert not near(pixel(image, 0.5, 0.5), colour, 1) or colour == (128, 128, 128)
    body = saved(image, format, keep="icc")
    assert near(middle(body), colour, 4)
    assert near(middle(body, Spec(width=7, format=OutputFormat.PNG)), colour, 4)


@pytest.mark.parametrize("colour", COLOURS)
def test_adobe_rgb_becomes_srgb(colour: tuple[int, ...]) -> None:
    profile = matrix(ADOBE, gamma(2.19921875))
    linear = plain(8, 8, *colour).colourspace("xyz")
    body = saved(tagged(to_adobe(linear), icc_profile_data=profile), Format.PNG, keep="icc")
    assert near(middle(body), colour, 2)


def to_adobe(xyz: pyvips.Image) -> pyvips.Image:
    """Adobe RGB (1998) section 4.3.5.1: CIE XYZ at D65 to encoded values."""
    linear = (xyz / 100).recomb(
        [[2.04159, -0.56501, -0.34473], [-0.96924, 1.87597, 0.04156], [0.01344, -0.11836, 1.01517]]
    )
    encoded = linear.clamp() ** (1 / 2.19921875) * 255
    return encoded.rint().cast("uchar").copy(interpretation="srgb")


@pytest.mark.parametrize("keep", ["icc", "none"])
@pytest.mark.parametrize("format", [Format.JPEG, Format.TIFF])
def test_cmyk_becomes_srgb_with_and_without_its_profile(format: Format, keep: str) -> None:
    """The same numbers under the same profile: once by its perceptual table, once by its colorimetric one."""
    cmyk = plain(32, 32, 120, 90, 60).icc_transform("cmyk", input_profile="srgb")
    colour = (115, 85, 40) if keep == "icc" else (120, 90, 60)
    body = saved(cmyk, format, keep=keep)
    assert loaded(body).interpretation == "cmyk"
    assert near(middle(body), colour, 3)
    assert near(middle(body, Spec(width=16, format=OutputFormat.PNG)), colour, 3)


def test_a_profile_that_libvips_only_lent_does_not_stay() -> None:
    """Its memory is freed with the conversion: whoever read it then read other pictures, or died."""
    cmyk = plain(32, 32, 120, 90, 60).icc_transform("cmyk", input_profile="srgb")
    upright = to_rgb(loaded(saved(cmyk, Format.JPEG, keep="none")), None)
    assert not upright.get_typeof("icc-profile-data")
    body = render(saved(cmyk, Format.JPEG, keep="none"), PNG, Limits()).body
    assert not loaded(body).get_typeof("icc-profile-data")


def test_grey_obeys_its_profile() -> None:
    body = saved(tagged(plain(8, 8, 128), icc_profile_data=grey(gamma(1.0))), Format.PNG, keep="icc")
    assert near(middle(body), (188, 188, 188), 2)


@pytest.mark.parametrize("format", [Format.PNG, Format.TIFF])
@pytest.mark.parametrize("bands", [1, 2, 3, 4])
def test_sixteen_bits_become_eight(format: Format, bands: int) -> None:
    space = "grey16" if bands < 3 else "rgb16"
    deep = pyvips.Image.black(20, 20, bands=bands) + [0x8081, 0x4041, 0xC0C1, 0xFFFF][:bands]
    if bands in (2, 4):
        deep = deep[0 : bands - 1].bandjoin(65_535)
    body = saved(deep.cast("ushort").copy(interpretation=space), format)
    colour = (128, 64, 192) if bands > 2 else (128, 128, 128)
    for spec in (PNG, Spec(width=9, format=OutputFormat.PNG)):
        assert near(middle(body, spec)[:3], colour, 1)


def test_a_palette_becomes_colours() -> None:
    body = saved(plain(20, 20, 200, 30, 90), Format.PNG, palette=True)
    assert near(middle(body), (200, 30, 90), 2)


@pytest.mark.parametrize(
    "profile",
    [
        pytest.param(b"not a profile at all" * 20, id="rubbish"),
        pytest.param(matrix(ADOBE, gamma(2.2))[:150], id="cut"),
        pytest.param(grey(gamma(1.0)), id="of another colour space"),
        pytest.param(matrix(ADOBE, gamma(2.2)) + bytes(1_000_000), id="too large"),
    ],
)
def test_an_unusable_profile_is_ignored(profile: bytes) -> None:
    body = saved(tagged(plain(8, 8, 200, 100, 50), icc_profile_data=profile), Format.TIFF, keep="icc")
    assert middle(body) == (200, 100, 50)


def test_a_profile_with_holes_is_ignored_by_whoever_reads_it() -> None:
    """Well-formed at first sight, and without its curves: the colour engine refuses it."""
    profile = matrix(ADOBE, gamma(2.2)).replace(b"rTRC", b"xxxx").replace(b"gXYZ", b"yyyy")
    body = saved(tagged(plain(8, 8, 200, 100, 50), icc_profile_data=profile), Format.TIFF, keep="icc")
    assert middle(body) == (200, 100, 50)


def test_an_srgb_profile_changes_no_pixel() -> None:
    image = gradient(64, 64)
    body = saved(tagged(image, icc_profile_data=matrix(SRGB, formula())), Format.PNG, keep="icc")
    assert (loaded(render(body, PNG, Limits()).body) - image).abs().max() == 0


def test_bands_that_nobody_named_are_colours() -> None:
    image = plain(20, 20, 10, 20, 30).bandjoin([40, 50]).copy(interpretation="multiband")
    assert middle(saved(image, Format.TIFF))[:3] == (10, 20, 30)


@pytest.mark.parametrize("icc", Icc)
@pytest.mark.parametrize("options", [{}, {"width": 4}, {"width": 4, "linear_light": True}, {"gamma": (2.2,)}])
def test_a_profile_that_is_damaged_inside_costs_no_picture(icc: Icc, options: dict[str, Any]) -> None:
    """Its header and its table are in order, and its curves are zeros: nothing can be made with it."""
    whole = matrix(ADOBE, gamma(2.2))
    profile = whole.replace(gamma(2.2), bytes(len(gamma(2.2))))
    assert len(profile) == len(whole)
    body = saved(tagged(plain(8, 8, 200, 100, 50), icc_profile_data=profile), Format.TIFF, keep="icc")
    spec = Spec(format=OutputFormat.PNG, icc=icc, **options)
    image = loaded(render(body, spec, Limits()).body)
    if icc is not Icc.P3:
        assert near(pixel(image, 0.5, 0.5), (200, 100, 50), 1)
    seen = describe(body, spec, Limits(), Bucket())["dominant"]
    assert near(tuple(bytes.fromhex(seen[1:])), (200, 100, 50), 1)


@pytest.mark.parametrize(
    ("format", "scale"),
    [("char", 0.5), ("short", 32_767 / 255), ("uint", 4_294_967_295 / 255), ("int", 2_147_483_647 / 255)],
)
def test_whole_numbers_of_any_width_are_levels(format: str, scale: float) -> None:
    colour = (200, 100, 50)
    image = (plain(8, 8, *colour).cast("double") * scale).cast(format)
    grey = (plain(8, 8, 100).cast("double") * scale).cast(format).copy(interpretation="b-w")
    assert near(middle(saved(image, Format.TIFF)), colour, 2)
    assert near(middle(saved(grey, Format.TIFF)), (100, 100, 100), 2)


def test_grey_floats_are_light_as_those_of_colours_are() -> None:
    light = plain(8, 8, 200, 100, 50).colourspace("scrgb")
    for band, value in enumerate((200, 100, 50)):
        body = saved(light[band].copy(interpretation="b-w"), Format.TIFF)
        assert near(middle(body), (value,) * 3, 1)
    assert near(middle(saved(light, Format.TIFF)), (200, 100, 50), 1)
