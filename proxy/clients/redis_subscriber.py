"""Redis publish/subscribe: one connection for a channel, and any number of tasks that wait for a message."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from redis.exceptions import RedisClusterException, RedisError

from proxy.clients.redis_link import RedisLink

RECONNECT_DELAY = 1.0
"""Seconds after a connection broke until another is made."""


class RedisSubscriber:
    """
    Sets the events of the subscriptions to a text when it is published on `channel`. The connection is made
    with the first subscription. When it breaks all events are set, so that their tasks look for
    themselves; a second later it may be made again.
    """

    def __init__(self, link: RedisLink, channel: str) -> None:
        self.channel = channel
        self._link = link
        self._events: dict[str, set[asyncio.Event]] = {}
        self._receiving: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()
        self._disconnected_until = 0.0

    @asynccontextmanager
    async def subscribe(self, message: str) -> AsyncIterator[asyncio.Event]:
        """An event that is set when `message` is published, and when the connection breaks."""
        event = asyncio.Event()
        events = self._events.setdefault(message, set())
        events.add(event)
        try:
            await self.connect()
            yield event
        finally:
            events.discard(event)
            if not events and self._events.get(message) is events:
                del self._events[message]

    @property
    def connected(self) -> bool:
        return self._ready.is_set()

    async def connect(self) -> None:
        """Receive messages from now on, if Redis answers and the last failure is a second ago."""
        if self._receiving is None or self._receiving.done():
            if time.monotonic() < self._disconnected_until:
                return
            self._receiving = asyncio.create_task(self._receive())
        if not self.connected:
            ready = asyncio.ensure_future(self._ready.wait())
            await asyncio.wait({self._receiving, ready}, return_when=asyncio.FIRST_COMPLETED)
            ready.cancel()

    async def close(self) -> None:
        if self._receiving is not None:
            self._receiving.cancel()
            await asyncio.gather(self._receiving, return_exceptions=True)

    async def _receive(self) -> None:
        connection = self._link.client.subscriber_connection()
        try:
            async with asyncio.timeout(self._link.call_timeout):
                await connection.connect()  # type: ignore[no-untyped-call]
                await connection.send_command("SUBSCRIBE", self.channel)
                await connection.read_response()
            self._ready.set()
            while True:
                self._dispatch(await connection.read_response(timeout=math.inf))
        except (RedisError, RedisClusterException, OSError, TimeoutError) as error:
            self._disconnected_until = time.monotonic() + RECONNECT_DELAY
            self._link.failed(error)
        finally:
            self._ready.clear()
            for events in self._events.values():
                for event in events:
                    event.set()
            await connection.disconnect(nowait=True)

    def _dispatch(self, message: object) -> None:
        match message:
            case [b"message", _, bytes(text)]:
                for event in self._events.get(text.decode("utf-8", "replace"), ()):
                    event.set()
