"""
The vectors are the output of the npm packages blurhash 2.0.5 and thumbhash 0.1.1 for the same pixels.

They are compared number by number: each may differ by one level, since one bit may decide its rounding.
"""

from __future__ import annotations

import string
from base64 import b64decode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.pipeline.describe.placeholders import blurhash, thumbhash


def pixels(width: int, height: int, translucent: bool, seed: int) -> bytes:
    """Gradients in red and green, noise in blue."""
    rgba = bytearray()
    for y in range(height):
        for x in range(width):
            seed = (seed * 75 + 74) % 65537
            alpha = (x * 7 + y * 3) % 256 if translucent else 255
            rgba += bytes((x * 255 // width, y * 255 // height, seed & 255, alpha))
    return bytes(rgba)


DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase + "#$%*+,-.:;=?@[]^_{|}~"


def base83(text: str) -> int:
    number = 0
    for digit in text:
        number = number * 83 + DIGITS.index(digit)
    return number


def blurhash_levels(text: str) -> tuple[int, list[int]]:
    """How many components, and the numbers of a hash: the largest, the mean colour (0..255), each other."""
    mean = base83(text[2:6])
    details = [base83(text[at : at + 2]) for at in range(6, len(text), 2)]
    levels = [base83(text[1]), mean >> 16, mean >> 8 & 255, mean & 255]
    return base83(text[0]), levels + [
        level for each in details for level in (each // 361, each // 19 % 19, each % 19)
    ]


def thumbhash_levels(body: bytes) -> tuple[tuple[int, ...], list[int]]:
    """
    Its shape, and its numbers: means, how far each channel reaches, and its terms, as parts of that. Terms of
    a channel that reaches nowhere show nothing, whatever they are.
    """
    head, shape = int.from_bytes(body[:3], "little"), int.from_bytes(body[3:5], "little")
    has_alpha, wide, limit = head >> 23, shape >> 15, shape & 7
    longest = 5 if has_alpha else 7
    across, down = (longest, limit) if wide else (limit, longest)
    means = [head & 63, head >> 6 & 63, head >> 12 & 63]
    scales = [head >> 18 & 31, shape >> 3 & 63, shape >> 9 & 63]
    sides = [(max(3, across), max(3, down)), (3, 3), (3, 3)]
    if has_alpha:
        means.append(body[5] & 15)
        scales.append(body[5] >> 4)
        sides.append((5, 5))
    nibbles = iter([half for byte in body[6 if has_alpha else 5 :] for half in (byte & 15, byte >> 4)])
    levels = means + scales
    for scale, (nx, ny) in zip(scales, sides, strict=True):
        terms = sum(1 for y in range(ny) for x in range(nx) if x * ny < nx * (ny - y)) - 1
        found = [next(nibbles) for _ in range(terms)]
        levels += found if scale else [0] * terms
    return (len(body), has_alpha, wide, limit), levels


def assert_same_blurhash(one: str, other: str) -> None:
    (shape, levels), (wanted_shape, wanted) = blurhash_levels(one), blurhash_levels(other)
    assert (len(one), shape) == (len(other), wanted_shape)
    assert max(abs(a - b) for a, b in zip(levels, wanted, strict=True)) <= 1, (one, other)


def assert_same_thumbhash(one: bytes, other: str) -> None:
    (shape, levels), (wanted_shape, wanted) = thumbhash_levels(one), thumbhash_levels(b64decode(other))
    assert shape == wanted_shape
    assert max(abs(a - b) for a, b in zip(levels, wanted, strict=True)) <= 1, (one, other)


VECTORS = [
    (1, 1, False, 1, "L~001+fZfZfZfZfZfZfZfZfZfZfZ", "TAMaLwEI9wiIh4hwj3CI+AiIcH/4AAAA"),
    (1, 1, True, 2, "L~002wfZfZfZfZfZfZfZfZfZfZfZ", "AAiCBQAAAAAAAAAAAAAAAAAAAAAAAAAAAA=="),
    (2, 1, False, 3, "L~AjJTfSF9fS,hfSF9fS,hfSF9fS", "0HQi1KBzDIyIiIfAOIeLhy+HCA=="),
    (32, 32, False, 4, "LDG[[|3C|fO@uxRio3aMhTf$fSf*", "3vcJPxqAd4dweHiHiHd3iId4CAeIgI8H"),
    (100, 67, False, 5, "LHHLh{2p|bFtqSWFjuaghWfkfOfk", "3wcKPZqAd4eAiHiId3d3h3FwB/h3"),
    (67, 100, False, 6, "LHHC4b2@|dKOl|WFjsahhXfgfRfi", "3/cJNRqAh4CHiId3h3d4d3BwB/h3"),
    (100, 100, True, 7, "LHHLl32s|aFwl}WBjsahhWfifSfl", "3weGHQwHcHdwiIh4iICACPiHZVVsXQMjag=="),
    (99, 13, True, 8, "LHHLMX2u|ZK5*ZJ6n}WEgtfhfUfm", "4BeGGYwXkaiAiHeQkBj4dzQDdnZ4h3c="),
    (40, 30, True, 10, "LEH2Zq38|ZKguuRoo3aQhRfmfOfh", "4AeGFI4nc4iAiph4RweIgn9okHeFiYd3CA=="),
    (100, 1, False, 11, "L~HF~d6kwwSI|l6kwwSI|l6kwwSI", "1fUukb52d3eIiAiJhIdPiAg="),
    (16, 9, False, 12, "LAGl3c3q]4yG_f9.saicf[fofTfc", "nQcKPJpweHeQeIh3d3eQUQn4hw=="),
]


@pytest.mark.parametrize(("width", "height", "translucent", "seed", "blur", "thumb"), VECTORS)
def test_hashes_are_those_of_the_reference(
    width: int, height: int, translucent: bool, seed: int, blur: str, thumb: str
) -> None:
    rgba = pixels(width, height, translucent, seed)
    assert_same_blurhash(blurhash(rgba, width, height), blur)
    assert_same_thumbhash(thumbhash(rgba, width, height), thumb)


@pytest.mark.parametrize(
    "width, height, blur, thumb",
    [
        (92, 26, "LCTSUA%MfQ%M~qj[fQj[fQfQfQfQ", "PwgCAoBqeW93eGh4AAAAAAA="),
        (28, 38, "LBTSUA~qfQ~q_3j[fQj[fQfQfQfQ", "PwgCBQB3eIeHd3h3h3CHVwAAAAAA"),
        (98, 98, "L2TSUA~qfQ~q~qj[fQj[fQfQfQfQ", "PwgCBwB4eHh4eIh4h4iH13d/BwAAAAAA"),
    ],
)
def test_a_flat_picture_is_hashed_as_by_the_reference(width: int, height: int, blur: str, thumb: str) -> None:
    rgba = bytes([255]) * (4 * width * height)
    assert_same_blurhash(blurhash(rgba, width, height), blur)
    assert_same_thumbhash(thumbhash(rgba, width, height), thumb)


def test_a_tie_falls_by_no_more_than_a_level() -> None:
    rgba = bytes(v for y in range(46) for x in range(87) for v in (x * 255 // 87, y * 255 // 46, 128, 255))
    assert_same_thumbhash(thumbhash(rgba, 87, 46), "3wcKNJpwd4dweIh4eIdwcAj3dw==")


@given(st.lists(st.integers(0, 255), min_size=4 * 20, max_size=4 * 20), st.sampled_from([1, 2, 4, 5, 10, 20]))
def test_the_hashes_of_any_pixels_tell_their_mean(values: list[int], width: int) -> None:
    opaque = bytes(255 if at % 4 == 3 else value for at, value in enumerate(values))
    _, levels = blurhash_levels(blurhash(opaque, width, 20 // width))
    light = [sum(map(to_light, opaque[band::4])) / 20 for band in range(3)]
    assert [to_light(level) for level in levels[1:4]] == pytest.approx(light, abs=0.01)
    _, (lightness, *_) = thumbhash_levels(thumbhash(opaque, width, 20 // width))
    grey = sum(sum(opaque[band::4]) for band in range(3)) / 60
    assert lightness == pytest.approx(63 * grey / 255, abs=1)


def to_light(value: int) -> float:
    """Linear, 0..1, of an sRGB value of 8 bits."""
    return ((value / 255 + 0.055) / 1.055) ** 2.4 if value > 10 else value / 255 / 12.92


@pytest.mark.parametrize("value", [0, 128, 255])
def test_one_colour_is_hashed(value: int) -> None:
    rgba = bytes([value, value, value, 255]) * 64
    assert len(blurhash(rgba, 8, 8)) == 28
    assert thumbhash(rgba, 8, 8)[0] & 63 == round(63 * value / 255)


def test_a_thumbhash_is_of_something_small() -> None:
    with pytest.raises(ValueError, match="101x1 does not fit in 100x100"):
        thumbhash(bytes(404), 101, 1)


def test_one_component_is_the_mean() -> None:
    assert blurhash(bytes([255, 255, 255, 255]) * 4, 2, 2, (1, 1)) == "00TSUA"
