"""
One renderer: a process that confines itself, then takes one job after another until it is replaced.

Started by `proxy.renderers.supervisor` as `python -m proxy.renderers.process JSON`. Idle renderers wait in
`accept` on one socket, so the kernel gives each job to whichever is free.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import resource
import signal
import socket
import struct
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from proxy.model.errors import ProxyError, TooCostly
from proxy.renderers.activity import ActivityRecord
from proxy.renderers.protocol import (
    ACCEPTANCE,
    MAX_BODIES,
    NO_FINGERPRINT,
    READY,
    BatchTask,
    CrashedJob,
    Job,
    JobKind,
    RefusedJob,
    Reply,
    Task,
    pack_answer,
    receive_job,
)
from proxy.renderers.readable import needed_paths, readable_paths, remember_modules
from proxy.renderers.sandbox import Lock, become, lock_calls, lock_files

STALL_SECONDS = 5
STALL_TIMEOUT = struct.pack("ll", STALL_SECONDS, 0)
"""struct timeval: how long a web process may stall before its renderer turns to the next job."""

TRANSFER_SECONDS = STALL_SECONDS * (MAX_BODIES + 2)
"""How long all of a job or of an answer may take to cross: each part of it may stall."""

PR_SET_PDEATHSIG = 1
PR_SET_NO_NEW_PRIVS = 38


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """
    What `Supervisor` tells a renderer.

    `listener` and `activity` are descriptors: of the socket, and of its `ActivityRecord`. `tasks` names a
    module, `jobs` is how many it takes. `uid` is the user that it becomes when it is started as root.
    `scratch` is a folder that libraries may write to until the first job.
    """

    listener: int
    activity: int
    tasks: str
    jobs: int
    memory_bytes: int
    start_seconds: int
    nice: int
    uid: int
    scratch: str


def main() -> None:
    """Run one renderer, with the `Parameters` that `Supervisor` gives as JSON."""
    parameters = Parameters(**json.loads(sys.argv[1]))
    listener = socket.socket(fileno=parameters.listener)
    # Ctrl-C and systemd signal every process of a service. A renderer finishes its job, and goes when told.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(parameters.start_seconds)
    activity = ActivityRecord(parameters.activity)
    resident_bytes = _open_resident_bytes()
    _limit(memory_bytes=parameters.memory_bytes, nice=parameters.nice)
    # The order is all: the locks of files bind no thread that is there already, those of calls bind all, but
    # let no library be loaded any more.
    locks = _lock_before_threads(parameters)
    threading.Thread(target=_end_with_supervisor, daemon=True).start()
    module = importlib.import_module(parameters.tasks)
    tasks: Mapping[JobKind, Task] = module.TASKS
    batch_task: BatchTask | None = getattr(module, "BATCH_TASK", None)
    getattr(module, "warm_up", _nothing)()
    fingerprint: str = getattr(module, "fingerprint", str)()
    gc.freeze()
    locks[Lock.SECCOMP] = lock_calls()
    signal.alarm(0)
    closed_locks = (lock.encode() for lock, closed in locks.items() if closed)
    os.write(1, b" ".join([READY, fingerprint.encode() or NO_FINGERPRINT, *closed_locks]) + b"\n")
    os.dup2(2, 1)

    for _ in range(parameters.jobs):
        try:
            connection, _ = listener.accept()
        except OSError:  # the supervisor has shut the socket: nothing waits any more
            break
        with connection:
            expected = _serve(connection, tasks, batch_task, activity, fingerprint)
        activity.end()
        # Either fonts or libraries were changed since this renderer was started, or the web process does not
        # know of that yet, and will after this answer.
        if expected not in ("", fingerprint):
            break
        # What a quarter of the limit stays in use for between jobs is fragments and leaks, not pictures.
        if resident_bytes() > parameters.memory_bytes // 4:
            break
    # Not `sys.exit`: the exit handlers of native libraries have nothing to add here, and may hang.
    os._exit(0)


def _serve(
    connection: socket.socket,
    tasks: Mapping[JobKind, Task],
    batch_task: BatchTask | None,
    activity: ActivityRecord,
    fingerprint: str,
) -> str:
    """Do the job that `connection` brings; return the fingerprint that it expects, empty for any."""
    activity.begin(TRANSFER_SECONDS)
    # Not `settimeout`, which makes the socket non-blocking: the kernel moves a whole body in one call.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, STALL_TIMEOUT)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, STALL_TIMEOUT)
    try:
        connection.sendall(ACCEPTANCE.pack(os.getpid(), time.monotonic_ns()))
        job, timeout = receive_job(connection)
    except (OSError, EOFError):  # the web process left, or only wanted to know whether a renderer is here
        return ""
    for work in _works(tasks, batch_task, job):
        activity.begin(timeout)
        # The default action of SIGALRM is the kernel's: it ends us whatever native code is doing.
        signal.setitimer(signal.ITIMER_REAL, max(timeout, 0.001))
        start, bodies = _perform(work, fingerprint)
        signal.setitimer(signal.ITIMER_REAL, 0)
        activity.begin(TRANSFER_SECONDS)
        try:
            for part in (start, *bodies):
                connection.sendall(part)
        except OSError:  # the web process left: nothing waits for the rest
            break
    return job.fingerprint


def _works(
    tasks: Mapping[JobKind, Task], batch_task: BatchTask | None, job: Job
) -> Sequence[Callable[[], Reply]]:
    """What the job's answers come from, one after another."""
    if job.variants and batch_task is not None:
        return batch_task(job)
    alone = [replace(job, options=each.options, accepted=each.accepted) for each in job.variants]
    return [partial(tasks[job.kind], each) for each in (job, *alone)]


def _perform(work: Callable[[], Reply], fingerprint: str) -> tuple[bytes, list[bytes]]:
    """One answer, packed."""
    try:
        return pack_answer(replace(work(), fingerprint=fingerprint))
    except ProxyError as error:
        return pack_answer(RefusedJob(error=error))
    except MemoryError:
        refusal = TooCostly("this picture needs more memory than a renderer may use")
        return pack_answer(RefusedJob(error=refusal))
    except Exception as error:  # the outermost handler of this process
        trace = traceback.format_exc()[-8_000:]
        return pack_answer(CrashedJob(exception=type(error).__name__, trace=trace))


def _limit(*, memory_bytes: int, nice: int) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    os.nice(nice)
    if sys.platform == "linux":
        # When the machine runs out of memory, a renderer goes before a web process, if /proc may be written.
        with suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text("500")


def _lock_before_threads(parameters: Parameters) -> dict[Lock, bool]:
    """Which of the locks that must come before any thread and any library of ours are there."""
    scratch = parameters.scratch
    os.environ["XDG_CACHE_HOME"] = scratch
    uid = become(parameters.uid, needed_paths(), owned=scratch)
    if uid:
        os.environ["HOME"] = scratch
    if sys.platform == "linux":
        prctl = ctypes.CDLL(None, use_errno=True).prctl
        # After the change of user, which would undo the second.
        for option, value in ((PR_SET_NO_NEW_PRIVS, 1), (PR_SET_PDEATHSIG, signal.SIGKILL)):
            if prctl(option, value, 0, 0, 0):
                raise OSError(ctypes.get_errno(), f"prctl({option})")
    remember_modules()
    return {Lock.UID: uid, Lock.LANDLOCK: lock_files(readable_paths(), writable=[scratch])}


def _nothing() -> None:
    """For tasks that need no warming up."""


def _end_with_supervisor() -> None:
    """
    The supervisor holds the other end of our standard input and never writes. This covers what
    PR_SET_PDEATHSIG does not: other systems, and a supervisor that was gone before it was set.
    """
    os.read(0, 1)
    os._exit(0)


def _open_resident_bytes() -> Callable[[], int]:
    """What tells how much memory is in use, with a file that cannot be opened any more once we are locked."""
    if sys.platform != "linux":  # only the peak can be known, and one large picture is no reason to go
        return lambda: 0
    file, page_bytes = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC), resource.getpagesize()
    return lambda: int(os.pread(file, 256, 0).split()[1]) * page_bytes


if __name__ == "__main__":
    main()
