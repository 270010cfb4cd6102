"""
For whom a piece of work is done. Clients share work, and leave before it is done: so it is not one client's.

It is not passed from call to call but found by `current_demand`, as the id of a trace would be:
single-flights stand between requests and their work, and each has a demand of its own,
that of all who joined it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from typing import Any, TypeVar

T = TypeVar("T")

OWN_WORK = ""
"""The client of what no client waits for: renewals, and AVIF that follows."""


class Demand:
    """The clients for which some work is done, by their group; without any, it need not be begun."""

    def __init__(self, *clients: str) -> None:
        self._clients = Counter(clients)
        self._fed: list[Demand] = []
        self._watchers: dict[object, Callable[[], None]] = {}

    @property
    def clients(self) -> tuple[str, ...]:
        """Each of them once, those first that came first."""
        return tuple(self._clients)

    def add(self, client: str, times: int = 1) -> None:
        """One more waits for the work, here and in all work that this one waits for; less for -1."""
        known = client in self._clients
        self._clients[client] += times
        if self._clients[client] <= 0:
            del self._clients[client]
        for each in self._fed:
            each.add(client, times)
        if known != (client in self._clients):
            for watcher in [*self._watchers.values()]:
                watcher()

    def leave(self) -> None:
        """All of its clients have left."""
        for client, times in [*self._clients.items()]:
            self.add(client, -times)

    @contextmanager
    def feeding(self, other: Demand) -> Iterator[None]:
        """As long as this is entered, the clients of this work wait for that of `other`, too."""
        for client, times in self._clients.items():
            other.add(client, times)
        self._fed.append(other)
        try:
            yield
        finally:
            self._fed.remove(other)
            for client, times in self._clients.items():
                other.add(client, -times)

    def watch(self, watcher: Callable[[], None]) -> Callable[[], None]:
        """Call `watcher` whenever a client comes or the last of its kind leaves. Return what ends that."""
        token = object()
        self._watchers[token] = watcher

        def unwatch() -> None:
            self._watchers.pop(token, None)

        return unwatch

    @contextmanager
    def as_current(self) -> Iterator[None]:
        """What is called meanwhile is done for these clients."""
        token = _current.set(self)
        try:
            yield
        finally:
            _current.reset(token)

    def start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Begin a task that is done for these clients."""
        context = copy_context()
        context.run(_current.set, self)
        return asyncio.get_running_loop().create_task(work, context=context)


_current: ContextVar[Demand] = ContextVar("demand")


def current_demand() -> Demand:
    """Return for whom the present task works; `OWN_WORK` where no client is known."""
    return _current.get(None) or Demand(OWN_WORK)
