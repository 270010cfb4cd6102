"""How hard an origin is tried: within a deadline, with a second try that has to be earned."""

from __future__ import annotations

import asyncio
import errno
import random
from collections.abc import Awaitable, Callable

from proxy.model.errors import OriginFailed, OriginTimedOut, Overloaded
from proxy.model.media import Original

_TRIES = 2
_PAUSE = (0.05, 0.2)
_SPARE_RETRIES = 10.0
_RETRY_SHARE = 0.1

_USED_UP = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
"""What the kernel says when it has nothing more to give us."""


class Passing(Exception):
    """A failure that a second try may mend."""

    def __init__(self, failure: OriginFailed) -> None:
        super().__init__(failure)
        self.failure = failure


class Trier:
    """
    `timeout` is in seconds, for all that one fetch takes.

    Retries are earned: ten fetches pay for one, so an origin in trouble gets a tenth more to do, not twice.
    """

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._retries = _SPARE_RETRIES

    async def persist(self, key: str, ask: Callable[[], Awaitable[Original]]) -> Original:
        """What `ask` brings, asked again once when it raises Passing. Raises OriginTimedOut in time."""
        self._retries = min(self._retries + _RETRY_SHARE, _SPARE_RETRIES)
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
            except Passing as passing:
                tries -= 1
                if not tries or self._retries < 1:
                    raise passing.failure from passing.__cause__
            self._retries -= 1
            await asyncio.sleep(random.uniform(*_PAUSE))  # noqa: S311 - spreads load, keeps no secret


def timed_out(key: str) -> OriginTimedOut:
    return OriginTimedOut(f"the origin did not deliver '{key}' in time")


def raise_when_used_up(failure: OSError) -> None:
    """Raises Overloaded where it is this machine that failed: no origin is to blame for that."""
    if failure.errno in _USED_UP:
        raise Overloaded("too many files and connections are open right now", retry_after=1) from failure
