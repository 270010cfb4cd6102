from __future__ import annotations

import struct
import zlib

import pytest
import pyvips
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.geometry.boxes import Box, Size
from proxy.model.errors import BrokenImage, TooManyPixels, UnusableOriginal
from proxy.model.limits import Limits
from proxy.model.media import Format
from proxy.options.spec import Spec
from proxy.pipeline.decode import pixels
from proxy.pipeline.decode.header import read_header
from proxy.pipeline.render import render
from proxy.url.grammar import parse_options
from tests.pictures import HERE, animation, gradient, photo, plain, saved, tagged
from tests.timing import cpu

LIMITS = Limits()


def png(width: int, height: int, interlaced: bool = False) -> bytes:
    """A header, almost no pixels, and an end."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, interlaced)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(b"\0"))
        + chunk(b"IEND", b"")
    )


def jpeg(width: int, height: int, progressive: bool) -> bytes:
    small = saved(plain(16, 16), Format.JPEG, interlace=progressive, keep="none")
    at = small.index(b"\xff\xc2" if progressive else b"\xff\xc0")
    return small[: at + 5] + struct.pack(">HH", height, width) + small[at + 9 :]


def gif(width: int, height: int) -> bytes:
    return b"GIF89a" + struct.pack("<HH", width, height) + b"\0\0\0,\0\0\0\0\1\0\1\0\0\2\2D\1\0;"


def avif(width: int, height: int) -> bytes:
    small = saved(plain(16, 16), Format.AVIF)
    at = small.index(b"ispe") + 8
    return small[:at] + struct.pack(">II", width, height) + small[at + 8 :]


def tiff(width: int, height: int) -> bytes:
    rows = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in ((256, width), (257, height)))
    return b"II*\0" + struct.pack("<IH", 8, 2) + rows + bytes(4)


def webp(width: int, height: int) -> bytes:
    content = bytes(4) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return b"RIFF" + struct.pack("<I", 22) + b"WEBPVP8X" + struct.pack("<I", 10) + content


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(png(1, 1_048_577), id="tall thin png"),
        pytest.param(png(787_402, 787_402), id="huge png"),
        pytest.param(png(0x7FFF_FFFF, 1), id="longest png"),
        pytest.param(png(6000, 6000, interlaced=True), id="interlaced png"),
        pytest.param(jpeg(65_500, 65_500, progressive=True), id="huge progressive jpeg"),
        pytest.param(jpeg(65_500, 65_500, progressive=False), id="huge jpeg"),
        pytest.param(jpeg(6000, 6000, progressive=True), id="progressive jpeg"),
        pytest.param(gif(65_535, 65_535), id="huge gif"),
        pytest.param(avif(65_536, 65_536), id="huge avif"),
        pytest.param(avif(6000, 6000), id="large avif"),
        pytest.param(tiff(4_000_000_000, 4_000_000_000), id="huge tiff"),
        pytest.param(webp(16_384, 16_384), id="huge webp"),
    ],
)
def test_a_bomb_is_refused_before_any_pixel(body: bytes) -> None:
    def refused() -> None:
        with pytest.raises(TooManyPixels, match=r"\d+x\d+ px"):
            read_header(body, LIMITS)

    small = saved(plain(50, 40), Format.AVIF)
    assert cpu(refused, 3) < 20 * cpu(lambda: read_header(small, LIMITS))


def test_the_limits_are_inclusive() -> None:
    body = saved(plain(50, 40), Format.PNG)
    assert read_header(body, Limits(max_source_pixels=2000, max_source_side=50)).stored == Size(50, 40)
    with pytest.raises(TooManyPixels, match="1999"):
        read_header(body, Limits(max_source_pixels=1999))
    with pytest.raises(TooManyPixels, match="49"):
        read_header(body, Limits(max_source_side=49))


def test_pictures_that_are_held_whole_get_half() -> None:
    limits = Limits(max_source_pixels=4000)
    small, large = gradient(50, 40), gradient(60, 50)
    for format in (Format.JPEG, Format.PNG):
        assert read_header(saved(small, format, interlace=True), limits).whole
        assert read_header(saved(large, format), limits).stored == Size(60, 50)
        with pytest.raises(TooManyPixels, match="2000"):
            read_header(saved(large, format, interlace=True), limits)


@pytest.mark.parametrize("format", [Format.GIF, Format.WEBP])
def test_an_animation_tells_its_frames(format: Format) -> None:
    header = read_header(saved(animation(40, 30, (255, 0, 0), (0, 255, 0), (0, 0, 255)), format), LIMITS)
    assert header.stored == Size(40, 30)
    assert (header.pages, header.delays, header.loop) == (3, (100, 200, 300), 3)


def test_a_page_is_one_frame() -> None:
    body = saved(animation(40, 30, (255, 0, 0), (0, 255, 0), (0, 0, 255)), Format.GIF)
    header = read_header(body, LIMITS, page=1)
    frame = pixels.scaled(body, header, Box(0, 0, 40, 30), Size(20, 15))
    assert frame(10, 7)[:3] == [0, 255, 0]


@pytest.mark.parametrize("format", HERE)
def test_half_a_file_is_broken(format: Format) -> None:
    """Neither a grey lower half nor a 500: libvips' thumbnailer would call this a success."""
    body = saved(photo(400, 300), format)
    half = body[: len(body) // 2]
    with pytest.raises(BrokenImage) as refused:
        render(half, Spec(width=40), LIMITS)
    assert "vips" not in refused.value.message.lower()


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("options", ["w_40", "w_400", "crop_0_0_100_300,w_40", "w_40,h_40,g_entropy"])
def test_a_jpeg_without_its_last_rows_is_broken_though_it_says_that_it_ends(
    options: str, progressive: bool
) -> None:
    body = saved(photo(400, 300), Format.JPEG, interlace=progressive)
    # Of a progressive one the last quarter is half of the last scan, which is detail.
    cut = body[: len(body) * (2 if progressive else 3) // 4] + b"\xff\xd9"
    with pytest.raises(BrokenImage, match="jpeg image that was cut short"):
        render(cut, parse_options(options), LIMITS)


WHOLE = saved(photo(400, 300), Format.JPEG, restart_interval=5, keep="none")


@pytest.mark.parametrize(
    "odd",
    [
        pytest.param(WHOLE + bytes(1000), id="zeros behind the end"),
        pytest.param(WHOLE + WHOLE, id="another picture behind the end"),
        pytest.param(WHOLE.replace(b"\xff\xc0", b"\0\0\xff\xc0", 1), id="bytes between segments"),
        pytest.param(WHOLE[:2] + b"\xff\xff" + WHOLE[2:], id="fill bytes"),
        pytest.param(WHOLE[:2] + b"\xff\xe1\0\x0eExif\0\0II*\0\xff\xff" + WHOLE[2:], id="broken EXIF"),
        pytest.param(WHOLE[:2] + b"\xff\xe0\0\x10JFIF\0\2\1\0\0\1\0\1\0\0" + WHOLE[2:], id="JFIF 2"),
        pytest.param(WHOLE.replace(b"\xff\xd3", b"\xff\xd4", 1), id="a restart out of order"),
    ],
)
def test_an_odd_jpeg_is_shown(odd: bytes) -> None:
    rendered = render(odd, Spec(width=40), LIMITS)
    assert (rendered.width, rendered.height) == (40, 30)


@given(
    format=st.sampled_from(HERE),
    cut=st.floats(0.0, 1.0),
    flips=st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), max_size=8),
)
@settings(max_examples=250, deadline=None)
def test_damage_is_told_in_our_own_words(format: Format, cut: float, flips: list[tuple[int, int]]) -> None:
    body = bytearray(DAMAGED[format])
    for at, value in flips:
        body[at % len(body)] = value
    hurt = bytes(body[: max(1, int(len(body) * cut))]) if cut > 0.5 else bytes(body)
    try:
        header = read_header(hurt, Limits(max_source_pixels=200_000))
        image = pixels.scaled(
            hurt, header, Box(0, 0, header.upright.width, header.upright.height), Size(20, 10)
        )
    except UnusableOriginal:
        return
    assert (image.width, image.height) == (20, 10)


DAMAGED = {format: saved(photo(60, 40), format) for format in HERE}


@pytest.mark.parametrize("format", [Format.JPEG, Format.WEBP])
@pytest.mark.parametrize("size", [Size(50, 37), Size(161, 93), Size(640, 480), Size(900, 700)], ids=str)
def test_scaling_is_libvips_own_thumbnail(format: Format, size: Size) -> None:
    body = saved(photo(800, 603), format)
    header = read_header(body, LIMITS)
    ours = pixels.scaled(body, header, Box(0, 0, 800, 603), size)
    theirs = pyvips.Image.thumbnail_buffer(body, size.width, height=size.height, size="force")
    assert (ours.cast("float") - theirs.cast("float")).abs().max() == 0


@pytest.mark.parametrize("size", [Size(62, 46), Size(125, 94), Size(240, 181)], ids=str)
def test_a_jpeg_that_its_loader_scales_further_looks_the_same(size: Size) -> None:
    body = saved(photo(800, 603), Format.JPEG)
    ours = pixels.scaled(body, read_header(body, LIMITS), Box(0, 0, 800, 603), size)
    theirs = pyvips.Image.thumbnail_buffer(body, size.width, height=size.height, size="force")
    apart = (ours.cast("float") - theirs.cast("float")).abs().copy_memory()
    assert apart.max() > 0, "the loader did no more than for libvips' own thumbnail"
    assert apart.avg() < 1


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_region_lies_in_the_upright_picture(orientation: int) -> None:
    body = saved(tagged(gradient(120, 80), orientation=orientation), Format.PNG)
    header = read_header(body, LIMITS)
    size = header.upright
    whole = pixels.scaled(body, header, Box(0, 0, size.width, size.height), size)
    region = Box(7, 11, 50, 60)
    part = pixels.scaled(body, header, region, region.size)
    assert (part.cast("float") - whole.crop(7, 11, 50, 60).cast("float")).abs().max() == 0


@pytest.mark.parametrize("orientation", [0, 9, 255, 65_535])
def test_an_orientation_that_does_not_exist_is_none(orientation: int) -> None:
    body = saved(tagged(gradient(30, 20), orientation=orientation), Format.TIFF)
    assert read_header(body, LIMITS).upright == Size(30, 20)
