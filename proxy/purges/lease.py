"""A lease by a process's own clock: while it holds, the process may answer from its caches unasked."""

from __future__ import annotations

import time
from collections.abc import Callable

LEASE_DURATION = 5.0
"""Seconds, unless the setting `purge_lease` says otherwise."""

_MARGIN = 0.02
"""The share of a lease that is left alone, for clocks that do not tick equally fast."""

_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def boot_clock() -> float:
    """Return monotonic seconds which go on while the process is stopped or the machine suspended."""
    return time.clock_gettime(_CLOCK)


class PurgeLease:
    """
    The right to answer from caches without asking the origin, for `duration` seconds after each renewal.

    A purge is not confirmed before every process knows of it or has no such lease any more. `clock` gives
    monotonic seconds.
    """

    __slots__ = ("_clock", "_until", "duration")

    def __init__(self, duration: float = LEASE_DURATION, clock: Callable[[], float] = boot_clock) -> None:
        self.duration = duration
        self._clock = clock
        self._until = -1.0

    @property
    def valid(self) -> bool:
        """Whether it holds now. Cheap enough for every request."""
        return self._clock() < self._until

    def now(self) -> float:
        """Return the time of the lease's own clock, from which `renew` counts."""
        return self._clock()

    def renew(self, asked: float) -> None:
        """Hold it for another `duration` from `asked`, when the renewal was asked for."""
        self._until = asked + self.duration * (1 - _MARGIN)

    def give_up(self) -> None:
        """Hold it no more."""
        self._until = -1.0
