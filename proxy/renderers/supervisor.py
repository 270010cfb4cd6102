"""Keeps a number of renderer processes running, for all web processes of one deployment."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from proxy.renderers.protocol import READY_LINE

log = logging.getLogger(__name__)

BACKLOG = 1024
FIRST_RESTART_DELAY, MAX_RESTART_DELAY = 0.1, 5.0
"""Seconds between attempts to start a renderer that dies before it is ready."""

MAX_SLOW_STARTS = 3
"""How many times a renderer may be too slow to start before that is a reason to give up."""

INHERITED_VARIABLES = {"HOME", "LANG", "PATH", "TMPDIR", "TZ"}
INHERITED_PREFIXES = ("DYLD_", "FONTCONFIG_", "LC_", "LD_", "MALLOC_", "VIPS_", "XDG_")
"""What a renderer may know of our environment: where its libraries are, and no secret of any kind."""

FIXED_VARIABLES = {
    "VIPS_CONCURRENCY": "1",  # parallel over renderers: more jobs done than with threads inside one
    # No side is that long, and all frames of an animation on top of each other are not (`render_plan`).
    "VIPS_MAX_COORD": "4000000",
    "MALLOC_ARENA_MAX": "2",  # halves what glibc keeps, for 1 % of CPU
}


class Supervisor:
    """
    Keeps renderer processes running, as a context manager. Entering starts `renderers` of them and waits
    until all are ready (RuntimeError if one dies, or takes longer than `start_seconds` three times in a row);
    leaving finishes the jobs that were accepted or wait, then ends the processes.

    `tasks` names a module with a mapping TASKS of job kinds to `proxy.renderers.Task`. `memory_bytes`
    bounds each renderer's address space. A renderer is replaced after `recycle_after` jobs, and when it keeps
    more than a quarter of `memory_bytes` between jobs.
    """

    def __init__(
        self,
        *,
        renderers: int,
        tasks: str = "proxy.pipeline.tasks",
        memory_bytes: int = 2_000_000_000,
        recycle_after: int = 1_000,
        start_seconds: int = 60,
        nice: int = 10,
    ) -> None:
        self._renderers = renderers
        self._parameters = {
            "tasks": tasks, "memory_bytes": memory_bytes, "start_seconds": start_seconds, "nice": nice
        }  # fmt: skip
        self._recycle_after = recycle_after
        self._folder = tempfile.TemporaryDirectory(prefix="image-proxy-", ignore_cleanup_errors=True)
        self.socket_path = str(Path(self._folder.name, "renderers"))
        self._listener = socket.socket(socket.AF_UNIX)
        self._children: list[subprocess.Popen[bytes] | None] = [None] * renderers
        self._ready: list[Future[bool]] = [Future() for _ in range(renderers)]
        self._threads = [
            threading.Thread(target=self._run_slot, args=(slot,), name=f"renderer-{slot}", daemon=True)
            for slot in range(renderers)
        ]
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._alive = 0
        self.deaths = 0
        """How many renderers ended otherwise than by recycling."""

    def __enter__(self) -> Self:
        self._listener.bind(self.socket_path)
        self._listener.listen(BACKLOG)
        for thread in self._threads:
            thread.start()
        try:
            started = [ready.result() for ready in self._ready]
        except BaseException:  # Ctrl-C: nothing that was started outlives it
            self.stop(drain=0)
            raise
        if not all(started):
            self.stop(drain=0)
            raise RuntimeError("the renderers do not start; what they wrote to standard error says why")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def pids(self) -> list[int]:
        return [child.pid for child in self._children if child and child.returncode is None]

    def stop(self, drain: float = 10.0) -> None:
        """New jobs are refused; those already sent get `drain` seconds. Then everything is killed."""
        self._stopping.set()
        # On Linux `accept` still hands out what waits, then fails in all renderers: that is the drain.
        try:
            self._listener.shutdown(socket.SHUT_RDWR)
        except OSError:  # other systems do not shut a listening socket: no drain there
            drain = 0
        deadline = time.monotonic() + drain
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        for child in self._children:
            if child:
                child.kill()
        for thread in self._threads:
            thread.join()
        self._listener.close()
        self._folder.cleanup()

    def _run_slot(self, slot: int) -> None:
        """
        The life of one place in the pool. Runs in its own thread, which must outlive the child: on Linux
        the death signal of a child is bound to the thread that started it.
        """
        # The first generation ends at different times, so that the pool never recycles all at once.
        jobs = max(1, self._recycle_after * (slot + 1) // self._renderers)
        delay, slow = 0.0, 0
        while not self._stopping.wait(delay):
            ready, status = self._run_renderer(slot, jobs)
            slow = slow + 1 if status == -signal.SIGALRM else MAX_SLOW_STARTS
            if slow >= MAX_SLOW_STARTS:
                self._report_start(slot, False)
            jobs = self._recycle_after
            delay = 0.0 if ready else min(MAX_RESTART_DELAY, max(FIRST_RESTART_DELAY, delay * 2))
            if status != 0 and not self._stopping.is_set():
                self._count(deaths=1)
                log.warning("a renderer ended by %s", _cause(status), extra={"ready": ready, "retry": delay})

    def _run_renderer(self, slot: int, jobs: int) -> tuple[bool, int]:
        """One renderer from birth to death: whether it became ready, and its exit status."""
        ready, status = False, 1
        try:
            with self._spawn(jobs) as child:
                self._children[slot] = child
                assert child.stdout is not None
                ready = child.stdout.readline() == READY_LINE
                self._count(alive=int(ready))
                if ready:
                    self._report_start(slot, ready)
                status = child.wait()
                self._count(alive=-int(ready))
        except OSError:  # no process to be had: out of memory or of pids
            log.exception("a renderer cannot be started")
        return ready, status

    def _count(self, *, alive: int = 0, deaths: int = 0) -> None:
        """Told in a file beside the socket too, for the processes that answer who asks: see `counts`."""
        path = _counts(self.socket_path)
        with self._lock, suppress(OSError):
            self._alive += alive
            self.deaths += deaths
            new = path.with_suffix(".new")
            new.write_text(f"{self._alive} {self.deaths}")
            new.replace(path)

    def _report_start(self, slot: int, ready: bool) -> None:
        if not self._ready[slot].done():
            self._ready[slot].set_result(ready)

    def _spawn(self, jobs: int) -> subprocess.Popen[bytes]:
        """A new interpreter by exec, never a fork that goes on: libvips hangs after a fork."""
        listener = self._listener.fileno()
        parameters = json.dumps({**self._parameters, "listener": listener, "jobs": jobs})
        return subprocess.Popen(  # noqa: S603  all arguments are ours
            [sys.executable, "-P", "-m", "proxy.renderers.process", parameters],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=[listener],
            env=_environment(),
        )


def counts(socket_path: str) -> tuple[int, int] | None:
    """How many renderers take jobs there, and how many ended badly. `None` when nothing is told of them."""
    try:
        alive, deaths = map(int, _counts(socket_path).read_text().split())
    except OSError:
        return None
    return alive, deaths


def _counts(socket_path: str) -> Path:
    return Path(socket_path).with_name("counts")


def _environment() -> dict[str, str]:
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name in INHERITED_VARIABLES or name.startswith(INHERITED_PREFIXES)
    }
    return inherited | FIXED_VARIABLES | {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))}


def _cause(status: int) -> str:
    return signal.Signals(-status).name if status < 0 else f"exit status {status}"
