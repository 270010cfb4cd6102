from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.geometry.boxes import Size
from proxy.model.media import Format
from proxy.pipeline.decode.containers import declared_size
from proxy.pipeline.decode.loaders import LOADER_SAMPLES
from tests.pictures import HERE, plain, saved

SIZES = [(1, 1), (16, 16), (17, 301), (640, 33)]


@pytest.mark.parametrize("format", HERE)
@pytest.mark.parametrize(("width", "height"), SIZES)
def test_the_declared_size_is_the_size(format: Format, width: int, height: int) -> None:
    body = saved(plain(width, height), format)
    assert declared_size(body, format) == Size(width, height)
    assert declared_size(memoryview(body), format) == Size(width, height)


@pytest.mark.parametrize(
    ("format", "settings"),
    [
        (Format.WEBP, {"lossless": True}),
        (Format.WEBP, {"profile": "srgb", "keep": "icc"}),
        (Format.TIFF, {"bigtiff": True}),
        (Format.JPEG, {"interlace": True}),
    ],
)
def test_every_flavour_of_a_format_is_read(format: Format, settings: dict[str, object]) -> None:
    assert declared_size(saved(plain(321, 123), format, **settings), format) == Size(321, 123)


def codestream(*fields: tuple[int, int]) -> bytes:
    """A JPEG XL signature and fields of (value, bits), the lowest bit of a byte first."""
    packed, at = 0, 0
    for value, bits in fields:
        packed, at = packed | value << at, at + bits
    return b"\xff\x0a" + packed.to_bytes((at + 7) // 8, "little") + bytes(9)


@pytest.mark.parametrize(
    ("body", "size"),
    [
        (LOADER_SAMPLES[Format.JXL], (2, 2)),
        (codestream((1, 1), (4, 5), (1, 3)), (40, 40)),
        (codestream((1, 1), (4, 5), (0, 3), (7, 5)), (64, 40)),
        (codestream((0, 1), (0, 2), (299, 9), (0, 3), (1, 2), (4000 - 1, 13)), (4000, 300)),
        (codestream((0, 1), (2, 2), (90_000 - 1, 18), (5, 3)), (160_000, 90_000)),
        (codestream((0, 1), (3, 2), ((1 << 30) - 1, 30), (7, 3)), (1 << 31, 1 << 30)),
    ],
)
def test_jpeg_xl_tells_its_size_in_its_first_bits(body: bytes, size: tuple[int, int]) -> None:
    assert declared_size(body, Format.JXL) == Size(*size)
    box = struct.pack(">I4s4s", 12, b"JXL ", b"\r\n\x87\n")
    box += struct.pack(">I4s4sI4s", 20, b"ftyp", b"jxl ", 0, b"jxl ")
    whole = box + struct.pack(">I4s", 8 + len(body), b"jxlc") + body
    part = box + struct.pack(">I4sI", 12 + len(body), b"jxlp", 0) + body
    assert declared_size(whole, Format.JXL) == Size(*size)
    assert declared_size(part, Format.JXL) == Size(*size)
    assert declared_size(box, Format.JXL) is None


@pytest.mark.parametrize("format", HERE)
def test_a_header_that_stops_early_has_no_size(format: Format) -> None:
    body = saved(plain(64, 64), format)
    for length in range(3, 24):
        assert declared_size(body[:length], format) in (None, Size(64, 64))


@pytest.mark.parametrize("at", [1 << 31, 1 << 63, (1 << 64) - 1])
def test_a_big_tiff_may_point_further_than_memory_reaches(at: int) -> None:
    assert declared_size(b"II+\0\x08\0\0\0" + struct.pack("<Q", at), Format.TIFF) is None


@given(format=st.sampled_from(HERE), body=st.binary(max_size=300))
def test_no_bytes_are_a_surprise(format: Format, body: bytes) -> None:
    declared_size(body, format)


@given(format=st.sampled_from(HERE), flips=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255))))
def test_nor_are_damaged_headers(format: Format, flips: list[tuple[int, int]]) -> None:
    body = bytearray(BODIES[format])
    for at, value in flips:
        body[at % len(body)] = value
    declared_size(bytes(body), format)


BODIES = {format: saved(plain(40, 30), format) for format in HERE}
