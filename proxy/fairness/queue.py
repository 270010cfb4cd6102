"""
The order in which work of many clients is done: in turn, each client as much of it as any other.

Start-time fair queueing (Goyal, Vin and Cheng, 1997, https://doi.org/10.1109/90.649569): each client has a
time at which its next work may begin, on a clock that shows how much was done for each client that waits.
Work moves it on by its cost: the estimated one when it begins, corrected by what it took when it ends.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from proxy.fairness.demand import OWN_WORK

K = TypeVar("K", bound=Hashable)

MAX_LAG = 5.0
"""By how much cost a client can be ahead of its share: what it has had beyond that is forgiven."""

MAX_CLIENTS = 10_000
"""Clients that have no work here, and of whom is remembered what they had."""

CONTENTION_MEMORY = 10.0
"""Seconds for which two clients count as competing after they were seen."""


@dataclass(slots=True)
class _Work:
    clients: tuple[str, ...]
    cost: float
    number: int
    charged: str | None = field(default=None)


class FairQueue(Generic[K]):
    """
    Work that waits for one of `slots`, and work that has one.

    `ahead` more may begin while only one client is seen, so that no slot is ever idle between two. One client
    has at most `max_per_client` slots. `clock` gives monotonic seconds.
    """

    def __init__(
        self,
        slots: int,
        *,
        ahead: int = 0,
        max_per_client: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._slots = slots
        self._ahead = ahead
        self._max_per_client = max_per_client or slots + ahead
        self._clock = clock
        self._works: dict[K, _Work] = {}
        self._waiting: dict[str, dict[K, _Work]] = {}
        self._running: Counter[str] = Counter()
        self._running_total = 0
        self._next_start: dict[str, float] = {}
        self._now = 0.0
        self._number = 0
        self._latest_client = OWN_WORK
        self._contended_until = -1.0

    def add(self, work: K, clients: Collection[str], cost: float) -> None:
        """`work` waits, for `clients` (at least one): it is done when it is the turn of one of them."""
        self._number += 1
        self._works[work] = _Work(tuple(clients), cost, self._number)
        self._enqueue(work)

    def replace_clients(self, work: K, clients: Collection[str]) -> None:
        """`work`, which waits, is for `clients` now (at least one)."""
        self._dequeue(work)
        self._works[work].clients = tuple(clients)
        self._enqueue(work)

    def take(self) -> K | None:
        """Give a slot to the work whose turn it is, and return it; `None` when there is none."""
        contended = self._clock() < self._contended_until
        if self._running_total >= self._slots + (0 if contended else self._ahead):
            return None
        turns = [client for client in self._waiting if self._may_begin(client)]
        if not turns:
            return None
        client = min(turns, key=self._turn)
        work, entry = next(iter(self._waiting[client].items()))
        self._dequeue(work)
        start = self._start(client)
        self._now = max(self._now, start)
        self._charge(client, entry.cost, start)
        entry.charged = client
        self._running[client] += 1
        self._running_total += 1
        return work

    def remove(self, work: K, cost: float | None = None) -> None:
        """`work` is done, and took `cost`; or it was given up. What is not here is no error."""
        entry = self._works.get(work)
        if entry is None:
            return
        if entry.charged is None:
            self._dequeue(work)
        else:
            client = entry.charged
            self._running[client] -= 1
            if not self._running[client]:
                del self._running[client]
            self._running_total -= 1
            if cost is not None:
                self._charge(client, cost - entry.cost, self._next_start.get(client, self._now))
        del self._works[work]
        self._forget()

    def _may_begin(self, client: str) -> bool:
        return client == OWN_WORK or self._running[client] < self._max_per_client

    def _turn(self, client: str) -> tuple[float, int, int]:
        first = next(iter(self._waiting[client].values()))
        return self._start(client), self._running[client], first.number

    def _start(self, client: str) -> float:
        return max(self._now, self._next_start.get(client, 0.0))

    def _charge(self, client: str, cost: float, start: float) -> None:
        self._next_start[client] = min(start + cost, self._now + MAX_LAG)

    def _enqueue(self, work: K) -> None:
        entry = self._works[work]
        for client in entry.clients:
            self._waiting.setdefault(client, {})[work] = entry
            self._note(client)

    def _dequeue(self, work: K) -> None:
        for client in self._works[work].clients:
            queue = self._waiting[client]
            del queue[work]
            if not queue:
                del self._waiting[client]

    def _note(self, client: str) -> None:
        if client == OWN_WORK:
            return
        if self._latest_client not in (OWN_WORK, client):
            self._contended_until = self._clock() + CONTENTION_MEMORY
        self._latest_client = client

    def _forget(self) -> None:
        if not self._works:
            self._now = 0.0
            self._next_start.clear()
        elif len(self._next_start) > MAX_CLIENTS:
            self._next_start = {
                client: start
                for client, start in self._next_start.items()
                if start > self._now and (client in self._running or client in self._waiting)
            }
