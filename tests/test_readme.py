"""What the README promises: its tables are those of the code, and its URLs give what it says."""

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


def test_its_tables_are_those_of_the_code() -> None:
    filled = runpy.run_path(str(ROOT / "docs" / "tables.py"))["filled"]
    assert filled(README) == README, "make docs writes them anew"


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


def test_its_python_signs_as_we_do() -> None:
    code = re.search(r"```python\n(.*?)```", README, re.DOTALL)
    assert code is not None
    names: dict[str, object] = {}
    exec(code[1], names)
    path = "/w_300,h_200,f_webp/photos/scene.jpg"
    signed = names["signed"]
    assert callable(signed)
    assert signed("secret-key", path) == f"/s--{signing.sign('secret-key', path.encode())}--{path}"


@pytest.mark.parametrize("target", re.findall(r"^make (\w+)", README, re.MULTILINE))
def test_its_make_targets_are_there(target: str) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


@pytest.mark.parametrize("path", re.findall(r"\]\(([^:)]+)\)", README))
def test_its_links_lead_somewhere(path: str) -> None:
    assert (ROOT / path).exists()
