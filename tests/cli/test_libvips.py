"""What a command says when the libvips that it finds is too old, and the wheel where it is installed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import tomllib
import venv
from pathlib import Path

import pytest

from proxy import __version__
from proxy.cli.libvips import INSTALL, MIN_LIBVIPS
from tests.paths import ROOT

OLD = "__version__ = '3.0.0'\ndef version(part): return (8, {minor}, 1)[part]\n"


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """`image-proxy` with what lies in `folder` before all other modules."""
    return subprocess.run(
        [sys.executable, "-c", "from proxy.cli import main; main()", *command],
        env=os.environ | {"PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("command", [("serve", "--port", "0"), ("warm", "w_20")])
@pytest.mark.parametrize(
    "module, found",
    [
        (OLD.format(minor=9), "libvips 8.9.1 was found"),
        (OLD.format(minor=17), "libvips 8.17.1 was found"),
        ("raise OSError('libvips.so.42: cannot open shared object file')", "libvips cannot be loaded"),
    ],
)
def test_an_old_libvips_is_refused_in_one_line(
    tmp_path: Path, module: str, found: str, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pyvips.py").write_text(module)
    monkeypatch.setenv("IMAGE_PROXY_CACHE", f"disk://{tmp_path}/cache")
    done = run(tmp_path, *command)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"image-proxy: {found}, and 8.18 or later is needed: {INSTALL}\n"


def test_the_wheel_asks_for_the_library_that_is_needed() -> None:
    dependencies = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert f"pyvips-binary>={'.'.join(map(str, MIN_LIBVIPS))},<9" in dependencies
    locked = re.search(
        r"^pyvips-binary==(\d+)\.(\d+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE
    )
    assert locked is not None
    assert (int(locked[1]), int(locked[2])) >= MIN_LIBVIPS


def test_the_wheel_is_all_that_an_installation_needs_of_this_checkout(tmp_path: Path) -> None:
    """In an environment of its own, which borrows the dependencies of this one."""
    offline = {**os.environ, "PIP_NO_INDEX": "1", "PYTHONPATH": ""}
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, check=True, env=offline, cwd=ROOT, timeout=60, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    # The environment of the tests may have no pip: uv makes such.
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "-q", "install", "--no-deps", str(wheel)]
    subprocess.run(pip, check=True, env=offline, timeout=60)
    (packages,) = (tmp_path / "venv" / "lib").glob("python*/site-packages")
    borrowed = sysconfig.get_path("purelib")
    # Appended, and without the .pth of the checkout that is installed there.
    (packages / "borrowed.pth").write_text(f"{borrowed}\n")
    program = str(tmp_path / "venv" / "bin" / "image-proxy")
    for command, said in (
        (["version"], f"image-proxy {__version__}"),
        (["url", "w_300", "a.jpg"], "/w_300/a.jpg"),
        (["explain", "w_300"], "width_300"),
    ):
        done = subprocess.run(
            [program, *command],
            cwd=tmp_path,
            env=offline,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        assert said in done.stdout
    where = [str(python), "-c", "import proxy; print(proxy.__file__)"]
    done = subprocess.run(where, cwd=tmp_path, env=offline, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(str(packages))
