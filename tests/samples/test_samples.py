"""The originals that the first `make run` draws."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import pyvips

from tests.paths import ROOT

MEGAPIXELS = 1_000_000


def draw(folder: Path) -> None:
    subprocess.run([sys.executable, "-m", "proxy.samples", str(folder)], cwd=ROOT, check=True, timeout=120)


@pytest.fixture(scope="module")
def drawn(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy, that may be changed."""
    return shutil.copytree(samples, tmp_path_factory.mktemp("samples") / "originals")


def opened(path: Path) -> pyvips.Image:
    return pyvips.Image.new_from_buffer(path.read_bytes(), "")


def test_every_sample_decodes_to_its_last_pixel(drawn: Path) -> None:
    names = {path.name for path in drawn.iterdir()}
    assert {Path(name).suffix for name in names} == {".jpg", ".png", ".gif", ".webp", ".avif"}
    for name in names:
        image = pyvips.Image.new_from_buffer((drawn / name).read_bytes(), "", fail_on="warning")
        assert image.deviate() > 1, name


def test_the_photographs_have_several_megapixels(drawn: Path) -> None:
    photographs = [opened(path) for path in drawn.glob("*.jpg")]
    assert len(photographs) == 4
    assert all(photograph.width * photograph.height > 8 * MEGAPIXELS for photograph in photographs)


def test_one_photograph_lies_on_its_side(drawn: Path) -> None:
    """EXIF orientation 6: whoever does not look at it shows the balloon lying down."""
    photograph = opened(drawn / "balloon.jpg")
    assert (photograph.width, photograph.height, photograph.get("orientation")) == (3600, 2400, 6)


def test_one_photograph_is_progressive_and_of_a_wide_gamut(drawn: Path) -> None:
    photograph = opened(drawn / "dunes.jpg")
    assert photograph.get("interlaced")
    assert b"P3" in photograph.get("icc-profile-data").replace(b"\0", b"")


def test_the_logo_has_every_kind_of_alpha(drawn: Path) -> None:
    alpha = opened(drawn / "logo.png")[3]
    levels = (alpha.hist_find() > 0).avg() / 255
    assert (alpha.min(), alpha.max()) == (0, 255)
    assert levels > 0.5


def test_the_clock_turns_for_ever(drawn: Path) -> None:
    clock = opened(drawn / "clock.gif")
    assert (clock.get("n-pages"), clock.get("loop")) == (24, 0)
    assert clock.get("delay") == [600] + [80] * 23


def test_what_is_there_stays_as_it_is(drawn: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in drawn.iterdir()}
    draw(drawn)
    assert {path: path.stat().st_mtime_ns for path in drawn.iterdir()} == before


def test_what_is_missing_is_drawn_again_to_the_byte(drawn: Path) -> None:
    logo = drawn / "logo.png"
    before = logo.read_bytes()
    logo.unlink()
    draw(drawn)
    assert logo.read_bytes() == before
