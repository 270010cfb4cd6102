"""A presets file is read whole, or told where it is wrong."""

from __future__ import annotations

import re
import time
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from proxy.config.listed import LISTED_FIELDS, ListedValues
from proxy.config.presets import (
    NO_PRESETS,
    OVERLAY_FIELDS,
    PRESET_FIELDS,
    PRESETS_SECTIONS,
    InvalidPresets,
    Overlay,
    Preset,
    Presets,
    load_presets,
    read_presets,
)
from proxy.config.settings import load_settings
from proxy.config.yaml import MAX_FILE_BYTES
from proxy.options.spec import Mode, OutputFormat
from proxy.options.values.colours import Colour
from proxy.options.values.positions import Compass
from proxy.url.grammar import parse_options
from tests.paths import ROOT
from tests.strategies import written_options

EVERYTHING = """\
defaults: "q_80"
presets:
  thumb: "w_150,h_150,f_auto"
  card:
    options: "w_400,ar_4:3,f_auto"
    max_age: 3600
    s_maxage: 7200
    stale_while_revalidate: 60
    stale_if_error: 0
    on_error: "placeholder.png"
    on_error_status: 200
listed:
  width: [160, 320]
  height: [200]
  quality: [50, 75]
overlays:
  logo: {key: "brand/logo.png", gravity: southeast, width: 0.2, opacity: 0.8, x: 10, y: -4, tile: true}
  name: {text: "© Me", font: Sans, size: 24, color: 336699}
"""


def read(text: str) -> Presets:
    return read_presets(dedent(text), "presets.yaml")


def problem(text: str) -> str:
    with pytest.raises(InvalidPresets) as caught:
        read(text)
    return str(caught.value)


def test_everything_a_file_may_say_is_read() -> None:
    presets = read(EVERYTHING)
    assert presets.defaults == {"quality": 80}
    assert presets.presets["thumb"] == Preset(
        name="thumb", options={"width": 150, "height": 150, "format": OutputFormat.AUTO}
    )
    card = presets.presets["card"]
    assert (card.max_age, card.s_maxage) == (3600, 7200)
    assert (card.stale_while_revalidate, card.stale_if_error) == (60, 0)
    assert (card.on_error, card.on_error_status) == ("placeholder.png", 200)
    assert presets.listed == ListedValues(
        width=frozenset({160, 320}), height=frozenset({200}), quality=frozenset({50, 75})
    )
    assert presets.overlays["logo"] == Overlay(
        key="brand/logo.png", gravity=Compass.SOUTHEAST, width=0.2, opacity=0.8, x=10, y=-4, tile=True
    )
    assert presets.overlays["name"] == Overlay(
        text="© Me", font="Sans", size=24, color=Colour(0x33, 0x66, 0x99)
    )


def test_what_was_read_is_what_the_grammar_wants() -> None:
    presets = read(EVERYTHING)
    spec = parse_options("p_card,q_30", presets.options, presets.defaults)
    assert (spec.width, spec.height, spec.quality) == (400, 300, 30)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing\n",
        "---\n",
        "~",
        "{}",
        "presets:\n",
        "defaults:\npresets:\nlisted:\noverlays:\n",
        "\ufeff",
    ],
)
def test_a_file_that_says_nothing_is_no_presets(text: str) -> None:
    assert read(text) == NO_PRESETS


@pytest.mark.parametrize(
    "text, same",
    [
        ("presets: {a: w_1}", "presets: {a: {options: w_1}}"),
        ("presets: {a: '_'}", "presets: {a: {options: _}}"),
        ("presets: {a: &x w_1, b: *x}", "presets: {a: w_1, b: w_1}"),
        ("presets:\r\n  a: w_1\r\n", "presets: {a: w_1}"),
        ("presets: {a: &x w_1, b: &x w_2, c: *x}", "presets: {a: w_1, b: w_2, c: w_2}"),
        ("\ufeffpresets: {a: w_1}", "presets: {a: w_1}"),
    ],
)
def test_two_ways_to_say_one_thing(text: str, same: str) -> None:
    assert read(text) == read(same)


@pytest.mark.parametrize("options", ["fn_cat.jpg", "dl", "w_300,dl,fn_cat.jpg"])
def test_a_preset_may_say_how_its_pictures_are_saved(options: str) -> None:
    assert read(f"presets: {{a: '{options}'}}").presets["a"].options


def test_a_key_in_the_file_is_not_percent_encoded() -> None:
    text = "presets: {a: {options: w_1, on_error: 'a%20b ü.png'}, b: {options: w_1, on_error: 'https://x.example/a?b=c'}}"
    presets = read(text).presets
    assert presets["a"].on_error == "a%20b ü.png"
    assert presets["b"].on_error == "https://x.example/a?b=c"


@pytest.mark.parametrize(
    "text, said",
    [
        # options
        ("presets:\n  a: w_1,blurr\n", "2:6: 'a': no option 'blurr'; did you mean 'blur'?"),
        ("presets:\n  a:\n    options: w_0\n", "3:14: 'options': 'w' takes a whole number from 1 to 8192"),
        ("defaults: fit_cover,c_pad", "1:11: 'defaults': 'fit_cover' and 'c_pad' cannot both hold"),
        ("presets: {a: 'w_1,w_2'}", "1:14: 'a': 'w_1' and 'w_2' disagree"),
        ("presets: {a: p_b}", "1:14: 'a': 'p' has no place here: presets do not nest"),
        ("presets: {a: t_b}", "1:14: 'a': 'p' has no place here"),
        ("presets: {a: exp_1}", "1:14: 'a': 'exp' has no place here"),
        ("presets: {a: v_1}", "1:14: 'a': 'v' has no place here"),
        ("defaults: p_a", "1:11: 'defaults': 'p' has no place here"),
        ("presets: {a: 300}", "1:14: 'a' takes options such as 'w_150,h_150,f_auto', not '300'"),
        ("presets: {a: 1.5}", "1:14: 'a' takes options such as 'w_150,h_150,f_auto', not '1.5'"),
        ("presets: {a: ''}", "1:14: 'a' takes options such as 'w_150,h_150,f_auto', not ''"),
        ("presets:\n  a: \n", ": 'a' takes options such as 'w_150,h_150,f_auto', not nothing"),
        ("presets: {a: [w_1]}", "1:14: 'a' takes options such as 'w_150,h_150,f_auto', not a list"),
        ("defaults: {w: 1}", "1:11: 'defaults' takes options such as 'w_150,h_150,f_auto', not a mapping"),
        (f"defaults: v_{'x' * 3000}", "1:11: 'defaults': options have at most 2048 characters, not 3002"),
        # shape
        ("[]", "1:1: the file must be a mapping, not a list"),
        ("w_300", "1:1: the file must be a mapping, not 'w_300'"),
        ("presets: [a]", "1:10: 'presets' must be a mapping, not a list"),
        ("\npreset: {}", "2:1: the file takes defaults, presets, listed, overlays, overlay_keys, not 'pre"),
        ("<<: {presets: {}}", "1:1: the file takes defaults, presets, listed, overlays, overlay_keys, not '"),
        ("presets: {a: w_1, b: w_2, a: w_3}", "1:27: 'a' stands twice in 'presets'"),
        ("presets: {a: w_1}\npresets: {}", "2:1: 'presets' stands twice in the file"),
        ("presets: {'a b': w_1}", "1:11: a name in 'presets' has 1 to 64 letters, digits, '.', '_' or '-'"),
        ("presets: {'a:b': w_1}", "1:11: a name in 'presets' has"),
        ("presets: {[a]: w_1}", "1:11: a name in 'presets' has"),
        ("presets: {ä: w_1}", "1:11: a name in 'presets' has"),
        (f"presets: {{{'a' * 65}: w_1}}", "1:11: a name in 'presets' has"),
        ("presets: {a: {max_age: 1}}", "1:14: preset 'a' has no 'options'; '_' stands for none"),
        ("presets: {a: {options: w_1, maxage: 1}}", "1:29: preset 'a' takes options, max_age, s_maxage"),
        ("presets: {a: {options: w_1, maxage: 1}}", "not 'maxage'; did you mean 'max_age'?"),
        # values
        ("presets: {a: {options: w_1, max_age: -1}}", "1:38: 'max_age' takes a whole number from 0"),
        ("presets: {a: {options: w_1, max_age: 1 day}}", "1:38: 'max_age' takes a whole number"),
        ("presets: {a: {options: w_1, max_age: 1.5}}", "1:38: 'max_age' takes a whole number"),
        ("presets: {a: {options: w_1, max_age: }}", "2147483647, not nothing"),
        ("presets: {a: {options: w_1, on_error: ../a}}", "1:39: 'on_error': a key has no empty segments"),
        ("presets: {a: {options: w_1, on_error: /a}}", "1:39: 'on_error': a key has no empty segments"),
        ("presets: {a: {options: w_1, on_error: ~}}", "'on_error' takes a key such as brand/logo.png"),
        ("presets: {a: {options: w_1, on_error: x, on_error_status: 404}}", "'on_error_status' takes 200"),
        ("presets: {a: {options: w_1, on_error_status: 200}}", "1:46: preset 'a' has no 'on_error'"),
        ("listed: {width: 160}", "1:17: 'width' takes a list, in it a whole number from 1"),
        ("listed: {width: [160, 0.5]}", "1:23: 'width' takes a whole number from 1 to 8192, not '0.5'"),
        ("listed: {width: [160, [1]]}", "1:23: 'width' takes a whole number from 1 to 8192, not a list"),
        ("listed: {quality: [auto]}", "1:20: 'quality' takes a whole number from 1 to 100, not 'auto'"),
        ("listed: {widths: [1]}", "not 'widths'; did you mean 'width'?"),
        ("overlays: {a: {key: a.png, gravity: middel}}", "1:37: 'gravity' takes one of center, north"),
        ("overlays: {a: {key: a.png, opacity: 101}}", "1:37: 'opacity' takes a number from 0 to 100"),
        ("overlays: {a: {key: a.png, text: Hi}}", "1:15: overlay 'a' is a 'key' or a 'text', not both"),
        ("overlays: {a: {gravity: east}}", "1:15: overlay 'a' is a 'key' or a 'text', not neither"),
        ("overlays: {a: {key: a.png, font: Sans}}", "1:34: overlay 'a' is a 'key', and 'font'"),
        ("overlays: {a: a.png}", "1:15: overlay 'a' must be a mapping, not 'a.png'"),
        # YAML
        ("presets:\n  a: w_1\n b: w_2\n", "3:2: while parsing a block mapping"),
        ("presets: {a: *nobody}", "1:14: found undefined alias 'nobody'"),
        ("presets:\n\ta: w_1\n", "2:1: while scanning for the next token"),
        ("a: 1\n---\nb: 2\n", "2:1: expected a single document"),
        ("x\n# \x07", "2:3: a control character: '\\x07'"),
        ("x\n# \udcff", "2:3: a byte that is not UTF-8: '\\udcff'"),
        ("[[[[[[[[[[", "nested more than 8 levels deep"),
        ('presets: {a: "\\UFFFFFFFF"}', "1:1: no YAML 1.2: "),
        ('presets: {a: "\\U00110000"}', "1:1: no YAML 1.2: "),
        ("%YAML 9.9\n---\na: 1", "1:1: found incompatible YAML document"),
        ("%YAML 1.9\n---\na: 1", "1:1: no YAML 1.2: "),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_place(text: str, said: str) -> None:
    told = problem(text)
    assert told.startswith("presets.yaml:")
    assert said in told
    assert "\n" not in told


def test_a_place_is_right_deep_in_a_long_file() -> None:
    """ruamel.yaml reads in pieces of 4 kB."""
    many = "".join(f"  é{n}: w_1\n".replace("é", "e") + f"  # é{n}\n" for n in range(2000))
    assert ":4002:6: 'x': no option" in problem(f"presets:\n{many}  x: nope_1\n")
    assert ":4002:5: a control character" in problem(f"presets:\n{many}  # \x07\n")


def test_a_bomb_of_aliases_stays_small() -> None:
    levels = "".join(f"b{n}: &b{n} [{', '.join([f'*b{n - 1}'] * 9)}]\n" for n in range(1, 40))
    begun = time.monotonic()
    assert problem(f"b0: &b0 [x]\n{levels}").startswith("presets.yaml:1:1: the file takes")
    assert time.monotonic() - begun < 5


def test_a_node_that_holds_itself_is_refused() -> None:
    assert "must be a mapping, not a list" in problem("presets: &a [*a]")
    assert "takes options" in problem("presets: &a {x: {options: *a}}")


@pytest.mark.parametrize("tag", ["!!python/object/apply:os.system", "!!python/name:os.system", "!secret"])
def test_a_tag_constructs_nothing(tag: str) -> None:
    assert "no option 'echo'" in problem(f"presets: {{a: {tag} 'echo'}}")


def test_a_file_larger_than_anybody_writes_is_refused() -> None:
    assert (
        problem("#" * (MAX_FILE_BYTES + 1)) == f"presets.yaml: such a file has at most {MAX_FILE_BYTES} bytes"
    )


def test_a_file_is_read_from_its_path(tmp_path: Path) -> None:
    path = tmp_path / "presets.yaml"
    path.write_text(EVERYTHING, "utf-8")
    assert load_presets(path) == read(EVERYTHING)


def test_a_mistake_in_a_file_names_its_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes(b"presets:\n  # caf\xe9\n")
    with pytest.raises(InvalidPresets, match=r"/mine\.yaml:2:8: a byte that is not UTF-8"):
        load_presets(path)


def test_a_file_is_not_read_further_than_allowed(tmp_path: Path) -> None:
    path = tmp_path / "presets.yaml"
    path.write_text("é" * MAX_FILE_BYTES, "utf-8")
    with pytest.raises(InvalidPresets, match="at most"):
        load_presets(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "presets.yaml"
    with pytest.raises(InvalidPresets, match=r"presets\.yaml: cannot be read: No such file") as caught:
        load_presets(path)
    assert isinstance(caught.value.__cause__, FileNotFoundError)


def test_a_folder_is_no_presets_file(tmp_path: Path) -> None:
    with pytest.raises(InvalidPresets, match="cannot be read: Is a directory"):
        load_presets(tmp_path)


def test_the_shipped_file_is_read() -> None:
    presets = load_presets(ROOT / "presets.yaml")
    assert {"thumb", "card"} <= presets.presets.keys()
    assert presets.listed.width


def test_options_are_collected_once() -> None:
    presets = read(EVERYTHING)
    assert presets.options is presets.options
    assert presets == read(EVERYTHING)


def test_a_preset_wins_over_the_defaults() -> None:
    presets = read("defaults: c_pad,w_10\npresets: {a: 'fit_fill,h_5'}")
    spec = parse_options("p_a", presets.options, presets.defaults)
    assert (spec.width, spec.height, spec.mode) == (10, 5, None)
    assert Mode.PAD is presets.defaults["mode"]


words = st.sampled_from(
    [
        *PRESETS_SECTIONS, *PRESET_FIELDS, *LISTED_FIELDS, *OVERLAY_FIELDS,
        "a", "w_1", "300", "1.5", "~", "'w_1'", '"\\x41"', '"\\UFFFFFFFF"', "\n", "\n  ", "\n    ", "\t", " ",
        ": ", ": ", "- ", "[", "]", "{", "}", ", ", "&a ", "*a", "!!str ", "!x ", "%YAML 1.1\n---\n", "---\n",
        "...", "|\n", ">-\n", "# ", "? ", "<<: ", "\ufeff", "\x85", "\u2028", "é", "@", "\0", "'", '"',
    ]
)  # fmt: skip


@settings(max_examples=400)
@given(st.text(max_size=80) | st.lists(words, max_size=24).map("".join))
@example("%YAML 1.1\n---\npresets: {a: yes}")
def test_any_text_is_presets_or_a_mistake_with_a_place(text: str) -> None:
    try:
        told = "" if read_presets(text, "presets.yaml") else "no presets"
    except InvalidPresets as error:
        told = str(error)
    assert not told or re.match(r"presets\.yaml:[1-9]\d*:[1-9]\d*: .", told)


@settings(max_examples=200)
@given(st.dictionaries(st.sampled_from(["defaults", "a", "b"]), written_options))
def test_presets_that_were_read_can_be_asked_for(options: dict[str, str]) -> None:
    quoted = {name: "'" + text.replace("'", "''") + "'" for name, text in options.items()}
    lines = [f"defaults: {quoted.pop('defaults', '_')}", "presets:"]
    text = "\n".join([*lines, *(f"  {name}: {each}" for name, each in quoted.items())])
    try:
        presets = read_presets(text, "presets.yaml")
    except InvalidPresets:
        return
    for name in presets.presets:
        parse_options(f"p_{name}", presets.options, presets.defaults)


@pytest.mark.parametrize(
    "written, seconds", [("3600", 3600), ("1h", 3600), ("90m", 5400), ("30d", 2592000), ("0", 0)]
)
def test_lifetimes_are_written_as_in_the_settings(written: str, seconds: int) -> None:
    found = read_presets(f"presets: {{a: {{options: w_1, max_age: {written}}}}}", "presets.yaml").presets["a"]
    assert found.max_age == seconds
    assert load_settings(max_age=written).max_age == seconds


@pytest.mark.parametrize(
    "written, share", [("80", 0.8), ("0.8", 0.8), ("1", 1), ("100", 1), ("0", 0), ("2", 0.02)]
)
def test_opacity_is_written_as_in_urls(written: str, share: float) -> None:
    text = f"overlays: {{a: {{key: a.png, opacity: {written}}}}}"
    assert read_presets(text, "presets.yaml").overlays["a"].opacity == share
    if float(written) > 1:
        assert parse_options(f"w_1,text_a,lo_{written}").overlay_opacity == round(share * 100, 4)
        assert parse_options(f"o_{written}").opacity == share
