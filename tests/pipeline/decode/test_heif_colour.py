"""What AVIF files say of their colours, against libavif and colours computed from the standards."""

from __future__ import annotations

import random
import struct
from io import BytesIO

import pytest
import pyvips
from PIL import Image

from proxy.model.limits import Limits
from proxy.model.media import Format
from proxy.options.spec import Icc, OutputFormat, Spec
from proxy.pipeline.decode.av1_sequence import Av1Colour, read_sequence_colour
from proxy.pipeline.decode.colour_signal import read_colour_signal
from proxy.pipeline.decode.heif_colour import has_narrow_alpha, read_heif_colour
from proxy.pipeline.decode.heif_items import read_items
from proxy.pipeline.render import render
from tests.paths import PICTURES
from tests.pictures import gradient, loaded, near, pixel, saved
from tests.pipeline import light
from tests.pipeline.difference import ciede2000, lab
from tests.pipeline.heif_files import avif, box, deep_avif, nclx, with_property, without_colr
from tests.pipeline.light import Light, Primaries, srgb_light, to_srgb
from tests.pipeline.profiles import ADOBE, gamma, matrix

COLOUR = (200, 60, 60)
FLAT = Image.new("RGB", (64, 64), COLOUR)


def rendered(body: bytes, **asked: object) -> pyvips.Image:
    spec = Spec(format=OutputFormat.PNG, **asked)  # type: ignore[arg-type]  # fields
    return loaded(render(body, spec, Limits()).body).colourspace("srgb")


def middle(body: bytes, **asked: object) -> tuple[int, ...]:
    return pixel(rendered(body, **asked), 0.5, 0.5)


def decoded(body: bytes) -> tuple[int, ...]:
    """By libavif, which converts by matrix and range alone."""
    colour = Image.open(BytesIO(body)).convert("RGB").getpixel((32, 32))
    assert isinstance(colour, tuple)
    return colour


@pytest.mark.parametrize(
    ("name", "wanted"),
    [("avif-nclx-p3.avif", (217, 43, 52)), ("avif-nclx-linear.avif", (228, 133, 133))],
)
def test_pictures_that_came_out_wrong(name: str, wanted: tuple[int, ...]) -> None:
    assert near(middle((PICTURES / name).read_bytes()), wanted, 2)


def test_an_alpha_plane_of_limited_range_is_opaque_where_it_is_235() -> None:
    body = (PICTURES / "avif-limited-alpha.avif").read_bytes()
    seen = rendered(body)
    reference = Image.open(BytesIO(body)).convert("RGBA")
    assert seen(79, 79)[3] == 255
    for x in range(0, seen.width, 3):
        for y in range(0, seen.height, 3):
            wanted = reference.getpixel((x, y))
            assert isinstance(wanted, tuple)
            assert abs(seen(x, y)[3] - wanted[3]) <= 1


@pytest.mark.parametrize("range", ["full", "limited"])
@pytest.mark.parametrize("levels", [(255, 0), (255, 128), (128, 0)])
def test_alpha_is_what_libavif_makes_of_it(range: str, levels: tuple[int, int]) -> None:
    image = Image.new("RGBA", (64, 64), (*COLOUR, levels[0]))
    image.paste((*COLOUR, levels[1]), (0, 0, 32, 64))
    file = BytesIO()
    image.save(file, "AVIF", quality=100, speed=8, range=range)
    seen = rendered(file.getvalue())
    reference = Image.open(BytesIO(file.getvalue())).convert("RGBA")
    for x in (8, 56):
        wanted = reference.getpixel((x, 32))
        assert isinstance(wanted, tuple)
        assert abs(seen(x, 32)[3] - wanted[3]) <= 1


CODES: dict[tuple[int, int], tuple[Primaries, Light]] = {
    (12, 13): (light.P3, srgb_light),
    (12, 1): (light.P3, srgb_light),
    (11, 13): (light.DCI, srgb_light),
    (9, 14): (light.BT2020, srgb_light),
    (9, 1): (light.BT2020, srgb_light),
    (1, 8): (light.SRGB, lambda v: v),
    (1, 4): (light.SRGB, lambda v: v**2.2),
    (5, 5): (light.BT470BG, lambda v: v**2.8),
    (6, 6): (light.SMPTE170M, srgb_light),
    (4, 4): (light.BT470M, lambda v: v**2.2),
    (2, 8): (light.SRGB, lambda v: v),
    (12, 2): (light.P3, srgb_light),
}


@pytest.mark.parametrize("codes", CODES)
@pytest.mark.parametrize("range", ["full", "limited"])
@pytest.mark.parametrize("chroma", ["4:4:4", "4:2:0"])
@pytest.mark.parametrize("matrix", [1, 6, 9])
def test_nclx_says_primaries_curve_matrix_and_range(
    codes: tuple[int, int], range: str, chroma: str, matrix: int
) -> None:
    body = avif(FLAT, *codes, matrix, range=range, subsampling=chroma)
    wanted = to_srgb(decoded(body), *CODES[codes])
    assert ciede2000(lab(*wanted), lab(*middle(body))) < 1.5
    assert ciede2000(lab(*wanted), lab(*middle(body, width=16))) < 1.5


@pytest.mark.parametrize(
    "codes", [(1, 13, 6), (1, 1, 1), (1, 13, 1), (1, 1, 6), (2, 2, 6), (1, 6, 6), (0, 13, 6), (1, 255, 6)]
)
def test_srgb_is_left_alone(codes: tuple[int, ...]) -> None:
    body = avif(FLAT, *codes)
    with_it = pyvips.Image.heifload_buffer(body)
    assert (rendered(body) - with_it).abs().max() == 0
    assert read_colour_signal(body, Format.AVIF, "srgb", None) is None


def test_an_avif_of_ours_is_left_alone() -> None:
    body = saved(gradient(64, 64), Format.AVIF)
    assert read_colour_signal(body, Format.AVIF, "srgb", None) is None


def test_without_nclx_the_bitstream_says_it() -> None:
    items = read_items(without_colr(avif(FLAT)))
    assert items is not None
    found = read_heif_colour(items, has_profile=False)
    assert found is not None
    assert found.name == "CICP 1/13"


PROFILE = matrix(ADOBE, gamma(2.19921875))


def test_an_icc_profile_comes_before_nclx() -> None:
    body = with_property(with_icc(), nclx(12, 13))
    wanted = to_srgb(COLOUR, light.ADOBE, lambda v: v**2.19921875)
    assert ciede2000(lab(*wanted), lab(*middle(body))) < 1.5


def with_icc() -> bytes:
    file = BytesIO()
    FLAT.save(file, "AVIF", quality=100, subsampling="4:4:4", speed=8, icc_profile=PROFILE)
    return file.getvalue()


def test_an_icc_profile_does_not_hide_hdr() -> None:
    body = with_icc()
    at = body.find(b"colrnclx")
    if at >= 0:
        body = body[: at + 8] + struct.pack(">HH", 9, 16) + body[at + 12 :]
    else:
        body = with_property(body, nclx(9, 16))
    wanted = light.method_a([light.pq_light(v / 255) for v in COLOUR], 1000)
    assert ciede2000(lab(*wanted), lab(*middle(body))) < 1.5


def test_a_picture_that_stays_in_its_space_says_which() -> None:
    body = avif(FLAT, 12, 13)
    kept = rendered(body, icc=Icc.KEEP)
    assert near(pixel(kept, 0.5, 0.5), COLOUR, 1)
    wanted = tuple(round(value) for value in to_srgb(COLOUR, light.P3, srgb_light))
    assert near(pixel(kept.icc_transform("srgb", embedded=True), 0.5, 0.5), wanted, 2)


def test_deep_avif_obeys_nclx() -> None:
    samples = [257 * each for each in COLOUR]
    image = (pyvips.Image.black(64, 64, bands=3) + samples).cast("ushort")
    body = deep_avif(image.copy(interpretation="rgb16"), nclx(12, 13))
    assert ciede2000(lab(*to_srgb(COLOUR, light.P3, srgb_light)), lab(*middle(body))) < 1


def test_a_grid_is_described_by_its_tiles() -> None:
    """Hand-made: item 1 is derived from item 2, which has the `colr`."""
    ispe = box(b"ispe", bytes(12))
    tables = [
        box(b"pitm", struct.pack(">IH", 0, 1)),
        box(b"iref", bytes(4) + box(b"dimg", struct.pack(">HHH", 1, 1, 2))),
        box(
            b"iprp",
            box(b"ipco", ispe + nclx(12, 13))
            + box(b"ipma", struct.pack(">IIHBBHBBB", 0, 2, 1, 1, 1, 2, 2, 1, 0x82)),
        ),
    ]
    items = read_items(box(b"ftyp", b"avif") + box(b"meta", bytes(4) + b"".join(tables)))
    assert items is not None
    found = read_heif_colour(items, has_profile=False)
    assert found is not None
    assert found.name == "CICP 12/13"


def test_a_box_of_64_bits_and_one_to_the_end_are_read() -> None:
    pitm = box(b"pitm", struct.pack(">IH", 0, 7))
    meta = bytes(4) + pitm
    long = struct.pack(">I4sQ", 1, b"free", 24) + bytes(8) + struct.pack(">I4s", 0, b"meta") + meta
    items = read_items(long)
    assert items is not None
    assert items.primary == 7


@pytest.mark.parametrize(
    ("units", "found"),
    [
        ("0a0a00000003bcf4f3fff344", (2, 2, 2, False)),
        ("12000a0938157ffd8404341a40", (1, 13, 6, True)),
        ("", None),
        ("0a", None),
        ("0aff", None),
        ("ffffffff", None),
        ("0a00", None),
        ("0a8080808080808080808001", None),
        ("08" + "00" * 40, (2, 2, 2, False)),
    ],
)
def test_a_sequence_header_is_read(units: str, found: tuple[int, int, int, bool] | None) -> None:
    seen = read_sequence_colour(bytes.fromhex(units))
    if found is None:
        assert seen is None
    else:
        names = ("primaries", "transfer", "matrix", "full_range")
        assert seen == Av1Colour(**dict(zip(names, found, strict=True)))  # type: ignore[arg-type]  # fields


HOSTILE = {
    "no boxes": b"",
    "box of size 1": struct.pack(">I4s", 1, b"meta"),
    "box of size 7": struct.pack(">I4s", 7, b"meta") + bytes(99),
    "huge box": struct.pack(">I4sQ", 1, b"meta", 2**64 - 1) + bytes(4) + box(b"pitm", bytes(6)),
    "empty meta": box(b"meta", b""),
    "meta without items": box(b"meta", bytes(4)),
    "short pitm": box(b"meta", bytes(4) + box(b"pitm", b"\0")),
    "short tables": box(
        b"meta",
        bytes(4)
        + box(b"pitm", bytes(6))
        + b"".join(box(kind, b"\xff") for kind in (b"iref", b"iprp", b"iloc", b"idat")),
    ),
    "large counts": box(
        b"meta",
        bytes(4)
        + box(b"pitm", bytes(6))
        + box(b"iref", bytes(4) + box(b"auxl", b"\xff" * 64))
        + box(b"iprp", box(b"ipco", nclx(9, 16)) + box(b"ipma", b"\0\0\0\0" + b"\xff" * 64))
        + box(b"iloc", b"\1\0\0\0\x44\x44" + b"\xff" * 64),
    ),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_boxes_say_nothing(kind: str) -> None:
    assert read_colour_signal(HOSTILE[kind], Format.AVIF, "srgb", None) is None


def mutated(body: bytes, seed: int, within: int) -> bytes:
    chance = random.Random(seed)
    whole = bytearray(body)
    for _ in range(chance.randint(1, 8)):
        whole[chance.randrange(within)] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))
    return bytes(whole[: chance.randint(0, len(whole))] if chance.random() < 0.3 else whole)


@pytest.mark.parametrize("name", ["avif-limited-alpha.avif", "avif-nclx-p3.avif"])
def test_no_damage_is_a_surprise(name: str) -> None:
    body = (PICTURES / name).read_bytes()
    for seed in range(3000):
        items = read_items(mutated(body, seed, min(len(body), 512)))
        if items is not None:
            read_heif_colour(items, has_profile=False)
            has_narrow_alpha(items)


def test_no_damage_of_a_bitstream_is_a_surprise() -> None:
    body = bytes.fromhex("12000a0938157ffd8404341a40") + bytes(64)
    for seed in range(3000):
        read_sequence_colour(mutated(body, seed, len(body)))
