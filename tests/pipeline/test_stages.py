"""Other lists of the same stages: two encodings of one picture, and a second transformation of its pixels."""

from __future__ import annotations

import pytest

from proxy.model.errors import InvalidValue, ResultTooLarge
from proxy.model.limits import Limits
from proxy.model.media import Format, Note
from proxy.model.negotiation import Bucket
from proxy.pipeline.decode.source import open_original
from proxy.pipeline.encode.savers import savable
from proxy.pipeline.render import render
from proxy.pipeline.render_plan import plan_render
from proxy.pipeline.stages import Composed, as_source, compose, decode, encode, in_format
from proxy.url.grammar import parse_options
from tests.pictures import animation, disc, loaded, photo, plain, saved, tagged

LIMITS = Limits()
LOGO = saved(disc(80, 60, 200, 30, 30), Format.PNG)
ORIGINALS = {
    "opaque": saved(tagged(photo(400, 300), orientation=6), Format.JPEG),
    "transparent": saved(disc(300, 200, 220, 120, 40), Format.PNG),
}
MOVING = saved(animation(40, 30, (250, 0, 0), (0, 250, 0), (0, 0, 250)), Format.GIF)


def composed(body: bytes, options: str) -> Composed:
    spec = parse_options(options)
    original = open_original(body, LIMITS, page=spec.page or 0, autoorient=spec.autoorient)
    return compose(decode(plan_render(original, spec, LIMITS)), LOGO, LIMITS)


def rendered(body: bytes, options: str) -> bytes:
    return render(body, parse_options(options), LIMITS, overlay=LOGO).body


@pytest.mark.parametrize("original", ORIGINALS)
@pytest.mark.parametrize(
    "options",
    [
        "w_200",
        "w_200,h_200,g_attention,sharpen,q_auto",
        "w_150,h_150,c_pad,b_blurred,text_Hm",
        "rotate_20,b_dominant,r_9,l_logo",
        "w_200,o_50,keep_all,mb_4000",
    ],
)
def test_two_encodings_of_one_picture_are_those_of_two_renders(original: str, options: str) -> None:
    body = ORIGINALS[original]
    once = composed(body, f"{options},f_webp")
    webp = encode(once)
    jpeg = encode(in_format(once, Format.JPEG))
    assert (webp.format, jpeg.format) == (Format.WEBP, Format.JPEG)
    assert webp.body == rendered(body, f"{options},f_webp")
    assert jpeg.body == rendered(body, f"{options},f_jpeg")
    assert encode(once).body == webp.body


def test_two_encodings_of_one_animation_are_those_of_two_renders() -> None:
    once = composed(MOVING, "w_20,animated,b_dominant,pad_5,f_webp")
    gif, still = encode(in_format(once, Format.GIF)), encode(in_format(once, Format.PNG))
    assert encode(once).body == rendered(MOVING, "w_20,animated,b_dominant,pad_5,f_webp")
    assert gif.body == rendered(MOVING, "w_20,animated,b_dominant,pad_5,f_gif")
    assert (gif.frames, still.frames, still.notes) == (3, 1, (Note.FIRST_FRAME,))
    assert still.body == rendered(MOVING, "w_20,b_dominant,pad_5,f_png")


@pytest.mark.parametrize("original", ORIGINALS)
@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("w_200,h_150,sharpen", "w_90,f_webp"),
        ("rotate_20,b_transparent", "trim,w_100,blur,f_png"),
        ("w_200,l_logo", "crop_0.5_0.5,g_attention,rotate_90,f_webp"),
        ("w_120,r_20", "w_60,h_60,c_pad,b_red,f_jpeg"),
        ("w_120,icc_p3", "w_60,f_jpeg"),
    ],
)
def test_a_second_transformation_works_on_the_pixels_of_the_first(
    original: str, first: str, second: str
) -> None:
    """Byte for byte what it makes of a file that lost nothing."""
    body, spec = ORIGINALS[original], parse_options(second)
    source = as_source(composed(body, f"{first},f_png"))
    rendition = encode(compose(decode(plan_render(source, spec, LIMITS)), None, LIMITS))
    assert rendition.body == rendered(rendered(body, f"{first},f_png"), second)


def test_a_second_transformation_may_be_of_an_animation() -> None:
    spec = parse_options("w_10,animated,negate,f_webp,lossless")
    source = as_source(composed(MOVING, "w_20,animated,f_webp,lossless"))
    rendition = encode(compose(decode(plan_render(source, spec, LIMITS)), None, LIMITS))
    assert rendition.frames == 3
    twice = rendered(
        rendered(MOVING, "w_20,animated,f_webp,lossless"), "w_10,animated,negate,f_webp,lossless"
    )
    assert rendition.body == twice


def test_a_second_transformation_leaves_the_pixels_as_they_are() -> None:
    picture = composed(ORIGINALS["transparent"], "w_100,f_png")
    before = encode(picture).body
    plan = plan_render(as_source(picture), parse_options("blur_5,negate"), LIMITS, Bucket(webp=True))
    assert encode(compose(decode(plan), None, LIMITS)).body != before
    assert encode(picture).body == before


def test_what_another_format_cannot_hold_is_refused() -> None:
    picture = composed(saved(plain(60, 9, 1, 2, 3), Format.PNG), "w_8192,h_8,fit_fill,dpr_2,enlarge,f_png")
    assert loaded(encode(in_format(picture, Format.JPEG)).body).width == 16_384
    with pytest.raises(ResultTooLarge, match="the sides of 'f_webp' have at most 16383 px"):
        in_format(picture, Format.WEBP)


@pytest.mark.skipif(Format.JXL in savable(), reason="this libvips saves all formats")
def test_a_format_that_cannot_be_saved_is_refused() -> None:
    with pytest.raises(InvalidValue, match="not jxl"):
        in_format(composed(ORIGINALS["opaque"], "w_9"), Format.JXL)
