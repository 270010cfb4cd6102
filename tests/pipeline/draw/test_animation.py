from __future__ import annotations

import io

import pytest
import pyvips
from PIL import Image

from proxy.model.errors import InvalidValue, NoSuchPage, TooManyPixels
from proxy.model.limits import Limits
from proxy.model.media import Format
from proxy.model.negotiation import Bucket
from proxy.options.spec import Spec
from proxy.pipeline.render import render
from proxy.url.grammar import canonical_text, parse_options
from tests.pictures import loaded, near, pixel, plain, saved
from tests.pipeline.animations import BALLS, DELAYS, SIZE, balls, gif, shown, webp

LIMITS = Limits()
WHITE = (255, 255, 255)
ANIMATED = ("gif", "webp")


def centre(frame: int) -> float:
    """Where the ball of a frame is, as a share of the width."""
    return (frame + 0.5) / 4


@pytest.mark.parametrize("wanted", ANIMATED)
@pytest.mark.parametrize(
    "body",
    [
        pytest.param(gif(balls(), disposal=2), id="gif, cleared"),
        pytest.param(gif(balls(ground=(*WHITE, 255)), disposal=1), id="gif, left to be drawn over"),
        pytest.param(gif(balls(ground=(*WHITE, 255)), disposal=[1, 3, 3, 3]), id="gif, restored"),
        pytest.param(webp(balls()), id="webp"),
        pytest.param(webp(balls(ground=(*WHITE, 255))), id="opaque webp"),
    ],
)
def test_every_frame_shows_what_a_viewer_of_the_original_sees(body: bytes, wanted: str) -> None:
    before = shown(body)
    after = shown(render(body, parse_options(f"w_48,f_{wanted}"), LIMITS).body)
    assert after.delays == before.delays == DELAYS
    for at, ball in enumerate(BALLS):
        assert after.frames[at].size == (48, 32)
        for other in range(4):
            was, now = before.at(at, centre(other), 0.5), after.at(at, centre(other), 0.5)
            assert near(now, was, within=24) or now[3] == was[3] == 0
            assert near(now[:3], ball, within=24) is (other == at)


@pytest.mark.parametrize(
    ("loop", "as_gif", "as_webp"),
    [(0, 0, 0), (2, 2, 3), (None, None, 1)],
    ids=["for ever", "twice more", "once"],
)
def test_it_is_repeated_as_often_as_the_original(loop: int | None, as_gif: int | None, as_webp: int) -> None:
    """A GIF counts how often it is shown again, a WebP how often it is shown."""
    body = gif(balls(), loop=loop)
    assert shown(render(body, parse_options("w_48"), LIMITS).body).loop == as_gif
    assert shown(render(body, parse_options("w_48,f_webp"), LIMITS).body).loop == as_webp
    assert shown(render(webp(balls(), loop=3), parse_options("w_48,f_gif"), LIMITS).body).loop == 2


@pytest.mark.parametrize(
    ("options", "size"),
    [
        ("w_40,h_40", (40, 40)),
        ("w_80,h_80,fit_contain,b_000", (64, 64)),
        ("w_80,h_80,c_pad,b_000", (80, 80)),
        ("w_48,rotate_90", (48, 72)),
        ("w_48,rotate_30,b_fff", (58, 52)),
        ("w_48,flop", (48, 32)),
        ("crop_24_0_48_64", (48, 64)),
        ("w_48,extend_4_5_6_7_mirror", (60, 42)),
        ("w_48,blur_6", (48, 32)),
        ("w_48,b_blurred,c_pad,h_48", (48, 48)),
        ("w_192,enlarge", (192, 128)),
    ],
)
def test_every_frame_is_the_picture_that_it_would_be_alone(options: str, size: tuple[int, int]) -> None:
    """Nothing bleeds from one frame into its neighbours: not by blurring, not by scaling, not by turning."""
    body = webp(balls(ground=(*WHITE, 255)))
    together = column(render(body, parse_options(f"{options},f_webp,q_100"), LIMITS).body)
    for at in range(4):
        alone = loaded(render(body, parse_options(f"{options},page_{at},f_webp,q_100"), LIMITS).body)
        assert (alone.width, alone.height) == size
        assert (together[at][:3] - alone[:3]).abs().avg() < 1.5


def column(body: bytes) -> list[pyvips.Image]:
    frames = pyvips.Image.webpload_buffer(body, n=-1).copy_memory()
    height = frames.get("page-height")
    return [frames.crop(0, at * height, frames.width, height) for at in range(frames.height // height)]


@pytest.mark.parametrize("wanted", ANIMATED)
def test_a_crop_that_looks_for_its_place_keeps_it(wanted: str) -> None:
    """Attention would follow the ball, and its frames would show a ball that stands still."""
    body = gif(balls(ground=(*WHITE, 255)), disposal=1)
    after = shown(render(body, parse_options(f"w_32,h_64,g_attention,f_{wanted}"), LIMITS).body)
    assert near(after.at(0, 0.4, 0.5)[:3], BALLS[0], within=30)
    assert near(after.at(len(after.frames) - 1, 0.4, 0.5)[:3], WHITE, within=30)
    bars = shown(render(webp(balls()), parse_options(f"w_96,h_96,c_pad,b_dominant,f_{wanted}"), LIMITS).body)
    assert all(near(bars.at(at, 0.5, 0.05)[:3], BALLS[0], within=24) for at in range(4))


def test_a_strategy_finds_in_an_animation_what_it_finds_in_its_first_frame() -> None:
    body = webp(balls(ground=(*WHITE, 255)))
    for strategy in ("attention", "entropy"):
        asked = f"w_40,h_64,g_{strategy},f_webp,q_100"
        together = column(render(body, parse_options(asked), LIMITS).body)
        alone = loaded(render(body, parse_options(f"{asked},page_0"), LIMITS).body)
        assert (together[0][:3] - alone[:3]).abs().avg() < 1.5


@pytest.mark.parametrize(
    ("options", "delays"),
    [
        ("w_48,frames_2", DELAYS[:2]),
        ("w_48,page_1,frames_2", DELAYS[1:3]),
        ("w_48,page_2,frames_9", DELAYS[2:]),
        ("w_48,frames_400", DELAYS),
        ("w_48,animated_true", DELAYS),
    ],
)
@pytest.mark.parametrize("wanted", ANIMATED)
def test_a_url_says_which_frames(options: str, delays: tuple[int, ...], wanted: str) -> None:
    after = shown(render(gif(balls()), parse_options(f"{options},f_{wanted}"), LIMITS).body)
    assert after.delays == delays
    first = DELAYS.index(delays[0])
    assert near(after.at(0, centre(first), 0.5)[:3], BALLS[first], within=24)


@pytest.mark.parametrize(
    ("options", "frame"),
    [
        ("animated_false", 0),
        ("a_false", 0),
        ("page_2", 2),
        ("pg_3", 2),
        ("page_3,frames_1", 3),
        ("page_0", 0),
    ],
)
@pytest.mark.parametrize("wanted", ["gif", "webp", "png", "jpeg", "avif", "tiff"])
def test_a_url_says_which_still(options: str, frame: int, wanted: str) -> None:
    rendered = render(gif(balls()), parse_options(f"{options},b_fff,f_{wanted}"), LIMITS)
    image = loaded(rendered.body)
    assert rendered.frames == 1
    assert (image.width, image.height) == SIZE
    assert near(pixel(image, centre(frame), 0.5)[:3], BALLS[frame], within=30)


def test_formats_that_do_not_move_show_the_first_frame() -> None:
    for wanted in ("png", "jpeg", "avif", "tiff"):
        rendered = render(gif(balls()), parse_options(f"f_{wanted},b_fff"), LIMITS)
        assert (rendered.frames, rendered.notes) == (1, ())
        assert near(pixel(loaded(rendered.body), centre(0), 0.5)[:3], BALLS[0], within=30)


@pytest.mark.parametrize(
    ("options", "accepted", "format", "frames"),
    [
        ("f_auto", Bucket(avif=True, webp=True), Format.WEBP, 4),
        ("f_auto", Bucket(avif=True), Format.GIF, 4),
        ("f_auto", Bucket(), Format.GIF, 4),
        ("f_auto,animated_false", Bucket(avif=True, webp=True), Format.AVIF, 1),
        ("f_auto,animated_false", Bucket(), Format.PNG, 1),
        ("_", Bucket(webp=True), Format.GIF, 4),
    ],
)
def test_the_format_that_is_left_open_moves(
    options: str, accepted: Bucket, format: Format, frames: int
) -> None:
    rendered = render(gif(balls()), parse_options(options), LIMITS, accepted)
    assert (rendered.format, rendered.frames) == (format, frames)


@pytest.mark.parametrize(
    ("limits", "options", "frames"),
    [
        (Limits(max_frames=4), "_", 4),
        (Limits(max_frames=3), "_", 1),
        (Limits(max_frames=3), "frames_3", 3),
        (Limits(max_source_pixels=4 * 96 * 64), "_", 4),
        (Limits(max_source_pixels=4 * 96 * 64 - 1), "_", 1),
        (Limits(max_result_pixels=4 * 96 * 64), "f_webp", 4),
        (Limits(max_result_pixels=4 * 96 * 64 - 1), "f_webp", 1),
        (Limits(max_result_pixels=4 * 96 * 64 - 1), "f_webp,w_90", 4),
        (Limits(max_result_pixels=4 * 4 * 96 * 64 - 1), "f_gif", 1),
        (Limits(max_frames=3), "f_auto", 1),
    ],
)
def test_too_much_of_an_animation_is_its_first_frame_and_says_so(
    limits: Limits, options: str, frames: int
) -> None:
    rendered = render(gif(balls()), parse_options(options), limits, Bucket())
    assert (rendered.frames, rendered.notes) == (frames, () if frames > 1 else ("first-frame",))
    assert len(shown(rendered.body).frames) == frames
    assert rendered.format is not Format.GIF or options != "f_auto"


def test_hundreds_of_frames_are_refused_before_they_are_decoded() -> None:
    many = gif(balls((8, 8)) * 200)
    rendered = render(many, Spec(), LIMITS)
    assert (rendered.source.pages, rendered.frames, rendered.notes) == (800, 1, ("first-frame",))


@pytest.mark.parametrize(
    ("body", "options"),
    [
        (gif(balls()), "page_4"),
        (webp(balls()), "page_4,frames_2"),
        (saved(plain(8, 8), Format.JPEG), "page_1"),
        (saved(plain(8, 8), Format.TIFF), "page_1"),
    ],
)
def test_a_page_beyond_the_last_is_told(body: bytes, options: str) -> None:
    with pytest.raises(NoSuchPage, match=r"no page \d: it has \d"):
        render(body, parse_options(options), LIMITS)


def test_a_page_of_a_tiff_has_its_own_size() -> None:
    stream = io.BytesIO()
    pages = [Image.new("RGB", (30, 20), (200, 0, 0)), Image.new("RGB", (50, 60), (0, 0, 200))]
    pages[0].save(stream, "TIFF", save_all=True, append_images=pages[1:])
    rendered = render(stream.getvalue(), parse_options("page_1,f_png"), LIMITS)
    assert (rendered.width, rendered.height) == (50, 60)
    assert near(pixel(loaded(rendered.body), 0.5, 0.5), (0, 0, 200))
    assert render(stream.getvalue(), parse_options("f_gif"), LIMITS).width == 30
    with pytest.raises(TooManyPixels):
        render(stream.getvalue(), parse_options("page_1"), Limits(max_source_pixels=1000))


@pytest.mark.parametrize(
    ("text", "settled"),
    [
        ("a_true", "_"),
        ("animated", "_"),
        ("animated_1,frames_3", "frames_3"),
        ("a_false", "animated_false"),
        ("frames_1", "animated_false"),
        ("page_0", "animated_false"),
        ("pg_1", "animated_false"),
        ("page_3", "animated_false,page_3"),
        ("page_3,frames_1", "animated_false,page_3"),
        ("page_0,frames_5", "frames_5"),
        ("animated_false,frames_5", "animated_false"),
        ("f_jpeg,animated_false", "format_jpeg"),
        ("f_jpeg,frames_4", "format_jpeg"),
        ("f_jpeg,page_4", "format_jpeg,page_4"),
        ("f_auto,frames_4", "format_auto,frames_4"),
    ],
)
def test_one_choice_of_frames_has_one_spelling(text: str, settled: str) -> None:
    assert canonical_text(parse_options(text)) == settled


def test_a_is_an_angle_and_a_flag_and_rotate_is_no_flag() -> None:
    assert parse_options("a_90").rotate == 90
    assert not parse_options("a_false").animated
    with pytest.raises(InvalidValue, match="rotate"):
        parse_options("rotate_false")


@pytest.mark.parametrize("options", ["f_webp", "f_webp,lossless"])
def test_what_no_frame_covers_is_transparent_to_every_reader(options: str) -> None:
    """libwebp crops frames to what they draw, and forgets to say that there is nothing around it."""
    frames = []
    for left in (10, 30, 50):
        frame = Image.new("RGBA", (120, 90))
        frame.paste((255, 40, 0, 255), (left, 20, left + 30, 60))
        frames.append(frame)
    file = io.BytesIO()
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:], duration=100, disposal=2)
    seen = Image.open(io.BytesIO(render(file.getvalue(), parse_options(options), LIMITS).body))
    for at, left in enumerate((10, 30, 50)):
        seen.seek(at)
        alpha = seen.convert("RGBA").getchannel("A")
        assert [alpha.getpixel(place) for place in ((left + 5, 40), (100, 80), (2, 2))] == [255, 0, 0]
