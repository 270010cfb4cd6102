"""Without a signature a URL asks for no more than its deployment's policy lets through."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

import pytest
from hypothesis import given

from proxy.config.presets import ListedValues, Preset, Presets
from proxy.config.settings import Policy
from proxy.model.errors import InvalidRequest, PolicyRefused
from proxy.requests.policy import POLICIES, check_policy
from proxy.url.grammar import read_options
from tests.strategies import written_options

LISTED = ListedValues(width=frozenset({1, 160, 320}), height=frozenset({200}), quality=frozenset({75}))


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
    assert refusal.facts["allowed"] == ["thumb"]


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
    ["p_thumb", "t_thumb", "preset_a:b", "p_thumb,dpr_2", "p_thumb,dpr_1.5", "dpr_auto,p_thumb",
     "p_thumb,dpr_3", "p_thumb,v_7,exp_4102444800"],
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
        ("p_thumb,dpr_0.5", "dpr", "0.5"),
    ],
)
def test_presets_refuses_everything_else(text: str, option: str, value: str) -> None:
    error = refused("presets", text)
    assert (error.facts["option"], error.facts["value"]) == (option, value)
    assert error.facts["allowed"]
    assert "without one" in error.message


@pytest.mark.parametrize(
    "text",
    ["_", "w_160", "w_320,h_200,q_75", "s_160x200", "q_auto", "q_auto:low", "w_160,dpr_2", "dpr_3", "p_any",
     "p_any,w_160,blur_5,f_auto,crop_1_2_3_4", "v_1,exp_1,fn_a.jpg"],
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
        ("w_160,q_76", "q", "76", ["75", "auto:best", "auto:good", "auto:eco", "auto:low"]),
        ("w_160,dpr_1.5", "dpr", "1.5", ["1", "2", "3"]),
        ("dpr_4", "dpr", "4", ["1", "2", "3"]),
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
    assert permitted("listed", {}, ListedValues())


def test_a_refusal_says_what_would_be_let_through() -> None:
    assert refused("listed", "w_161").message == (
        "'w_161' needs a signature: without one 'w' takes 1, 160, 320"
    )
    assert refused("presets", "p_thumb,w_161").message == (
        "'w' needs a signature: without one a URL has only p, exp, v, dpr"
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
        assert written.keys() <= {"presets", "expires", "version", "dpr"}
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
