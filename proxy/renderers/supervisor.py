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
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from proxy.renderers.activity import (
    CHECK_INTERVAL,
    Activity,
    count_checks,
    max_checks,
    new_record,
    read_record,
    work_waits,
)
from proxy.renderers.broker import TURNS_SOCKET, TurnBroker
from proxy.renderers.environment import renderer_environment
from proxy.renderers.protocol import NO_FINGERPRINT, READY
from proxy.renderers.sandbox import FIRST_UID, MAX_UIDS, Lock
from proxy.renderers.state import sandbox_state, write_state

log = logging.getLogger(__name__)

BACKLOG = 1024
FIRST_RESTART_DELAY, MAX_RESTART_DELAY = 0.1, 5.0
"""Seconds between attempts to start a renderer that dies before it is ready."""

MAX_SLOW_STARTS = 3
"""How many times a renderer may be too slow to start before that is a reason to give up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Child:
    """A renderer that was started at `born` (monotonic seconds), and the descriptor of its record."""

    process: subprocess.Popen[bytes]
    activity: int
    born: float
    locks: frozenset[Lock] | None = None
    """Those around it; `None` until it is ready."""

    @property
    def is_ready(self) -> bool:
        return self.locks is not None


class Supervisor:
    """
    Keeps renderer processes running, as a context manager. Entering starts `renderers` of them and waits
    until all are ready (RuntimeError if one dies, or takes longer than `start_seconds` three times in a row);
    leaving finishes the jobs that were accepted or wait, then ends the processes.

    `tasks` names a module with a mapping TASKS of job kinds to `proxy.renderers.Task`. `memory_bytes`
    bounds each renderer's address space. A renderer is replaced after `recycle_after` jobs, and when it keeps
    more than a quarter of `memory_bytes` between jobs, and when it takes none though work waits: no job is
    given more than `max_job_seconds`.
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
        max_job_seconds: float = 3_600.0,
    ) -> None:
        self._renderers = renderers
        self._parameters = {
            "tasks": tasks, "memory_bytes": memory_bytes, "start_seconds": start_seconds, "nice": nice
        }  # fmt: skip
        self._start_seconds = start_seconds
        self._recycle_after = recycle_after
        self._max_job_seconds = max_job_seconds
        self._folder = tempfile.TemporaryDirectory(prefix="image-proxy-", ignore_cleanup_errors=True)
        # Apart from the socket, whose folder is ours alone: renderers that are other users pass through this.
        self._scratch = tempfile.TemporaryDirectory(prefix="image-proxy-", ignore_cleanup_errors=True)
        Path(self._scratch.name).chmod(0o711)
        self.socket_path = str(Path(self._folder.name, "renderers"))
        self._listener = socket.socket(socket.AF_UNIX)
        self._broker = TurnBroker(Path(self._folder.name, TURNS_SOCKET), slots=renderers)
        self._children: list[_Child | None] = [None] * renderers
        self._ready: list[Future[bool]] = [Future() for _ in range(renderers)]
        self._threads = [
            threading.Thread(target=self._run_slot, args=(slot,), name=f"renderer-{slot}", daemon=True)
            for slot in range(renderers)
        ]
        self._watch = threading.Thread(target=self._replace_stuck, name="renderers", daemon=True)
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._fingerprint = ""
        self.deaths = 0
        """How many renderers ended otherwise than by recycling."""

    def __enter__(self) -> Self:
        self._listener.bind(self.socket_path)
        self._listener.listen(BACKLOG)
        self._broker.start()
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
        self._watch.start()
        _log_sandbox(sandbox_state(self.socket_path) or {})
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def pids(self) -> list[int]:
        return [child.process.pid for child in self._children if child and child.process.returncode is None]

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
                child.process.kill()
        for thread in self._threads:
            thread.join()
        if self._watch.is_alive():
            self._watch.join()
        self._broker.stop()
        self._listener.close()
        self._folder.cleanup()
        self._scratch.cleanup()

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
                self._count_death()
                log.warning("a renderer ended by %s", _cause(status), extra={"ready": ready, "retry": delay})

    def _run_renderer(self, slot: int, jobs: int) -> tuple[bool, int]:
        """One renderer from birth to death: whether it became ready, and its exit status."""
        locks, status = None, 1
        try:
            activity = new_record()
            try:
                with self._spawn(slot, jobs, activity) as process:
                    child = _Child(process=process, activity=activity, born=time.monotonic())
                    self._children[slot] = child
                    assert process.stdout is not None
                    ready = _parse_ready(process.stdout.readline())
                    if ready is not None:
                        self._fingerprint, locks = ready
                        self._children[slot] = replace(child, locks=locks)
                        self._write_state()
                        self._report_start(slot, True)
                    status = process.wait()
            finally:
                with self._lock:  # nobody reads a descriptor that is closed, and may be another file's
                    self._children[slot] = None
                    os.close(activity)
                self._write_state()
        except OSError:  # no process to be had: out of memory or of pids
            log.exception("a renderer cannot be started")
        return locks is not None, status

    def _replace_stuck(self) -> None:
        """Kill renderers that leave work in the queue, and those that will never be ready, until we stop."""
        counted: dict[tuple[int, int], int] = {}
        while not self._stopping.wait(CHECK_INTERVAL):
            with self._lock:
                children = [child for child in self._children if child]
                seen = _activities(children) if work_waits(self._listener) else []
            counted, now = count_checks(counted, seen), time.monotonic_ns()
            stuck = {
                each.pid
                for each in seen
                if counted[each.pid, each.jobs] >= max_checks(each, now, self._max_job_seconds)
            }
            for child in children:
                if child.process.pid in stuck:
                    log.warning("a renderer took no job though some wait: it is replaced")
                elif child.is_ready or time.monotonic() < child.born + self._start_seconds + CHECK_INTERVAL:
                    continue
                child.process.kill()

    def _count_death(self) -> None:
        with self._lock:
            self.deaths += 1
        self._write_state()

    def _write_state(self) -> None:
        with self._lock:
            locks = [child.locks for child in self._children if child and child.locks is not None]
            write_state(self.socket_path, locks=locks, deaths=self.deaths, fingerprint=self._fingerprint)

    def _report_start(self, slot: int, ready: bool) -> None:
        if not self._ready[slot].done():
            self._ready[slot].set_result(ready)

    def _spawn(self, slot: int, jobs: int, activity: int) -> subprocess.Popen[bytes]:
        """A new interpreter by exec, never a fork that goes on: libvips hangs after a fork."""
        listener = self._listener.fileno()
        # Of this slot alone: what one renderer leaves there no other reads.
        scratch = Path(self._scratch.name, str(slot))
        scratch.mkdir(mode=0o700, exist_ok=True)
        parameters = {
            **self._parameters, "listener": listener, "activity": activity, "jobs": jobs,
            "uid": FIRST_UID + slot % MAX_UIDS, "scratch": str(scratch),
        }  # fmt: skip
        return subprocess.Popen(  # noqa: S603  all arguments are ours
            [sys.executable, "-P", "-m", "proxy.renderers.process", json.dumps(parameters)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=[listener, activity],
            env=renderer_environment(),
        )


def _activities(children: Iterable[_Child]) -> list[Activity]:
    """What those that are ready say that they are at."""
    return [read_record(child.activity, child.process.pid) for child in children if child.is_ready]


def _parse_ready(line: bytes) -> tuple[str, frozenset[Lock]] | None:
    """The fingerprint of the renderer that wrote `line`, and its locks; `None` when it is not ready."""
    word, fingerprint, *locks = line.split() or [b"", b""]
    if word != READY:
        return None
    named = "" if fingerprint == NO_FINGERPRINT else fingerprint.decode()
    return named, frozenset(Lock(lock.decode()) for lock in locks)


def _log_sandbox(state: Mapping[str, bool]) -> None:
    missing = [lock for lock, closed in state.items() if not closed]
    if os.geteuid() != 0 and Lock.UID in missing:  # who is not root has no other user to be
        missing.remove(Lock.UID)
    if Lock.UID in missing:
        log.warning("renderers run as root: other users cannot read this installation, or cannot be had")
        missing.remove(Lock.UID)
    if missing:
        log.warning("renderers are not locked in by %s: this system does not offer it", " and ".join(missing))


def _cause(status: int) -> str:
    return signal.Signals(-status).name if status < 0 else f"exit status {status}"
