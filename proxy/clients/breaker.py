"""A circuit breaker: who does not answer is left alone for a while, so that nobody queues for timeouts."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic


class Breaker:
    """
    Opens after `threshold` failures in a row. While it is open one call in `rest` seconds is let through
    to see whether things are well again; its success closes the breaker.
    """

    def __init__(
        self, *, threshold: int = 5, rest: float = 5.0, clock: Callable[[], float] = monotonic
    ) -> None:
        self._threshold = threshold
        self._rest = rest
        self._clock = clock
        self._failures = 0
        self._next_try = 0.0

    @property
    def open(self) -> bool:
        return self._failures >= self._threshold

    def allows(self) -> bool:
        """Whether to call now. Each `True` of an open breaker is the one probe of the next `rest` seconds."""
        if not self.open:
            return True
        now = self._clock()
        if now < self._next_try:
            return False
        # Taken up front: a probe that is cancelled and reports nothing only costs another rest.
        self._next_try = now + self._rest
        return True

    def succeeded(self) -> None:
        self._failures = 0

    def failed(self) -> None:
        self._failures += 1
        self._next_try = self._clock() + self._rest
