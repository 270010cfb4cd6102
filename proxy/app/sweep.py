"""One look a second at all connections of a web process: which are too slow, and how much waits for them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Literal, Protocol
from weakref import WeakKeyDictionary

SWEEP_INTERVAL = 1.0
LINGER = 2.0
"""Seconds after a refusal for which what still comes is dropped: to close at once would reset the answer."""

EndReason = Literal["idle", "head", "body", "slow_reader", "too_much_waiting"]
"""
Why a connection was ended: no request came; the head or the body of one did not; its answer was not taken; or
more than may was waiting to be sent.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """
    How slow connections may be, in seconds and in bytes a second, and how much may wait for them.

    A request's head has to come within `head_timeout`, and the next request within `idle_timeout`. Bodies
    have to come, and answers to be taken, at `min_rate` on average over `slow_timeout`. Of all answers
    together `max_sending_bytes` may wait in one web process for clients to take them.
    """

    head_timeout: float = 10.0
    idle_timeout: float = 75.0
    slow_timeout: float = 30.0
    min_rate: float = 1_000.0
    max_sending_bytes: int = 256_000_000


class Phase(Enum):
    """What a connection waits for."""

    IDLE = auto()
    """The next request."""
    HEAD = auto()
    BODY = auto()
    ANSWER = auto()
    """The application: all of the request is here."""
    CLOSING = auto()
    """The client's end; what still comes is dropped."""


class Connection(Protocol):
    """
    What a sweep looks at. Times are the sweep's `now`; `waiting` are the bytes that were to be sent when it
    last looked, and `taken` those that went out since `window_began`.
    """

    phase: Phase
    phase_began: float
    body_bytes: int
    window_began: float
    waiting: int
    taken: int

    @property
    def transport(self) -> asyncio.Transport: ...

    @property
    def is_answering(self) -> bool: ...

    @property
    def is_read_paused(self) -> bool: ...

    def time_out(self) -> None: ...


class Sweep:
    """
    Looks at `connections` once a second, as long as there are any, and ends those beyond `limits`.

    `now` is a clock of that resolution, which costs nothing to read. `ended` is told why each one was ended.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        connections: Collection[Any],
        limits: ConnectionLimits,
        ended: Callable[[EndReason], None],
    ) -> None:
        self.limits = limits
        self.now = loop.time()
        self._loop = loop
        self._connections: Collection[Connection] = connections
        self._ended = ended
        self._is_running = False

    def start(self) -> None:
        """Go on looking, where there was nothing to be seen."""
        if not self._is_running:
            self._is_running = True
            self.now = self._loop.time()
            self._loop.call_later(SWEEP_INTERVAL, self._sweep)

    def _sweep(self) -> None:
        self.now = self._loop.time()
        sending = []
        for each in list(self._connections):
            waiting = each.transport.get_write_buffer_size()
            if waiting:
                sending.append(each)
            reason = self._late_sender(each) if not waiting else self._late_reader(each, waiting)
            each.waiting = waiting
            if reason == "slow_reader":
                self._abort(each, reason)
            elif reason is not None:
                self._ended(reason)
                each.time_out()
        self._make_room(sending)
        self._is_running = bool(self._connections)
        if self._is_running:
            self._loop.call_later(SWEEP_INTERVAL, self._sweep)

    def _late_reader(self, each: Connection, waiting: int) -> EndReason | None:
        if not each.window_began:
            each.window_began, each.waiting, each.taken = self.now, waiting, 0
            return None
        each.taken += max(0, each.waiting - waiting)
        age = self.now - each.window_began
        if age < self.limits.slow_timeout:
            return None
        if each.taken < self.limits.min_rate * age:
            return "slow_reader"
        each.window_began, each.taken = self.now, 0
        return None

    def _late_sender(self, each: Connection) -> EndReason | None:
        each.window_began = 0.0
        age, limits = self.now - each.phase_began, self.limits
        match each.phase:
            case Phase.IDLE:
                return "idle" if age > limits.idle_timeout else None
            case Phase.HEAD:
                return "head" if age > limits.head_timeout else None
            case Phase.BODY if not each.is_read_paused:
                is_slow = each.body_bytes < limits.min_rate * age
                return "body" if age > limits.slow_timeout and is_slow else None
            case Phase.CLOSING if not each.is_answering and age > LINGER:
                each.transport.abort()
        return None

    def _make_room(self, sending: list[Connection]) -> None:
        """Abort those that have been at one answer for longest, until the rest is within the bound."""
        too_much = sum(each.waiting for each in sending) - self.limits.max_sending_bytes
        for each in sorted(sending, key=lambda each: (each.window_began, -each.waiting)):
            if too_much <= 0:
                return
            too_much -= each.waiting
            self._abort(each, "too_much_waiting")

    def _abort(self, each: Connection, reason: EndReason) -> None:
        self._ended(reason)
        each.transport.abort()


_SWEEPS: WeakKeyDictionary[object, Sweep] = WeakKeyDictionary()


def sweep_of(server: object, make: Callable[[], Sweep]) -> Sweep:
    """Return the sweep of a server, made for its first connection."""
    found = _SWEEPS.get(server)
    if found is None:
        found = _SWEEPS[server] = make()
    return found
