"""`presets check` looks for the pictures that a presets file names."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from proxy.cli.main import app

PRESETS = """
presets:
  one: {options: w_1, on_error: brand/gone.png}
  two: {options: "w_1,l_logo"}
overlays:
  logo: {key: logo.png}
  named: {key: my/logo.png}
  words: {text: Hi}
"""


def checked(*arguments: str) -> tuple[int, list[str]]:
    result = CliRunner().invoke(app, ["presets", "check", *arguments])
    return result.exit_code, [line for line in result.stderr.splitlines() if "no font" not in line]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "originals" / "brand").mkdir(parents=True)
    monkeypatch.setenv("IMAGE_PROXY_ORIGIN", "originals")
    monkeypatch.setenv("IMAGE_PROXY_ORIGINS", "my=originals,web=http://127.0.0.1:9")
    Path("presets.yaml").write_text(PRESETS)
    return tmp_path / "originals"


def test_each_picture_that_is_missing_is_named(folder: Path) -> None:
    code, said = checked()
    assert code == 1
    assert said == [
        "presets.yaml: overlay 'logo': there is no 'logo.png' in the folder 'originals'",
        "presets.yaml: overlay 'named': there is no 'my/logo.png' in the folder 'originals'",
        "presets.yaml: on_error of preset 'one': there is no 'brand/gone.png' in the folder 'originals'",
    ]
    (folder / "logo.png").touch()
    (folder / "brand" / "gone.png").touch()
    assert checked() == (0, [])


def test_other_origins_are_not_asked(folder: Path) -> None:
    Path("other.yaml").write_text("overlays: {a: {key: web/a.png}}")
    assert checked("other.yaml") == (0, [])


def test_an_empty_file_is_what_a_running_server_refuses(folder: Path) -> None:
    Path("presets.yaml").write_text("")
    code, (said,) = checked()
    assert code == 0
    assert "a server that runs refuses that" in said
