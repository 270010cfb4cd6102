"""PNG's chunks about colours, against colours computed from the standards."""

from __future__ import annotations

import itertools
import random
import struct
from collections.abc import Callable, Sequence

import pytest
import pyvips
from hypothesis import given
from hypothesis import strategies as st

from proxy.model.limits import Limits
from proxy.model.media import Format
from proxy.model.negotiation import Bucket
from proxy.options.spec import Icc, Keep, OutputFormat, Spec
from proxy.pipeline.decode.png_colour import read_png_colour
from proxy.pipeline.describe.facts import describe
from proxy.pipeline.render import render
from tests.paths import PICTURES
from tests.pictures import gradient, loaded, near, pixel, plain, saved
from tests.pipeline import light
from tests.pipeline.difference import ciede2000, lab
from tests.pipeline.light import Light, Primaries, srgb_light, to_srgb
from tests.pipeline.png_files import chrm, chunk, cicp, gama, iccp, png, with_chunks
from tests.pipeline.profiles import ADOBE, SRGB, formula, gamma, matrix

P3_CHRM = chrm((0.3127, 0.329), *light.P3[:3])
SRGB_CHUNK = chunk(b"sRGB", b"\0")
D50 = (0.3457, 0.3585)
STEPS = (0, 40, 90, 128, 200, 255)
COLOURS = list(itertools.product(STEPS, STEPS, STEPS))
CUBE = bytes(itertools.chain.from_iterable(COLOURS))


def rendered(body: bytes, **asked: object) -> pyvips.Image:
    spec = Spec(format=OutputFormat.PNG, **asked)  # type: ignore[arg-type]  # fields
    return loaded(render(body, spec, Limits()).body).colourspace("srgb")


def first(body: bytes, **asked: object) -> tuple[int, ...]:
    return pixel(rendered(body, **asked), 0, 0)


def largest_difference(
    body: bytes, colours: Sequence[tuple[int, ...]], primaries: Primaries, curve: Light
) -> float:
    seen = bytes(rendered(body).write_to_memory())
    return max(
        ciede2000(lab(*to_srgb(colour, primaries, curve)), lab(*seen[3 * at : 3 * at + 3]))
        for at, colour in enumerate(colours)
    )


def power(exponent: float) -> Light:
    return lambda v: float(v**exponent)


@pytest.mark.parametrize(
    ("name", "wanted"), [("png-gama-1.0.png", (188, 188, 188)), ("png-chrm-p3.png", (217, 43, 52))]
)
def test_pictures_that_came_out_wrong(name: str, wanted: tuple[int, ...]) -> None:
    body = (PICTURES / name).read_bytes()
    assert near(first(body), wanted, 2)
    assert near(first(body, width=4), wanted, 2)


DESCRIBED: dict[str, tuple[list[bytes], Primaries, Light]] = {
    **{
        f"gamma {value}": ([gama(value)], light.SRGB, power(1 / value))
        for value in (0.35, 0.4, 0.55556, 0.7, 1.0, 2.5)
    },
    "P3 alone": ([P3_CHRM], light.P3, srgb_light),
    "P3 and usual gamma": ([gama(0.45455), P3_CHRM], light.P3, srgb_light),
    "P3, linear": ([P3_CHRM, gama(1.0)], light.P3, power(1)),
    "Adobe RGB": ([chrm(light.D65, *light.ADOBE[:3]), gama(1 / 2.6)], light.ADOBE, power(2.6)),
    "another white": ([chrm(D50, *light.SRGB[:3])], (*light.SRGB[:3], D50), srgb_light),
    "cICP P3": ([cicp(12, 13)], light.P3, srgb_light),
    "cICP DCI P3": ([cicp(11, 13)], light.DCI, srgb_light),
    "cICP linear": ([cicp(1, 8)], light.SRGB, power(1)),
    "cICP BT.2020": ([cicp(9, 14)], light.BT2020, srgb_light),
    "cICP BT.2020, 12 bits": ([cicp(9, 15)], light.BT2020, srgb_light),
    "cICP 470M": ([cicp(4, 4)], light.BT470M, power(2.2)),
    "cICP 470BG": ([cicp(5, 5)], light.BT470BG, power(2.8)),
    "cICP SMPTE 170M": ([cicp(6, 6)], light.SMPTE170M, srgb_light),
    "cICP of primaries alone": ([cicp(12, 2)], light.P3, srgb_light),
    "cICP of a curve alone": ([cicp(2, 8)], light.SRGB, power(1)),
    "cICP SMPTE 428": ([cicp(1, 17)], light.SRGB, lambda v: min(1.0, 52.37 / 48 * v**2.6)),
    "cICP log": ([cicp(1, 9)], light.SRGB, lambda v: 10 ** (2 * (v - 1)) if v else 0.0),
}  # fmt: skip


@pytest.mark.parametrize("kind", DESCRIBED)
def test_described_colours_become_srgb(kind: str) -> None:
    chunks, primaries, curve = DESCRIBED[kind]
    assert largest_difference(png(36, 6, 2, CUBE, *chunks), COLOURS, primaries, curve) < 1


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("alpha", [False, True])
def test_grey_obeys_gama(depth: int, alpha: bool) -> None:
    form = ">H" if depth == 16 else ">B"
    sample = [struct.pack(form, 128 * (257 if depth == 16 else 1)), struct.pack(form, (1 << depth) - 1)]
    body = png(4, 4, 4 if alpha else 0, b"".join(sample[: 1 + alpha]) * 16, gama(1.0), depth=depth)
    assert near(first(body)[:3], (188, 188, 188), 1)


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_grey_of_few_bits_obeys_gama(depth: int) -> None:
    body = png(8, 4, 0, bytes(depth * 4), gama(1.0), depth=depth)
    assert first(body)[:3] == (0, 0, 0)
    middle = {1: 0xFF, 2: 0x55, 4: 0x77}[depth]
    level = {1: 255, 2: 85, 4: 7 * 17}[depth]
    body = png(8, 4, 0, bytes([middle]) * depth * 4, gama(1.0), depth=depth)
    wanted = round(255 * light.srgb_sample(level / 255))
    assert near(first(body)[:3], (wanted,) * 3, 1)


@pytest.mark.parametrize("space", ["rgb16", "srgb"])
@pytest.mark.parametrize("alpha", [0, 3])
@pytest.mark.parametrize("more", [{"interlace": True}, {"palette": True}, {}])
def test_every_kind_of_png_obeys_its_chunks(space: str, alpha: int, more: dict[str, bool]) -> None:
    image = plain(40, 40, 200, 60, 60)
    if space == "rgb16":
        image = (image.cast("ushort") * 257).cast("ushort").copy(interpretation="rgb16")
    if alpha:
        image = image.bandjoin(65_535 if space == "rgb16" else 255)
    body = saved(image, Format.PNG, **more)
    for added, primaries, curve in (
        (cicp(12, 13), light.P3, srgb_light),
        (gama(1.0), light.SRGB, power(1)),
    ):
        wanted = tuple(round(value) for value in to_srgb((200, 60, 60), primaries, curve))
        assert near(first(with_chunks(body, added))[:3], wanted, 2)
        assert near(first(with_chunks(body, added), width=7)[:3], wanted, 2)


def test_16_bits_are_converted_before_they_are_8() -> None:
    """In linear light the darkest tenth has 26 levels of 8 bits, which are half of what is seen."""
    samples = [*range(0, 8192, 64)]
    rows = b"".join(struct.pack(">H", sample) for sample in samples)
    seen = rendered(png(len(samples), 1, 0, rows, gama(1.0), depth=16))
    levels = [round(255 * light.srgb_sample(sample / 65_535)) for sample in samples]
    assert all(abs(seen(at, 0)[0] - level) <= 1 for at, level in enumerate(levels))


def test_the_first_of_four_ways_counts() -> None:
    """PNG third edition, 4.3, over all 16 combinations and orders of chunks."""
    colours: dict[bytes, tuple[bytes, tuple[Primaries, Light]]] = {
        b"cICP": (cicp(12, 8), (light.P3, power(1))),
        b"iCCP": (iccp(matrix(ADOBE, gamma(1.8))), (light.ADOBE, power(1.80078125))),
        b"sRGB": (SRGB_CHUNK, (light.SRGB, srgb_light)),
        b"gAMA": (gama(0.7), (light.SRGB, power(1 / 0.7))),
    }
    for count in range(len(colours) + 1):
        for names in itertools.permutations(colours, count):
            body = png(1, 1, 2, bytes((200, 60, 60)), *(colours[name][0] for name in names))
            counts = next((name for name in colours if name in names), b"sRGB")
            wanted = tuple(round(value) for value in to_srgb((200, 60, 60), *colours[counts][1]))
            assert near(first(body), wanted, 2), names


@pytest.mark.parametrize(
    "chunks",
    [
        [],
        [SRGB_CHUNK],
        [gama(0.45455)],
        [gama(0.45)],
        [gama(0.45455), chrm(light.D65, *light.SRGB[:3])],
        [chrm(light.D65, *light.SRGB[:3])],
        [SRGB_CHUNK, gama(1.0), P3_CHRM],
        [cicp(1, 13)],
        [cicp(1, 1)],
        [cicp(1, 6)],
        [cicp(2, 2)],
        [iccp(matrix(SRGB, formula())), gama(1.0)],
    ],
)
def test_srgb_is_left_alone(chunks: list[bytes]) -> None:
    image = gradient(64, 64)
    body = with_chunks(saved(image, Format.PNG), *chunks)
    assert (rendered(body) - image).abs().max() == 0
    assert read_png_colour(body, has_profile=False) is None or chunks


@pytest.mark.parametrize(
    "chunks",
    [
        pytest.param([gama(0)], id="gamma of 0"),
        pytest.param([chunk(b"gAMA", b"\xff\xff\xff\xff")], id="huge gamma"),
        pytest.param([chunk(b"gAMA", b"\0\0\0\1")], id="tiny gamma"),
        pytest.param([chunk(b"gAMA", b"\0\1\x86")], id="short gamma"),
        pytest.param([gama(1.0)[:-1] + b"\0"], id="wrong checksum"),
        pytest.param([chunk(b"sRGB", b"\4"), gama(0)], id="unknown intent"),
        pytest.param([chrm(*[(0.0, 0.0)] * 4)], id="no primaries"),
        pytest.param([chrm((0.3127, 0.329), *[(0.3, 0.3)] * 3)], id="one primary"),
        pytest.param([chrm((0.9, 0.05), *light.P3[:3])], id="white outside"),
        pytest.param([chunk(b"cHRM", b"\xff" * 32)], id="huge chromaticities"),
        pytest.param([cicp(12, 13, 1)], id="matrix in a PNG"),
        pytest.param([cicp(12, 13, 0, 2)], id="unknown range"),
        pytest.param([cicp(0, 13)], id="reserved primaries"),
        pytest.param([cicp(12, 200)], id="reserved curve"),
        pytest.param([chunk(b"cICP", b"\x0c\x0d\0")], id="short cICP"),
    ],
)
def test_what_cannot_be_meant_is_ignored(chunks: list[bytes]) -> None:
    assert first(png(1, 1, 2, bytes((200, 60, 60)), *chunks)) == (200, 60, 60)


def test_a_bad_gamma_leaves_good_primaries_and_the_reverse() -> None:
    pixels = bytes((200, 60, 60))
    wanted = tuple(round(value) for value in to_srgb((200, 60, 60), light.P3, srgb_light))
    assert near(first(png(1, 1, 2, pixels, gama(0), P3_CHRM)), wanted, 1)
    wanted = tuple(round(value) for value in to_srgb((200, 60, 60), light.SRGB, power(1)))
    assert near(first(png(1, 1, 2, pixels, gama(1), chrm(*[(0.0, 0.0)] * 4))), wanted, 1)


def test_a_code_that_is_not_known_leaves_the_next_way() -> None:
    wanted = tuple(round(value) for value in to_srgb((200, 60, 60), light.SRGB, power(1)))
    assert near(first(png(1, 1, 2, bytes((200, 60, 60)), cicp(12, 200), gama(1.0))), wanted, 1)


@pytest.mark.parametrize("depth", [8, 16])
def test_narrow_samples_take_their_whole_range(depth: int) -> None:
    step = 256 if depth == 16 else 1
    form = ">H" if depth == 16 else ">B"
    rows = b"".join(struct.pack(form, level * step) for level in (16, 16, 16, 235, 235, 235, 126, 0, 255))
    seen = rendered(png(3, 1, 2, rows, cicp(1, 13, 0, 0), depth=depth))
    assert [pixel(seen, at, 0) for at in (0, 0.5, 0.9)][:2] == [(0, 0, 0), (255, 255, 255)]
    assert near(pixel(seen, 0.9, 0), (128, 0, 255), 1)


def test_a_picture_that_stays_in_its_space_says_which() -> None:
    body = png(8, 8, 2, bytes((200, 60, 60)) * 64, cicp(12, 13))
    kept = rendered(body, icc=Icc.KEEP)
    assert pixel(kept, 0, 0) == (200, 60, 60)
    shown = kept.icc_transform("srgb", embedded=True)
    wanted = tuple(round(value) for value in to_srgb((200, 60, 60), light.P3, srgb_light))
    assert near(pixel(shown, 0, 0), wanted, 1)
    assert near(first(body, icc=Icc.P3), (200, 60, 60), 1)
    assert loaded(render(body, Spec(keep=Keep.ICC), Limits()).body).get_typeof("icc-profile-data")


@pytest.mark.parametrize("asked", [{"linear_light": True}, {"gamma": (2.2,)}, {}])
@pytest.mark.parametrize("icc", Icc)
def test_described_colours_hold_in_every_light(asked: dict[str, object], icc: Icc) -> None:
    body = png(8, 8, 2, bytes((200, 60, 60)) * 64, P3_CHRM)
    seen = rendered(body, width=4, icc=icc, **asked)
    if icc is not Icc.SRGB:
        seen = seen.icc_transform("srgb", embedded=True)
    wanted = tuple(round(value) for value in to_srgb((200, 60, 60), light.P3, srgb_light))
    assert near(pixel(seen, 0.5, 0.5), wanted, 2)


@pytest.mark.parametrize(
    ("chunks", "name"),
    [
        ([cicp(12, 13)], "CICP 12/13"),
        ([gama(1.0)], "gamma 1.00000"),
        ([P3_CHRM], "chromaticities"),
        ([SRGB_CHUNK], None),
        ([cicp(9, 16)], "CICP 9/16"),
    ],
)
def test_info_names_the_colours(chunks: list[bytes], name: str | None) -> None:
    body = png(8, 8, 2, bytes((200, 60, 60)) * 64, *chunks)
    assert describe(body, Spec(), Limits(), Bucket())["source"]["profile"] == name


def test_chunks_behind_the_palette_or_the_pixels_do_not_count() -> None:
    """PNG third edition, 5.6; libpng calls them out of place."""
    body = saved(plain(8, 8, 200, 60, 60), Format.PNG, palette=True)
    for before in (b"PLTE", b"IDAT"):
        at = body.index(before) - 4
        (size,) = struct.unpack_from(">I", body, at)
        late = body[: at + 12 + size] + gama(1.0) + body[at + 12 + size :]
        assert read_png_colour(late, has_profile=False) is None


def mutated(body: bytes, seed: int) -> bytes:
    chance = random.Random(seed)
    whole = bytearray(body)
    for _ in range(chance.randint(1, 8)):
        whole[chance.randrange(len(whole))] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))
    return bytes(whole[: chance.randint(0, len(whole))] if chance.random() < 0.3 else whole)


@pytest.mark.parametrize("kind", [gama(1.0) + P3_CHRM, cicp(9, 16) + chunk(b"cLLI", bytes(8)), SRGB_CHUNK])
def test_no_damage_is_a_surprise(kind: bytes) -> None:
    body = png(1, 1, 2, bytes((200, 60, 60)), kind)
    for seed in range(2000):
        read_png_colour(mutated(body, seed), has_profile=False)


@given(
    gamma=st.integers(0, 0xFFFFFFFF),
    values=st.lists(st.integers(0, 200_000) | st.integers(0, 0xFFFFFFFF), min_size=8, max_size=8),
)
def test_any_gamma_and_any_primaries_give_a_picture(gamma: int, values: list[int]) -> None:
    chunks = [chunk(b"gAMA", struct.pack(">I", gamma)), chunk(b"cHRM", struct.pack(">8I", *values))]
    assert rendered(png(2, 1, 2, bytes((200, 60, 60)) * 2, *chunks)).bands == 3


@given(codes=st.tuples(*[st.integers(0, 255)] * 4))
def test_any_code_gives_a_picture(codes: tuple[int, int, int, int]) -> None:
    assert rendered(png(2, 1, 2, bytes((200, 60, 60)) * 2, cicp(*codes))).bands == 3


def test_a_thousand_chunks_are_read_and_no_more() -> None:
    empty = chunk(b"teXt", b"")
    few, many = (png(1, 1, 2, bytes(3), *[empty] * count, gama(1.0)) for count in (900, 5000))
    read: Callable[[bytes], object] = lambda body: read_png_colour(body, has_profile=False)  # noqa: E731
    assert read(few) is not None
    assert read(many) is None
