"""A clock that only moves when it is told to."""

from __future__ import annotations

import time


class Clock:
    """Starts at the real time: files get their times from the kernel too."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += seconds
