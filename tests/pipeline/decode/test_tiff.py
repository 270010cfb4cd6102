from __future__ import annotations

import io
import random
import struct

import pytest
from PIL import Image

from proxy.model.errors import BrokenImage
from proxy.model.limits import Limits
from proxy.model.media import Format, Note
from proxy.pipeline.decode.tiff_directory import PHOTOMETRIC, count_pages, read_directory
from proxy.pipeline.render import render
from proxy.url.grammar import parse_options
from tests.paths import PICTURES
from tests.pictures import loaded, near, photo, plain, saved

PNG = parse_options("f_png")


def written(mode: str, colour: tuple[int, ...], **more: object) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (32, 32), colour).convert(mode).save(stream, "TIFF", **more)
    return stream.getvalue()


def shown(body: bytes) -> tuple[int, ...]:
    return tuple(int(value) for value in loaded(render(body, PNG, Limits()).body)(10, 10))


def test_ycbcr_is_shown_in_its_colours() -> None:
    assert near(shown((PICTURES / "tiff-ycbcr.tif").read_bytes()), (238, 14, 13), within=1)


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_deflate", "packbits", "jpeg"])
@pytest.mark.parametrize("colour", [(200, 60, 30), (0, 0, 0), (255, 255, 255), (10, 20, 240)])
def test_every_compression_of_ycbcr_that_is_whole_is_shown_right_or_refused(
    compression: str | None, colour: tuple[int, ...]
) -> None:
    body = written("YCbCr", colour, compression=compression)
    try:
        found = shown(body)
    except BrokenImage:
        return
    assert near(found[:3], colour, within=4)


def test_old_style_jpeg_is_refused_and_not_blank() -> None:
    with pytest.raises(BrokenImage):
        shown((PICTURES / "tiff-ojpeg-tiles.tif").read_bytes())


@pytest.mark.parametrize("tile", [False, True])
@pytest.mark.parametrize(
    ("compression", "colour"),
    [
        (compression, colour)
        for compression in ("none", "jpeg", "deflate", "lzw", "packbits", "webp")
        for colour in ((0, 0, 0), (0, 0, 0, 0), (200, 60, 30))
        if compression != "jpeg" or len(colour) == 3  # JPEG has no alpha
    ],
)
def test_black_and_transparent_files_stay_pictures(
    compression: str, *, tile: bool, colour: tuple[int, ...]
) -> None:
    more = {"compression": compression, "tile": tile, "tile_width": 16, "tile_height": 16}
    assert near(shown(saved(plain(64, 48, *colour), Format.TIFF, **more)), colour, within=3)


def test_tags_are_read_as_far_as_they_go() -> None:
    body = written("RGB", (1, 2, 3))
    assert read_directory(body, 0).numbers(PHOTOMETRIC) == (2,)
    assert read_directory(body, 7).entries == {}
    for end in range(0, len(body), 7):
        read_directory(body[:end], 0)
        count_pages(body[:end])
    assert read_directory(b"II*\0" + struct.pack("<I", 4_000_000_000), 0).entries == {}


def test_pages_are_counted_once_each() -> None:
    body = bytearray(written("RGB", (1, 2, 3)))
    (first,) = struct.unpack_from("<I", body, 4)
    (count,) = struct.unpack_from("<H", body, first)
    struct.pack_into("<I", body, first + 2 + 12 * count, first)
    assert count_pages(bytes(body)) == 1
    assert shown(bytes(body)) == (1, 2, 3)


@pytest.mark.parametrize(("compression", "tile"), [("lzw", True), ("lzw", False), ("packbits", False)])
def test_what_cannot_be_decoded_is_not_left_blank(compression: str, *, tile: bool) -> None:
    more = {"compression": compression, "tile": tile, "tile_width": 32, "tile_height": 32}
    body = saved(photo(128, 128), Format.TIFF, **more)
    half = len(body) // 2
    junk = bytes(random.Random(at).randrange(256) for at in range(60))
    damaged = body[:half] + junk + body[half + 60 :]
    for options in ("f_png", "w_20", "crop_64_0_64_128,f_png", "w_20,h_20,g_attention"):
        with pytest.raises(BrokenImage):
            render(damaged, parse_options(options), Limits())
    assert render(damaged, PNG, Limits(show_damaged=True)).notes == (Note.DAMAGED,)


def test_tags_of_unknown_meaning_are_no_damage() -> None:
    body = written("RGB", (1, 2, 3), tiffinfo={65_000: "hello"})
    assert shown(body) == (1, 2, 3)


def test_a_later_page_that_cannot_be_read_does_not_spoil_the_first() -> None:
    stream = io.BytesIO()
    pages = [Image.new("RGB", (32, 32), colour) for colour in ((200, 60, 30), (1, 2, 3), (9, 9, 9))]
    pages[0].save(stream, "TIFF", save_all=True, append_images=pages[1:])
    body = stream.getvalue()
    (first,) = struct.unpack_from("<I", body, 4)
    (count,) = struct.unpack_from("<H", body, first)
    link = first + 2 + 12 * count
    (second,) = struct.unpack_from("<I", body, link)
    junk = bytearray(body)
    junk[second : second + 200] = b"\xff" * 200
    beyond = bytearray(body)
    struct.pack_into("<I", beyond, link, len(body) + 1000)
    for damaged in (bytes(junk), bytes(beyond), body[: second + 10]):
        assert shown(damaged) == (200, 60, 30)
    assert shown(body) == (200, 60, 30)
    for page, colour in ((1, (1, 2, 3)), (2, (9, 9, 9))):
        image = loaded(render(body, parse_options(f"page_{page},f_png"), Limits()).body)
        assert tuple(image(5, 5)) == colour
