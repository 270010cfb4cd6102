"""Servers under measurement: started, ended, and what their process trees cost (Linux, /proc)."""

from __future__ import annotations

import os
import platform
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

START_TIMEOUT = 60.0
PSS_INTERVAL = 0.1
TICKS = os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    """A TCP port of loopback that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def running(
    command: Sequence[str], port: int, *, cwd: Path, environment: Mapping[str, str] | None = None
) -> Iterator[int]:
    """
    Run `command`, yield its pid once something listens on `port`, and end its process group.

    Raises RuntimeError with the end of what it wrote when it ends by itself or never listens.
    """
    with (cwd / f"{Path(command[0]).name}-{port}.log").open("w+b") as log:
        process = subprocess.Popen(
            command, cwd=cwd, env={**os.environ, **(environment or {})}, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
        try:
            deadline = time.monotonic() + START_TIMEOUT
            while not listens(port):
                if process.poll() is not None or time.monotonic() > deadline:
                    log.seek(0)
                    raise RuntimeError(f"{command[0]} does not start: {log.read()[-400:]!r}")
                time.sleep(0.05)
            yield process.pid
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def tree(pid: int) -> Iterator[int]:
    """A process and its descendants that run now (proc(5), task/*/children)."""
    yield pid
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        children = [child for task in tasks for child in (task / "children").read_text().split()]
    except OSError:
        return
    for child in children:
        yield from tree(int(child))


def cpu_seconds(pid: int) -> float:
    """
    Seconds of CPU of a process, its descendants, and those of them that were reaped (proc(5), stat).

    In ticks of 10 ms; schedstat would be finer, but forgets threads that ended.
    """
    return sum(map(own_ticks, tree(pid))) / TICKS


def own_ticks(pid: int) -> int:
    try:
        return sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:15]))
    except OSError:
        return 0


def pss(pid: int) -> int:
    """Proportional set size of a process tree, in bytes (proc(5), smaps_rollup)."""
    total = 0
    for each in tree(pid):
        try:
            text = Path(f"/proc/{each}/smaps_rollup").read_text()
        except OSError:
            continue
        found = re.search(r"^Pss:\s+(\d+) kB", text, re.MULTILINE)
        total += int(found[1]) * 1024 if found else 0
    return total


class PeakPss:
    """The largest PSS of a process tree while the block runs, sampled ten times a second."""

    def __init__(self, pid: int) -> None:
        self.pid, self.peak = pid, 0
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.sample, daemon=True)

    def sample(self) -> None:
        while True:
            self.peak = max(self.peak, pss(self.pid))
            if self.ended.wait(PSS_INTERVAL):
                return

    def __enter__(self) -> PeakPss:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.thread.join()


def machine() -> dict[str, str | float | int]:
    """What a reader must know of the machine to judge figures."""
    found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return {
        "cpu": found[1] if found else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load": os.getloadavg()[0],
    }
