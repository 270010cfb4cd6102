from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.model.errors import BrokenImage
from proxy.model.limits import Limits
from proxy.model.media import Format
from proxy.options.spec import Spec
from proxy.pipeline.decode.gif import is_cut_gif
from proxy.pipeline.render import render
from tests.pictures import animation, saved

MOVING = saved(animation(40, 30, (255, 0, 0), (0, 255, 0), (0, 0, 255)), Format.GIF)


def test_a_whole_animation_is_not_cut() -> None:
    assert not is_cut_gif(MOVING)
    assert not is_cut_gif(MOVING + b"and what else there is")


def test_the_trailer_may_be_missing() -> None:
    assert MOVING.endswith(b"\0;")
    assert not is_cut_gif(MOVING[:-1])


@given(st.integers(14, len(MOVING) - 2))
def test_an_animation_is_whole_at_the_end_of_a_block_and_nowhere_else(length: int) -> None:
    assert is_cut_gif(MOVING[:length]) or MOVING[length : length + 1] in (b",", b"!")


@pytest.mark.parametrize("share", [0.4, 0.6, 0.9])
def test_frames_that_are_missing_are_no_shorter_animation(share: float) -> None:
    with pytest.raises(BrokenImage, match="cut short"):
        render(MOVING[: int(len(MOVING) * share)], Spec(width=20), Limits())


@given(st.binary(max_size=200))
def test_any_bytes_are_judged(noise: bytes) -> None:
    assert is_cut_gif(b"GIF89a" + noise) in (True, False)
