"""Who waits for news from Redis hears it here, over one connection."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from redis.exceptions import RedisClusterException, RedisError

from proxy.clients.redis_link import Link

DEAF = 1.0
"""Seconds until it is tried again to hear."""


class RedisSubscriber:
    """
    Hears the names of all leases that change, over one connection that is made when somebody first waits.
    When it breaks everybody is woken, to look for themselves, and a second later it may be made again.
    """

    def __init__(self, link: Link, channel: str) -> None:
        self.channel = channel
        self._link = link
        self._events: dict[str, set[asyncio.Event]] = {}
        self._hearing: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()
        self._deaf_until = 0.0

    @asynccontextmanager
    async def listening(self, name: str) -> AsyncIterator[asyncio.Event]:
        event = asyncio.Event()
        events = self._events.setdefault(name, set())
        events.add(event)
        try:
            await self.connect()
            yield event
        finally:
            events.discard(event)
            if not events and self._events.get(name) is events:
                del self._events[name]

    @property
    def hears(self) -> bool:
        return self._ready.is_set()

    async def connect(self) -> None:
        """Hear from now on, if that can be had."""
        if self._hearing is None or self._hearing.done():
            if time.monotonic() < self._deaf_until:
                return
            self._hearing = asyncio.create_task(self._hear())
        if not self.hears:
            ready = asyncio.ensure_future(self._ready.wait())
            await asyncio.wait({self._hearing, ready}, return_when=asyncio.FIRST_COMPLETED)
            ready.cancel()

    async def close(self) -> None:
        if self._hearing is not None:
            self._hearing.cancel()
            await asyncio.gather(self._hearing, return_exceptions=True)

    async def _hear(self) -> None:
        connection = self._link.client.line()
        try:
            async with asyncio.timeout(self._link.patience):
                await connection.connect()  # type: ignore[no-untyped-call]
                await connection.send_command("SUBSCRIBE", self.channel)
                await connection.read_response()
            self._ready.set()
            while True:
                self._tell(await connection.read_response(timeout=math.inf))
        except (RedisError, RedisClusterException, OSError, TimeoutError) as error:
            self._deaf_until = time.monotonic() + DEAF
            self._link.failed(error)
        finally:
            self._ready.clear()
            for events in self._events.values():
                for event in events:
                    event.set()
            await connection.disconnect(nowait=True)

    def _tell(self, message: object) -> None:
        match message:
            case [b"message", _, bytes(name)]:
                for event in self._events.get(name.decode("utf-8", "replace"), ()):
                    event.set()
