"""Letters that no font has: left out and told, and never anything that is no letter."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import unicodedata
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import pyvips
from hypothesis import given
from hypothesis import strategies as st

import proxy.pipeline.tasks  # noqa: F401  libvips and fonts as in renderers
from proxy.fonts.files import OWN_FONTS_FILE
from proxy.fonts.letters import FontCoverage, boxes, drawable, font_coverage, has_emoji, is_letter
from proxy.model.limits import Limits
from proxy.model.media import Note
from proxy.pipeline.render import render
from proxy.pipeline.stages import MAX_MISSING_LETTERS
from proxy.renderers.replies import MAX_MISSING_LETTERS as MAX_TOLD
from proxy.url.grammar import parse_options
from tests.paths import ROOT
from tests.pictures import plain

OWN = sorted(OWN_FONTS_FILE.parent.glob("*.ttf"))
GONE = "\U0010fffd"
"""For private use, so that no font of any machine has it."""

PICTURE = plain(300, 60, 40, 80, 160).pngsave_buffer()


@lru_cache(maxsize=1)
def own() -> FontCoverage:
    """Of the fonts that come with the package, whatever else this machine has."""
    return FontCoverage(OWN)


@pytest.mark.parametrize(
    "text, kept, missing",
    [
        ("Hello 漢字!", "Hello !", "漢字"),
        ("漢a漢", "a", "漢"),
        ("नमस्ते ok", " ok", "नमसत"),  # its marks, ् and े, go with the letters
        ("สวัสดี", "", "สวด"),
        ("こんにちは", "", "こんにちは"),
        ("안녕", "", "안녕"),
        ("1️⃣ 🇩🇪 👍🏽 👨‍👩", "1\ufe0f   ", "🇩🇪👍🏽👨👩"),
        ("🇩🇪!", "!", "🇩🇪"),
        ("漢\u0301a\u0301", "á", "漢"),  # no accent is left behind for the letter before
        ("漢\ufe00a", "a", "漢"),
        ("a\u3000b", "a b", ""),
        ("a\u1ab0b", "ab", ""),  # a mark that no font has is no letter
        (f"{GONE}x", "x", GONE),
    ],
)
def test_letters_are_left_out_with_what_belongs_to_them(text: str, kept: str, missing: str) -> None:
    assert drawable(text, own()) == (kept, missing)


@pytest.mark.parametrize(
    "text",
    [
        "Hello, world! 0123 – “quoted” €", "Grüße aus Łódź", "Ж Ω Ω̈ ѝ", "مرحبا بالعالم", "שלום", "Հայ ქართ",
        "e\u0301 o\u0308 u\u0331", "\u06c0", "a\u200bb\u200cc\u200dd\u2060\ufeff",
        "\u200f\u2067שלום\u2069\u202c",
        "x\ufe0f\ufe0e\U000e0100", "soft\u00adhyphen", "\u2003\u2009\u202f\u00a0.",
        "\U000e0067\U000e007f.", "😀 ☃ ♥",
    ],
)  # fmt: skip
def test_what_is_no_letter_or_can_be_drawn_stays_as_it_is(text: str) -> None:
    assert drawable(text, own()) == (text, "")


@given(st.text(max_size=40))
def test_what_is_left_has_no_box_and_what_is_told_are_letters(text: str) -> None:
    kept, missing = drawable(text, own())
    assert not boxes(kept, own())
    assert all(map(is_letter, missing))
    assert len(set(missing)) == len(missing)
    assert set(missing) <= set(unicodedata.normalize("NFC", text))
    assert drawable(kept, own()) == (kept, "")


def test_emoji_are_those_of_coloured_fonts() -> None:
    assert not has_emoji("Hello 😀 é", own())


def test_families_are_told() -> None:
    assert own().families == {"DejaVu Sans"}


def made(text: str, options: str = "") -> Any:
    return render(PICTURE, parse_options(f"text_{text},f_png{options}"), Limits())


def test_a_text_looks_as_if_what_no_font_has_were_not_there() -> None:
    with_missing, without = made(f"Hel{GONE}lo"), made("Hello")
    assert with_missing.body == without.body
    assert (with_missing.notes, without.notes) == ((Note.MISSING_LETTERS,), ())
    assert with_missing.missing_letters == GONE


def test_a_text_of_nothing_else_leaves_the_picture_as_it_is() -> None:
    found = made(f"{GONE} {GONE}", ",to_2_black,overlay-tile")
    assert found.notes == (Note.MISSING_LETTERS,)
    pixels = pyvips.Image.new_from_buffer(found.body, "")
    assert pixels.getpoint(150, 30) == [40, 80, 160]
    assert (pixels - [40, 80, 160]).abs().max() == 0


DRAWING = (
    "<svg xmlns='http://www.w3.org/2000/svg' width='300' height='60' aria-label='{0}'><title>{0}</title>"
    "<defs><path id='p{0}' d='M5 40H290'/></defs><text font-size='30'><textPath href='#p{0}'>Hi {1}"
    "<tspan fill='red'>{2}x</tspan></textPath></text></svg>"
)


@pytest.mark.parametrize("written", [GONE, "&#x10FFFD;", "&#1114109;", "&#x0010fffd;"])
def test_drawings_leave_them_out_as_well(written: str) -> None:
    spec = parse_options("f_png")
    found = render(DRAWING.format(GONE, written, written * 2).encode(), spec, Limits())
    usual = render(DRAWING.format("", "", "").encode(), spec, Limits())
    assert found.body == usual.body
    assert (found.notes, found.missing_letters) == ((Note.MISSING_LETTERS,), GONE)


def test_what_a_drawing_does_not_write_is_not_missing() -> None:
    title = DRAWING.format(GONE, "", "").encode()
    assert render(title, parse_options("f_png"), Limits()).notes == ()


def test_many_missing_letters_are_told_within_bounds() -> None:
    many = "".join(chr(0x10F000 + each) for each in range(3_000))
    found = render(DRAWING.format("", many, "").encode(), parse_options(f"text_{GONE},f_png"), Limits())
    assert found.notes == (Note.MISSING_LETTERS,)
    assert len(found.missing_letters) == MAX_MISSING_LETTERS == MAX_TOLD


def test_the_fonts_of_this_process_are_at_least_ours() -> None:
    assert not boxes("Hello", font_coverage())
    assert boxes(GONE, font_coverage()) == GONE


NOTO = "usr/share/fonts/truetype/noto"
NOTO_FOLDERS = (ROOT / ".tools/emoji" / NOTO, Path("/", NOTO), Path("/usr/share/fonts/noto"))
EMOJI = """
import json, sys
from proxy.pipeline import tasks
from proxy.model.limits import Limits
from proxy.pipeline.render import render
from proxy.url.grammar import parse_options
from tests.pictures import plain
import pyvips
picture = plain(300, 60, 128, 128, 128).pngsave_buffer()
made = render(picture, parse_options("text_👍🏽,ts_40,f_png"), Limits())
pixels = pyvips.Image.new_from_buffer(made.body, "")
left, top, width, height = (pixels - 128).abs().find_trim(threshold=10, background=[0, 0, 0])
print(json.dumps([made.notes, width, height, pixels.colourspace("lch")[1].max()]))
"""


def test_emoji_are_drawn_in_colour_and_as_large_as_letters(tmp_path: Path) -> None:
    noto = [folder for folder in NOTO_FOLDERS if (folder / "NotoColorEmoji.ttf").exists()]
    assert noto, "`make test` unpacks it"
    fonts = "".join(f"<dir>{folder}</dir>" for folder in (OWN_FONTS_FILE.parent, noto[0]))
    (tmp_path / "emoji.conf").write_text(f"<fontconfig>{fonts}</fontconfig>")
    done = subprocess.run(
        [sys.executable, "-c", EMOJI], cwd=ROOT, capture_output=True, check=True, timeout=60,
        env={**os.environ, "FONTCONFIG_FILE": str(tmp_path / "emoji.conf")},
    )  # fmt: skip
    notes, width, height, chroma = json.loads(done.stdout)
    assert notes == []
    assert 30 < width < 60
    assert 30 < height < 60
    assert chroma > 20


def test_a_renderer_with_our_fonts_alone_says_what_they_lack(tmp_path: Path) -> None:
    """The same with the fonts that come with the package, and with no font at all."""
    (tmp_path / "none.conf").write_text("<fontconfig></fontconfig>")
    (tmp_path / "own.conf").write_text(f"<fontconfig><dir>{OWN_FONTS_FILE.parent}</dir></fontconfig>")
    said = {}
    for name in ("own", "none"):
        done = subprocess.run(
            [sys.executable, "-c", SAY], cwd=ROOT, capture_output=True, check=True, timeout=60,
            env={**os.environ, "FONTCONFIG_FILE": str(tmp_path / f"{name}.conf")},
        )  # fmt: skip
        said[name] = json.loads(done.stdout)
    assert said == {"own": "漢字", "none": "Hi漢字"}


SAY = """
import json
from proxy.pipeline import tasks
from proxy.renderers import Job
from tests.pictures import plain
picture = plain(80, 40).pngsave_buffer()
reply = tasks.render_task(Job(options="text_Hi 漢字,f_png", original=picture))
print(json.dumps(reply.files[0].missing_letters))
"""
