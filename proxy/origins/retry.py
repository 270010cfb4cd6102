"""Fetch within a deadline, with one retry that is limited by a retry budget."""

from __future__ import annotations

import asyncio
import errno
import random
from collections.abc import Awaitable, Callable

from proxy.model.errors import OriginFailed, OriginTimedOut, Overloaded
from proxy.model.media import Original

_TRIES = 2
_RETRY_DELAY = (0.05, 0.2)  # s
_MAX_RETRY_BUDGET = 10.0
_BUDGET_PER_FETCH = 0.1

_EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
"""Errors of the kernel for a lack of files, sockets or memory."""


class TransientFailure(Exception):
    """A failure after which a retry may succeed; `failure` is what to raise without one."""

    def __init__(self, failure: OriginFailed) -> None:
        super().__init__(failure)
        self.failure = failure


class Retrier:
    """
    Fetches from one origin, within `timeout` seconds for each, its retry included, if there is one.

    There is a retry budget: ten fetches pay for one retry, so an origin in trouble gets a tenth more
    requests, not twice as many.
    """

    def __init__(self, timeout: float | None) -> None:
        self._timeout = timeout
        self._retry_budget = _MAX_RETRY_BUDGET

    async def fetch_with_retry(self, key: str, ask: Callable[[], Awaitable[Original]]) -> Original:
        """
        Await `ask`, and once more when it raises TransientFailure. Raises OriginTimedOut, and what the
        failure holds.
        """
        self._retry_budget = min(self._retry_budget + _BUDGET_PER_FETCH, _MAX_RETRY_BUDGET)
        try:
            async with asyncio.timeout(self._timeout):
                return await self._ask(ask)
        except TimeoutError as failure:
            raise timed_out(key) from failure

    async def _ask(self, ask: Callable[[], Awaitable[Original]]) -> Original:
        tries = _TRIES
        while True:
            try:
                return await ask()
            except TransientFailure as transient:
                tries -= 1
                if not tries or self._retry_budget < 1:
                    raise transient.failure from transient.__cause__
            self._retry_budget -= 1
            await asyncio.sleep(random.uniform(*_RETRY_DELAY))  # noqa: S311 - spreads load, keeps no secret


def timed_out(key: str) -> OriginTimedOut:
    return OriginTimedOut(f"the origin did not deliver '{key}' in time")


def raise_when_exhausted(failure: OSError) -> None:
    """Raise Overloaded when this machine has no files, sockets or memory left: the origin did not fail."""
    if failure.errno in _EXHAUSTED:
        raise Overloaded("too many files and connections are open right now", retry_after=1) from failure
