"""The vectors are the output of the npm packages blurhash 2.0.5 and thumbhash 0.1.1 for the same pixels."""

from __future__ import annotations

import math
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.pipeline.describe.cosine import cosine
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
    assert blurhash(rgba, width, height) == blur
    assert b64encode(thumbhash(rgba, width, height)).decode() == thumb


@pytest.mark.parametrize(
    "width, height, blur, thumb",
    [
        (92, 26, "LCTSUA%MfQ%M~qj[fQj[fQfQfQfQ", "PwgCAoBqeW93eGh4AAAAAAA="),
        (28, 38, "LBTSUA~qfQ~q_3j[fQj[fQfQfQfQ", "PwgCBQB3eIeHd3h3h3CHVwAAAAAA"),
        (98, 98, "L2TSUA~qfQ~q~qj[fQj[fQfQfQfQ", "PwgCBwB4eHh4eIh4h4iH13d/BwAAAAAA"),
    ],
)
def test_the_last_bit_of_a_flat_picture_falls_as_in_the_reference(
    width: int, height: int, blur: str, thumb: str
) -> None:
    rgba = bytes([255]) * (4 * width * height)
    assert blurhash(rgba, width, height) == blur
    assert b64encode(thumbhash(rgba, width, height)).decode() == thumb


def test_a_tie_falls_as_in_the_reference() -> None:
    rgba = bytes(v for y in range(46) for x in range(87) for v in (x * 255 // 87, y * 255 // 46, 128, 255))
    assert b64encode(thumbhash(rgba, 87, 46)).decode() == "3wcKNJpwd4dweIh4eIdwcAj3dw=="


@given(st.floats(0, 1000))
def test_the_cosine_is_one(angle: float) -> None:
    assert cosine(angle) == pytest.approx(math.cos(angle), rel=0, abs=2e-16)


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
