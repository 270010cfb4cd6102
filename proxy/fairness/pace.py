"""
How fast a client is refused. One that asks again at once, whatever Retry-After says, would cost more time in
refusals than in pictures, and that is the time of all others.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from cachetools import TTLCache

MAX_PROMPT_REFUSALS = 10
"""How many refusals a second one client gets at once."""

REFUSAL_DELAY = 1.0
"""Seconds after which it gets those beyond."""

_MAX_CLIENTS = 10_000


class RefusalPace:
    """Counts refusals by client. `clock` gives monotonic seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._counts: TTLCache[str, int] = TTLCache(_MAX_CLIENTS, 1.0, timer=clock)

    def delay(self, client: str) -> float:
        """Count one more refusal of `client`; return the seconds until it should be told."""
        count = self._counts.get(client, 0) + 1
        if count > MAX_PROMPT_REFUSALS:
            return REFUSAL_DELAY
        self._counts[client] = count
        return 0.0
