from __future__ import annotations

import random
import struct
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
import pyvips

from proxy.geometry.boxes import Box, Size
from proxy.model.errors import BrokenImage
from proxy.model.limits import Limits
from proxy.pipeline.decode.gif import gif_frames, is_drawn_here
from proxy.pipeline.decode.source import open_original
from proxy.pipeline.render import render
from proxy.url.grammar import parse_options
from tests.paths import PICTURES
from tests.pictures import loaded
from tests.pipeline import animations

LIMITS = Limits()
CLEAR = (0, 0, 0, 0)
PALETTE = ((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0))
COLOURS = tuple((*colour, 255) for colour in PALETTE)


@dataclass(frozen=True)
class Frame:
    """A frame of one colour, or of random ones where it has none; one colour of it may be transparent."""

    left: int
    top: int
    width: int
    height: int
    pixels: Sequence[int]
    disposal: int = 0
    transparent: int | None = None
    delay: int = 5


def filled(left: int, top: int, width: int, height: int, colour: int, **more: int) -> Frame:
    return Frame(left, top, width, height, [colour] * (width * height), **more)


def written(width: int, height: int, frames: Sequence[Frame], background: int = 0) -> bytes:
    body = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x91, background, 0)
    body += b"".join(bytes(colour) for colour in PALETTE)
    for frame in frames:
        flags = frame.disposal << 2 | (frame.transparent is not None)
        body += struct.pack("<BBBBHBB", 0x21, 0xF9, 4, flags, frame.delay, frame.transparent or 0, 0)
        body += struct.pack("<BHHHHB", 0x2C, frame.left, frame.top, frame.width, frame.height, 0)
        body += b"\2" + lzw(frame.pixels) + b"\0"
    return body + b";"


def lzw(pixels: Sequence[int]) -> bytes:
    """Codes of 3 bits all along, since the table is cleared before it needs more."""
    codes = [code for at, pixel in enumerate(pixels) for code in ([4, pixel] if at % 2 == 0 else [pixel])]
    bits = sum(code << 3 * at for at, code in enumerate([*codes, 5]))
    data = bits.to_bytes((3 * len(codes) + 3 + 7) // 8, "little")
    parts = [data[at : at + 255] for at in range(0, len(data), 255)]
    return b"".join(bytes((len(part),)) + part for part in parts)


def as_browsers(width: int, height: int, frames: Sequence[Frame]) -> list[list[tuple[int, ...]]]:
    """What a canvas of transparent pixels shows after each frame: GIF89a section 23."""
    canvas: list[tuple[int, ...]] = [CLEAR] * (width * height)
    shown = []
    for frame in frames:
        before = list(canvas)
        inside = [
            (x + frame.left, y + frame.top, frame.pixels[y * frame.width + x])
            for y in range(frame.height)
            for x in range(frame.width)
            if x + frame.left < width and y + frame.top < height
        ]
        for x, y, colour in inside:
            if colour != frame.transparent:
                canvas[y * width + x] = COLOURS[colour]
        shown.append(list(canvas))
        if frame.disposal == 3:
            canvas = before
        elif frame.disposal == 2:
            for x, y, _ in inside:
                canvas[y * width + x] = CLEAR
    return shown


def pixels(image: pyvips.Image) -> list[tuple[int, ...]]:
    image = image if image.hasalpha() else image.addalpha()
    values = bytes(image.write_to_memory())
    found = list(zip(*(values[band::4] for band in range(4)), strict=True))
    return [pixel if pixel[3] else CLEAR for pixel in found]


def random_frames(seed: int) -> tuple[int, int, list[Frame]]:
    choose = random.Random(seed)
    width, height = choose.randint(1, 9), choose.randint(1, 9)
    frames = []
    for at in range(choose.randint(1, 5)):
        left, top = choose.randrange(width), choose.randrange(height)
        across, down = choose.randint(1, width - left), choose.randint(1, height - top)
        if at == 0 and choose.random() < 0.5:
            left, top, across, down = 0, 0, width, height
        frames.append(
            Frame(
                left, top, across, down, [choose.randrange(4) for _ in range(across * down)],
                disposal=choose.randrange(4), transparent=choose.choice((None, None, 0, 3)),
            )
        )  # fmt: skip
    return width, height, frames


@pytest.mark.parametrize("seed", range(150))
def test_every_frame_is_what_browsers_show(seed: int) -> None:
    width, height, frames = random_frames(seed)
    body = written(width, height, frames, background=seed % 4)
    for at, wanted in enumerate(as_browsers(width, height, frames)):
        one = render(body, parse_options(f"page_{at},f_png"), LIMITS)
        assert pixels(loaded(one.body)) == wanted


def test_the_frames_of_an_animation_are_the_same_ones() -> None:
    drawn = 0
    for seed in range(40):
        width, height, frames = random_frames(seed)
        body = written(width, height, frames)
        drawn += is_drawn_here(body, Size(width, height))
        wanted = [pixel for shown in as_browsers(width, height, frames) for pixel in shown]
        source = open_original(body, LIMITS)
        count = source.header.pages
        whole = Box(0, 0, width, height)
        found = source.frames(count, whole, whole.size)
        assert [pixel for frame in found for pixel in pixels(frame)] == wanted
    assert 5 < drawn < 35


def test_what_libvips_shows_as_browsers_do_is_left_to_it() -> None:
    for disposal in (1, 2, 3):
        body = animations.gif(animations.balls(), disposal)
        assert not is_drawn_here(body, Size(*animations.SIZE))


def test_a_frame_that_reaches_out_of_its_canvas_is_cut() -> None:
    frames = [filled(0, 0, 4, 4, 0), filled(2, 2, 5, 1, 2, disposal=2), filled(0, 0, 1, 1, 1)]
    body = written(4, 4, frames)
    shown = as_browsers(4, 4, frames)
    for at in range(3):
        assert pixels(loaded(render(body, parse_options(f"page_{at},f_png"), LIMITS).body)) == shown[at]


def test_a_first_frame_smaller_than_the_canvas_is_transparent_outside() -> None:
    body = (PICTURES / "gif-small-first-frame.gif").read_bytes()
    for options in ("f_png", "_", "f_webp", "f_png,w_4"):
        image = loaded(render(body, parse_options(options), LIMITS).body)
        assert image(0, 0)[3] == 0
    assert min(loaded(render(body, parse_options("f_jpeg"), LIMITS).body)(0, 0)) > 230


@pytest.mark.parametrize("delay", [0, 1])
@pytest.mark.parametrize("options", ["_", "w_4", "f_webp"])
def test_delays_of_none_and_of_10_ms_are_100_ms_as_in_browsers(delay: int, options: str) -> None:
    frames = [filled(0, 0, 8, 8, at // 5, delay=delay) for at in range(10)]
    rendered = render(written(8, 8, frames), parse_options(options), LIMITS)
    image = pyvips.Image.new_from_buffer(rendered.body, "", n=-1)
    assert sum(image.get("delay")) == 1000


def test_delays_that_browsers_keep_are_kept() -> None:
    frames = [filled(0, 0, 8, 8, at, delay=delay) for at, delay in enumerate((2, 0, 1, 50))]
    image = loaded(render(written(8, 8, frames), parse_options("w_4"), LIMITS).body)
    assert image.get("delay") == [20, 100, 100, 500]


def test_the_file_from_outside_plays_a_second() -> None:
    body = (PICTURES / "gif-delay-0.gif").read_bytes()
    for options in ("_", "w_4"):
        image = pyvips.Image.new_from_buffer(render(body, parse_options(options), LIMITS).body, "", n=-1)
        assert sum(image.get("delay")) == 1000


def test_a_damaged_frame_is_a_damaged_gif() -> None:
    body = written(4, 4, [filled(1, 1, 2, 2, 0)])
    (frame,) = gif_frames(body)
    with pytest.raises(BrokenImage):
        render(body[: frame.start + 11] + b"\1\xff\0;", parse_options("f_png"), LIMITS)
