"""The gallery, which `make gallery` generates, agrees with the option table."""

from __future__ import annotations

import re
import runpy

import pytest

from proxy.options.spec import OPTIONS, SHORTHANDS, Option
from tests.paths import ROOT

DOCS = ROOT / "docs"
PAGE = (DOCS / "gallery.md").read_text()
GALLERY = runpy.run_path(str(DOCS / "gallery.py"))
VISIBLE = [
    option
    for option in (*OPTIONS.values(), *SHORTHANDS)
    if option.about != "delivery" and option.name not in GALLERY["INVISIBLE"]
]


@pytest.mark.parametrize("option", VISIBLE, ids=lambda option: option.name)
def test_the_page_shows_an_option_without_and_with_it(option: Option) -> None:
    pair = GALLERY["pair"](option)
    rows = [line for line in PAGE.splitlines() if line.startswith(f"| `{option.names[0]}`")]
    assert len(rows) == 1, "make gallery draws it anew"
    assert f"<br>{option.doc} | ".replace("|", "\\|", option.doc.count("|")) in rows[0]
    assert re.findall("<br>`([^`]+)`<br>", rows[0]) == [pair.without, pair.example]
    assert pair.without != pair.example


def test_its_pictures_are_there_and_no_others() -> None:
    used = set(re.findall(r'src="gallery/([^"]+)"', PAGE))
    assert used == {file.name for file in (DOCS / "gallery").iterdir()}
    assert sum(file.stat().st_size for file in (DOCS / "gallery").iterdir()) < 3_000_000


def test_every_part_of_the_table_has_a_title() -> None:
    assert {option.about for option in VISIBLE} <= GALLERY["TITLES"].keys()
