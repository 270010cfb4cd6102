"""What README and docs promise: tables are those of the code, URLs give what they say, links lead on."""

from __future__ import annotations

import re
import runpy
import tomllib
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


def rooms() -> dict[str, str]:
    """What docs/architecture.md says of each folder, by its path below proxy/."""
    page = (ROOT / "docs" / "architecture.md").read_text()
    return dict(re.findall(r"^\| \d? ?\| `([\w/]+)/` \| (.*) \|$", page, re.MULTILINE))


@pytest.mark.parametrize("room", sorted({path.parent for path in (ROOT / "proxy").rglob("*.py")}))
def test_the_map_of_the_code_names_every_module(room: Path) -> None:
    folder = room.relative_to(ROOT / "proxy").as_posix()
    known = rooms()
    while folder not in known and "/" in folder:
        folder = folder.rpartition("/")[0]
    if folder == ".":
        return
    words = set(re.findall(r"\w+", known[folder]))
    modules = {path.stem for path in room.glob("*.py")} - {"__init__", "__main__"}
    assert modules <= words, f"docs/architecture.md says nothing of {sorted(modules - words)}"


def test_the_map_of_the_code_has_the_floors_of_the_import_contract() -> None:
    layers = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0][
        "layers"
    ]
    floors = {
        room: number
        for number, line in enumerate(reversed(layers), 1)
        for room in line.split(" | ")
        if room != "__main__"
    }
    page = (ROOT / "docs" / "architecture.md").read_text()
    drawn = {room: int(floor) for floor, room in re.findall(r"^\| (\d) \| `(\w+)/` \|", page, re.MULTILINE)}
    assert drawn == floors
