"""The circuit breaker of an origin: it opens when the origin is silent, not when some originals are bad."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import NamedTuple

FAILURE_THRESHOLD, RESET_TIMEOUT = 5, 5.0
"""Failures within the window that open the breaker at least, and seconds until it lets a probe through."""

WINDOW = 10.0
"""Seconds for which an outcome counts."""

_MAX_OUTCOMES = 1000


@dataclass(slots=True)
class FetchProgress:
    """What is known of a fetch while it goes on: whether its origin has `answered`, whatever it said."""

    answered: bool = False


_progress: ContextVar[FetchProgress | None] = ContextVar("fetch_progress", default=None)


@contextmanager
def fetch_progress() -> Iterator[FetchProgress]:
    """Learn of the first byte of what is fetched within."""
    progress = FetchProgress()
    token = _progress.set(progress)
    try:
        yield progress
    finally:
        _progress.reset(token)


def origin_answered() -> None:
    """Say that the first byte of an answer has come, in the task of the fetch."""
    if (progress := _progress.get()) is not None:
        progress.answered = True


class _Outcome(NamedTuple):
    at: float
    failed_for: str | None


class OriginBreaker:
    """
    Stops fetches when, within ten seconds, five or more failed by silence, and two in three at least.

    A key that gets no first byte in time counts once in that time, so that one slow original makes no others
    unavailable; a connection that cannot be made counts each time. While the breaker is open one fetch in
    five seconds is let through as a probe; when the origin answers it, the breaker closes. `clock` gives
    monotonic seconds.
    """

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._outcomes: deque[_Outcome] = deque(maxlen=_MAX_OUTCOMES)
        self._next_try = 0.0
        self.open = False

    def allows(self) -> bool:
        """Whether to fetch now. `True` of an open breaker is the only probe in five seconds."""
        if not self.open:
            return True
        now = self._clock()
        if now < self._next_try:
            return False
        self._next_try = now + RESET_TIMEOUT
        return True

    def answered(self) -> None:
        """The origin answered, whatever it said of that key."""
        if self.open:
            self.open = False
            self._outcomes.clear()
        self._outcomes.append(_Outcome(self._clock(), None))

    def unreachable(self) -> None:
        """No connection could be made, or it broke before the first byte."""
        self._failed("")

    def silent(self, key: str) -> None:
        """The first byte of `key` did not come in time."""
        self._failed(key)

    def _failed(self, key: str) -> None:
        now = self._clock()
        self._outcomes.append(_Outcome(now, key))
        recent = [each.failed_for for each in self._outcomes if now - each.at < WINDOW]
        answers, unreachable = recent.count(None), recent.count("")
        failures = unreachable + len({each for each in recent if each})
        if self.open or (failures >= FAILURE_THRESHOLD and failures >= 2 * answers):
            self.open = True
            self._next_try = now + RESET_TIMEOUT
