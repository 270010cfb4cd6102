"""The renderers as processes: confined, replaced, shared, and gone when nobody needs them."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.model.errors import Overloaded
from proxy.renderers import Job
from proxy.renderers.client import RendererClient
from proxy.renderers.supervisor import Supervisor
from tests.paths import ROOT
from tests.renderers.conftest import TASKS, Eventually
from tests.renderers.tasks import body_of, facts_of, make_job

WEB_PROCESS = """
import asyncio, json, sys
from proxy.renderers.client import RendererClient
from tests.renderers.tasks import facts_of, make_job

async def main():
    client = RendererClient(sys.argv[1])
    jobs = (client.run(make_job("sleep", seconds=0.05), timeout=5) for _ in range(8))
    print(json.dumps([facts_of(reply)["pid"] for reply in await asyncio.gather(*jobs)]))

asyncio.run(main())
"""

SERVER = """
import signal, sys
from proxy.renderers.supervisor import Supervisor

with Supervisor(renderers=2, tasks=sys.argv[1]) as supervisor:
    print(supervisor.socket_path, *supervisor.pids(), flush=True)
    signal.pause()
"""


@pytest.fixture
def server() -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", SERVER, TASKS], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as server:
        yield server
        server.kill()


def _alive(pid: int) -> bool:
    """A zombie is dead: whether init collects it is not our business."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def _process_file(pid: int, name: str) -> str:
    return Path(f"/proc/{pid}/{name}").read_text()


async def _pid(lone_client: RendererClient) -> int:
    pid = facts_of(await lone_client.run(make_job("echo"), timeout=5))["pid"]
    assert isinstance(pid, int)
    return pid


async def test_a_renderer_is_replaced_after_its_number_of_jobs(importable_tasks: None) -> None:
    with Supervisor(renderers=1, tasks=TASKS, recycle_after=3) as supervisor:
        lone_client = RendererClient(supervisor.socket_path)
        pids = [await _pid(lone_client) for _ in range(9)]
        assert [pids.count(pid) for pid in dict.fromkeys(pids)] == [3, 3, 3]
        assert supervisor.deaths == 0


SLOW_AT_FIRST = """
import os, pathlib, time
starts = pathlib.Path(os.environ["XDG_CACHE_HOME"], "starts")
starts.touch()
starts.write_text(starts.read_text() + ".")
if len(starts.read_text()) <= {slow}:
    time.sleep(60)
from tests.renderers.tasks import TASKS
"""


@pytest.mark.parametrize("slow", [2, 3])
async def test_a_renderer_that_is_slow_to_start_is_tried_three_times(
    importable_tasks: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slow: int
) -> None:
    (tmp_path / "slow_at_first.py").write_text(SLOW_AT_FIRST.format(slow=slow))
    monkeypatch.syspath_prepend(str(tmp_path))
    supervisor = Supervisor(renderers=1, tasks="slow_at_first", start_seconds=5)
    if slow == 3:
        with pytest.raises(RuntimeError, match="do not start"), supervisor:
            pass
        return
    with supervisor:
        client = RendererClient(supervisor.socket_path)
        inside = facts_of(await client.run(make_job("describe", b"original"), timeout=5))
        assert inside["pid"] in supervisor.pids()
        starts = Path(inside["environment"]["XDG_CACHE_HOME"], "starts")
        assert await asyncio.to_thread(starts.read_text) == "..."


async def test_the_first_generation_is_not_replaced_all_at_once(importable_tasks: None) -> None:
    with Supervisor(renderers=2, tasks=TASKS, recycle_after=10) as supervisor:
        client = RendererClient(supervisor.socket_path)
        before = set(supervisor.pids())
        for _ in range(12):
            await _pid(client)
        assert before & set(supervisor.pids())


async def test_a_renderer_that_grew_is_replaced(importable_tasks: None, eventually: Eventually) -> None:
    with Supervisor(renderers=1, tasks=TASKS, memory_bytes=600_000_000) as supervisor:
        lone_client = RendererClient(supervisor.socket_path)
        pid = await _pid(lone_client)
        await lone_client.run(make_job("leak", size=50_000_000), timeout=5)
        assert await _pid(lone_client) == pid
        await lone_client.run(make_job("leak", size=110_000_000), timeout=5)
        assert await _pid(lone_client) != pid
        assert supervisor.deaths == 0


async def test_deaths_are_counted(
    lone_client: RendererClient, alone: Supervisor, eventually: Eventually
) -> None:
    os.kill(alone.pids()[0], signal.SIGKILL)
    await eventually(lambda: alone.deaths == 1)
    await _pid(lone_client)


async def test_renderers_know_no_secret_and_have_no_privilege(
    importable_tasks: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("IMAGE_PROXY_SECRETS", "AWS_SECRET_ACCESS_KEY", "REDIS_URL", "HOMEBREW_TOKEN"):
        monkeypatch.setenv(name, "canary")
    with Supervisor(renderers=1, tasks=TASKS) as supervisor:
        pid = supervisor.pids()[0]
        assert "canary" not in _process_file(pid, "environ") + _process_file(pid, "cmdline")
        limits, status = _process_file(pid, "limits"), _process_file(pid, "status")
        nice = os.getpriority(os.PRIO_PROCESS, pid)
        lone_client = RendererClient(supervisor.socket_path)
        inside = facts_of(await lone_client.run(make_job("describe", b"original"), timeout=5))
    assert {line.split()[4] for line in limits.splitlines() if "core file" in line} == {"0"}
    assert {line.split()[3] for line in limits.splitlines() if "address space" in line} == {"2000000000"}
    assert inside["environment"].items() >= {"VIPS_CONCURRENCY": "1", "MALLOC_ARENA_MAX": "2"}.items()
    assert nice >= 10
    assert "NoNewPrivs:\t1" in status


async def test_the_longest_jpeg_passes_the_renderers_limit_of_libvips(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "longest.py").write_text(
        "import pyvips\n"
        "from proxy.model.media import Format\n"
        "from proxy.renderers import JobKind, RenderedFile, Reply\n"
        "def make(job):\n"
        "    made = pyvips.Image.black(65_500, 1).jpegsave_buffer()\n"
        "    width = pyvips.Image.jpegload_buffer(made).width\n"
        "    return Reply(files=(RenderedFile(body=made, format=Format.JPEG, width=width, height=1),))\n"
        "TASKS = {JobKind.RENDER: make}\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with Supervisor(renderers=1, tasks="longest") as supervisor:
        reply = await RendererClient(supervisor.socket_path).run(Job(original=b""), timeout=10)
    assert reply.files[0].width == 65_500


def test_the_socket_is_ours_alone(supervisor: Supervisor) -> None:
    assert Path(supervisor.socket_path).parent.stat().st_mode & 0o777 == 0o700


async def test_web_processes_share_all_renderers(supervisor: Supervisor) -> None:
    """Neither owns a part: each alone, and both at once, keep both renderers busy."""
    pids = set(supervisor.pids())
    command = [sys.executable, "-c", WEB_PROCESS, supervisor.socket_path]
    web = [await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=subprocess.PIPE) for _ in range(2)]
    for process in web:
        answered, _ = await process.communicate()
        assert set(json.loads(answered)) == pids


def test_renderers_that_cannot_start_are_told_at_once(importable_tasks: None) -> None:
    with pytest.raises(RuntimeError, match="do not start"), Supervisor(renderers=2, tasks="no.such.module"):
        pass


async def test_a_crash_loop_is_slowed_down_and_ends_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, eventually: Eventually
) -> None:
    (tmp_path / "fragile.py").write_text(
        "from pathlib import Path\n"
        "assert not Path(__file__).with_name('broken').exists()\n"
        "from tests.renderers.tasks import TASKS\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with Supervisor(renderers=1, tasks="fragile") as supervisor:
        (tmp_path / "broken").touch()
        os.kill(supervisor.pids()[0], signal.SIGKILL)
        await asyncio.sleep(1)
        assert 1 < supervisor.deaths < 6
        (tmp_path / "broken").unlink()
        lone_client = RendererClient(supervisor.socket_path)
        await lone_client.run(make_job("echo"), timeout=5)


async def test_stopping_finishes_what_was_sent(importable_tasks: None) -> None:
    """Running and waiting jobs are done, new ones refused, and no process or file stays."""
    supervisor = Supervisor(renderers=1, tasks=TASKS)
    with supervisor:
        pids = supervisor.pids()
        lone_client = RendererClient(supervisor.socket_path)
        sent = [
            asyncio.create_task(lone_client.run(make_job("sleep", b"x", seconds=0.2), timeout=5))
            for _ in range(2)
        ]
        await asyncio.sleep(0.1)
        stopping = asyncio.create_task(asyncio.to_thread(supervisor.stop))
        await asyncio.sleep(0.05)
        with pytest.raises(Overloaded):
            await lone_client.run(make_job("echo"), timeout=5)
        assert [body_of(reply) for reply in await asyncio.gather(*sent)] == [b"x", b"x"]
        await stopping
    assert supervisor.pids() == []
    assert not any(_alive(pid) for pid in pids)
    assert not Path(supervisor.socket_path).parent.exists()
    assert supervisor.deaths == 0


async def test_stopping_does_not_wait_for_a_stuck_renderer(importable_tasks: None) -> None:
    with Supervisor(renderers=1, tasks=TASKS) as supervisor:
        lone_client = RendererClient(supervisor.socket_path)
        stuck = asyncio.create_task(lone_client.run(make_job("spin_deaf"), timeout=60))
        await asyncio.sleep(0.1)
        await asyncio.to_thread(supervisor.stop, 0.1)
        with pytest.raises(Overloaded):
            await stuck


@pytest.mark.parametrize("state", ["idle", "busy", "stopped"])
async def test_renderers_end_with_their_supervisor(
    state: str, server: subprocess.Popen[str], eventually: Eventually
) -> None:
    """Even when it is killed and can tell nobody."""
    assert server.stdout is not None
    socket_path, *pids = (await asyncio.to_thread(server.stdout.readline)).split()
    jobs = []
    if state == "busy":
        client = RendererClient(socket_path)
        jobs = [asyncio.create_task(client.run(make_job("spin"), timeout=60)) for _ in pids]
        await asyncio.sleep(0.2)
    if state == "stopped":
        for pid in pids:
            os.kill(int(pid), signal.SIGSTOP)
    assert all(_alive(int(pid)) for pid in pids)
    server.kill()
    await eventually(lambda: not any(_alive(int(pid)) for pid in pids))
    await asyncio.gather(*jobs, return_exceptions=True)
    shutil.rmtree(Path(socket_path).parent)


async def test_signals_to_the_whole_service_do_not_reach_a_job(
    lone_client: RendererClient, alone: Supervisor
) -> None:
    """Ctrl-C and systemd signal all processes: the server then drains, for which it needs its renderers."""
    job = asyncio.create_task(lone_client.run(make_job("sleep", b"done", seconds=0.2), timeout=5))
    await asyncio.sleep(0.1)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(alone.pids()[0], number)
    assert body_of(await job) == b"done"


async def test_ctrl_c_ends_server_and_renderers(server: subprocess.Popen[str]) -> None:
    assert server.stdout is not None
    socket_path, *pids = (await asyncio.to_thread(server.stdout.readline)).split()
    server.send_signal(signal.SIGINT)
    await asyncio.to_thread(server.wait, 20)
    assert not any(_alive(int(pid)) for pid in pids)
    assert not Path(socket_path).parent.exists()
