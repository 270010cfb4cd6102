from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.media import Format
from proxy.pipeline.extent import extent
from tests.pictures import plain, saved

SIZES = [(1, 1), (16, 16), (17, 301), (640, 33)]


@pytest.mark.parametrize("format", Format)
@pytest.mark.parametrize(("width", "height"), SIZES)
def test_the_declared_size_is_the_size(format: Format, width: int, height: int) -> None:
    body = saved(plain(width, height), format)
    assert extent(body, format) == (width, height)
    assert extent(memoryview(body), format) == (width, height)


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
    assert extent(saved(plain(321, 123), format, **settings), format) == (321, 123)


@pytest.mark.parametrize("format", Format)
def test_a_header_that_stops_early_has_no_size(format: Format) -> None:
    body = saved(plain(64, 64), format)
    for length in range(3, 24):
        assert extent(body[:length], format) in (None, (64, 64))


@given(format=st.sampled_from(Format), body=st.binary(max_size=300))
def test_no_bytes_are_a_surprise(format: Format, body: bytes) -> None:
    extent(body, format)


@given(format=st.sampled_from(Format), flips=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255))))
def test_nor_are_damaged_headers(format: Format, flips: list[tuple[int, int]]) -> None:
    body = bytearray(BODIES[format])
    for at, value in flips:
        body[at % len(body)] = value
    extent(bytes(body), format)


BODIES = {format: saved(plain(40, 30), format) for format in Format}
