"""Whatever a URL says, somebody can be told what it means."""

from __future__ import annotations

import pytest
from hypothesis import given

from proxy.cli.explain import explain_options, explain_plan
from proxy.geometry.boxes import Size
from proxy.geometry.plan import plan
from proxy.model.errors import InvalidRequest
from proxy.model.limits import Limits
from proxy.url.grammar import parse_options, split_items
from tests.strategies import written_options


def explained(options: str) -> dict[str, str]:
    return dict(explain_options(options, {}, {}))


def test_each_option_is_told_with_what_it_became() -> None:
    assert explained("s_300x200,g_w,f_jpg,exp_99") == {
        "s_300x200": "width_300,height_200",
        "g_w": "position_west",
        "f_jpg": "format_jpeg",
        "exp_99": "exp_99",
    }


def test_an_option_that_is_merged_into_another_is_told_as_that() -> None:
    assert explained("w_300,ar_3:2")["ar_3:2"] == "height_200"
    assert explained("w_300,dpr_2")["dpr_2"] == "width_600"
    assert explained("w_300,h_200,c_pad")["c_pad"] == "fit_contain,enlarge"


def test_an_option_without_a_meaning_here_is_told_so() -> None:
    assert explained("w_300,g_west")["g_west"] == "changes nothing here"


def test_what_is_said_twice_counts_once_and_is_no_less_true() -> None:
    assert explained("rotate_90,a_90") == {"rotate_90": "rotate_90", "a_90": "rotate_90"}


def test_a_preset_is_told_as_what_it_stands_for_less_what_the_url_says() -> None:
    presets = {"thumb": {"width": 150, "height": 150, "enlarge": True}}
    assert dict(explain_options("p_thumb,w_300,enlarge_false", presets, {})) == {
        "p_thumb": "height_150",
        "w_300": "width_300",
        "enlarge_false": "takes enlarge away",
    }


@given(written_options)
def test_whatever_is_accepted_can_be_explained(text: str) -> None:
    try:
        parse_options(text)
    except InvalidRequest:
        return
    assert [item for item, _ in explain_options(text, {}, {})] == ([] if text == "_" else split_items(text))


@pytest.mark.parametrize(
    "options, steps",
    [
        ("_", ["source: 400x300, upright", "result: 400x300"]),
        ("crop_0.5_0.5_0.5_0.5", ["cut out: 200x150 at 200,150"]),
        ("rotate_90", ["turn: 90 degrees clockwise", "result: 300x400"]),
        ("flip,flop", ["mirror: top to bottom", "mirror: left to right"]),
        ("w_100,h_100,g_auto", ["crop: 100x100 where the eye goes first"]),
        ("w_100,h_100,fit_contain", ["scale: to 100x75", "canvas: 100x100, the picture at 0,13"]),
        ("rotate_45", ["rotate: 45 degrees clockwise, which takes 495x495"]),
        ("trim", ["trim: what is within 10 of the top left pixel; here as if that were nothing"]),
        ("trim_3.5_red", ["trim: what is within 3.5 of #ff0000; here as if that were nothing"]),
        ("crop_100_100,g_auto", ["cut out: 100x100 where the eye goes first"]),
        ("crop_100_100,g_east,x_10", ["cut out: 100x100 at 290,100"]),
        ("r_max", ["round: corners of 200x150 px"]),
        ("r_10:20,dpr_1", ["round: corners of 10, 20, 10, 20 px"]),
        ("bo_4px_solid_red", ["line: 4 px around, which takes 408x308", "result: 408x308"]),
        ("sepia,grayscale,blur_3", ["effects: grayscale, then blur_3, then sepia_100", "result: 400x300"]),
        ("flatten,negate", ["flatten: on its background", "effects: negate"]),
        ("l_logo.png", ["overlay: logo.png, at 1 times its size, at center"]),
        (
            "dpr_0.5,l_logo,lw_0.2,lg_se,lx_10,ly_0.1",
            ["overlay: logo, 80 px wide, at southeast, 5 and 30 px from there"],
        ),
        ("l_a:b.png,lw_90,lt,lx_7", ["overlay: a/b.png, 90 px wide, 7 and 0 px between tiles"]),
        ("text_Hi,ts_20", ["overlay: text 'Hi', 20 px high, wrapped at 400 px, at center"]),
        ("extend_1_2_3_4", ["extend: top 1, right 2, bottom 3, left 4 px", "result: 406x304"]),
    ],
)  # fmt: skip
def test_each_step_of_a_plan_is_told(options: str, steps: list[str]) -> None:
    size = Size(400, 300)
    spec = parse_options(options)
    told = [f"{step}: {what}" for step, what in explain_plan(spec, plan(spec, size, Limits()), size)]
    assert [step for step in steps if step not in told] == []
