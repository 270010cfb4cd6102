"""Which jobs of one web process may begin, and when: bounds that keep an overload short and small."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

from proxy.fairness.demand import Demand, current_demand
from proxy.fairness.turns import DisplacedWork, Ticket, to_displace
from proxy.model.errors import Overloaded
from proxy.renderers.protocol import Job

MAX_BACKGROUND_JOBS = 8
"""And never more than a quarter of a queue: the rest of it is for what clients wait for."""

MAX_RETRY_SECONDS = 30


@dataclass(slots=True, kw_only=True, eq=False)
class Place:
    """The place of a job of `size` bytes. It has a `ticket` from when it waits for its turn."""

    size: int
    background: bool
    ticket: Ticket | None = None


class Admission:
    """
    A place for each job that waits or runs, and for the bytes that it is made from.

    With `queue_size` jobs, or `queue_bytes` in them, no more are begun, but of a client that has fewer of
    them than another: one that waits is given up for it, of the client that has the most. Jobs whose original
    was on its way then are admitted, up to as many again, but no more bytes. A background job takes a place
    like any other, but none beyond `queue_size`; it begins when no foreground job is under way, after those
    that came before it, and is given up when there was no such moment for `background_timeout` seconds.
    """

    def __init__(self, *, queue_size: int, queue_bytes: int, background_timeout: float) -> None:
        self._queue_size = queue_size
        self._queue_bytes = queue_bytes
        self._background_timeout = background_timeout
        self._max_background_jobs = min(MAX_BACKGROUND_JOBS, max(1, queue_size // 4))
        self._places: dict[Place, None] = {}
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
        """Raise Overloaded when nothing more is to be begun for the clients of the present demand."""
        if self._is_full(0) and self._to_displace(current_demand()) is None:
            raise self.overloaded()

    @contextmanager
    def place(self, job: Job, demand: Demand) -> Iterator[Place]:
        """Count `job` and its bytes for as long as it waits or runs. Raises Overloaded."""
        place = Place(size=job.body_bytes, background=job.background)
        if not place.background:
            self._make_room(place.size, demand)
        if not self._has_room(place):
            raise self.overloaded()
        self._places[place] = None
        self._count(place, 1)
        try:
            yield place
        finally:
            self._remove(place)

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

    def _is_full(self, size: int) -> bool:
        return self.jobs >= self._queue_size or self._bytes >= self._queue_bytes - max(0, size - 1)

    def _make_room(self, size: int, demand: Demand) -> None:
        while self.jobs and self._is_full(size) and (place := self._to_displace(demand)) is not None:
            assert place.ticket is not None
            self._remove(place)
            place.ticket.give_up(DisplacedWork())

    def _to_displace(self, demand: Demand) -> Place | None:
        places = {place.ticket: place for place in self._places if place.ticket is not None}
        ticket = to_displace([*places], demand)
        return None if ticket is None else places[ticket]

    def _has_room(self, place: Place) -> bool:
        if self.jobs and self._bytes + place.size > self._queue_bytes:
            return False
        if place.background:
            return self.jobs < self._queue_size and self._background_jobs < self._max_background_jobs
        return self.jobs < 2 * self._queue_size

    def _remove(self, place: Place) -> None:
        if place in self._places:
            del self._places[place]
            self._count(place, -1)

    def _count(self, place: Place, jobs: int) -> None:
        self._bytes += jobs * place.size
        if place.background:
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
