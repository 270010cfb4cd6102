from __future__ import annotations

import html
import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest
import pyvips
from hypothesis import given, settings
from hypothesis import strategies as st

import proxy.pipeline.tasks  # noqa: F401  libvips and fonts as in renderers
from proxy.fonts.files import OWN_FONTS_FILE
from proxy.model.errors import InvalidValue, UnusableOverlay
from proxy.model.limits import Limits
from proxy.model.media import Format
from proxy.options.values.overlays import OverlayTextKind
from proxy.pipeline.render import render
from proxy.url.grammar import parse_options
from tests.pictures import (
    HERE,
    animation,
    disc,
    loaded,
    near,
    photo,
    pixel,
    plain,
    quadrants,
    saved,
    tagged,
)

LIMITS = Limits()
PROFILE = "icc-profile-data"
GREY = saved(plain(200, 100, 128, 128, 128), Format.PNG)
LOGO = saved(plain(40, 20, 200, 30, 30), Format.PNG)
RED = (200, 30, 30)


def drawn(options: str, body: bytes = GREY, overlay: bytes = LOGO, limits: Limits = LIMITS) -> pyvips.Image:
    return loaded(render(body, parse_options(options), limits, overlay=overlay).body)


PLACES = {
    "northwest": (0.05, 0.05), "north": (0.5, 0.05), "northeast": (0.95, 0.05),
    "west": (0.05, 0.5), "center": (0.5, 0.5), "east": (0.95, 0.5),
    "southwest": (0.05, 0.95), "south": (0.5, 0.95), "southeast": (0.95, 0.95),
}  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_an_overlay_lies_in_each_of_the_nine_places(place: str) -> None:
    image = drawn(f"l_logo,lw_0.2,lg_{place}")
    seen = {name for name, at in PLACES.items() if near(pixel(image, *at), RED)}
    assert seen == {place}


def test_an_overlay_lies_on_what_the_picture_was_extended_by() -> None:
    image = drawn("extend_30,b_blue,l_logo,lg_se")
    assert near(pixel(image, 0.99, 0.99), RED)
    assert near(pixel(image, 0.01, 0.99), (0, 0, 255))


def test_effects_leave_the_overlay_alone() -> None:
    image = drawn("grayscale,l_logo")
    assert near(pixel(image, 0.5, 0.5), RED)


def test_opacity_is_a_share_of_the_overlay() -> None:
    assert near(pixel(drawn("l_logo,lo_50"), 0.5, 0.5), (164, 79, 79), 2)


@pytest.mark.parametrize(
    "mode, seen",
    [
        ("multiply", (100, 15, 15)),
        ("screen", (228, 143, 143)),
        ("darken", (128, 30, 30)),
        ("lighten", (200, 128, 128)),
        ("difference", (72, 98, 98)),
        ("add", (255, 158, 158)),
    ],
)
def test_colours_meet_as_css_has_it(mode: str, seen: tuple[int, ...]) -> None:
    assert near(pixel(drawn(f"l_logo,lb_{mode}"), 0.5, 0.5), seen, 2)


def test_tiles_cover_the_picture_and_keep_their_gaps() -> None:
    image = drawn("l_logo,lt")
    assert (image.min(), pixel(image, 0, 0)) == (30, RED)
    assert near(pixel(image, 0.999, 0.999), RED)
    spaced = drawn("l_logo,lt,lx_10,ly_0.1")
    reds = [x for x in range(200) if near(tuple(map(int, spaced(x, 0))), RED)]
    assert reds == [x for x in range(200) if x % 50 < 40]
    assert [y for y in range(100) if near(tuple(map(int, spaced(0, y))), RED)] == [
        y for y in range(100) if y % 30 < 20
    ]


def test_what_is_transparent_stays_so_and_what_is_opaque_too() -> None:
    clear = saved(disc(100, 100, 20, 20, 230), Format.PNG)
    image = drawn("l_logo,lg_nw,lw_0.2", clear)
    assert image.bands == 4
    assert near(pixel(image, 0.05, 0.05), (*RED, 255))
    assert pixel(image, 0.95, 0.95)[3] == 0
    assert drawn("l_logo").bands == 3


def test_soft_edges_have_no_fringe() -> None:
    """Half transparent pixels between red and grey are between red and grey, and never darker."""
    image = drawn("l_logo", overlay=saved(disc(60, 60, *RED), Format.PNG))
    assert image.extract_band(0).min() >= 127


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_overlay_is_turned_upright(orientation: int) -> None:
    overlay = saved(tagged(quadrants(80, 40), orientation=orientation), Format.JPEG)
    upright = loaded(overlay).autorot()
    image = drawn("l_logo,lg_nw", overlay=overlay)
    for x, y in ((0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75)):
        at = x * upright.width / 200, y * upright.height / 100
        assert near(pixel(image, *at), pixel(upright, x, y), 30)


@pytest.mark.parametrize("format", HERE)
def test_an_overlay_may_have_any_format(format: Format) -> None:
    image = drawn("l_logo,lw_0.5", overlay=saved(plain(64, 32, *RED), format))
    assert near(pixel(image, 0.5, 0.5), RED, 16)


def test_an_overlay_has_the_colours_of_its_profile_and_lands_in_those_of_the_picture() -> None:
    wide = plain(40, 20, 200, 30, 30).icc_transform("p3", input_profile="srgb", embedded=False, depth=8)
    overlay = saved(wide, Format.PNG, profile="p3")
    assert near(pixel(drawn("l_logo", overlay=overlay), 0.5, 0.5), RED, 3)
    for options in ("icc_p3", "icc_keep"):
        picture = saved(plain(200, 100, 90, 90, 90), Format.PNG, profile="p3")
        image = drawn(f"l_logo,{options}", picture, overlay)
        assert image.get(PROFILE) == loaded(picture).get(PROFILE)
        assert near(pixel(image, 0.5, 0.5), pixel(wide, 0.5, 0.5), 3)


@pytest.mark.parametrize(
    "overlay, words",
    [(b"<html>", "the overlay 'logo': "), (LOGO[:60], "the overlay 'logo': "), (b"", "the overlay 'logo': ")],
)
def test_a_broken_overlay_is_called_by_its_key(overlay: bytes, words: str) -> None:
    with pytest.raises(UnusableOverlay, match=words):
        drawn("l_logo", overlay=overlay)


def test_an_overlay_is_held_to_the_limits_of_originals() -> None:
    with pytest.raises(UnusableOverlay, match="at most 1000 are decoded"):
        drawn("l_logo", saved(plain(9, 9, 1, 2, 3), Format.PNG), saved(plain(40, 40, 1, 2, 3), Format.PNG),
              Limits(max_source_pixels=1000))  # fmt: skip


def inked(image: pyvips.Image) -> tuple[int, int, int, int]:
    """Left, top, width and height of what is not grey."""
    left, top, width, height = image.find_trim(background=[128, 128, 128], threshold=20)
    return left, top, width, height


def test_a_text_lies_where_it_was_asked_for_in_its_colour() -> None:
    image = drawn("text_Hm,lg_sw,tc_ff0000,ts_30")
    left, top, width, height = inked(image)
    assert left <= 3
    assert top + height == 100
    assert 20 < width < 80
    assert 15 < height < 35
    assert image.crop(left, top, width, height).extract_band(0).max() > 250
    assert image.extract_band(1).max() <= 128


def test_a_text_that_wraps_is_narrower_and_higher() -> None:
    _, _, wide, low = inked(drawn("text_one%20two%20three,ts_20"))
    _, _, narrow, high = inked(drawn("text_one%20two%20three,ts_20,lw_0.3"))
    assert narrow <= 60 < wide
    assert high > 2 * low


def test_lines_stand_to_each_other_as_asked() -> None:
    left, right = (drawn(f"text_a%20mmmmm,ts_20,lw_80,lg_nw,ta_{side}") for side in ("left", "right"))
    short_left, short_right = (inked(image.crop(0, 0, 200, 20)) for image in (left, right))
    assert short_right[0] > short_left[0] + 20


def test_an_outline_grows_the_letters_on_all_sides() -> None:
    _, _, width, height = inked(drawn("text_Hm,ts_30"))
    for line in (1, 3, 9):
        grown = inked(drawn(f"text_Hm,ts_30,to_{line}_red"))[2:]
        assert abs(grown[0] - width - 2 * line) <= 2
        assert abs(grown[1] - height - 2 * line) <= 2


def test_dpr_makes_letters_and_outlines_larger() -> None:
    big = saved(plain(800, 400, 128, 128, 128), Format.PNG)
    single = inked(drawn("w_200,text_Hm,ts_30,to_2", big))
    double = inked(drawn("w_200,dpr_2,text_Hm,ts_30,to_2", big))
    assert abs(double[2] - 2 * single[2]) <= 4


def test_a_text_too_large_is_made_smaller() -> None:
    _, _, width, height = inked(drawn("text_Somewhat%20longer%20words,ts_1000"))
    assert width <= 200
    assert height <= 100


def test_a_word_that_is_far_too_long_is_broken() -> None:
    """It would be a line of a few px otherwise, which nobody can read."""
    _, _, width, height = inked(drawn(f"text_{'W' * 14},ts_20"))
    assert height < 25
    _, _, broken, lines = inked(drawn(f"text_{'W' * 40},ts_20"))
    assert broken <= 200
    assert width <= 200
    assert lines > 2 * height


def test_markup_is_text() -> None:
    plainly = drawn("text_bold,ts_20,lg_nw")
    marked = drawn(f"text_{quote('<b>bold</b>')},ts_20,lg_nw")
    assert inked(marked)[2] > inked(plainly)[2] + 20
    assert inked(drawn("text_%26amp%3B,ts_20"))[2] > inked(drawn("text_%26,ts_20"))[2] + 10


def test_a_font_that_is_there_on_any_machine_is_the_one_asked_for() -> None:
    assert inked(drawn("text_Hm,tf_DejaVu%20Sans%20Bold,ts_40"))[2] > inked(drawn("text_Hm,ts_40"))[2]


def test_a_text_without_anything_to_see_is_refused() -> None:
    with pytest.raises(InvalidValue, match="nothing in it that can be drawn"):
        drawn("text_%E2%80%8B")


ANY = st.text(
    st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp"))
    | st.sampled_from("<>&;\u202e\u200dם日😀\u0301"),
    min_size=1,
    max_size=40,
)


@settings(max_examples=40, deadline=None)
@given(ANY)
def test_any_text_is_drawn_or_refused(text: str) -> None:
    try:
        OverlayTextKind().parse(text)
        image = drawn(f"text_{quote(text, safe='')},ts_20,to_1")
    except (ValueError, InvalidValue):
        return
    assert (image.width, image.height) == (200, 100), html.escape(text)


def test_the_same_text_is_the_same_bytes() -> None:
    body = saved(photo(200, 100), Format.JPEG)
    spec = parse_options("text_Hm%20x,to_2,lo_70,lb_screen,f_webp")
    assert render(body, spec, LIMITS).body == render(body, spec, LIMITS).body


@pytest.mark.parametrize("format", [Format.GIF, Format.WEBP])
def test_an_overlay_lies_on_every_frame(format: Format) -> None:
    moving = saved(animation(100, 60, (250, 0, 0), (0, 250, 0), (0, 0, 250)), format)
    column = pyvips.Image.new_from_buffer(
        render(moving, parse_options("l_logo,lg_se,lw_0.3"), LIMITS, overlay=LOGO).body, "", n=-1
    )
    assert column.height == 180
    for frame, colour in enumerate(((250, 0, 0), (0, 250, 0), (0, 0, 250))):
        seen = column.crop(0, 60 * frame, 100, 60)
        assert near(pixel(seen, 0.9, 0.9)[:3], RED, 40)
        assert near(pixel(seen, 0.1, 0.1)[:3], colour, 40)


def test_a_text_has_the_same_pixels_on_a_machine_without_fonts(tmp_path: Path) -> None:
    """In a process that sees our fonts alone, and writes no cache of them anywhere else."""
    for file in filter(Path.is_file, OWN_FONTS_FILE.parent.iterdir()):
        text = file.read_bytes()
        if file == OWN_FONTS_FILE:
            text = re.sub(rb"<(dir|cachedir)( prefix=.xdg.)?>[^.].*\n", b"", text)
            text = text.replace(b"<match", f"<cachedir>{tmp_path}/cache</cachedir><match".encode())
        (tmp_path / file.name).write_bytes(text)
    (tmp_path / "grey.png").write_bytes(GREY)
    program = (
        "import sys, proxy.pipeline.tasks\n"
        "from proxy.url.grammar import parse_options\n"
        "from proxy.model.limits import Limits\n"
        "from proxy.pipeline.render import render\n"
        "body = open(sys.argv[1], 'rb').read()\n"
        "for options in sys.argv[3:]:\n"
        "    open(sys.argv[2] + options, 'wb').write(render(body, parse_options(options), Limits()).body)\n"
    )
    asked = ["text_Hamburg%20%C3%A9,ts_30,to_2", "text_Hamburg,tf_DejaVu%20Sans%20Bold"]
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "grey.png"), f"{tmp_path}/", *asked],
        env=os.environ | {"FONTCONFIG_FILE": str(tmp_path / OWN_FONTS_FILE.name)},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    for options in asked:
        assert (tmp_path / options).read_bytes() == render(GREY, parse_options(options), LIMITS).body
