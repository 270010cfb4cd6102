"""What a URL and presets.yaml say about an overlay."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.presets import InvalidPresets, Presets, load_presets, read_presets
from proxy.model.errors import ConflictingOptions, InvalidRequest, InvalidValue, UnknownOverlay
from proxy.options.values.overlays import OverlayKind
from proxy.url.grammar import canonical_text, parse_options
from tests.paths import ROOT

FILE = """\
presets:
  branded: "w_300,l_logo,lo_50"
  titled: "w_300,l_caption"
overlays:
  logo: {key: "brand/logo.png", gravity: southeast, width: 0.2, opacity: 0.8, x: 10, tile: false}
  caption: {text: "© Me", size: 24, color: "369", outline: 2_black, align: right, blend: screen}
overlay_keys: ["badges/"]
"""
PRESETS = read_presets(FILE, "presets.yaml")


def meant(text: str, presets: Presets = PRESETS) -> str:
    return canonical_text(parse_options(text, presets.options, presets.defaults, presets.layers))


def test_a_name_becomes_what_it_stands_for() -> None:
    assert meant("w_300,l_logo") == (
        "width_300,overlay_brand:logo.png,overlay-position_southeast,overlay-x_10,overlay-width_0.2,"
        "overlay-opacity_80"
    )
    assert meant("w_300,l_caption") == (
        "width_300,text_%C2%A9%20Me,overlay-blend_screen,text-size_24,text-color_336699,"
        "text-outline_2_000000,text-align_right"
    )


def test_an_edit_of_an_overlay_makes_another_rendition() -> None:
    edited = read_presets(FILE.replace("0.8", "0.7"), "presets.yaml")
    assert meant("w_300,l_logo") != meant("w_300,l_logo", edited)


def test_a_url_wins_over_a_preset_and_that_over_the_overlay() -> None:
    assert "overlay-opacity_50" in meant("p_branded")
    assert "overlay-opacity_30" in meant("p_branded,lo_30")
    assert "overlay-position_north" in meant("p_branded,lg_north,lo_0.5")
    assert "overlay" not in meant("p_branded,lo_0")


def test_a_text_of_the_url_has_the_place_and_the_style_of_a_named_one() -> None:
    assert meant("p_titled,text_Hi") == meant("w_300,l_caption").replace("%C2%A9%20Me", "Hi")


def test_a_named_overlay_takes_the_place_of_a_text_below_it() -> None:
    presets = read_presets(f"defaults: text_Hi\n{FILE}", "presets.yaml")
    assert "text" not in meant("w_300,l_logo", presets)


def test_two_things_cannot_lie_over_one_picture() -> None:
    with pytest.raises(ConflictingOptions, match="'logo' is a picture"):
        meant("l_logo,text_Hi")


def test_a_key_is_let_through_where_the_file_says_so() -> None:
    assert meant("l_badges:new.png") == "overlay_badges:new.png"
    assert meant("l_badges%2Fnew.png") == "overlay_badges:new.png"
    for text in ("l_lgoo", "l_secret:plan.png", "l_badges"):
        with pytest.raises(UnknownOverlay, match="begin with badges/"):
            meant(text)
    with pytest.raises(UnknownOverlay, match="did you mean 'logo'"):
        meant("l_lgoo")
    with pytest.raises(UnknownOverlay):
        meant("l_badges:new.png", Presets())
    everything = read_presets('overlay_keys: ["*"]', "presets.yaml")
    assert meant("l_a.png", everything) == "overlay_a.png"


@pytest.mark.parametrize(
    "key", ["..%2Fa.png", "a::b.png", "a%00", "%2E%2E", "a%5Cb", "", "a:..:b", "x" * 513]
)
def test_a_key_is_held_to_what_keys_are(key: str) -> None:
    with pytest.raises(InvalidValue, match="'l' takes the name of an overlay"):
        meant(f"l_{key}")


@given(st.text("ab:/.?%", min_size=1, max_size=12))
def test_a_key_has_one_spelling(key: str) -> None:
    kind = OverlayKind()
    try:
        read = kind.parse(f"/{key}" if "/" in key or ":" in key else key)
    except ValueError:
        return
    assert kind.parse(kind.format(read)) == read


def test_presets_that_name_no_overlay_of_the_file_are_told_where() -> None:
    with pytest.raises(InvalidPresets, match=r"1:14: 'a': no overlay 'nope'"):
        read_presets("presets: {a: l_nope}", "presets.yaml")


@pytest.mark.parametrize(
    "text",
    [
        "text_%0A", "text_%20%20", f"text_{'x' * 257}", "text", "text-font_Sans@size=9", "text-font_a%2Cb",
        "text-font_..%2Fetc", "text-size_0", "text-size_1001", "to_21", "to_2_nocolour", "lg_face", "lo_101",
        "lb_xor", "overlay_keys",
    ],
)  # fmt: skip
def test_what_an_overlay_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        meant(f"{text},l_caption")


@pytest.mark.parametrize(
    "text, same",
    [
        ("w_9,lg_south,lo_50,lt,lb_screen,ts_40", "w_9"),
        ("l_logo,ts_40,tc_red,to_2", "l_logo"),
        ("l_logo,lt,lg_north", "l_logo,lt"),
        ("text_a,lg_center,lx_0,lo_100,lb_normal", "text_a"),
    ],
)
def test_what_cannot_matter_is_dropped(text: str, same: str) -> None:
    assert meant(text) == meant(same)


PAGE = ROOT / "docs/overlays.md"


def test_what_the_documentation_shows_is_read() -> None:
    text = PAGE.read_text()
    (block,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    presets = read_presets(block, "docs/overlays.md")
    assert len(presets.overlays) == 4
    urls = re.findall(r"`/([^/`]+)/[a-z]+\.jpg`", text)
    assert len(urls) >= 5
    for options in urls:
        meant(options, presets)


def test_the_overlays_of_our_own_presets_are_read() -> None:
    root = PAGE.parent.parent
    presets = load_presets(root / "presets.yaml")
    assert {"logo", "caption"} <= presets.overlays.keys()
    assert "overlay_logo.png" in meant("w_800,l_logo", presets)
