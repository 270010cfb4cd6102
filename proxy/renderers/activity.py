"""
What each renderer is at, for the supervisor: a few bytes that both see, so that telling costs no call.

A renderer that is stopped, or stuck, before it accepts leaves its jobs in the kernel's queue and says nothing
of it. That work waits while it claims to be idle is how the supervisor knows.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import select
import socket
import struct
import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

RECORD = struct.Struct("=QQ")
"""When the renderer will be done at the latest (monotonic ns, 0 while idle), and how many jobs it took."""

CHECK_INTERVAL = 1.0
MAX_TRANSFERS_SECONDS = 60.0
"""How long a job and its answer may take to cross, together."""

GRACE = 1_000_000_000
"""ns after its time is over before a renderer should have been idle: its own clock has ended it by then."""

CHECKS_UNTIL_STUCK = 3
"""How many checks in a row find that work waits and that one renderer is idle: it is stuck. Checks and not
seconds, because a machine that slept stops us all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """
    One renderer as it says it is, seen from outside.

    `until` is monotonic ns, and 0 for one that is idle.
    """

    pid: int
    jobs: int
    until: int

    def is_idle(self, now: int, max_job_seconds: float) -> bool:
        """
        Whether it is idle at `now` (monotonic ns), or should be: its time is over, or longer than any job
        has, which it says only when it is not ours any more.
        """
        longest = max(max_job_seconds, MAX_TRANSFERS_SECONDS)
        return not now - GRACE <= self.until <= now + int(longest * 1e9)


class ActivityRecord:
    """What a renderer writes, in the memory behind `descriptor`, which it has from its supervisor."""

    def __init__(self, descriptor: int) -> None:
        self._memory = mmap.mmap(descriptor, RECORD.size)
        os.close(descriptor)
        self._jobs = 0

    def begin(self, seconds: float) -> None:
        """A job was taken, or goes on to a stage that lasts no longer than `seconds` from now."""
        until = time.monotonic_ns() + int(seconds * 1e9)
        RECORD.pack_into(self._memory, 0, until, self._jobs)

    def end(self) -> None:
        self._jobs += 1
        RECORD.pack_into(self._memory, 0, 0, self._jobs)


def new_record() -> int:
    """Return a descriptor of an empty record, whose size nobody who has it can change on Linux."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("activity", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(descriptor, RECORD.size)
        fcntl.fcntl(
            descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
        )
        return descriptor
    with tempfile.TemporaryFile() as file:
        file.truncate(RECORD.size)
        return os.dup(file.fileno())


def read_record(descriptor: int, pid: int) -> Activity:
    """Return what the renderer `pid` last wrote."""
    until, jobs = RECORD.unpack(os.pread(descriptor, RECORD.size, 0).ljust(RECORD.size, b"\0"))
    return Activity(pid=pid, jobs=jobs, until=until)


def work_waits(listener: socket.socket) -> bool:
    """Whether a connection is in the queue of `listener`, which no renderer has accepted."""
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    return any(event & select.POLLIN for _, event in poll.poll(0))


def count_checks(
    counted: Mapping[tuple[int, int], int], seen: Iterable[Activity]
) -> dict[tuple[int, int], int]:
    """
    Return how many checks in a row saw each renderer at the same job, by its pid and number of jobs.

    `counted` is what this returned at the check before, `seen` are all of now, or none if no work waits.
    """
    names = [(each.pid, each.jobs) for each in seen]
    return {name: counted.get(name, 0) + 1 for name in names}


def max_checks(activity: Activity, now: int, max_job_seconds: float) -> int:
    """
    Return how many checks in a row a renderer may be seen in that state, `now` (monotonic ns), while work
    waits. Whatever it claims, none is at one job for longer than that and its transfers take.
    """
    if activity.is_idle(now, max_job_seconds):
        return CHECKS_UNTIL_STUCK
    return int((max_job_seconds + MAX_TRANSFERS_SECONDS) / CHECK_INTERVAL)
