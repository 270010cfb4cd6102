"""Without a signature a URL asks for no more than its deployment's policy lets through."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, get_args

import pytest
from hypothesis import given

from proxy.config.listed import ListedValues
from proxy.config.presets import Preset, Presets
from proxy.config.settings import Policy
from proxy.model.errors import InvalidRequest, PolicyRefused
from proxy.model.negotiation import Bucket
from proxy.options.row import Option
from proxy.options.spec import OPTIONS, SHORTHANDS
from proxy.requests.policy import (
    ALLOWED_BY_LISTED,
    ALLOWED_BY_PRESETS,
    POLICIES,
    check_policy,
    check_result,
)
from proxy.url.grammar import read_options, resolve_options, split_items
from tests.strategies import written_options

LISTED = ListedValues(
    width=frozenset({1, 160, 320}),
    height=frozenset({200}),
    quality=frozenset({75}),
    combinations=frozenset({("a", "b"), ("thumb", "nothing")}),
)


def presets_of(written: Mapping[str, Any], listed: ListedValues) -> Presets:
    """Those that are named, all but `nothing`."""
    names = set(written.get("presets", ())) - {"nothing"}
    return Presets(presets={name: Preset(name=name, options={}) for name in names}, listed=listed)


def refused(policy: str, text: str, listed: ListedValues = LISTED) -> PolicyRefused:
    written = read_options(text)
    with pytest.raises(PolicyRefused) as caught:
        check_policy(policy, written, presets_of(written, listed))
    return caught.value


def permitted(policy: str, written: Mapping[str, Any], listed: ListedValues = LISTED) -> bool:
    try:
        check_policy(policy, written, presets_of(written, listed))
    except PolicyRefused:
        return False
    return True


def test_every_policy_of_the_settings_has_a_meaning() -> None:
    assert set(POLICIES) == set(get_args(Policy))


def test_a_preset_that_is_none_needs_a_signature_like_anything_else() -> None:
    refusal = refused("presets", "p_thumb:nothing")
    assert "'nothing' is none" in refusal.message
    assert refusal.facts["allowed"] == "the name of one of this server's presets"


@pytest.mark.parametrize("text", ["_", "p_thumb", "w_160", "exp_1,v_2"])
def test_deny_refuses_everything(text: str) -> None:
    assert "needs a signature" in refused("deny", text).message


@given(written_options)
def test_allow_refuses_nothing(text: str) -> None:
    try:
        written = read_options(text)
    except InvalidRequest:
        return
    assert permitted("allow", written)


@pytest.mark.parametrize(
    "text",
    ["p_thumb", "t_thumb", "p_thumb,dpr_2", "dpr_auto,p_thumb", "p_thumb,dpr_3", "p_thumb,exp_4102444800",
     "preset_a:b"],
)  # fmt: skip
def test_presets_lets_presets_through(text: str) -> None:
    assert permitted("presets", read_options(text))


@pytest.mark.parametrize(
    "text, option, value",
    [
        ("_", "p", ""),
        ("v_1", "p", ""),
        ("w_300", "p", ""),
        ("p_thumb,w_300", "w", "300"),
        ("p_thumb,s_300x200", "w", "300"),
        ("p_thumb,f_webp", "f", "webp"),
        ("p_thumb,a_hflip", "flop", ""),
        ("p_thumb,fn_x.jpg", "fn", "x.jpg"),
        ("p_thumb,dl", "dl", ""),
        ("p_thumb,dpr_3.5", "dpr", "3.5"),
        ("p_thumb,dpr_1.5", "dpr", "1.5"),
        ("p_thumb,dpr_0.5", "dpr", "0.5"),
        ("p_thumb,v_7", "v", "7"),
        ("p_b:a", "p", "b:a"),
        ("p_a:b:a", "p", "a:b:a"),
    ],
)
def test_presets_refuses_everything_else(text: str, option: str, value: str) -> None:
    error = refused("presets", text)
    assert (error.facts["option"], error.facts["value"]) == (option, value)
    assert error.facts["allowed"]
    assert "without one" in error.message


@pytest.mark.parametrize(
    "text",
    ["w_160", "h_200", "w_320,h_200,q_75", "s_160x200", "w_160,dpr_2", "w_160,dpr_1", "p_any", "p_any,dpr_3",
     "p_any,w_160,f_auto,exp_1", "w_160,fit_contain,f_webp", "w_160,h_200,c_pad,g_north", "p_a:b"],
)  # fmt: skip
def test_listed_lets_what_is_listed_through(text: str) -> None:
    assert permitted("listed", read_options(text))


@pytest.mark.parametrize(
    "text, option, value, allowed",
    [
        ("w_161", "w", "161", ["1", "160", "320"]),
        ("w_0.5", "w", "0.5", ["1", "160", "320"]),
        ("w_1.0", "w", "1.0", ["1", "160", "320"]),
        ("s_160x160", "h", "160", ["200"]),
        ("h_0.5", "h", "0.5", ["200"]),
        ("w_160,q_76", "q", "76", ["75"]),
        ("w_160,q_auto", "q", "auto:good", ["75"]),
        ("w_160,dpr_1.5", "dpr", "1.5", ["1", "2", "3"]),
        ("w_160,dpr_4", "dpr", "4", ["1", "2", "3"]),
        ("w_320,dpr_2", "w", "320", ["160"]),
        ("h_200,dpr_3", "h", "200", []),
        ("_", "w", "", ["1", "160", "320"]),
        ("q_75,f_auto", "w", "", ["1", "160", "320"]),
    ],
)
def test_listed_refuses_what_is_not(text: str, option: str, value: str, allowed: list[str]) -> None:
    assert refused("listed", text).facts == {"option": option, "value": value, "allowed": allowed}


@pytest.mark.parametrize(
    "text, option, value",
    [
        ("w_160,zoom_1.37", "zoom", "1.37"),
        ("mw_1234", "mw", "1234"),
        ("h_200,min-h_1234", "mh", "1234"),
        ("w_160,pad_99", "pad", "99_99_99_99"),
        ("w_160,bo_99px_solid_red", "bo", "99px_solid_ff0000"),
        ("w_160,q_75,mb_4321", "mb", "4321"),
        ("w_160,effort_9", "effort", "9"),
        ("w_160,f_best", "f", "best"),
        ("w_160,text_buy", "text", "buy"),
    ],
)
def test_listed_refuses_what_gets_around_its_lists_or_takes_long(text: str, option: str, value: str) -> None:
    refusal = refused("listed", text)
    assert (refusal.facts["option"], refusal.facts["value"]) == (option, value)
    assert permitted("listed", read_options("p_any,w_160"))


def test_a_list_that_is_not_there_admits_nothing() -> None:
    error = refused("listed", "w_160", ListedValues())
    assert error.message == "'w_160' needs a signature: without one 'w' takes nothing"
    assert not permitted("listed", {}, ListedValues())
    assert permitted("listed", read_options("p_thumb"), ListedValues())


def test_a_refusal_says_what_would_be_let_through() -> None:
    assert refused("listed", "w_161").message == (
        "'w_161' needs a signature: without one 'w' takes 1, 160, 320"
    )
    assert refused("presets", "p_thumb,w_161").message == (
        "'w' needs a signature: without one a URL has only p, exp, dpr"
    )


def test_an_effect_that_is_taken_away_needs_a_signature_too() -> None:
    assert refused("presets", "p_thumb,blur_false").message.startswith("'blur' needs a signature")


@given(written_options | written_options.map(lambda text: f"p_thumb,{text}"))
def test_presets_never_lets_a_width_through(text: str) -> None:
    try:
        written = read_options(text)
    except InvalidRequest:
        return
    if permitted("presets", written):
        assert written.keys() <= {"presets", "expires", "dpr"}
        assert written["presets"] == ("thumb",)


@given(written_options)
def test_listed_never_lets_an_unlisted_size_through(text: str) -> None:
    try:
        written = read_options(text)
    except InvalidRequest:
        return
    if permitted("listed", written):
        for name, among in (("width", LISTED.width), ("height", LISTED.height)):
            assert name not in written or (isinstance(written[name], int) and written[name] in among)


@pytest.mark.parametrize("option", [*OPTIONS.values(), *SHORTHANDS], ids=lambda option: option.names[0])
def test_policies_are_allow_lists(option: Option) -> None:
    """Whatever an option is called, and whatever option is added: what the list does not name is refused."""
    argument = next(
        item.removeprefix(name)
        for item in split_items(option.example)
        for name in sorted(option.names, key=len, reverse=True)
        if re.fullmatch(rf"{re.escape(name)}([_:=].*)?", item)
    )
    for name in option.names:
        text = f"{name}{argument}"
        names = read_options(text).keys()
        assert names, "it was read"
        for policy, beside, allowed in (
            ("listed", "w_160", ALLOWED_BY_LISTED),
            ("presets", "p_thumb", ALLOWED_BY_PRESETS),
        ):
            if not names <= set(allowed):
                assert refused(policy, f"{beside},{text}").facts["allowed"]


@pytest.mark.parametrize(
    "text",
    [
        "keep_all", "crop_0.1_0.1_0.5_0.5", "extract_0_0_10_10", "ar_16:9", "trim", "e_trim",
        "rotate_33,sharpen_10", "a_45", "a_exif", "v_1", "v_anything", "f_best", "g_face", "g_attention",
        "g_fp_0.1_0.2", "c_thumb", "c_auto", "zoom_2", "enlarge", "e_blur:300", "e_sepia", "page_3", "pg_2",
        "animated_false", "lossless", "dl", "fn_a", "kernel_nearest", "autoorient_false", "icc_keep",
        "b_blurred", "x_10", "o_50", "l_logo", "text_hi",
    ],
)  # fmt: skip
def test_what_leaks_or_costs_more_is_not_listed(text: str) -> None:
    refused("listed", f"w_160,{text}")
    refused("listed", f"p_thumb,{text}")
    refused("presets", f"p_thumb,{text}")


def test_the_presets_file_may_list_more() -> None:
    listed = ListedValues(width=frozenset({160}), options=frozenset({"rotate", "blur"}), dpr=frozenset({1.5}))
    assert permitted("listed", read_options("w_160,rotate_90,blur_3"), listed)
    assert not permitted("listed", read_options("w_160,sharpen_3"), listed)
    assert permitted("presets", read_options("p_thumb,dpr_1.5"), listed)
    assert not permitted("presets", read_options("p_thumb,rotate_90"), listed)


@pytest.mark.parametrize("policy", ["presets", "listed"])
def test_combinations_are_refused_without_their_names(policy: str) -> None:
    refusal = refused(policy, "p_any:other")
    assert (refusal.facts["option"], refusal.facts["value"]) == ("p", "any:other")
    assert refusal.facts["allowed"] == "one preset, or several in a combination that the presets file names"
    assert not any(name in refusal.message for name in ("a:b", "thumb"))


RESULT_PRESETS = {
    "card": "w_400,h_300", "wide": "w_400,ar_16:9", "square": "ar_1:1,w_200", "dense": "w_300,dpr_3",
    "zoomed": "w_100,zoom_4", "mono": "grayscale", "tilted": "w_400,h_300,rotate_33", "upright": "rotate_90",
    "slow": "w_400,effort_9,blur_20", "padded": "w_200,extend_50", "least": "mw_3000",
    "framed": "w_200,border_9px_solid_gold", "share": "w_0.5", "small": "w_400,q_auto",
}  # fmt: skip
"""What the presets of `plan_checked` say."""

RESULT_LISTED = ListedValues(width=frozenset({320, 640, 1920}), height=frozenset({240, 480, 1080}))


def plan_checked(text: str, listed: ListedValues = RESULT_LISTED, defaults: str = "") -> None:
    """Check a URL under `listed` as a request is: as it is written, and what comes of it."""
    presets = Presets(
        presets={
            name: Preset(name=name, options=read_options(options)) for name, options in RESULT_PRESETS.items()
        },
        listed=listed,
        defaults=read_options(defaults) if defaults else {},
    )
    written = read_options(text)
    check_policy("listed", written, presets)
    spec = resolve_options(written, presets.options, presets.defaults)
    check_result("listed", written, spec, presets, Bucket())


@pytest.mark.parametrize(
    "text",
    ["w_320", "w_1920,h_1080", "w_640,dpr_3", "p_card", "p_card,dpr_3", "p_card,w_1920,h_1080",
     "p_wide,w_1920", "p_wide,h_1080", "p_square,dpr_2", "p_square,h_240", "p_dense", "p_dense,w_640",
     "p_zoomed", "p_mono", "p_mono,w_320", "p_tilted", "p_upright,w_320", "p_slow,w_640", "p_padded,dpr_2",
     "p_framed", "p_dense,w_640,dpr_1", "p_least", "p_share", "p_share,h_240", "p_small,w_320"],
)  # fmt: skip
def test_listed_sides_and_the_own_size_of_a_preset_pass(text: str) -> None:
    plan_checked(text)


@pytest.mark.parametrize(
    "text, option, value",
    [
        ("p_square,w_320", "h", "320"),
        ("p_wide,w_320", "h", "180"),
        ("p_dense,w_1920", "w", "5760"),
        ("p_dense,h_480", "h", "1440"),
        ("p_zoomed,w_320", "w", "1280"),
        ("p_zoomed,h_1080", "h", "4320"),
        ("p_tilted,w_320", "rotate", "33"),
        ("p_padded,w_320", "pad", "50_50_50_50"),
        ("p_framed,w_320,h_240", "bo", "9px_solid_ffd700"),
        ("p_least,w_320", "mw", "3000"),
        ("p_slow,w_1920,h_1080", "p", "slow"),
        ("p_slow,w_1920,f_gif", "p", "slow"),
        ("p_small,w_1920", "p", "small"),
    ],
)
def test_a_preset_makes_nothing_unlisted_of_another_size(text: str, option: str, value: str) -> None:
    """What is planned is judged, and not only what is written."""
    with pytest.raises(PolicyRefused) as caught:
        plan_checked(text)
    assert (caught.value.facts["option"], caught.value.facts["value"]) == (option, value)
    assert caught.value.facts["allowed"]


@pytest.mark.parametrize("defaults, value", [("dpr_2", "3840"), ("zoom_3", "5760")])
def test_defaults_make_nothing_unlisted_of_a_listed_size(defaults: str, value: str) -> None:
    with pytest.raises(PolicyRefused) as caught:
        plan_checked("w_1920", defaults=defaults)
    assert caught.value.facts["value"] == value


def test_options_that_the_lists_name_multiply_as_they_like() -> None:
    listed = ListedValues(width=RESULT_LISTED.width, options=frozenset({"zoom"}))
    plan_checked("w_320,zoom_3", listed)
    plan_checked("w_320,rotate_33", ListedValues(width=RESULT_LISTED.width, options=frozenset({"rotate"})))
