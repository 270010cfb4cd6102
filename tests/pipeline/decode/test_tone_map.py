"""HDR pictures, against Report ITU-R BT.2446-1 computed one colour at a time."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Callable, Sequence

import numpy
import pytest
import pyvips

from proxy.model.limits import Limits
from proxy.model.media import Format
from proxy.options.spec import Icc, OutputFormat, Spec
from proxy.pipeline.render import render
from tests.pictures import loaded, near, pixel, plain, saved, tagged
from tests.pipeline import light
from tests.pipeline.difference import ciede2000, lab
from tests.pipeline.heif_files import box, deep_avif, nclx
from tests.pipeline.light import hlg_display_light, method_a, pq_light, pq_sample
from tests.pipeline.png_files import chunk, cicp, png
from tests.pipeline.profiles import assembled, xyz

STEPS = (0, 50, 90, 130, 148, 170, 192)
COLOURS = list(itertools.product(STEPS, STEPS, STEPS))
CUBE = bytes(itertools.chain.from_iterable(COLOURS))


def rendered(body: bytes, **asked: object) -> pyvips.Image:
    spec = Spec(format=OutputFormat.PNG, **asked)  # type: ignore[arg-type]  # fields
    return loaded(render(body, spec, Limits()).body).colourspace("srgb")


def largest_difference(
    body: bytes, colours: Sequence[tuple[int, ...]], wanted: Callable[[Sequence[float]], Sequence[float]]
) -> float:
    seen = bytes(rendered(body).write_to_memory())
    return max(
        ciede2000(lab(*wanted(colour)), lab(*seen[3 * at : 3 * at + 3])) for at, colour in enumerate(colours)
    )


def cll(nits: float) -> bytes:
    return chunk(b"cLLI", struct.pack(">II", round(nits * 10_000), 0))


def mdcv(nits: float) -> bytes:
    return chunk(b"mDCV", bytes(16) + struct.pack(">II", round(nits * 10_000), 50))


@pytest.mark.parametrize(
    ("chunks", "peak"),
    [
        ([], 1000),
        ([cll(400)], 400),
        ([cll(4000)], 4000),
        ([mdcv(2000)], 2000),
        ([mdcv(2000), cll(600)], 600),
        ([cll(0), mdcv(2000)], 2000),
        ([cll(90)], 203),
        ([cll(400_000)], 10_000),
    ],
)
def test_pq_is_mapped_by_method_a(chunks: list[bytes], peak: float) -> None:
    body = png(49, 7, 2, CUBE, cicp(9, 16), *chunks)
    assert largest_difference(body, COLOURS, lambda c: method_a([pq_light(v / 255) for v in c], peak)) < 1


def test_hlg_is_mapped_by_method_a() -> None:
    steps = (0, 40, 80, 128, 191, 230, 255)
    colours = list(itertools.product(steps, steps, steps))
    body = png(49, 7, 2, bytes(itertools.chain.from_iterable(colours)), cicp(9, 18))
    assert largest_difference(body, colours, lambda c: method_a(hlg_display_light(c), 1000)) < 1


def test_pq_of_p3_primaries_is_seen_as_such() -> None:
    def wanted(colour: Sequence[float]) -> Sequence[float]:
        nits = [pq_light(v / 255) for v in colour]
        xyz = light.to_xyz(light.P3) @ nits
        wide = numpy.linalg.inv(light.to_xyz(light.BT2020)) @ xyz
        return method_a([float(each) for each in wide], 1000)

    assert largest_difference(png(49, 7, 2, CUBE, cicp(12, 16)), COLOURS, wanted) < 1


@pytest.mark.parametrize("bits", [8, 16])
def test_highlights_are_not_clipped(bits: int) -> None:
    """Greys from black to the peak: each is brighter than the last, and white is only at the end."""
    nits = [0, 1, 5, 20, 50, 100, 203, 300, 400, 600, 800, 900, 1000]
    whole = 65_535 if bits == 16 else 255
    rows = b"".join(
        struct.pack(">H" if bits == 16 else ">B", round(pq_sample(each) * whole) if each else 0)
        for each in nits
    )
    seen = rendered(png(len(nits), 1, 0, rows, cicp(9, 16), depth=bits))
    levels = [round(seen(at, 0)[1]) for at in range(len(nits))]
    assert levels == sorted(set(levels))
    assert levels[0] == 0
    assert levels[-1] >= 253
    assert near((levels[6],), (171,), 3)


def test_16_bits_are_mapped_as_finely() -> None:
    values = range(0, 49_000, 500)
    rows = b"".join(struct.pack(">3H", value, value // 2 + 9000, 20_000) for value in values)
    seen = rendered(png(len(values), 1, 2, rows, cicp(9, 16), depth=16))
    for at, value in enumerate(values):
        nits = [pq_light(each / 65_535) for each in (value, value // 2 + 9000, 20_000)]
        assert ciede2000(lab(*method_a(nits, 1000)), lab(*seen(at, 0)[:3])) < 1


def test_alpha_stays() -> None:
    seen = rendered(
        png(3, 1, 6, bytes((150, 150, 150, 0, 150, 150, 150, 100, 150, 150, 150, 255)), cicp(9, 16))
    )
    assert [seen(at, 0)[3] for at in range(3)] == [0, 100, 255]
    deep = struct.pack(">8H", 30_000, 30_000, 30_000, 25_700, 30_000, 30_000, 30_000, 65_535)
    seen = rendered(png(2, 1, 6, deep, cicp(9, 16), depth=16))
    assert [seen(at, 0)[3] for at in range(2)] == [100, 255]


@pytest.mark.parametrize("asked", [{}, {"linear_light": True}, {"gamma": (2.2,)}])
@pytest.mark.parametrize("icc", Icc)
@pytest.mark.parametrize("depth", [8, 16])
def test_hdr_is_mapped_in_every_light(asked: dict[str, object], icc: Icc, depth: int) -> None:
    samples = (150, 120, 90)
    rows = b"".join(
        struct.pack(">H" if depth == 16 else ">B", v * (257 if depth == 16 else 1)) for v in samples
    )
    seen = rendered(png(8, 8, 2, rows * 64, cicp(9, 16), depth=depth), width=4, icc=icc, **asked)
    if icc is Icc.P3:
        seen = seen.icc_transform("srgb", embedded=True)
    wanted = tuple(round(value) for value in method_a([pq_light(v / 255) for v in samples], 1000))
    assert near(pixel(seen, 0.5, 0.5), wanted, 2)


@pytest.mark.parametrize("bits", [10, 12])
@pytest.mark.parametrize("boxes, peak", [([], 1000), ([box(b"clli", struct.pack(">HH", 400, 100))], 400)])
def test_deep_avif_in_pq_is_mapped(bits: int, boxes: list[bytes], peak: float) -> None:
    nits = (150.0, 60.0, 300.0)
    samples = [round(pq_sample(each) * 65_535) for each in nits]
    image = (pyvips.Image.black(64, 64, bands=3) + samples).cast("ushort").copy(interpretation="rgb16")
    body = deep_avif(image, nclx(9, 16, 6), *boxes, bits=bits)
    seen = rendered(body)
    assert ciede2000(lab(*method_a(nits, peak)), lab(*seen(32, 32)[:3])) < 1


def test_the_peak_of_the_display_counts_in_avif_without_that_of_the_picture() -> None:
    samples = [round(pq_sample(300) * 65_535)] * 3
    image = (pyvips.Image.black(64, 64, bands=3) + samples).cast("ushort").copy(interpretation="rgb16")
    display = box(b"mdcv", bytes(16) + struct.pack(">II", 20_000_000, 50))
    seen = rendered(deep_avif(image, nclx(9, 16, 6), display))
    assert ciede2000(lab(*method_a([300] * 3, 2000)), lab(*seen(32, 32)[:3])) < 1


def test_white_of_10_bits_is_white() -> None:
    image = (pyvips.Image.black(64, 64, bands=3) + 65_535).cast("ushort").copy(interpretation="rgb16")
    assert near(pixel(rendered(deep_avif(image, nclx(9, 18, 6))), 0.5, 0.5), (255, 255, 255), 0)


@pytest.mark.parametrize("format", [Format.JPEG, Format.PNG, Format.WEBP, Format.TIFF])
def test_an_icc_profile_that_says_pq_is_mapped(format: Format) -> None:
    """ICC.1:2022, 9.2.17: what a program for photographs writes beside tables that show it dark."""
    cicp_tag = b"cicp\0\0\0\0" + bytes((9, 16, 0, 1))
    profile = assembled(b"RGB ", {b"cicp": cicp_tag, b"wtpt": xyz((0.9642, 1.0, 0.8249)), b"A2B0": bytes(64)})
    body = saved(tagged(plain(32, 32, 150, 120, 90), icc_profile_data=profile), format, keep="icc")
    wanted = tuple(round(value) for value in method_a([pq_light(v / 255) for v in (150, 120, 90)], 1000))
    assert near(pixel(rendered(body), 0.5, 0.5), wanted, 5)
