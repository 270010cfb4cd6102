"""Single-flight: callers that ask for the same thing at the same time share one run of the work for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from proxy.fairness.demand import OWN_WORK, Demand, current_demand

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Flight(Generic[T]):
    task: asyncio.Task[T]
    demand: Demand


class SingleFlight(Generic[T]):
    """
    The flights of one process and one event loop, by key.

    A flight is the work for a key while it runs. It goes on when its callers leave: its result is cached for
    the next one. But its demand is that of its callers, so that what waits for its turn is given up then.
    """

    def __init__(self) -> None:
        self._flights: dict[str, _Flight[T]] = {}

    def __contains__(self, key: str) -> bool:
        return key in self._flights

    async def join(self, key: str, work: Callable[[], Awaitable[T]]) -> T:
        """Return the result of the flight under `key`, or raise its error; `work` begins one if needed."""
        flight = self._flight(key, work)
        with current_demand().feeding(flight.demand):
            # A caller that is cancelled must not cancel what others wait for.
            return await asyncio.shield(flight.task)

    def start(self, key: str, work: Callable[[], Awaitable[T]]) -> asyncio.Task[T]:
        """Begin a flight in the background; if there is one under `key` already, return that."""
        flight = self._flight(key, work)
        flight.demand.add(OWN_WORK)
        return flight.task

    def _flight(self, key: str, work: Callable[[], Awaitable[T]]) -> _Flight[T]:
        if (flight := self._flights.get(key)) is None:
            demand = Demand()
            flight = self._flights[key] = _Flight(demand.start(_run(work)), demand)
            flight.task.add_done_callback(lambda done: self._remove(key, done))
        return flight

    def _remove(self, key: str, flight: asyncio.Task[T]) -> None:
        del self._flights[key]
        if not flight.cancelled():
            flight.exception()  # asyncio warns of errors that were not retrieved: all callers may have left

    async def close(self) -> None:
        """Cancel all flights."""
        flights = [flight.task for flight in self._flights.values()]
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)


async def _run(work: Callable[[], Awaitable[T]]) -> T:
    return await work()
