"""Where an overlay lies, and how large its letters are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.geometry import overlay
from proxy.geometry.boxes import Box, Size
from proxy.options.spec import Spec
from proxy.url.grammar import parse_options

CANVAS = Size(300, 200)


@pytest.mark.parametrize(
    "options, dpr, box",
    [
        ("l_a", 1, Box(110, 80, 80, 40)),
        ("l_a,lg_nw", 1, Box(0, 0, 80, 40)),
        ("l_a,lg_se,lx_10,ly_20", 1, Box(210, 140, 80, 40)),
        ("l_a,lg_se,lx_10,ly_20", 2, Box(120, 80, 160, 80)),
        ("l_a,lg_se,lx_0.1,ly_0.1", 2, Box(110, 100, 160, 80)),
        ("l_a,lg_nw,lw_0.5", 2, Box(0, 0, 150, 75)),
        ("l_a,lg_nw,lw_50", 2, Box(0, 0, 100, 50)),
        ("l_a,lg_nw,lw_5000", 1, Box(0, 0, 300, 150)),
        ("l_a,lg_fp_1_0,lw_20", 1, Box(280, 0, 20, 10)),
    ],
)
def test_an_overlay_lies_where_it_was_asked_for(options: str, dpr: float, box: Box) -> None:
    assert overlay.overlay_box(parse_options(options), CANVAS, Size(80, 40), dpr) == box


sides = st.integers(1, 5000)


@given(
    st.builds(Size, sides, sides),
    st.builds(Size, sides, sides),
    st.integers(1, 8192),
    st.sampled_from([1, 2.5]),
)
def test_an_overlay_never_leaves_the_picture(canvas: Size, natural: Size, width: int, dpr: float) -> None:
    for asked in (width, width / 1000, None):
        box = overlay.overlay_box(Spec(overlay="a", overlay_width=asked, overlay_x=7.0), canvas, natural, dpr)
        assert box.left >= 0 <= box.top
        assert 1 <= box.width <= canvas.width - box.left
        assert 1 <= box.height <= canvas.height - box.top


@given(st.builds(Size, sides, sides), st.integers(1, 256), st.integers(1, 1000))
def test_letters_take_no_more_than_a_picture(canvas: Size, length: int, size: int) -> None:
    found = overlay.font_size(Spec(text="x" * length, text_size=size), canvas, 4.0)
    assert 1 <= found <= size * 4
    assert found == 1 or length * found**2 <= overlay.MAX_GLYPH_COVERAGE * canvas.pixels
