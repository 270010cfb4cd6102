"""Turns of one process and one event loop, taken by many clients."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Protocol

from proxy.fairness.demand import Demand
from proxy.fairness.queue import FairQueue


class AbandonedWork(Exception):
    """All clients have left before it was the turn of the work that they waited for."""


class DisplacedWork(Exception):
    """The work's place was given to a client that had fewer."""


class Ticket:
    """Work that waits for its turn until `granted` is done, and then has it until it is released."""

    __slots__ = ("_granted_at", "demand", "granted", "unwatch")

    def __init__(self, demand: Demand) -> None:
        self.demand = demand
        self.granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.unwatch: Callable[[], None] | None = None
        self._granted_at: float | None = None

    @property
    def is_waiting(self) -> bool:
        return not self.granted.done()

    def grant(self) -> None:
        if self.is_waiting:
            self._granted_at = time.monotonic()
            self.granted.set_result(None)

    @property
    def seconds(self) -> float | None:
        """For how long it has its turn; `None` if it had none."""
        return None if self._granted_at is None else time.monotonic() - self._granted_at

    def give_up(self, reason: AbandonedWork | DisplacedWork) -> None:
        """Let whatever awaits `granted` get `reason`."""
        if self.is_waiting:
            self.granted.set_exception(reason)
            self.granted.exception()  # retrieved, also where its task is cancelled before it looks


class Turns(Protocol):
    """
    What gives turns. `ask` returns a ticket for work of an estimated `cost` (seconds), for the clients of
    `demand` as they come and go; `release` is called for each in the end.
    """

    def ask(self, demand: Demand, cost: float) -> Ticket: ...

    def release(self, ticket: Ticket) -> None: ...

    def close(self) -> None: ...


class LocalTurns:
    """Turns at `slots` of this process; see `FairQueue` for `ahead` and `max_per_client`."""

    def __init__(self, slots: int, *, ahead: int = 0, max_per_client: int | None = None) -> None:
        self._queue: FairQueue[Ticket] = FairQueue(slots, ahead=ahead, max_per_client=max_per_client)

    def ask(self, demand: Demand, cost: float) -> Ticket:
        ticket = Ticket(demand)
        if not demand.clients:
            ticket.give_up(AbandonedWork())
            return ticket
        self._queue.add(ticket, demand.clients, cost)
        ticket.unwatch = demand.watch(lambda: self._clients_changed(ticket))
        self._grant()
        return ticket

    def release(self, ticket: Ticket) -> None:
        if ticket.unwatch is not None:
            ticket.unwatch()
        self._queue.remove(ticket, ticket.seconds)
        self._grant()

    def close(self) -> None:
        pass

    def _clients_changed(self, ticket: Ticket) -> None:
        if not ticket.is_waiting:
            return
        if ticket.demand.clients:
            self._queue.replace_clients(ticket, ticket.demand.clients)
        else:
            ticket.give_up(AbandonedWork())
            self._queue.remove(ticket)

    def _grant(self) -> None:
        while (ticket := self._queue.take()) is not None:
            if ticket.is_waiting:
                ticket.grant()
            else:
                self._queue.remove(ticket)


def to_displace(tickets: Sequence[Ticket], newcomer: Demand) -> Ticket | None:
    """
    Return which of `tickets`, in the order in which they came, has to go when `newcomer` needs a place.

    It is the last that waits of the client that has the most, waiting or not, provided that the newcomer's
    client has fewer also when it has that place; `None` when there is none. Work for several clients counts
    as that of the one with the fewest.
    """
    counts = Counter(client for ticket in tickets for client in ticket.demand.clients)

    def fewest(demand: Demand) -> int:
        return min((counts[client] for client in demand.clients), default=0)

    waiting = [ticket for ticket in reversed(tickets) if ticket.is_waiting]
    most = max(waiting, key=lambda ticket: fewest(ticket.demand), default=None)
    if most is None or fewest(most.demand) <= fewest(newcomer) + 1:
        return None
    return most
