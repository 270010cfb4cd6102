"""A circuit breaker: a server that fails is not called for a while, so that no call waits for its timeout."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic


class CircuitBreaker:
    """
    Stops calls to a server after `threshold` failures in a row.

    While the breaker is open one call in `reset_timeout` seconds is let
    through as a probe; its success closes the breaker. `clock` gives monotonic seconds.
    """

    def __init__(
        self, *, threshold: int = 5, reset_timeout: float = 5.0, clock: Callable[[], float] = monotonic
    ) -> None:
        self._threshold = threshold
        self._reset_timeout = reset_timeout
        self._clock = clock
        self._failures = 0
        self._next_try = 0.0

    @property
    def open(self) -> bool:
        return self._failures >= self._threshold

    def allows(self) -> bool:
        """Whether to call now. `True` of an open breaker is the only probe in `reset_timeout` seconds."""
        if not self.open:
            return True
        now = self._clock()
        if now < self._next_try:
            return False
        # Taken up front: a probe that is cancelled and reports nothing only costs another wait.
        self._next_try = now + self._reset_timeout
        return True

    def succeeded(self) -> None:
        self._failures = 0

    def failed(self) -> None:
        self._failures += 1
        self._next_try = self._clock() + self._reset_timeout
