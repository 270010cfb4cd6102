"""Threads for calls to a file system that may hang: a bounded number, and none that an exit waits for."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from functools import partial
from typing import TypeVar

_T = TypeVar("_T")


class NoThreadFree(Exception):
    """All threads are busy, and as many calls as may wait do wait: the file system is slow, or hangs."""


class FileThreads:
    """
    At most `size` threads, started as they are needed, and at most `max_queued` calls that wait for one.

    A call that hangs keeps its thread, and no other pool's. The threads are daemons: unlike those of
    concurrent.futures they do not keep the process from ending.
    """

    def __init__(self, name: str, size: int, max_queued: int) -> None:
        self._name = name
        self._size = size
        self._max_queued = max_queued
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._started = 0
        self._unfinished = 0
        self._abandoned: dict[str, asyncio.Future[None]] = {}

    def start(self, call: Callable[[], _T], ended: asyncio.Future[None] | None = None) -> asyncio.Future[_T]:
        """
        Have `call` made by one of the threads. Raises NoThreadFree. To be called from the event loop; one
        whose future is cancelled before it began is not made. `ended` is done when no thread is at it any
        more, whether or not it was cancelled.
        """
        if self._unfinished >= self._size + self._max_queued:
            raise NoThreadFree(self._name)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[_T] = loop.create_future()
        self._unfinished += 1

        def finish(result: _T | None, error: BaseException | None) -> None:
            self._unfinished -= 1
            if ended is not None:
                ended.set_result(None)
            if future.cancelled():
                return
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(result)  # type: ignore[arg-type]  # without an error there is a result

        def make() -> None:
            result, error = None, None
            if not future.cancelled():
                try:
                    result = call()
                except BaseException as raised:
                    error = raised
            try:
                loop.call_soon_threadsafe(finish, result, error)
            except RuntimeError:
                return  # the loop is closed, and no caller is left

        if self._started < min(self._unfinished, self._size):
            self._started += 1
            threading.Thread(target=self._work, name=self._name, daemon=True).start()
        self._calls.put(make)
        return future

    async def run(self, call: Callable[[], _T], name: str | None = None) -> _T:
        """
        Return what `call` returns. Raises NoThreadFree, and what `call` raises.

        A call with a `name` waits for the end of one of that name whose caller has left: what hangs keeps one
        thread, however often it is asked for. It is made then, since it may find something newer.
        """
        if name is None:
            return await self.start(call)
        while (earlier := self._abandoned.get(name)) is not None:
            await asyncio.wait([earlier])
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        try:
            return await self.start(call, ended)
        except asyncio.CancelledError:
            if not ended.done():
                self._abandoned[name] = ended
                ended.add_done_callback(partial(self._forget, name))
            raise

    def _forget(self, name: str, ended: asyncio.Future[None]) -> None:
        if self._abandoned.get(name) is ended:
            del self._abandoned[name]

    def close(self) -> None:
        """Let all threads end that do not hang. Calls after this start new ones."""
        for _ in range(self._started):
            self._calls.put(None)
        self._started = 0

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            call()
