from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

import numpy as np
import pytest

from proxy.model.errors import BrokenImage
from proxy.model.limits import Limits
from proxy.pipeline.render import render
from proxy.url.grammar import parse_options
from tests import tiffs
from tests.pictures import loaded, near, plain
from tests.tiffs import make_tiff

PNG = parse_options("f_png")
WIDTH, HEIGHT = 16, 8
RAMP = np.arange(WIDTH) / (WIDTH - 1)
LEVELS, LIGHT = (0, 136, 255), (0, 193, 255)
"""Of the left, middle and right pixel of a ramp that is shown as levels, and of one that is light."""

Pixel = tuple[int, ...]


def shown(body: bytes, options: str = "f_png") -> list[Pixel]:
    image = loaded(render(body, parse_options(options), Limits()).body)
    return [
        tuple(int(value) for value in image(x, image.height // 2))
        for x in (0, image.width // 2, image.width - 1)
    ]


def greys(body: bytes) -> Pixel:
    found = [set(pixel[:3]) for pixel in shown(body)]
    assert all(len(each) == 1 for each in found)
    return tuple(each.pop() for each in found)


def ramp(kind: str, low: float, high: float, bands: int = 1, **more: tiffs.Value) -> bytes:
    return stored(low + RAMP * (high - low), kind, bands, **more)


def stored(row: np.ndarray, kind: str, bands: int = 1, **more: tiffs.Value) -> bytes:
    samples = np.repeat(np.tile(row, (HEIGHT, 1))[:, :, None], bands, 2).astype("<" + kind)
    sample_format = {"u": 1, "i": 2, "f": 3}[kind[0]]
    tags = {getattr(tiffs, name): value for name, value in more.items()}
    return make_tiff(
        WIDTH, HEIGHT, samples.tobytes(), bits=(8 * samples.itemsize,) * bands,
        photometric=tiffs.MIN_IS_BLACK if bands < 3 else tiffs.RGB,
        tags={tiffs.SAMPLE_FORMAT: (sample_format,) * bands, **tags},
    )  # fmt: skip


@pytest.mark.parametrize("bands", [1, 3])
@pytest.mark.parametrize(
    ("kind", "low", "high", "wanted"),
    [
        ("u1", 0, 255, LEVELS),
        ("u2", 0, 65_535, LEVELS),
        ("u4", 0, 2**32 - 1, LEVELS),
        ("u4", 0, 1000, LEVELS),
        ("u4", 70_000, 80_000, LEVELS),
        ("i1", 0, 127, LEVELS),
        ("i1", -128, 127, LEVELS),
        ("i2", 0, 32_767, LEVELS),
        ("i2", -32_768, 32_767, LEVELS),
        ("i2", -1000, 3000, LEVELS),
        ("i2", 0, 900, LEVELS),
        ("i4", -(2**31), 2**31 - 1, LEVELS),
        ("i4", 0, 1000, LEVELS),
        ("f2", 0, 1, LIGHT),
        ("f2", 0, 255, LEVELS),
        ("f4", 0, 1, LIGHT),
        ("f4", 0, 255, LEVELS),
        ("f4", 0, 65_535, LEVELS),
        ("f4", 200, 900, LEVELS),
        ("f4", -1, 1, LEVELS),
        ("f4", -5e6, 3e7, LEVELS),
    ],
)
def test_samples_are_shown_by_their_range(
    kind: str, low: float, high: float, wanted: Pixel, bands: int
) -> None:
    assert near(greys(ramp(kind, low, high, bands)), wanted, within=1)


@pytest.mark.parametrize(("low", "high", "wanted"), [(0, 0.5, (0, 141, 188)), (10, 200, (10, 111, 200))])
def test_floats_that_have_a_usual_scale_keep_it(low: float, high: float, wanted: Pixel) -> None:
    assert near(greys(ramp("f4", low, high)), wanted, within=1)


def test_lights_above_white_do_not_darken_a_photograph() -> None:
    row = RAMP.copy()
    row[-1] = 40
    assert near(greys(stored(row, "f4", 3)), LIGHT, within=1)


@pytest.mark.parametrize(
    ("kind", "value", "wanted"),
    [
        ("u4", 0, 0), ("u4", 2**32 - 1, 255), ("u4", 2**31, 128), ("i4", 0, 0), ("i2", -5, 0), ("f2", 0, 0),
        ("f4", 0, 0), ("f4", 0.5, 188), ("f4", 1, 255), ("f4", 200, 200), ("f4", -3, 0), ("f4", 1e6, 255),
    ],
)  # fmt: skip
@pytest.mark.parametrize("bands", [1, 3])
def test_one_colour_stays_a_picture(kind: str, value: float, wanted: int, bands: int) -> None:
    if bands == 1 or value != 200:
        assert near(greys(ramp(kind, value, value, bands)), (wanted,) * 3, within=1)


@pytest.mark.parametrize("absent", [np.nan, np.inf, -np.inf, -3.4e38, 3.4e38])
@pytest.mark.parametrize(("high", "wanted"), [(1, LIGHT), (700, LEVELS)])
def test_what_is_no_number_is_black_and_does_not_count(absent: float, high: float, wanted: Pixel) -> None:
    row = RAMP * high
    row[3:5] = absent
    for bands in (1, 3):
        body = stored(row, "f4", bands)
        assert near(greys(body), wanted, within=1)
        image = loaded(render(body, PNG, Limits()).body)
        assert image(3, 2)[0] == image(4, 2)[0] == 0
        assert render(body, parse_options("w_5,f_png"), Limits()).width == 5
    assert set(greys(stored(np.full(WIDTH, absent), "f4"))) == {0}


def test_the_file_may_say_what_is_no_value() -> None:
    row = 100 + RAMP * 300
    row[3:5] = -9999
    body = stored(row, "f4", NO_DATA="-9999")
    assert near(greys(body), LEVELS, within=1)
    assert near(greys(stored(row, "i2", NO_DATA="-9999")), LEVELS, within=1)


def test_the_file_may_say_its_range() -> None:
    body = ramp("f4", 0, 100, LOWEST_SAMPLE=0.0, HIGHEST_SAMPLE=200.0)
    assert near(greys(body), (0, 68, 128), within=1)


def test_white_may_be_the_lowest_value_of_any_type() -> None:
    for kind, high in (("u1", 255), ("u2", 65_535), ("u4", 2**32 - 1), ("i2", 32_767), ("f4", 300)):
        assert near(greys(ramp(kind, 0, high, PHOTOMETRIC=0)), (255, 119, 0), within=1)


def test_a_part_and_a_small_one_have_the_range_of_the_whole() -> None:
    body = ramp("f4", 0, 1000)
    image = loaded(render(body, parse_options("crop_0_0_8_8,f_png"), Limits()).body)
    assert near((int(image(7, 2)[0]),), (119,), within=1)
    image = loaded(render(body, parse_options("w_4,f_png"), Limits()).body)
    assert image(3, 0)[0] > 210


@pytest.mark.parametrize("kind", ["u4", "i2", "f4"])
def test_transparency_is_no_colour(kind: str) -> None:
    full = {"u4": 2**32 - 1, "i2": 32_767, "f4": 1}[kind]
    rgba = np.stack([RAMP * full / 40, RAMP * full / 40, RAMP * full / 40, RAMP * 0 + full / 2], 1)
    body = make_tiff(
        WIDTH, HEIGHT, np.tile(rgba, (HEIGHT, 1)).astype("<" + kind).tobytes(),
        bits=(8 * np.dtype(kind).itemsize,) * 4, photometric=tiffs.RGB,
        tags={tiffs.SAMPLE_FORMAT: ({"u": 1, "i": 2, "f": 3}[kind[0]],) * 4, tiffs.EXTRA_SAMPLES: 2},
    )  # fmt: skip
    assert all(126 <= pixel[3] <= 129 for pixel in shown(body))


LAB = tuple(plain(1, 1, 200, 60, 30).colourspace("lab")(0, 0))


def scaled_lab(lightness: float, unit: float, zero: float = 0) -> Pixel:
    return round(LAB[0] * lightness), *(round((each + zero) * unit) for each in LAB[1:])


def lab(photometric: int, packed: bytes, bits: int, **more: int) -> bytes:
    return make_tiff(
        WIDTH, HEIGHT, packed * (WIDTH * HEIGHT), bits=(bits,) * (len(packed) * 8 // bits),
        photometric=photometric, tags={getattr(tiffs, name): value for name, value in more.items()},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("body", "alpha"),
    [
        (lab(8, struct.pack("Bbb", *scaled_lab(2.55, 1)), 8), ()),
        (lab(8, struct.pack("BbbB", *scaled_lab(2.55, 1), 99), 8, EXTRA_SAMPLES=2), (99,)),
        (lab(8, struct.pack("<Hhh", *scaled_lab(655.35, 256)), 16), ()),
        (lab(9, struct.pack("BBB", *scaled_lab(2.55, 1, 128)), 8), ()),
        (lab(9, struct.pack("<3H", *scaled_lab(652.8, 256, 128)), 16), ()),
    ],
)
def test_cielab_is_shown_in_its_colours(body: bytes, alpha: Pixel) -> None:
    assert near(shown(body)[0], (200, 60, 30, *alpha), within=2)
    assert near(shown(body, "w_4,f_png")[0], (200, 60, 30, *alpha), within=2)


MAP = [at * 257 for at in range(256)]


@pytest.mark.parametrize(
    ("strips", "bits", "photometric", "tags"),
    [
        pytest.param(bytes(256), (16,), tiffs.PALETTE, {tiffs.COLOUR_MAP: [0] * 65_535}, id="deep palette"),
        pytest.param(bytes(128), (8,), tiffs.PALETTE, {}, id="no palette"),
        pytest.param(bytes(128), (8,), tiffs.PALETTE, {tiffs.COLOUR_MAP: [0, 9] * 3}, id="short palette"),
        pytest.param(bytes(256), (8, 8), tiffs.SEPARATED, {}, id="two inks"),
        pytest.param(bytes(512), (8,) * 4, tiffs.SEPARATED, {tiffs.INK_SET: 2}, id="other inks"),
        pytest.param(bytes(384), (8,) * 3, tiffs.ITULAB, {}, id="ITULAB"),
        pytest.param(bytes(128), (8,), tiffs.CIELAB, {}, id="lightness alone"),
        pytest.param(bytes(768), (16,) * 3, tiffs.YCBCR, {tiffs.SUBSAMPLING: (1, 1)}, id="deep YCbCr"),
        pytest.param(bytes(1024), (64,), tiffs.MIN_IS_BLACK, {tiffs.SAMPLE_FORMAT: 6}, id="complex"),
    ],
)
def test_what_cannot_be_shown_right_is_refused(
    strips: bytes, bits: Sequence[int], photometric: int, tags: dict[int, tiffs.Value]
) -> None:
    with pytest.raises(BrokenImage):
        shown(make_tiff(WIDTH, HEIGHT, strips, bits=bits, photometric=photometric, tags=tags))


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("entries", [256, 65_536], ids=["of 8 bits", "of 16 bits"])
def test_palettes_of_every_depth_are_shown(bits: int, entries: int) -> None:
    count = 1 << bits
    levels = [at * (entries - 1) // (count - 1) for at in range(count)]
    row = packed([at * (count - 1) // (WIDTH - 1) for at in range(WIDTH)], bits)
    colour_map = levels + [0] * count + levels[::-1]
    body = make_tiff(
        WIDTH, HEIGHT, row * HEIGHT, bits=(bits,), photometric=3, tags={tiffs.COLOUR_MAP: colour_map}
    )
    left, _, right = shown(body)
    assert (left, right) == ((0, 0, 255), (255, 0, 0))


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("photometric", [tiffs.MIN_IS_WHITE, tiffs.MIN_IS_BLACK])
@pytest.mark.parametrize("reversed_bits", [False, True])
def test_greys_of_every_depth_are_shown(bits: int, photometric: int, *, reversed_bits: bool) -> None:
    row = packed([at * ((1 << bits) - 1) // (WIDTH - 1) for at in range(WIDTH)], bits)
    if reversed_bits:
        row = bytes(int(f"{byte:08b}"[::-1], 2) for byte in row)
    tags = {tiffs.FILL_ORDER: 2 if reversed_bits else 1}
    body = make_tiff(WIDTH, HEIGHT, row * HEIGHT, bits=(bits,), photometric=photometric, tags=tags)
    left, _, right = shown(body)
    ends = ((255,) * 3, (0,) * 3)
    assert (left, right) == (ends if photometric == tiffs.MIN_IS_WHITE else ends[::-1])


def packed(values: Sequence[int], bits: int) -> bytes:
    text = "".join(f"{value:0{bits}b}" for value in values)
    return int(text, 2).to_bytes(len(text) // 8, "big")


@pytest.mark.parametrize("kind", ["u1", "u2", "f4"])
@pytest.mark.parametrize("compressed", [False, True])
def test_samples_may_lie_in_planes(kind: str, *, compressed: bool) -> None:
    full = {"u1": 255, "u2": 65_535, "f4": 1.0}[kind]
    colour = plain(1, 1, 200, 60, 30)
    light = colour.colourspace("scrgb") * 255 if kind == "f4" else colour
    planes = [
        np.full((HEIGHT, WIDTH), value / 255 * full).astype("<" + kind).tobytes() for value in light(0, 0)
    ]
    body = make_tiff(
        WIDTH, HEIGHT, [zlib.compress(plane) if compressed else plane for plane in planes],
        bits=(8 * np.dtype(kind).itemsize,) * 3, photometric=tiffs.RGB,
        tags={
            tiffs.PLANAR: 2, tiffs.ROWS_PER_STRIP: HEIGHT, tiffs.COMPRESSION: 8 if compressed else 1,
            tiffs.SAMPLE_FORMAT: (3 if kind == "f4" else 1,) * 3,
        },
    )  # fmt: skip
    assert near(shown(body)[1], (200, 60, 30), within=1)


@pytest.mark.parametrize("extra", [None, 0])
@pytest.mark.parametrize("bands", [2, 4])
@pytest.mark.parametrize("value", [0, 120])
def test_samples_that_the_file_does_not_explain_hide_nothing(
    extra: int | None, bands: int, value: int
) -> None:
    body = make_tiff(
        WIDTH, HEIGHT, bytes([200] * (bands - 1) + [value]) * (WIDTH * HEIGHT), bits=(8,) * bands,
        photometric=1 if bands == 2 else 2, tags={} if extra is None else {tiffs.EXTRA_SAMPLES: extra},
    )  # fmt: skip
    assert shown(body)[0] == ((200, 200, 200, 120) if value else (200, 200, 200))


def test_transparency_that_hides_all_stays_where_the_file_says_that_it_is_some() -> None:
    body = make_tiff(
        WIDTH, HEIGHT, bytes([200, 60, 30, 0]) * 128, bits=(8,) * 4, photometric=2, tags={338: 2}
    )
    assert shown(body)[0][3] == 0


@pytest.mark.parametrize(
    "tags",
    [
        {282: (1, 2), 283: 0.5},
        {305: (65, 66), 270: 7.5, 306: (1, 2, 3)},
        {tiffs.LOWEST_SAMPLE: (1, 2, 3, 4), 280: (1, 2, 3), 281: 0.5},
        {301: (1, 2, 3), 318: (1,), 319: (1, 2)},
        {34_377: 0.5, 33_723: (1,), 700: 7, 34_665: 99, 37_724: (9,)},
        {tiffs.EXTRA_SAMPLES: (1, 2, 0)},
    ],
)
@pytest.mark.parametrize("compression", [1, 8])
def test_oddities_of_what_is_not_needed_are_no_damage(tags: dict[int, tiffs.Value], compression: int) -> None:
    pixels = bytes([200, 60, 30]) * 128
    body = make_tiff(
        WIDTH, HEIGHT, zlib.compress(pixels) if compression == 8 else pixels, bits=(8,) * 3,
        photometric=tiffs.RGB, tags=tags | {tiffs.COMPRESSION: compression},
    )  # fmt: skip
    assert shown(body)[0] == (200, 60, 30)
    assert render(body, PNG, Limits()).notes == ()
