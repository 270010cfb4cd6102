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
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from proxy.model.errors import ProxyError, TooCostly
from proxy.renderers.protocol import (
    ACCEPTANCE,
    READY_LINE,
    CrashedJob,
    Job,
    JobKind,
    RefusedJob,
    Task,
    pack_answer,
    receive_job,
)

STALL_TIMEOUT = struct.pack("ll", 5, 0)
"""struct timeval: how long a web process may stall before its renderer turns to the next job."""

PR_SET_PDEATHSIG = 1
PR_SET_NO_NEW_PRIVS = 38


def main() -> None:
    """Run one renderer, with the parameters that `Supervisor` gives as JSON."""
    parameters = json.loads(sys.argv[1])
    listener = socket.socket(fileno=parameters["listener"])
    # Ctrl-C and systemd signal every process of a service. A renderer finishes its job, and goes when told.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(parameters["start_seconds"])
    threading.Thread(target=_end_with_supervisor, daemon=True).start()
    _confine(memory_bytes=parameters["memory_bytes"], nice=parameters["nice"])
    tasks: Mapping[JobKind, Task] = importlib.import_module(parameters["tasks"]).TASKS
    gc.freeze()
    signal.alarm(0)
    os.write(1, READY_LINE)
    os.dup2(2, 1)

    for _ in range(parameters["jobs"]):
        try:
            connection, _ = listener.accept()
        except OSError:  # the supervisor has shut the socket: nothing waits any more
            break
        with connection:
            _serve(connection, tasks)
        # What a quarter of the limit stays in use for between jobs is fragments and leaks, not pictures.
        if _resident_bytes() > parameters["memory_bytes"] // 4:
            break
    # Not `sys.exit`: the exit handlers of native libraries have nothing to add here, and may hang.
    os._exit(0)


def _serve(connection: socket.socket, tasks: Mapping[JobKind, Task]) -> None:
    # Not `settimeout`, which makes the socket non-blocking: the kernel moves a whole body in one call.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, STALL_TIMEOUT)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, STALL_TIMEOUT)
    try:
        connection.sendall(ACCEPTANCE.pack(os.getpid(), time.monotonic_ns()))
        job, timeout = receive_job(connection)
    except (OSError, EOFError):  # the web process left, or only wanted to know whether a renderer is here
        return
    # The default action of SIGALRM is the kernel's: it ends us whatever native code is doing.
    signal.setitimer(signal.ITIMER_REAL, max(timeout, 0.001))
    start, bodies = _perform(tasks, job)
    signal.setitimer(signal.ITIMER_REAL, 0)
    with suppress(OSError):
        for part in (start, *bodies):
            connection.sendall(part)


def _perform(tasks: Mapping[JobKind, Task], job: Job) -> tuple[bytes, list[bytes]]:
    """The job's answer, packed."""
    try:
        return pack_answer(tasks[job.kind](job))
    except ProxyError as error:
        return pack_answer(RefusedJob(error=error))
    except MemoryError:
        refusal = TooCostly("this picture needs more memory than a renderer may use")
        return pack_answer(RefusedJob(error=refusal))
    except Exception as error:  # the outermost handler of this process
        trace = traceback.format_exc()[-8_000:]
        return pack_answer(CrashedJob(exception=type(error).__name__, trace=trace))


def _confine(*, memory_bytes: int, nice: int) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    os.nice(nice)
    if sys.platform == "linux":
        prctl = ctypes.CDLL(None, use_errno=True).prctl
        for option, value in ((PR_SET_NO_NEW_PRIVS, 1), (PR_SET_PDEATHSIG, signal.SIGKILL)):
            if prctl(option, value, 0, 0, 0):
                raise OSError(ctypes.get_errno(), f"prctl({option})")
        # When the machine runs out of memory, a renderer goes before a web process, if /proc may be written.
        with suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text("500")


def _end_with_supervisor() -> None:
    """
    The supervisor holds the other end of our standard input and never writes. This covers what
    PR_SET_PDEATHSIG does not: other systems, and a supervisor that was gone before it was set.
    """
    os.read(0, 1)
    os._exit(0)


def _resident_bytes() -> int:
    pages = 0  # elsewhere only the peak can be known, and one large picture is no reason to go
    if sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_bytes().split()[1])
    return pages * resource.getpagesize()


if __name__ == "__main__":
    main()
