"""Work for the client of a request: counted as that client's, given up when they leave, refused at a pace."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from starlette.types import Scope

from proxy.fairness.client_address import ClientAddresses, client_group
from proxy.fairness.demand import Demand
from proxy.fairness.pace import RefusalPace
from proxy.model.errors import Overloaded
from proxy.web.responses import ON_DISCONNECT

T = TypeVar("T")


class ClientWork:
    """Runs work for clients, whose `addresses` are told by their requests."""

    def __init__(self, addresses: ClientAddresses) -> None:
        self._addresses = addresses
        self._pace = RefusalPace()

    async def run(self, scope: Scope, work: Callable[[], Awaitable[T]]) -> T:
        """
        Return the result of `work`, done for the client of `scope` for as long as it is connected.

        Raises what `work` raises; Overloaded is raised later for clients that are refused all the time.
        """
        client = client_group(self._addresses.client_of_scope(scope))
        demand = Demand(client)
        scope[ON_DISCONNECT] = demand.leave
        try:
            with demand.as_current():
                return await work()
        except Overloaded:
            if delay := self._pace.delay(client):
                await asyncio.sleep(delay)
            raise
