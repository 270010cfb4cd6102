"""Which jobs of one web process may begin, and when: bounds that keep an overload short and small."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from proxy.model.errors import Overloaded
from proxy.renderers.protocol import Job

MAX_BACKGROUND_JOBS = 8
"""And never more than a quarter of a queue: the rest of it is for what clients wait for."""

MAX_RETRY_SECONDS = 30


class Admission:
    """
    A place for each job that waits or runs, and for the bytes that it is made from.

    With `queue_size` jobs, or `queue_bytes` in them, no more are begun; those whose original was on its way
    then are admitted, up to as many again, but no more bytes. A background job takes a place like any other,
    but none beyond `queue_size`; it begins when no foreground job is under way, after those that came before
    it, and is given up when there was no such moment for `background_timeout` seconds.
    """

    def __init__(self, *, queue_size: int, queue_bytes: int, background_timeout: float) -> None:
        self._queue_size = queue_size
        self._queue_bytes = queue_bytes
        self._background_timeout = background_timeout
        self._max_background_jobs = min(MAX_BACKGROUND_JOBS, max(1, queue_size // 4))
        self._foreground_jobs = 0
        self._background_jobs = 0
        self._bytes = 0
        self._no_foreground_jobs = asyncio.Event()
        self._no_foreground_jobs.set()
        self._background_lock = asyncio.Lock()
        self._latest_seconds = 0.0

    @property
    def jobs(self) -> int:
        return self._foreground_jobs + self._background_jobs

    def require_room(self) -> None:
        """Raise Overloaded when nothing more is to be begun."""
        if self.jobs >= self._queue_size or self._bytes >= self._queue_bytes:
            raise self.overloaded()

    @contextmanager
    def place(self, job: Job) -> Iterator[None]:
        """Count `job` and its bytes for as long as it waits or runs. Raises Overloaded."""
        size = job.body_bytes
        if not self._has_place(job, size):
            raise self.overloaded()
        self._count(job, 1, size)
        try:
            yield
        finally:
            self._count(job, -1, -size)

    @asynccontextmanager
    async def background_turn(self) -> AsyncIterator[None]:
        """Entered by one background job at a time, when no foreground job is under way. Raises Overloaded."""
        async with self._background_lock:
            await self._wait_for_idleness()
            yield

    def note_duration(self, seconds: float) -> None:
        """Remember what the latest foreground job took from asking to answering."""
        self._latest_seconds = seconds

    def overloaded(self) -> Overloaded:
        """The refusal of a job: `retry_after` is about how long a full queue takes to pass."""
        seconds = min(MAX_RETRY_SECONDS, max(1, math.ceil(self._latest_seconds)))
        return Overloaded("too many pictures are being made right now", retry_after=seconds)

    def _has_place(self, job: Job, size: int) -> bool:
        if self.jobs and self._bytes + size > self._queue_bytes:
            return False
        if job.background:
            return self.jobs < self._queue_size and self._background_jobs < self._max_background_jobs
        return self.jobs < 2 * self._queue_size

    def _count(self, job: Job, jobs: int, size: int) -> None:
        self._bytes += size
        if job.background:
            self._background_jobs += jobs
            return
        self._foreground_jobs += jobs
        if self._foreground_jobs:
            self._no_foreground_jobs.clear()
        else:
            self._no_foreground_jobs.set()

    async def _wait_for_idleness(self) -> None:
        try:
            async with asyncio.timeout(self._background_timeout):
                while self._foreground_jobs:  # another may have come between the event and us
                    await self._no_foreground_jobs.wait()
        except TimeoutError:
            raise self.overloaded() from None
