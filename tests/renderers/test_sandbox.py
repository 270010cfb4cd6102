"""What is around a renderer: hostile code in it reaches nothing, and pictures do not notice."""

from __future__ import annotations

import ctypes
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.model.media import Format
from proxy.pipeline.tasks import TASKS
from proxy.renderers import Job, JobKind
from proxy.renderers.client import RendererClient
from proxy.renderers.readable import font_folders, readable_paths
from proxy.renderers.sandbox import Lock
from proxy.renderers.state import sandbox_state
from proxy.renderers.supervisor import Supervisor
from tests.paths import ROOT
from tests.pictures import photo, saved

OPTIONAL = os.environ.get("SANDBOX_OPTIONAL") == "1"

SVG_WITH_TEXT = (
    b"<svg xmlns='http://www.w3.org/2000/svg' width='120' height='40'>"
    b"<text x='4' y='30' font-family='serif' font-size='24'>Harbour</text></svg>"
)
PHOTO = saved(photo(90, 80), Format.JPEG)

PICTURES = {
    "jpeg": (PHOTO, "width_30,format_jpeg"),
    "png": (PHOTO, "width_30,format_png"),
    "webp": (PHOTO, "width_30,format_webp"),
    "avif": (PHOTO, "width_30,format_avif"),
    "gif": (PHOTO, "width_30,format_gif"),
    "tiff": (PHOTO, "width_30,format_tiff"),
    "effects": (PHOTO, "width_30,blur_2,sharpen_1,saturation_20,format_png"),
    "attention": (PHOTO, "width_30,height_10,position_attention,format_png"),
    "faces": (PHOTO, "width_30,height_10,position_face,format_png"),
    "text": (PHOTO, "text_Harbour,text-size_20,format_png"),
    "text in a font of the system": (PHOTO, "text_Harbour,text-font_DejaVu Sans Mono,format_png"),
    "SVG": (SVG_WITH_TEXT, "format_png"),
}


@pytest.fixture
def target(tmp_path: Path) -> Iterator[dict[str, str]]:
    """What the attacks would get if they got through: as seen from here, all of it is to be had."""
    secret, variable = tmp_path / "secret", ctypes.create_string_buffer(b"canary", 16)
    secret.write_text("canary")
    with (
        socket.create_server(("127.0.0.1", 0)) as tcp,
        socket.socket(socket.AF_UNIX) as named,
        socket.socket(socket.AF_UNIX) as abstract,
    ):
        abstract_name = f"image-proxy-{os.getpid()}"
        for unix, address in ((named, str(tmp_path / "socket")), (abstract, f"\0{abstract_name}")):
            unix.bind(address)
            unix.listen()
        yield {
            "folder": str(tmp_path),
            "port": str(tcp.getsockname()[1]),
            "socket": str(tmp_path / "socket"),
            "abstract": abstract_name,
            "memory": str(ctypes.addressof(variable)),
        }
    assert sorted(os.listdir(tmp_path)) == ["secret", "socket"]
    assert secret.read_text() == "canary"


def require_locks(supervisor: Supervisor) -> None:
    state = sandbox_state(supervisor.socket_path) or {}
    missing = [lock for lock in (Lock.LANDLOCK, Lock.SECCOMP) if not state.get(lock)]
    if missing and OPTIONAL:
        pytest.skip(f"this system has no {missing}")
    assert not missing, "set SANDBOX_OPTIONAL=1 where the kernel does not offer them"


async def test_hostile_code_in_a_renderer_gets_nothing(
    importable_tasks: None, target: dict[str, str]
) -> None:
    with Supervisor(renderers=1, tasks="tests.renderers.attacks") as supervisor:
        require_locks(supervisor)
        client = RendererClient(supervisor.socket_path)
        reply = await client.run(Job(kind=JobKind.DESCRIBE, options=json.dumps(target)), timeout=30)
        said = json.loads(reply.files[0].body)
        assert said["pid"] in supervisor.pids()
    assert len(said["tried"]) > 70
    assert {name: got for name, got in said["tried"].items() if any("GOT" in each for each in got)} == {}


@pytest.fixture(scope="module")
def pipeline_renderer(importable_tasks: None) -> Iterator[Supervisor]:
    with Supervisor(renderers=1) as supervisor:
        yield supervisor


@pytest.mark.parametrize("picture", PICTURES)
async def test_pictures_are_the_same_with_and_without_locks(
    pipeline_renderer: Supervisor, picture: str
) -> None:
    require_locks(pipeline_renderer)
    original, options = PICTURES[picture]
    job = Job(original=original, options=options)
    reply = await RendererClient(pipeline_renderer.socket_path).run(job, timeout=20)
    assert reply.files[0].body == TASKS[JobKind.RENDER](job).files[0].body


WITHOUT_LOCKS = """
import asyncio, errno, sys
from proxy.renderers import sandbox, syscalls
from proxy.renderers.client import RendererClient
from proxy.renderers.state import sandbox_state
from proxy.renderers.supervisor import Supervisor
from tests.renderers.tasks import body_of, make_job

deny = syscalls._return(syscalls.FAIL | getattr(errno, sys.argv[1]))
program = syscalls._load(syscalls.NUMBER_OFFSET)
for number in (444, 445, 446, syscalls.MACHINES[sandbox.platform.machine()].seccomp):
    program += syscalls._instruction(syscalls.JUMP_EQUAL, number, 0, 1) + deny
sandbox.call_filter = lambda *_: program + syscalls._return(syscalls.ALLOW)
assert sandbox.lock_calls()
with Supervisor(renderers=1, tasks="tests.renderers.tasks") as supervisor:
    reply = asyncio.run(RendererClient(supervisor.socket_path).run(make_job("echo", b"fine"), timeout=5))
    state = sandbox_state(supervisor.socket_path)
    assert body_of(reply) == b"fine" and not state["landlock"] and not state["seccomp"], state
"""


@pytest.mark.parametrize("error", ["ENOSYS", "EPERM"])
def test_renderers_come_up_where_there_are_no_locks_and_say_so(error: str) -> None:
    """Older kernels, gVisor, and containers whose own filter refuses the calls."""
    run = subprocess.run(
        [sys.executable, "-c", WITHOUT_LOCKS, error], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert "not locked in by landlock and seccomp" in run.stderr


BECOME = """
import json, os, sys
from proxy.renderers.sandbox import become
changed = become(60_600, json.loads(sys.argv[1]), owned=sys.argv[2])
print(json.dumps([changed, os.getresuid(), os.getresgid(), os.getgroups()]))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize("readable", [True, False])
def test_a_renderer_of_root_becomes_a_user_who_can_read_the_installation(
    tmp_path: Path, readable: bool
) -> None:
    scratch, needed = tmp_path / "scratch", tmp_path / "needed"
    scratch.mkdir()
    needed.mkdir(0o700)
    needs = json.dumps([] if readable else [str(needed)])
    run = subprocess.run(
        [sys.executable, "-c", BECOME, needs, str(scratch)], cwd=ROOT, capture_output=True, check=True
    )
    changed, users, groups, others = json.loads(run.stdout)
    assert changed is readable
    user = 60_600 if readable else 0
    assert (users, groups, scratch.stat().st_uid) == ([user] * 3, [user] * 3, user)
    assert others == ([] if readable else os.getgroups())


def test_a_process_can_hide_its_memory() -> None:
    script = (
        "from proxy.renderers import sandbox\n"
        "sandbox.hide_memory()\n"
        "print(sandbox._libc.prctl(3, 0, 0, 0, 0))"  # PR_GET_DUMPABLE
    )
    run = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, check=True)
    assert run.stdout == b"0\n"


def test_of_a_folder_of_modules_only_modules_can_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("module.py", ".env", "picture.jpg", "package/__init__.py", "pictures/one.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.syspath_prepend(tmp_path)
    below = {path for path in readable_paths() if path.startswith(str(tmp_path))}
    assert below == {str(tmp_path / "module.py"), str(tmp_path / "package")}


def test_folders_of_the_fonts_file_in_use_can_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fonts = tmp_path / "fonts.conf"
    fonts.write_text("<fontconfig><dir>/srv/fonts</dir><cachedir>/srv/cache</cachedir></fontconfig>")
    monkeypatch.setenv("FONTCONFIG_FILE", str(fonts))
    assert font_folders() == [str(tmp_path), "/srv/fonts", "/srv/cache"]
    assert {"/srv/fonts", "/srv/cache", str(fonts)} <= set(readable_paths())


def test_all_locks_are_metrics() -> None:
    documented = (ROOT / "docs/metrics.md").read_text()
    row = next(line for line in documented.splitlines() if "image_proxy_renderer_sandbox" in line)
    assert set(re.findall(r"`(\w+)`", row)) >= {lock.value for lock in Lock}
