"""BMP images and icons, which are decoded here: against Pillow, and against the format's own rules."""

from __future__ import annotations

import struct
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from proxy.geometry.boxes import Size
from proxy.model.errors import BrokenImage, ProxyError, TooCostly, TooManyPixels
from proxy.model.limits import Limits
from proxy.model.media import Format, Incoming, InputOnly
from proxy.options.spec import Spec
from proxy.pipeline.decode.bmp_pixels import MAX_RLE_BYTES, decode_rle
from proxy.pipeline.decode.header import read_header
from proxy.pipeline.decode.loaders import loadable, open_image
from proxy.pipeline.render import render

LIMITS = Limits()
SIDES = [(1, 1), (3, 5), (8, 2), (37, 23), (33, 7)]


def drawing(width: int, height: int, mode: str) -> Image.Image:
    grey = Image.radial_gradient("L").resize((width, height))
    other = Image.linear_gradient("L").resize((width, height))
    if mode in ("1", "L"):
        return grey.convert(mode)
    picture = Image.merge("RGB", [grey, other, grey.transpose(Image.Transpose.FLIP_LEFT_RIGHT)])
    if mode == "RGBA":
        picture.putalpha(other)
    return picture.quantize(60) if mode == "P" else picture


def pillow(picture: Image.Image, format: str, **more: object) -> bytes:
    file = BytesIO()
    picture.save(file, format, **more)
    return file.getvalue()


def pixels(body: bytes, format: Incoming, bands: int) -> bytes:
    image = open_image(body, format)
    assert image.bands == bands
    return bytes(image.write_to_memory())


def bmp(
    rows: bytes,
    *,
    size: tuple[int, int],
    depth: int,
    compression: int = 0,
    masks: tuple[int, ...] = (),
    palette: tuple[tuple[int, int, int], ...] = (),
    header: int = 40,
) -> bytes:
    """`size` is as the header has it: a height below zero means that the first row is the top one."""
    width, height = size
    dib = struct.pack("<IiiHHIIiiII", header, width, height, 1, depth, compression, 0, 0, 0, len(palette), 0)
    dib += b"".join(struct.pack("<I", mask) for mask in masks)
    dib += bytes(max(0, header - len(dib)))
    colours = b"".join(bytes((blue, green, red, 0)) for red, green, blue in palette)
    start = 14 + len(dib) + len(colours)
    return b"BM" + struct.pack("<IHHI", start + len(rows), 0, 0, start) + dib + colours + rows


@pytest.mark.parametrize(("width", "height"), SIDES)
@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
def test_a_bmp_has_the_pixels_that_pillow_saved(mode: str, width: int, height: int) -> None:
    picture = drawing(width, height, mode)
    assert pixels(pillow(picture, "BMP"), InputOnly.BMP, 3) == picture.convert("RGB").tobytes()


@pytest.mark.parametrize("written", ["png", "bmp"])
@pytest.mark.parametrize(("mode", "bands"), [("RGBA", 4), ("RGB", 3)])
def test_an_icon_has_those_of_its_largest_picture(mode: str, bands: int, written: str) -> None:
    picture = drawing(48, 48, mode)
    body = pillow(picture, "ICO", sizes=[(16, 16), (48, 48), (32, 32)], bitmap_format=written)
    assert read_header(body, LIMITS).stored == Size(48, 48)
    assert pixels(body, InputOnly.ICO, bands) == picture.tobytes()


def test_among_pictures_of_one_size_the_one_of_most_bits_is_shown() -> None:
    poor, rich = drawing(16, 16, "1"), drawing(16, 16, "RGB")
    pictures = [pillow(poor, "PNG"), pillow(rich, "PNG"), pillow(poor, "PNG")]
    assert pixels(icon(*zip((1, 24, 8), pictures, strict=True)), InputOnly.ICO, 3) == rich.tobytes()


def icon(*pictures: tuple[int, bytes]) -> bytes:
    """Bits and bytes of each; the directory says 0 for every side, as it does for 256 px."""
    rows, bodies, at = b"", b"", 6 + 16 * len(pictures)
    for bits, body in pictures:
        rows += struct.pack("<BBBBHHII", 0, 0, 0, 0, 1, bits, len(body), at + len(bodies))
        bodies += body
    return struct.pack("<HHH", 0, 1, len(pictures)) + rows + bodies


def test_an_icons_mask_is_its_transparency() -> None:
    # Two rows of two, from the bottom up, then the mask of the same: a set bit is not seen.
    dib = bmp(
        bytes((0b10 << 6, 0, 0, 0, 0b01 << 6, 0, 0, 0)) + bytes((0b11 << 6, 0, 0, 0, 0b01 << 6, 0, 0, 0)),
        size=(2, 4), depth=1, palette=((10, 20, 30), (200, 100, 50)),
    )[14:]  # fmt: skip
    dark, bright = (10, 20, 30), (200, 100, 50)
    assert pixels(icon((1, dib)), InputOnly.ICO, 4) == bytes((*dark, 255, *bright, 0, *bright, 0, *dark, 0))


def test_transparency_that_is_zero_everywhere_was_not_meant() -> None:
    rows = bytes((1, 2, 3, 0, 4, 5, 6, 0))
    masks = (0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    body = bmp(rows, size=(2, 1), depth=32, compression=3, masks=masks, header=56)
    assert pixels(body, InputOnly.BMP, 3) == bytes((3, 2, 1, 6, 5, 4))
    body = bmp(rows[:-1] + b"\x80", size=(2, 1), depth=32, compression=3, masks=masks, header=56)
    assert pixels(body, InputOnly.BMP, 4) == bytes((3, 2, 1, 0, 6, 5, 4, 128))


def test_without_a_mask_the_fourth_byte_means_nothing() -> None:
    body = bmp(bytes((1, 2, 3, 99)), size=(1, 1), depth=32)
    assert pixels(body, InputOnly.BMP, 3) == bytes((3, 2, 1))


@pytest.mark.parametrize(
    ("compression", "masks", "word", "colour"),
    [
        (0, (), 0b0_11111_00000_10000, (255, 0, 132)),
        (3, (0xF800, 0x07E0, 0x001F), 0b00000_111111_01000, (0, 255, 66)),
        (6, (0xF00, 0xF0, 0xF, 0xF000), 0x8F03, (255, 0, 51, 136)),
    ],
)
def test_colours_of_few_bits_fill_the_range(
    compression: int, masks: tuple[int, ...], word: int, colour: tuple[int, ...]
) -> None:
    rows = struct.pack("<HH", word, 0)
    body = bmp(rows, size=(1, 1), depth=16, compression=compression, masks=masks)
    assert pixels(body, InputOnly.BMP, len(colour)) == bytes(colour)


def test_a_negative_height_is_a_picture_from_the_top_down() -> None:
    rows = bytes((0, 0, 0, 0, 255, 255, 255, 0))
    assert pixels(bmp(rows, size=(1, -2), depth=24), InputOnly.BMP, 3) == bytes(3) + b"\xff" * 3
    assert pixels(bmp(rows, size=(1, 2), depth=24), InputOnly.BMP, 3) == b"\xff" * 3 + bytes(3)


def test_runs_of_eight_bits() -> None:
    # Three of 5; 7 8 9 as they are (and a byte to make it even); end of row; skip 2 across and 1 down; end.
    packed = bytes((3, 5, 0, 3, 7, 8, 9, 0, 0, 0, 0, 2, 2, 1, 2, 6, 0, 1))
    assert decode_rle(packed, 6, 3, 8) == bytes((5, 5, 5, 7, 8, 9, *[0] * 6, 0, 0, 6, 6, 0, 0))


def test_runs_of_four_bits() -> None:
    # Five of 1 and 2 by turns; 3 4 5 as they are (two bytes); end of row; a run that is longer than the row.
    packed = bytes((5, 0x12, 0, 3, 0x34, 0x50, 0, 0, 200, 0x67, 0, 1))
    assert decode_rle(packed, 8, 2, 4) == bytes((1, 2, 1, 2, 1, 3, 4, 5, 6, 7, 6, 7, 6, 7, 6, 7))


def test_a_run_length_encoded_picture_is_painted() -> None:
    packed = bytes((2, 1, 0, 0, 1, 0, 1, 1, 0, 1))
    body = bmp(packed, size=(2, 2), depth=8, compression=1, palette=((9, 9, 9), (200, 100, 50)))
    assert pixels(body, InputOnly.BMP, 3) == bytes((9, 9, 9, 200, 100, 50, 200, 100, 50, 200, 100, 50))


def test_more_runs_than_there_is_time_for_are_refused() -> None:
    body = bmp(bytes(MAX_RLE_BYTES + 1), size=(2, 2), depth=8, compression=1, palette=((0, 0, 0),))
    with pytest.raises(TooCostly, match=str(MAX_RLE_BYTES)):
        read_header(body, LIMITS)


@pytest.mark.parametrize("depth", [1, 8, 24, 32])
def test_a_bomb_is_refused_for_what_its_header_says(depth: int) -> None:
    with pytest.raises(TooManyPixels, match="30000x30000 px"):
        read_header(bmp(b"", size=(30_000, 30_000), depth=depth, palette=((0, 0, 0),)), LIMITS)
    inside = bmp(b"", size=(30_000, 60_000), depth=depth, palette=((0, 0, 0),))[14:]
    with pytest.raises(TooManyPixels, match="30000x30000 px"):
        read_header(icon((depth, inside)), LIMITS)


@pytest.mark.parametrize("depth", [1, 8, 16, 24, 32])
def test_a_bmp_that_was_cut_short_is_refused(depth: int) -> None:
    stride = (5 * depth + 31) // 32 * 4
    whole = bmp(bytes(3 * stride), size=(5, 3), depth=depth, palette=((0, 0, 0),) if depth <= 8 else ())
    assert read_header(whole, LIMITS).stored == Size(5, 3)
    with pytest.raises(BrokenImage, match="cut short"):
        read_header(whole[:-4], LIMITS)


@pytest.mark.parametrize(
    "body",
    [
        bmp(bytes(4), size=(0, 1), depth=24),
        bmp(bytes(4), size=(1, 0), depth=24),
        bmp(bytes(4), size=(1, 1), depth=7),
        bmp(bytes(4), size=(1, 1), depth=8),
        bmp(bytes(4), size=(1, 1), depth=24, compression=4),
        bmp(bytes(4), size=(1, 1), depth=24, compression=1),
        bmp(bytes(4), size=(1, 1), depth=32, compression=3, masks=(0xFF, 0xFF, 0xFF00)),
        bmp(bytes(4), size=(1, 1), depth=32, compression=3, masks=(0xF0F, 0xF0, 0xF000)),
        bmp(bytes(4), size=(1, 1), depth=16, compression=3, masks=(0xFF0000, 0xFF00, 0xFF)),
        bmp(bytes(4), size=(1, 1), depth=16, compression=3, masks=(0, 0xFF00, 0xFF)),
        icon(),
        icon((24, b"")),
        icon((24, bmp(bytes(4), size=(1, 1), depth=24)[14:])),
    ],
)
def test_what_is_no_picture_is_refused(body: bytes) -> None:
    with pytest.raises(BrokenImage):
        read_header(body, LIMITS)


BODIES = [
    pillow(drawing(9, 7, mode), format, **more)
    for mode in ("1", "P", "RGB", "RGBA")
    for format, more in (("BMP", {}), ("ICO", {"bitmap_format": "bmp", "sizes": [(9, 7), (5, 5)]}))
]


@given(body=st.sampled_from(BODIES), flips=st.lists(st.tuples(st.integers(0, 150), st.integers(0, 255))))
def test_damage_is_told_and_no_surprise(body: bytes, flips: list[tuple[int, int]]) -> None:
    damaged = bytearray(body)
    for at, value in flips:
        damaged[at % len(damaged)] = value
    try:
        render(bytes(damaged), Spec(width=4), Limits(max_source_pixels=10_000))
    except ProxyError:
        return


@given(st.binary(max_size=60), st.integers(1, 9), st.integers(1, 9), st.sampled_from([4, 8]))
def test_no_runs_are_a_surprise(packed: bytes, width: int, height: int, depth: int) -> None:
    try:
        assert len(decode_rle(packed, width, height, depth)) == width * height
    except BrokenImage:
        return


def test_a_rendition_is_png_where_it_is_transparent_and_else_jpeg() -> None:
    assert {InputOnly.BMP, InputOnly.ICO} <= loadable()
    icons = render(pillow(drawing(48, 48, "RGBA"), "ICO", sizes=[(48, 48)]), Spec(width=16), LIMITS)
    assert (icons.format, icons.width, icons.height) == (Format.PNG, 16, 16)
    photo = render(memoryview(pillow(drawing(40, 30, "RGB"), "BMP")), Spec(width=20), LIMITS)
    assert (photo.format, photo.width, photo.height) == (Format.JPEG, 20, 15)
