from __future__ import annotations

import random
from dataclasses import replace
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.model.errors import (
    ConflictingOptions,
    InvalidRequest,
    InvalidValue,
    ProxyError,
    RepeatedOption,
    UnknownOption,
    UnknownPreset,
)
from proxy.options.spec import OPTIONS, OPTIONS_BY_NAME, SHORTHANDS, Option, Spec
from proxy.url.grammar import canonical_text, format_options, parse_options, read_options
from tests.strategies import respelled, specs, written_options


@given(specs)
def test_every_spec_survives_its_own_spelling(spec: Spec) -> None:
    assert parse_options(format_options(spec)) == spec


@given(specs)
def test_the_canonical_form_is_its_own_canonical_form(spec: Spec) -> None:
    assert canonical_text(parse_options(canonical_text(spec))) == canonical_text(spec)


@given(specs, st.randoms())
def test_order_never_matters(spec: Spec, chance: random.Random) -> None:
    items = format_options(spec).split(",")
    chance.shuffle(items)
    assert parse_options("&".join(items)) == spec


@given(respelled)
def test_another_spelling_is_the_same_or_the_same_refusal(spellings: tuple[str, str]) -> None:
    one, other = (read_or_refused(text) for text in spellings)
    assert one == other


def read_or_refused(text: str) -> Spec | type[InvalidRequest]:
    try:
        return parse_options(text)
    except InvalidRequest as error:
        return type(error)


@given(written_options)
def test_a_preset_means_what_its_options_mean(text: str) -> None:
    try:
        spec = parse_options(text)
    except InvalidRequest:
        return
    assert replace(parse_options("p_a", {"a": read_options(text)}), presets=()) == spec


@given(written_options)
@example("fn_%29,v_%28")
def test_what_the_table_allows_is_read_or_refused_as_a_contradiction(text: str) -> None:
    try:
        spec = parse_options(text)
    except (ConflictingOptions, RepeatedOption):
        return
    assert parse_options(format_options(spec)) == spec


@given(st.text(max_size=40) | st.text("wh_s:=,&()0123456789.%x-", max_size=40))
def test_any_text_is_a_spec_or_an_invalid_request(text: str) -> None:
    try:
        spec = parse_options(text)
    except InvalidRequest:
        return
    assert parse_options(format_options(spec)) == spec


EXAMPLES = [*OPTIONS.values(), *SHORTHANDS]


@pytest.mark.parametrize("option", EXAMPLES, ids=lambda option: option.name)
def test_the_example_of_an_option_uses_it(option: Option) -> None:
    found = read_options(option.example)
    assert option.name in found or option in SHORTHANDS
    assert any(item.startswith(option.names) for item in option.example.split(","))


FREE = ("version", "filename", "overlay", "text")
"""What takes nearly any text."""


@pytest.mark.parametrize("option", EXAMPLES, ids=lambda option: option.name)
def test_bad_values_are_refused_with_name_value_and_what_is_allowed(option: Option) -> None:
    name = option.names[-1]
    with pytest.raises(InvalidValue) as caught:
        parse_options(f"{name}_" + ("%00" if option.name in FREE else "%C2%A7!"))
    assert caught.value.facts["option"] == name
    assert caught.value.facts["allowed"] == option.kind.hint
    assert repr(name) in caught.value.message


def test_no_two_options_share_a_name() -> None:
    assert len(OPTIONS_BY_NAME) == sum(len(option.names) for option in EXAMPLES)


@pytest.mark.parametrize(
    "one, other",
    [
        ("w_300,h_200", "h_200&w_300"),
        ("w_300,h_200", "s_300x200"),
        ("w_300,h_200", "resize_300x200,fit_cover"),
        ("w_300,h_200", "width=300,height:200"),
        ("w_300,h_200", "w_150,h_100,dpr_2"),
        ("w_300,h_200", "w_300,h_200,dpr_1.0,enlarge_false,fn_a.jpg,dl,exp_4102444800"),
        ("w_300,h_200", "w_300,ar_3:2"),
        ("w_300,h_200", "s_300.4x200.2"),
        ("w_300", "w_300,fit_inside,g_west,x_4"),
        ("w_300", "c_limit,w_300"),
        ("s_300", "w_300,h_300"),
        ("c_fill,w_3,h_2", "fit_cover,enlarge,w_3,h_2"),
        ("c_scale,w_3,h_2", "fit_fill,enlarge,h_2,w_3"),
        ("w_9,h_9,g_ne", "w_9,h_9,pos_right-top"),
        ("w_9,h_9,g_ne", "w_9,h_9,position_5"),
        ("w_9,h_9,g_auto", "w_9,h_9,pos_17"),
        ("flip,blur,w_9", "flip_,blur_,w_9"),
        ("opacity_0.5", "o_50"),
        ("_", "opacity_1"),
        ("w_9,h_9,g_north_east", "w_9,h_9,position_top%20right"),
        ("w_9,h_9", "w_9,h_9,g_center"),
        ("b_f00,w_9", "background_%23FF0000,w_9"),
        ("b_rgb:ff0000,w_9", "b_red,w_9"),
        ("b_rgb(255,0,0),w_9", "b_ff0000ff,w_9"),
        ("rotate_-90", "a_270"),
        ("a_hflip", "flop"),
        ("a_exif,w_3", "w_3,rotate"),
        ("f_jpg,q_80", "q_80,format_jpeg"),
        ("crop_100%5F50%5F300%5F200", "extract_100_50_300_200"),
        ("pad_10", "extend_10_10_10_10_background"),
        ("f_png,q_70,w_3", "w_3,f_png"),
        ("q_auto", "quality_auto:good"),
        ("_", "dpr_2"),
        ("modulate_1_2_90", "saturation_2,hue_90,brightness_1"),
        ("blur_true,sharpen_false,w_9", "w_9,blur"),
        ("greyscale,normalise", "normalize_true,grayscale_1"),
        ("threshold_true,median_true", "threshold_128,median_3"),
        ("threshold_false,median_false,sepia_false,o_100", "_"),
        ("sharpen_2_1_2", "sharpen_2"),
        ("linear_2_0", "linear_2"),
        ("tint_rgb:ff0000", "tint_red_100"),
        ("e_blur:300", "e_blur_300"),
        ("e_blur:300,e_grayscale", "grayscale,blur_6"),
        ("e_blur%3A300", "e:blur=300"),
        ("e_auto_contrast,e_hue", "normalize,hue_144"),
        ("e_tint:40:rgb:0000ff", "tint_blue_40"),
        ("e_tint:40", "tint_red_40"),
        ("e_sharpen", "sharpen_1_1_2"),
        ("e_brightness:-50,e_contrast,e_saturation:100", "brightness_0.5,saturation_2"),
        ("e_blackwhite", "threshold"),
        ("w_300,h_200,zoom_2", "w_600,h_400"),
        ("w_300,h_200,zoom_2,dpr_2", "w_1200,h_800"),
        ("w_300,h_200,zoom_2,pad_3", "w_600,h_400,pad_3"),
        ("zoom_0.5", "w_0.5"),
        ("w_333,zoom_1.5", "w_333,dpr_1.5"),
        ("w_333,zoom_3,dpr_0.5", "w_333,dpr_1.5"),
        ("zoom_2,c_pad", "w_2.0,enlarge"),
        ("w_300,mw_400", "min-w_400,w_300"),
        ("w_30,h_20,c_thumb", "w_30,h_20,c_thumb,g_faces"),
        ("w_30,h_20,c_auto", "w_30,h_20,c_fill,g_auto"),
        ("w_30,h_20,c_thumb,g_west", "w_30,h_20,c_fill,g_west"),
        ("w_30,c_thumb", "w_30,enlarge"),
        ("w_30,h_20,g_auto,x_9", "w_30,h_20,g_auto"),
        ("w_30,h_20,c_pad,g_auto", "w_30,h_20,c_pad"),
        ("trim", "trim_10"),
        ("trim_10_rgb:ff0000", "trim_10.0_red"),
        ("r_10,w_3", "radius_10:10:10:10,w_3"),
        ("w_3,f_png,b_red", "w_3,f_png"),
        ("w_3,h_3,f_webp,b_blurred,rotate_90", "w_3,h_3,f_webp,rotate_90"),
        ("w_3,f_png,pad_3_mirror,b_red", "w_3,f_png,pad_3_mirror"),
        ("r_1:2", "r_1_2_1_2"),
        ("r_1:2:3", "r_1:2:3:2"),
        ("r_0:0,bo_0px_solid_red", "_"),
        ("bo_4px_solid_ff0000", "border_4px_solid_rgb:f00"),
        ("bo_4px_solid_red", "bo_4_solid_rgb(255,0,0)"),
        ("gamma_2.2_2.2,w_9", "gamma,w_9"),
        ("gamma_1,w_9", "w_9"),
        ("e_gamma:100", "gamma_1_2"),
        ("e_gamma:-50", "gamma_2_1"),
        ("e_trim:20:red,w_9", "trim_51_red,w_9"),
        ("e_trim,w_9", "trim_25.5,w_9"),
    ],
)
def test_one_meaning_has_one_canonical_form(one: str, other: str) -> None:
    assert canonical_text(parse_options(one)) == canonical_text(parse_options(other))


@pytest.mark.parametrize(
    "one, other",
    [
        ("w_300,h_200", "w_300,h_200,enlarge"),
        ("w_300,h_200", "w_300,h_200,v_2"),
        ("w_300,h_200", "w_300,h_200,c_lfill"),
        ("w_100,pad_10,dpr_2", "w_200,pad_10"),
        ("w_1", "w_1.0"),
        ("w_333,h_200,dpr_1.5", "w_500,h_300"),
        ("c_crop,w_9,h_9,x_3", "c_crop,w_9,h_9,x_3,g_center"),
        ("w_300,h_200,dpr_2,mw_200", "w_600,h_400,mw_400"),
        ("w_300,dpr_2,bo_4px_solid_red", "w_600,bo_8px_solid_red"),
        ("w_300,dpr_2,r_5", "w_600,r_5"),
        ("ar_1:1", "ar_1:1,zoom_0.5"),
        ("ar_1:1", "ar_1:1,dpr_0.5"),
        ("ar_1:1", "ar_1:1,enlarge,dpr_2"),
        ("r_max", "r_8192"),
        ("trim", "trim_10_white"),
        ("w_3,f_png,flatten,b_red", "w_3,f_png,flatten"),
        ("w_3,f_jpg,b_red", "w_3,f_jpg"),
        ("w_3,b_red", "w_3"),
        ("w_3,f_png,b_red,r_9", "w_3,f_png,r_9"),
        ("w_3,f_png,b_red,pad_3", "w_3,f_png,pad_3"),
        ("w_3,f_png,b_red,rotate_20", "w_3,f_png,rotate_20"),
        ("w_3,h_3,c_pad,f_png,b_red", "w_3,h_3,c_pad,f_png"),
        ("f_auto", "f_webp"),
    ],
)
def test_different_meanings_stay_apart(one: str, other: str) -> None:
    assert canonical_text(parse_options(one)) != canonical_text(parse_options(other))


@pytest.mark.parametrize(
    "text, error, message",
    [
        ("blurr_3", UnknownOption, "no option 'blurr'; did you mean 'blur'?"),
        ("e_blurr:3", UnknownOption, "no option 'e_blurr'; did you mean 'e_blur'?"),
        ("e", UnknownOption, "no option 'e'"),
        ("e_blur:3000", InvalidValue, "'e_blur' takes a whole number from 1 to 2000, or nothing"),
        ("e_blur:300,e_blur:400", RepeatedOption, "'e_blur:300' and 'e_blur:400' disagree"),
        ("e_blur:300,blur_5", RepeatedOption, "'e_blur:300' and 'blur_5' disagree"),
        ("tint_transparent", InvalidValue, "an opaque colour"),
        ("hue_361", InvalidValue, "'hue' takes a number from -360 to 360, not '361'"),
        ("w_0", InvalidValue, "'w' takes a whole number from 1 to 8192, or a share up to 10"),
        ("w", InvalidValue, "not nothing"),
        ("w_300,w_400", RepeatedOption, "'w_300' and 'w_400' disagree"),
        ("w_300,width_400", RepeatedOption, "'w_300' and 'width_400' disagree"),
        ("s_300x200,w_400", RepeatedOption, "'s_300x200' and 'w_400' disagree"),
        ("fit_cover,c_fill,w_3", ConflictingOptions, "both say how"),
        ("c_limit,enlarge,w_3", ConflictingOptions, "never enlarges"),
        ("w_3,h_3,ar_1:1", ConflictingOptions, "cannot both hold"),
        ("W_300", UnknownOption, "no option 'W'; did you mean 'w'?"),
        ("w300", UnknownOption, "no option 'w300'; did you mean 'w_300'?"),
        ("dpr1.5", UnknownOption, "no option 'dpr1.5'; did you mean 'dpr_1.5'?"),
        ("300x200", UnknownOption, "no option '300x200'; did you mean 's_300x200'?"),
        ("fl_progressive", UnknownOption, "no option 'fl': a parameter of Cloudinary's that has no counter"),
        ("$size_100", UnknownOption, "no option '$size': a parameter of Cloudinary's"),
        ("e_oil_paint:20", UnknownOption, "no option 'e_oil_paint'"),
        ("e_oil_paint_20", UnknownOption, "no option 'e_oil_paint'"),
        ("w_300,,h_200", UnknownOption, "no option '': a separator too many"),
        ("_,w_300", UnknownOption, "no option '': '_' means none where it stands alone"),
        ("fit_covr", InvalidValue, "not 'covr'; did you mean 'cover'?"),
        ("c_Fill", InvalidValue, "not 'Fill'; did you mean 'fill'?"),
        ("g_nort", InvalidValue, "not 'nort'; did you mean 'north'?"),
        ("", InvalidRequest, "'_' stands for none"),
        ("mw_0", InvalidValue, "'mw' takes a whole number from 1 to 8192"),
        ("zoom_11", InvalidValue, "'zoom' takes a number from 0.1 to 10, not '11'"),
        ("trim_256", InvalidValue, "'trim' takes a number from 0 to 255, or nothing for 10"),
        ("trim_red", InvalidValue, "not 'red'"),
        ("r_1:2:3:4:5", InvalidValue, "'r' takes max, or 1 to 4 whole numbers from 0 to 8192"),
        ("r_8193", InvalidValue, "not '8193'"),
        ("bo_4px_dashed_red", InvalidValue, "'bo' takes WIDTHpx_solid_COLOUR, the width from 0 to 8192"),
        ("bo_9999px_solid_red", InvalidValue, "not '9999px_solid_red'"),
        ("c_auto,enlarge_false,w_9", ConflictingOptions, "enlarges by itself"),
        ("p_nothing", UnknownPreset, "no preset 'nothing'"),
    ],
)  # fmt: skip
def test_a_refusal_says_what_was_wrong(text: str, error: type[ProxyError], message: str) -> None:
    with pytest.raises(error) as caught:
        parse_options(text)
    assert message in caught.value.message


@pytest.mark.parametrize(
    "twin",
    [
        "0300",
        "+300",
        "3_00",
        " 300",
        "300 ",
        "３００",
        "٣٠٠",
        "3e2",
        "300.",
        ".5",
        "0x12c",
        "nan",
        "inf",
        "1e400",
        "-0",
    ],
)
def test_a_number_has_one_spelling(twin: str) -> None:
    with pytest.raises(InvalidValue):
        parse_options("w_" + quote(twin))


def test_an_option_may_be_repeated_when_it_agrees() -> None:
    assert parse_options("w_300,width_300,h_200,s_300x200") == parse_options("w_300,h_200")


def test_separators_inside_parentheses_do_not_split() -> None:
    assert parse_options("b_rgb(1,2,3),w_9,fit_contain,h_3").background is not None


def test_an_escaped_separator_is_a_part_of_the_argument() -> None:
    assert parse_options("fn_a%2Cb%26c.jpg,w_3").filename == "a,b&c.jpg"


PRESETS = {name: read_options(text) for name, text in {
    "thumb": "w_150,h_150,f_auto", "wide": "w_400,ar_4:3", "filled": "c_fill,w_100,h_50",
}.items()}  # fmt: skip


@pytest.mark.parametrize(
    "text, same",
    [
        ("p_thumb", "w_150,h_150,f_auto"),
        ("p_thumb,w_200", "w_200,h_150,f_auto"),
        ("p_thumb:wide", "w_400,h_300,f_auto"),
        ("p_wide", "w_400,h_300"),
        ("p_wide,h_500", "w_400,h_500"),
        ("p_wide,ar_1", "w_400,h_400"),
        ("p_thumb,ar_3:2", "w_150,h_100,f_auto"),
        ("p_filled,fit_inside", "fit_inside,w_100,h_50"),
        ("t_thumb,f_png", "w_150,h_150,f_png"),
    ],
)
def test_what_the_url_says_wins_over_a_preset(text: str, same: str) -> None:
    assert canonical_text(parse_options(text, PRESETS)) == canonical_text(parse_options(same))


def test_defaults_lie_under_everything() -> None:
    defaults = read_options("q_80,w_10")
    assert canonical_text(parse_options("p_wide", PRESETS, defaults)) == canonical_text(
        parse_options("w_400,h_300,q_80")
    )
    assert parse_options("q_3", PRESETS, defaults).quality == 3
