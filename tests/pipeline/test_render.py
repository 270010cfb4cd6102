from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.geometry import plan
from proxy.geometry.boxes import Size
from proxy.model.errors import InvalidValue, ResultTooLarge
from proxy.model.limits import Limits
from proxy.model.media import FORMATS, Format
from proxy.model.negotiation import Bucket
from proxy.options.canonical import canonicalise
from proxy.options.spec import OPTIONS, Fit, Mode, OutputFormat, Spec
from proxy.options.values.colours import Colour
from proxy.options.values.edges import Border, Edge, Padding, Radii
from proxy.options.values.positions import Region, Strategy
from proxy.pipeline.decode.sniff import sniff
from proxy.pipeline.encode.savers import savable
from proxy.pipeline.render import render
from proxy.url.grammar import parse_options
from tests.pictures import (
    HERE,
    animation,
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

LIMITS = Limits(max_result_pixels=3_000_000, max_result_side=4000)
SIDES = (1, 2, 7, 40, 97)


@functools.cache
def source(format: Format, width: int, height: int, orientation: int, alpha: bool) -> bytes:
    image = disc(width, height, 200, 120, 40) if alpha else gradient(width, height)
    return saved(tagged(image, orientation=orientation), format)


@st.composite
def specs(draw: st.DrawFn) -> Spec:
    side = st.none() | st.integers(1, 260) | st.floats(0.05, 1.5).map(lambda share: round(share, 2))
    degrees = st.none() | st.sampled_from([0.0, 90.0, 180.0, 270.0, 13.0, 45.0])
    spec: Mapping[str, Any] = {
        "width": draw(side),
        "height": draw(side),
        "dpr": draw(st.sampled_from([1.0, 1.0, 0.5, 2.0])),
        "enlarge": draw(st.booleans()),
        "position": draw(st.sampled_from([None, Strategy.ATTENTION, Strategy.ENTROPY])),
        "rotate": draw(degrees),
        "zoom": draw(st.sampled_from([1.0, 1.0, 0.3, 1.7])),
        "min_width": draw(st.none() | st.integers(1, 150)),
        "min_height": draw(st.none() | st.integers(1, 150)),
        "x": draw(st.none() | st.floats(-20, 20).map(lambda x: round(x, 2))),
        "crop": draw(st.none() | st.builds(Region, *[st.none()] * 2, *[st.integers(1, 60)] * 2)),
        "radii": draw(st.none() | st.builds(Radii, st.none() | st.tuples(*[st.integers(0, 50)] * 4))),
        "border": draw(st.none() | st.builds(Border, st.integers(0, 9), st.just(Colour(1, 2, 3)))),
        "flip": draw(st.booleans()),
        "flop": draw(st.booleans()),
        "autoorient": draw(st.booleans()),
        "extend": draw(st.none() | st.builds(Padding, *[st.integers(0, 9)] * 4, edge=st.sampled_from(Edge))),
    }
    if draw(st.booleans()):
        return canonicalise(Spec(**spec, fit=draw(st.sampled_from(Fit))))
    return canonicalise(Spec(**{**spec, "enlarge": False}, mode=draw(st.sampled_from(Mode))))


@settings(max_examples=400, deadline=None)
@given(
    spec=specs(),
    format=st.sampled_from(HERE),
    width=st.sampled_from(SIDES),
    height=st.sampled_from(SIDES),
    orientation=st.integers(1, 8),
    alpha=st.booleans(),
)
def test_pixels_come_out_as_planned(
    spec: Spec, format: Format, width: int, height: int, orientation: int, alpha: bool
) -> None:
    body = source(format, width, height, orientation, alpha)
    # AVIF and JPEG XL are turned by what is not EXIF, and libvips writes that of AVIF; a GIF has neither.
    turns = format is Format.AVIF or (spec.autoorient and format not in (Format.GIF, Format.JXL))
    swapped = orientation > 4 and turns
    upright = Size(height, width) if swapped else Size(width, height)
    try:
        wanted = plan.plan(spec, upright, LIMITS).result
    except ResultTooLarge:
        with pytest.raises(ResultTooLarge):
            render(body, spec, LIMITS)
        return
    rendered = render(body, replace(spec, format=OutputFormat.PNG), LIMITS)
    image = loaded(rendered.body)
    assert (image.width, image.height) == (rendered.width, rendered.height) == (wanted.width, wanted.height)


@pytest.mark.parametrize("given_format", HERE)
@pytest.mark.parametrize("wanted", [OutputFormat(format) for format in HERE])
@pytest.mark.parametrize("alpha", [False, True])
def test_every_format_becomes_every_format(given_format: Format, wanted: OutputFormat, alpha: bool) -> None:
    body = source(given_format, 97, 40, 1, alpha)
    rendered = render(body, Spec(width=50, height=30, format=wanted), LIMITS)
    image = loaded(rendered.body)
    assert sniff(rendered.body) is rendered.format is Format(wanted)
    assert (image.width, image.height) == (50, 30)
    if alpha and given_format is not Format.JPEG and FORMATS[rendered.format].alpha:
        assert pixel(image, 0.02, 0.02)[3] <= 2
    else:
        assert image.bands == 3 or image[3].min() == 255


@pytest.mark.parametrize(
    ("given_format", "alpha", "wanted"),
    [
        (Format.JPEG, False, Format.JPEG),
        (Format.PNG, True, Format.PNG),
        (Format.WEBP, False, Format.WEBP),
        (Format.AVIF, False, Format.AVIF),
        (Format.GIF, False, Format.GIF),
        (Format.TIFF, False, Format.JPEG),
        (Format.TIFF, True, Format.PNG),
    ],
)
def test_by_default_a_format_stays_when_the_web_shows_it(
    given_format: Format, alpha: bool, wanted: Format
) -> None:
    assert render(source(given_format, 40, 40, 1, alpha), Spec(), LIMITS).format is wanted


@pytest.mark.parametrize(
    ("accepted", "alpha", "wanted"),
    [
        (Bucket(avif=True, webp=True), False, Format.AVIF),
        (Bucket(webp=True), True, Format.WEBP),
        (Bucket(), True, Format.PNG),
        (Bucket(), False, Format.JPEG),
    ],
)
def test_auto_is_the_best_that_is_accepted(accepted: Bucket, alpha: bool, wanted: Format) -> None:
    body = source(Format.PNG, 40, 40, 1, alpha)
    assert render(body, Spec(format=OutputFormat.AUTO), LIMITS, accepted).format is wanted


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ("w_30,r_9", Format.PNG),
        ("w_30,r_9,b_red", Format.JPEG),
        ("w_30,r_9,b_ff000080", Format.PNG),
        ("w_30,r_9,b_blurred", Format.JPEG),
        ("bo_2px_solid_ff000080", Format.PNG),
        ("bo_2px_solid_red", Format.JPEG),
        ("b_transparent", Format.JPEG),
        ("b_transparent,rotate_90", Format.JPEG),
        ("b_transparent,rotate_20", Format.PNG),
        ("b_transparent,pad_3", Format.PNG),
        ("b_transparent,w_30,h_30,c_pad", Format.PNG),
        ("b_transparent,w_30,h_30,c_fill", Format.JPEG),
        ("o_50", Format.PNG),
    ],
)
def test_auto_keeps_the_transparency_that_was_asked_for(options: str, wanted: Format) -> None:
    body = source(Format.JPEG, 97, 40, 1, False)
    rendered = render(body, parse_options(f"{options},f_auto"), LIMITS, Bucket())
    assert rendered.format is wanted
    assert bool(loaded(rendered.body).hasalpha()) is (wanted is Format.PNG)


def test_every_libvips_saves_what_the_web_shows() -> None:
    assert savable() >= frozenset(Format) - {Format.JXL}


def test_a_format_that_this_libvips_lacks_is_refused_with_those_that_it_has() -> None:
    body = source(Format.PNG, 40, 40, 1, False)
    if Format.JXL in savable():
        assert sniff(render(body, parse_options("f_jxl"), LIMITS).body) is Format.JXL
        return
    with pytest.raises(InvalidValue, match=r"'f' takes jpeg, png, .* here, not jxl") as refused:
        render(body, parse_options("f_jxl"), LIMITS)
    assert refused.value.facts["allowed"] == "jpeg, png, webp, avif, gif, tiff"


@pytest.mark.parametrize("format", [Format.GIF, Format.WEBP])
def test_an_animation_gives_its_first_frame(format: Format) -> None:
    body = saved(animation(40, 30, (250, 0, 0), (0, 250, 0), (0, 0, 250)), format)
    rendered = render(body, Spec(width=20, format=OutputFormat.PNG), LIMITS)
    assert (rendered.width, rendered.height) == (20, 15)
    assert near(pixel(loaded(rendered.body), 0.5, 0.5)[:3], (250, 0, 0))


def test_what_a_format_cannot_hold_is_refused_before_decoding() -> None:
    body = saved(photo(60, 50), Format.PNG)
    broken = body[: len(body) // 2]
    limits = Limits(max_result_side=20_000)
    with pytest.raises(ResultTooLarge, match=r"would be 20000x.*'f_webp' have at most 16383 px") as refused:
        render(broken, parse_options("s_8192x8000,enlarge,dpr_3,f_webp"), limits)
    assert refused.value.facts["option"] == "f"
    assert refused.value.facts["value"] == "webp"


LONG = "w_8192,h_8,fit_fill,dpr_2,enlarge"
"""A side of 16384 px, which is one more than WebP has."""


@pytest.mark.parametrize("format", [Format.JPEG, Format.PNG, Format.AVIF, Format.GIF, Format.TIFF])
def test_other_formats_are_long_enough_for_the_longest_side(format: Format) -> None:
    rendered = render(saved(photo(60, 50), Format.PNG), parse_options(f"{LONG},f_{format}"), Limits())
    assert loaded(rendered.body).width == 16_384


@pytest.mark.parametrize(
    ("given_format", "options", "wanted"),
    [
        (Format.PNG, "f_auto", Format.JPEG),
        (Format.PNG, "f_auto,lossless", Format.PNG),
        (Format.PNG, "f_best", Format.PNG),
        (Format.WEBP, "q_80", Format.JPEG),
        (Format.WEBP, "o_50", Format.PNG),
    ],
)
def test_a_format_that_is_left_to_us_is_one_that_holds_the_picture(
    given_format: Format, options: str, wanted: Format
) -> None:
    body = saved(photo(60, 50), given_format)
    rendered = render(body, parse_options(f"{LONG},{options}"), Limits(), Bucket(webp=True))
    assert (rendered.format, rendered.width) == (wanted, 16_384)


def test_so_is_that_of_an_animation() -> None:
    body = saved(animation(40, 30, (250, 0, 0), (0, 250, 0)), Format.WEBP)
    rendered = render(body, parse_options(f"{LONG},f_auto"), Limits(), Bucket(webp=True))
    assert (rendered.format, rendered.frames) == (Format.GIF, 2)


@pytest.mark.parametrize("format", [Format.JPEG, Format.WEBP, Format.AVIF])
def test_more_quality_is_more_bytes(format: Format) -> None:
    body = saved(photo(300, 200), Format.PNG)
    asked = ["q_10", "q_auto:low", "q_auto:eco", "q_auto:good", "q_auto:best", "q_100"]
    sizes = [len(render(body, parse_options(f"{q},f_{format}"), LIMITS).body) for q in asked]
    assert sizes == sorted(set(sizes))


def test_the_same_twice_is_the_same_bytes() -> None:
    body = saved(photo(300, 200), Format.JPEG)
    spec = parse_options("w_100,h_100,g_attention,b_blurred,rotate_20,f_webp")
    assert render(body, spec, LIMITS).body == render(memoryview(body), spec, LIMITS).body


@pytest.mark.parametrize("strategy", [Strategy.ATTENTION, Strategy.ENTROPY])
def test_a_strategy_finds_what_there_is_to_see(strategy: Strategy) -> None:
    detail = photo(60, 60).ifthenelse([255, 40, 40], photo(60, 60))
    body = saved(plain(300, 60, 128, 128, 128).insert(detail, 230, 0), Format.PNG)
    image = loaded(render(body, Spec(width=60, height=60, position=strategy), LIMITS).body)
    assert pixel(image, 0.6, 0.5) != (128, 128, 128)
    assert image.deviate() > 20


def test_timings_tell_the_stages() -> None:
    rendered = render(source(Format.JPEG, 97, 97, 1, False), Spec(width=10), LIMITS)
    assert list(rendered.timings) == ["decode", "transform", "encode"]
    assert all(seconds >= 0 for seconds in rendered.timings.values())


MOVING = saved(animation(400, 300, (250, 0, 0), (0, 250, 0), (0, 0, 250)), Format.GIF)
PICTURES = {
    "animated": MOVING,
    "page": MOVING,
    "frames": MOVING,
    "autoorient": saved(tagged(quadrants(400, 300), orientation=6), Format.JPEG),
    "flatten": saved(disc(400, 300, 220, 120, 40), Format.PNG),
    "trim": saved(photo(400, 300).embed(30, 20, 480, 330, extend="white"), Format.JPEG),
    "keep": saved(tagged(photo(400, 300), exif_ifd0_Make="Cameraworks"), Format.JPEG),
}
LOGO = saved(disc(80, 60, 200, 30, 30), Format.PNG)
PICTURE = saved(photo(400, 300), Format.JPEG)


@pytest.mark.parametrize("name", [name for name, option in OPTIONS.items() if option.about != "delivery"])
def test_no_option_is_inert(name: str) -> None:
    """Every option's own example gives another picture than the same without it."""
    body = PICTURES.get(name, PICTURE)
    asked = parse_options(OPTIONS[name].example)
    kept = [
        item for item in OPTIONS[name].example.split(",") if item.split("_")[0] not in OPTIONS[name].names
    ]
    without = parse_options(",".join(kept) or "_")
    assert render(body, asked, LIMITS, overlay=LOGO).body != render(body, without, LIMITS, overlay=LOGO).body
