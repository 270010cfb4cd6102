"""What README and docs promise: tables are those of the code, URLs give what they say, links lead on."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest
import pyvips

from proxy.url import signing
from tests.paths import ROOT
from tests.web.serving import client

README = (ROOT / "README.md").read_text()
PICTURES = re.findall(r"^\| `(/\S+)` \| (\d+)x(\d+) (\w+) \|", README, re.MULTILINE)
SHOWN = "image/avif,image/webp,image/*,*/*;q=0.8"


@pytest.mark.parametrize("name", ["options", "settings"])
def test_tables_are_those_of_the_code(name: str) -> None:
    tables = runpy.run_path(str(ROOT / "docs" / "tables.py"))
    assert set(tables["TABLES"]) == {"options", "settings"}
    assert tables["filled"](name) == (ROOT / "docs" / f"{name}.md").read_text(), "make docs writes them anew"


def test_the_readme_is_read_in_five_minutes() -> None:
    assert len(README.encode()) < 11_000


def test_it_shows_ten_urls() -> None:
    assert len(PICTURES) == 10


async def test_its_urls_give_what_it_says(renderers: str, samples: Path) -> None:
    async with client(renderers, origin=str(samples), presets=str(ROOT / "presets.yaml")) as http:
        for url, width, height, format in PICTURES:
            answer = await http.get(url, headers={"accept": SHOWN})
            assert (answer.status_code, answer.headers["content-type"]) == (200, f"image/{format}"), url
            picture = pyvips.Image.new_from_buffer(answer.content, "")
            assert (picture.width, picture.height) == (int(width), int(height)), url
        for page in re.findall(r"^`(/-/\S+)` ", README, re.MULTILINE):
            assert (await http.get(page)).status_code == 200


def test_the_python_of_the_docs_signs_as_we_do() -> None:
    code = re.search(r"```python\n(.*?)```", (ROOT / "docs" / "signing.md").read_text(), re.DOTALL)
    assert code is not None
    names: dict[str, object] = {}
    exec(code[1], names)
    path = "/w_300,h_200,f_webp/photos/scene.jpg"
    signed = names["signed"]
    assert callable(signed)
    assert signed("secret-key", path) == f"/s--{signing.sign('secret-key', path.encode())}--{path}"


CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()


@pytest.mark.parametrize(
    "target", sorted(set(re.findall(r"^make (\w+)", README + CONTRIBUTING, re.MULTILINE)))
)
def test_its_make_targets_are_there(target: str) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    for path, _, anchor in (link.partition("#") for link in LINK.findall(page.read_text())):
        target = page if not path else (page.parent / path)
        assert target.exists(), path
        assert not anchor or anchor in anchors(target.read_text()), f"{path}#{anchor}"


LINK = re.compile(r"\]\((?!https?:)([^)\s]+)\)")


def anchors(page: str) -> set[str]:
    """As GitHub makes them from headings: lower case, spaces to hyphens, no punctuation."""
    return {
        re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
        for title in re.findall(r"^#+ (.+)$", page, re.MULTILINE)
    }


def test_every_page_is_named_in_the_readme() -> None:
    pages = {page.relative_to(ROOT).as_posix() for page in (ROOT / "docs").glob("*.md")}
    assert pages == set(re.findall(r"^\| \[(docs/[^\]]+)\]", README, re.MULTILINE))
