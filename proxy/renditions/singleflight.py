"""Do a thing once, however many ask for it at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class SingleFlight(Generic[T]):
    """
    Flights by key, within one process and one event loop. A flight that took off lands, whoever leaves:
    what it brings is kept for the next asker.
    """

    def __init__(self) -> None:
        self._airborne: dict[str, asyncio.Task[T]] = {}

    def __len__(self) -> int:
        return len(self._airborne)

    def __contains__(self, key: str) -> bool:
        return key in self._airborne

    async def join(self, key: str, take_off: Callable[[], Awaitable[T]]) -> T:
        """The result of the flight under `key`, or its error; `take_off` is called when there is none yet."""
        # One passenger leaving must not bring the flight down.
        return await asyncio.shield(self.start(key, take_off))

    def start(self, key: str, take_off: Callable[[], Awaitable[T]]) -> asyncio.Task[T]:
        """The flight under `key`, for whoever does not want to wait for it."""
        if (flight := self._airborne.get(key)) is None:
            flight = self._airborne[key] = asyncio.ensure_future(_fly(take_off))
            flight.add_done_callback(lambda landed: self._land(key, landed))
        return flight

    def _land(self, key: str, flight: asyncio.Task[T]) -> None:
        del self._airborne[key]
        if not flight.cancelled():
            flight.exception()  # when every passenger has left, nobody else looks at it

    async def close(self) -> None:
        """Cancel what is still in the air."""
        flights = list(self._airborne.values())
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)


async def _fly(take_off: Callable[[], Awaitable[T]]) -> T:
    return await take_off()
