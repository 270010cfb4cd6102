"""What decoders pass over in silence: each case is a picture to them, and less than the original had."""

from __future__ import annotations

import base64
import io
import re
import struct
import time
import zlib
from collections.abc import Callable

import pytest
from PIL import Image

from proxy.model.errors import BrokenImage
from proxy.model.limits import Limits
from proxy.model.media import Format, Note
from proxy.pipeline.decode import gif
from proxy.pipeline.decode.gif import gif_frames
from proxy.pipeline.decode.tiff_directory import TILE_BYTE_COUNTS, TILE_OFFSETS, read_directory
from proxy.pipeline.render import render
from proxy.url.grammar import parse_options
from tests import tiffs
from tests.pictures import animation, disc, gradient, photo, plain, saved
from tests.pipeline.heif_grid import coded, grid_avif
from tests.tiffs import make_tiff

WIDTH, HEIGHT = 160, 112
EOI = b"\xff\xd9"
PLAIN_COLOURS = [
    (0, 0, 0),
    (255, 255, 255),
    (200, 60, 30),
    (0, 0, 0, 0),
    (255, 255, 255, 0),
    (9, 200, 30, 255),
]


def notes(body: bytes, options: str = "f_png", *, show: bool = False) -> tuple[Note, ...]:
    return render(body, parse_options(options), Limits(show_damaged=show)).notes


def pillow(format: str, colour: tuple[int, ...] | None = None, **more: object) -> bytes:
    stream = io.BytesIO()
    if colour is None:
        picture = Image.fromarray(photo(WIDTH, HEIGHT).numpy())
    else:
        picture = Image.new("RGBA" if len(colour) == 4 else "RGB", (WIDTH, HEIGHT), colour)
    picture.save(stream, format, **more)
    return stream.getvalue()


def with_frame_data(body: bytes, change: Callable[[bytes], bytes], frame: int = 0) -> bytes:
    """A GIF with other LZW data in one frame, in blocks that are in order."""
    found = list(gif_frames(body))[frame]
    start = found.start + 10 + (3 << (body[found.start + 9] & 7) + 1 if body[found.start + 9] & 0x80 else 0)
    data, at = b"", start + 1
    while length := body[at]:
        data += body[at + 1 : at + 1 + length]
        at += length + 1
    data = change(data)
    blocks = b"".join(
        bytes((len(data[at : at + 255]),)) + data[at : at + 255] for at in range(0, len(data), 255)
    )
    return body[: start + 1] + blocks + b"\0" + body[found.end :]


@pytest.mark.parametrize("interlace", [False, True])
@pytest.mark.parametrize("share", [0, 0.01, 0.3, 0.6, 0.9])
def test_a_gif_whose_data_end_early_is_refused(share: float, *, interlace: bool) -> None:
    body = saved(photo(WIDTH, HEIGHT), Format.GIF, interlace=interlace)
    damaged = with_frame_data(body, lambda data: data[: int(len(data) * share)])
    for options in ("f_png", "w_30", "crop_0_60_80_40"):
        with pytest.raises(BrokenImage, match="cut short"):
            notes(damaged, options)
    assert notes(damaged, show=True) == (Note.DAMAGED,)
    assert notes(body) == ()


@pytest.mark.parametrize("interlace", [False, True])
@pytest.mark.parametrize("height", [1, 2, 7, 40, 41])
@pytest.mark.parametrize("colour", [(200, 60, 30), (0, 0, 0), (255, 255, 255), (0, 0, 0, 0)])
def test_a_gif_with_the_data_of_fewer_rows_is_refused(
    colour: tuple[int, ...], height: int, *, interlace: bool
) -> None:
    body = saved(plain(40, height, *colour), Format.GIF, interlace=interlace)
    assert notes(body) == ()
    taller = bytearray(body)
    start = next(gif_frames(body)).start
    for at in (8, start + 7):
        struct.pack_into("<H", taller, at, height + 2)
    for options in ("f_png", "w_9", "crop_0_0_9_1"):
        with pytest.raises(BrokenImage, match="cut short"):
            notes(bytes(taller), options)


@pytest.mark.parametrize("interlace", [False, True])
@pytest.mark.parametrize("height", [1, 2, 3, 8, 41, 112])
@pytest.mark.parametrize("options", ["f_png", "w_30", "crop_0_0_9_1", "crop_0_0_9_9,w_3"])
def test_a_gif_that_is_plainly_whole_is_decoded_once(
    options: str, height: int, monkeypatch: pytest.MonkeyPatch, *, interlace: bool
) -> None:
    body = saved(gradient(WIDTH, height).linear(0.9, 20).cast("uchar"), Format.GIF, interlace=interlace)
    monkeypatch.setattr(gif, "missing_share", None)
    assert notes(body, options) == ()
    assert notes(body[:-1] + b"?", options) == (Note.DAMAGED,)


@pytest.mark.parametrize("at", [0.2, 0.5, 0.8])
def test_a_gif_whose_data_are_no_codes_is_refused(at: float) -> None:
    body = saved(photo(WIDTH, HEIGHT), Format.GIF)
    start = int(len(body) * at)
    with pytest.raises(BrokenImage):
        notes(with_frame_data(body, lambda data: data[:start] + b"\xff" * 40 + data[start + 40 :]))


def test_a_gif_that_lacks_a_few_pixels_is_shown_with_a_note() -> None:
    body = saved(photo(WIDTH, HEIGHT), Format.GIF)
    assert notes(with_frame_data(body, lambda data: data[:-60])) == (Note.DAMAGED,)


def test_a_frame_that_ends_early_is_no_frame() -> None:
    frames = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]
    body = saved(animation(WIDTH, HEIGHT, *frames), Format.GIF)
    assert notes(body, "f_gif") == ()
    for frame in range(3):
        damaged = with_frame_data(body, lambda data: data[: len(data) // 3], frame)
        with pytest.raises(BrokenImage):
            notes(damaged, "f_gif")
        assert notes(damaged, "f_gif", show=True) == (Note.DAMAGED,)


def test_frames_that_cannot_be_found_any_more_are_noted() -> None:
    body = saved(animation(WIDTH, HEIGHT, (255, 0, 0), (0, 255, 0), (0, 0, 255)), Format.GIF)
    second = list(gif_frames(body))[1].start
    derailed = body[: second - 8] + b"?" + body[second - 8 :]
    assert notes(derailed, "f_gif") == notes(derailed) == (Note.DAMAGED,)
    for sound in (body[:-1], body[:-1] + bytes(99), body + b"what else there is", body + bytes(99)):
        assert notes(sound, "f_gif") == ()
    webp = saved(animation(WIDTH, HEIGHT, (255, 0, 0), (0, 255, 0), (0, 0, 255)), Format.WEBP)
    places = [found.start() for found in re.finditer(b"ANMF", webp)]
    assert len(places) == 3
    lost = webp[: places[1]] + b"ANMX" + webp[places[1] + 4 :]
    assert notes(lost, "f_webp") == (Note.DAMAGED,)
    assert notes(webp, "f_webp") == ()


PROGRESSIVE = saved(photo(WIDTH, HEIGHT), Format.JPEG, interlace=True)
SCANS = [found.start() for found in re.finditer(b"\xff\xda", PROGRESSIVE)]


@pytest.mark.parametrize("count", range(1, len(SCANS)))
@pytest.mark.parametrize("options", ["f_png", "w_40"])
def test_a_jpeg_without_its_last_scans_and_with_an_end_is_noted(count: int, options: str) -> None:
    assert notes(PROGRESSIVE[: SCANS[count]] + EOI, options) == (Note.DAMAGED,)
    assert notes(PROGRESSIVE, options) == ()


@pytest.mark.parametrize("lost", range(0, 12, 3))
@pytest.mark.parametrize("options", ["f_png", "w_40", "crop_9_9_40_40"])
def test_a_restart_marker_that_is_missing_is_noted(lost: int, options: str) -> None:
    body = saved(photo(WIDTH, HEIGHT), Format.JPEG, restart_interval=5)
    places = [found.start() for found in re.finditer(rb"\xff[\xd0-\xd7]", body)]
    assert notes(body, options) == ()
    assert notes(body[: places[lost]] + body[places[lost] + 2 :], options) == (Note.DAMAGED,)


def test_a_jpeg_without_a_component_is_refused() -> None:
    body = saved(photo(WIDTH, HEIGHT), Format.JPEG, subsample_mode="off")
    frame = body.index(b"\xff\xc0")
    scan = body.index(b"\xff\xda")
    # One component in the scan, as its data are: the others are nowhere.
    grey = saved(photo(WIDTH, HEIGHT)[0], Format.JPEG)
    grey_scan = grey.index(b"\xff\xda")
    assert body[frame + 9] == 3
    damaged = body[:scan] + grey[grey_scan:]
    with pytest.raises(BrokenImage):
        notes(damaged)


@pytest.mark.parametrize("format", [Format.WEBP, Format.AVIF])
def test_transparency_that_is_lost_is_noted(format: Format) -> None:
    body = saved(disc(WIDTH, HEIGHT, 200, 60, 30), format)
    assert notes(body) == ()
    for name, other in ((b"ALPH", b"XLPH"), (b"auxl", b"xuxl"), (b"iref", b"xref")):
        if name in body:
            assert notes(body.replace(name, other)) == (Note.DAMAGED,)


TILES = [photo(128, 128, seed) for seed in range(4)]


@pytest.mark.parametrize("lost", range(4))
@pytest.mark.parametrize("options", ["f_png", "w_50", "crop_9_9_40_40"])
def test_a_grid_of_avif_that_lacks_a_tile_is_refused(lost: int, options: str) -> None:
    body = grid_avif(TILES, 2)
    assert notes(body, options) == ()
    without = grid_avif(TILES, 2, lost=[lost])
    at = body.index(coded(TILES[lost])[0])
    for damaged in (without, body[: at + 40] + b"\xa5" * 60 + body[at + 100 :]):
        with pytest.raises(BrokenImage, match="tiles"):
            notes(damaged, options)
        assert notes(damaged, options, show=True) == (Note.DAMAGED,)


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (0, 135, 0)])
def test_a_grid_of_avif_of_one_colour_is_whole(colour: tuple[int, ...]) -> None:
    assert notes(grid_avif([plain(64, 64, *colour)] * 6, 3)) == ()


def test_an_icon_without_its_largest_picture_is_noted() -> None:
    body = pillow("ICO", sizes=[(16, 16), (32, 32), (64, 64)])
    assert notes(body) == ()
    places = [struct.unpack_from("<II", body, 6 + 16 * row + 8) for row in range(3)]
    assert notes(body[: places[2][1]]) == (Note.DAMAGED,)
    without_smallest = body[: places[0][1]] + bytes(places[0][0]) + body[sum(places[0]) :]
    assert notes(without_smallest) == ()


def svg(content: str) -> bytes:
    return f"<svg xmlns='http://www.w3.org/2000/svg' width='24' height='16'>{content}</svg>".encode()


def embedded(body: bytes) -> str:
    return f"<image width='24' height='16' href='data:image/png;base64,{base64.b64encode(body).decode()}'/>"


def test_a_drawing_that_lacks_a_picture_is_noted() -> None:
    whole = saved(photo(24, 16), Format.PNG)
    for content in ("", "<rect width='9' height='9'/>", embedded(whole), "<g id='a'/><use href='#a'/>"):
        assert notes(svg(content)) == ()
    for content in (
        "<image width='24' height='16' href='photo.png'/>",
        "<image width='24' height='16' href='https://example.com/photo.png'/>",
        "<use href='others.svg#a'/>",
        embedded(whole[: len(whole) // 2]),
        embedded(whole[:-100] + bytes(40) + whole[-60:]),
    ):
        assert notes(svg(content)) == (Note.DAMAGED,)


@pytest.mark.parametrize("tile", [False, True])
@pytest.mark.parametrize("predictor", ["none", "horizontal"])
def test_the_check_sums_of_a_tiff_count(predictor: str, *, tile: bool) -> None:
    more = {
        "compression": "deflate",
        "predictor": predictor,
        "tile": tile,
        "tile_width": 32,
        "tile_height": 32,
    }
    body = saved(photo(WIDTH, HEIGHT), Format.TIFF, **more)
    assert notes(body) == ()
    refused = 0
    for at in range(1000, len(body) - 2000, 1500):
        damaged = body[:at] + bytes((body[at] ^ 16,)) + body[at + 1 :]
        try:
            assert notes(damaged) == ()
        except BrokenImage:
            refused += 1
    assert refused == len(range(1000, len(body) - 2000, 1500))


def test_what_follows_the_pixels_of_a_strip_does_not_count() -> None:
    pixels = gradient(16, 8).numpy().tobytes()
    for stream in (
        zlib.compress(pixels) + b"what else there is",
        zlib.compress(pixels + bytes(99)),
        zlib.compress(pixels)[:-4],
    ):
        body = make_tiff(16, 8, stream, bits=(8,) * 3, photometric=tiffs.RGB, tags={tiffs.COMPRESSION: 8})
        assert notes(body) == ()


def test_a_strip_that_unpacks_without_end_is_not_read_to_its_end() -> None:
    stream = zlib.compress(bytes(300_000_000))
    body = make_tiff(16, 8, stream, bits=(8,) * 3, photometric=tiffs.RGB, tags={tiffs.COMPRESSION: 8})
    started = time.process_time()
    with pytest.raises(BrokenImage):
        notes(body)
    assert time.process_time() - started < 0.3


@pytest.mark.parametrize("options", ["f_png", "w_20"])
@pytest.mark.parametrize("tail", [b"\xff", EOI, b"\x55\xff\xd9"])
def test_a_tile_of_jpeg_that_ends_early_is_refused(tail: bytes, options: str) -> None:
    more = {"compression": "jpeg", "tile": True, "tile_width": 32, "tile_height": 32}
    body = saved(photo(WIDTH, HEIGHT), Format.TIFF, **more)
    assert notes(body, options) == ()
    directory = read_directory(body, 0)
    places = zip(directory.numbers(TILE_OFFSETS), directory.numbers(TILE_BYTE_COUNTS), strict=True)
    for start, length in ((int(start), int(length)) for start, length in places):
        half, end = start + length // 2, start + length
        damaged = body[:half] + (tail * length)[: end - half] + body[end:]
        with pytest.raises(BrokenImage, match="tiff"):
            notes(damaged, options)
        assert notes(damaged, options, show=True) == (Note.DAMAGED,)


@pytest.mark.parametrize("options", ["f_png", "w_20", "crop_3_3_9_9"])
@pytest.mark.parametrize("colour", PLAIN_COLOURS)
def test_one_colour_is_no_damage(colour: tuple[int, ...], options: str) -> None:
    image = plain(WIDTH, HEIGHT, *colour)
    bodies = [
        saved(image, format) for format in (Format.PNG, Format.WEBP, Format.AVIF, Format.GIF, Format.TIFF)
    ]
    bodies += [saved(image, Format.WEBP, lossless=True), saved(image, Format.PNG, interlace=True)]
    bodies += [saved(image, Format.GIF, interlace=True), saved(image, Format.PNG, palette=True)]
    bodies += [pillow(name, colour) for name in ("GIF", "BMP", "ICO", "WEBP", "PNG", "TIFF")]
    if len(colour) == 3:
        bodies += [
            saved(image, Format.JPEG),
            saved(image, Format.JPEG, interlace=True),
            saved(image[0], Format.JPEG),
        ]
    for body in bodies:
        assert notes(body, options) == ()
