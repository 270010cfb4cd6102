from __future__ import annotations

import pytest
import pyvips
from hypothesis import given
from hypothesis import strategies as st

from proxy.pipeline.decode.icc import MAX_PROFILE_BYTES, is_srgb, profile_description, profile_space
from tests.pipeline.profiles import ADOBE, SRGB, formula, gamma, grey, matrix, table


@pytest.mark.parametrize("curve", [formula(), table(), table(4096), table(256)])
def test_every_way_to_write_srgb_is_srgb(curve: bytes) -> None:
    assert is_srgb(matrix(SRGB, curve))


@pytest.mark.parametrize(
    "profile",
    [
        pytest.param(matrix(ADOBE, gamma(2.19921875)), id="adobe rgb"),
        pytest.param(matrix(ADOBE, formula()), id="other primaries"),
        pytest.param(matrix(SRGB, gamma(1.8)), id="gamma 1.8"),
        pytest.param(matrix(SRGB, gamma(2.2)), id="gamma 2.2 is darker in the shadows"),
        pytest.param(grey(gamma(2.2)), id="grey"),
        pytest.param(matrix(SRGB, formula())[:200], id="cut"),
        pytest.param(b"", id="none"),
    ],
)
def test_whatever_differs_or_is_unclear_is_not(profile: bytes) -> None:
    assert not is_srgb(profile)


def test_libvips_own_profiles_are_told_apart() -> None:
    assert is_srgb(pyvips.Operation.call("profile_load", "srgb"))
    assert not is_srgb(pyvips.Operation.call("profile_load", "p3"))
    assert profile_space(pyvips.Operation.call("profile_load", "cmyk")) == "cmyk"


def test_a_profile_over_a_megabyte_is_not_worth_reading() -> None:
    profile = matrix(SRGB, formula())
    assert profile_space(profile + bytes(MAX_PROFILE_BYTES - len(profile))) == "rgb"
    assert profile_space(profile + bytes(MAX_PROFILE_BYTES - len(profile) + 1)) is None


@given(flips=st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255))), cut=st.integers(0, 2000))
def test_no_damage_is_a_surprise(flips: list[tuple[int, int]], cut: int) -> None:
    body = bytearray(matrix(SRGB, formula()))
    for at, value in flips:
        body[at % len(body)] = value
    is_srgb(bytes(body[:cut]))


@pytest.mark.parametrize(("name", "called"), [("srgb", "sRGB"), ("p3", "sP3C"), ("cmyk", "Chemical proof")])
def test_a_profile_says_its_name(name: str, called: str) -> None:
    """Those that libvips brings: one in each of the two ways to write it."""
    assert profile_description(pyvips.Operation.call("profile_load", name)) == called


def test_damage_has_no_name() -> None:
    assert profile_description(b"") is None
    assert profile_description(bytes(200)) is None
