"""What renderers work with, named: equal on machines that have the same, other where anything is other."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import timeit
from pathlib import Path

import pytest

from proxy.fonts.files import OWN_FONTS_FILE, font_files, fonts_digest
from proxy.pipeline.fingerprint import fingerprint, fingerprint_facts
from tests.paths import ROOT

SANS, BOLD = (OWN_FONTS_FILE.with_name(f"DejaVuSans{style}.ttf") for style in ("", "-Bold"))


def use(monkeypatch: pytest.MonkeyPatch, folder: Path, content: str = "") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    conf = folder / "fonts.conf"
    conf.write_text(content or '<fontconfig><dir prefix="relative">fonts</dir></fontconfig>')
    monkeypatch.setenv("FONTCONFIG_FILE", str(conf))


def digest_with(monkeypatch: pytest.MonkeyPatch, folder: Path, *fonts: Path, mtime: int = 0) -> str:
    (folder / "fonts/deeper").mkdir(parents=True)
    for font in fonts:
        shutil.copy(font, folder / "fonts/deeper")
        os.utime(folder / "fonts/deeper" / font.name, (mtime, mtime))
    use(monkeypatch, folder)
    return fonts_digest()


def test_the_same_fonts_are_the_same_wherever_and_whenever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = digest_with(monkeypatch, tmp_path / "a", SANS, BOLD, mtime=1_000)
    assert digest_with(monkeypatch, tmp_path / "b" / "c", BOLD, SANS, mtime=2_000) == first


def test_another_font_is_another_and_so_is_one_of_the_same_name_and_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = digest_with(monkeypatch, tmp_path / "a", SANS, BOLD)
    one = digest_with(monkeypatch, tmp_path / "b", SANS)
    changed = tmp_path / "changed" / SANS.name
    changed.parent.mkdir()
    content = bytearray(SANS.read_bytes())
    content[16] ^= 1  # the checksum of its first table
    changed.write_bytes(content)
    other = digest_with(monkeypatch, tmp_path / "c", changed)
    assert len({both, one, other}) == 3


def test_the_configuration_of_fonts_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = digest_with(monkeypatch, tmp_path, SANS)
    use(monkeypatch, tmp_path, '<fontconfig><!-- --><dir prefix="relative">fonts</dir></fontconfig>')
    assert fonts_digest() != first


def test_fonts_are_found_as_fontconfig_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("here", "included", "data/fonts", "loop"):
        (tmp_path / folder).mkdir(parents=True)
    shutil.copy(SANS, tmp_path / "here")
    shutil.copy(BOLD, tmp_path / "included")
    shutil.copy(SANS, tmp_path / "data/fonts/Other.TTF")
    (tmp_path / "loop/again").symlink_to(tmp_path / "loop")
    (tmp_path / "loop/same.ttf").symlink_to(tmp_path / "here" / SANS.name)
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d/10-more.conf").write_text(
        f"<fontconfig><dir>{tmp_path}/included</dir><include>../fonts.conf</include></fontconfig>"
    )
    (tmp_path / "conf.d/README").write_text("no configuration")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    use(
        monkeypatch, tmp_path,
        f'<fontconfig><dir>{tmp_path}/here</dir><dir prefix="xdg">fonts</dir>'
        '<dir prefix="relative">loop</dir>'
        '<dir>/nowhere</dir><include ignore_missing="yes">conf.d</include><include>/no.conf</include>'
        "</fontconfig>",
    )  # fmt: skip
    assert [file.name for file in font_files()] == [SANS.name, "Other.TTF", BOLD.name]


def test_a_configuration_that_cannot_be_read_has_no_fonts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, tmp_path, "<fontconfig><dir>")
    assert font_files() == []
    monkeypatch.setenv("FONTCONFIG_FILE", str(tmp_path / "none"))
    assert font_files() == []
    assert len(fonts_digest()) == 64


def test_it_tells_libraries_codecs_detector_language_and_fonts() -> None:
    told = {fact.split(" ")[0] for fact in fingerprint_facts()}
    assert told >= {"machine", "libvips", "pyvips", "load", "save", "faces", "language", "fonts"}
    assert told & {"pyvips-binary", "library"}


SAY = "from proxy.pipeline import tasks; tasks.warm_up(); print(tasks.fingerprint())"
WITHOUT_FACES = "import sys; sys.modules['dlib'] = None; "
SYSTEM = """
from importlib import metadata
whole = metadata.version
def version(name):
    if name == "pyvips-binary":
        raise metadata.PackageNotFoundError(name)
    return whole(name)
metadata.version = version
"""


def said(code: str, **variables: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env={**os.environ, **variables}, timeout=120,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.strip()


def test_processes_agree_and_each_difference_shows() -> None:
    usual = said(SAY)
    assert usual == said(SAY, TMPDIR="/tmp", VIPS_CONCURRENCY="3")
    others = [
        said(WITHOUT_FACES + SAY),
        said(SYSTEM + SAY),
        said(SAY, VIPS_NOVECTOR="1"),
        said(SAY, PANGO_LANGUAGE="ja"),
    ]
    assert len({usual, *others}) == 5


def test_a_renderer_starts_no_later_for_it() -> None:
    assert min(timeit.repeat(fingerprint, number=1, repeat=3)) < 0.2
