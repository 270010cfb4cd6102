"""The way from one web process to the renderers that all of them share."""

from __future__ import annotations

import asyncio
import math
import os
import signal
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from proxy.model.errors import Overloaded, TooCostly
from proxy.renderers import protocol
from proxy.renderers.replies import CHUNK, receive, reply
from proxy.telemetry.metrics import Metrics

GRACE = 0.5
"""Seconds past its deadline before a renderer is killed from here: the kernel's own kill has failed then."""

PATIENCE = 30.0
"""Seconds for which a job that nobody waits for waits for those that somebody does."""

MOST_BEHIND = 8
"""How many such jobs, and their originals, may wait."""

PAUSE = 0.02
"""Seconds between looks whether there are any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """
    What a task returned. `queue_seconds` is from the asking until a renderer took the job, `run_seconds`
    from there until its reply was here. `header` comes from a process that hostile bytes may own: check it.
    """

    header: dict[str, Any]
    body: bytes
    queue_seconds: float
    run_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Taken:
    """The renderer that took a job, at `at` (monotonic ns), and the `rest` of the body that it waits for."""

    connection: socket.socket
    rest: memoryview
    pid: int
    at: int


class RendererClient:
    """
    Makes no process and holds no connection between jobs. Jobs of all web processes wait in one queue, the
    kernel's, first come first served. With `queue_size` of them running and waiting, or `queue_bytes` of what
    they are made from, this process begins no more; those whose original was on its way then are taken, up to
    as many again, but no more bytes. None waits longer than `queue_timeout` seconds for a renderer.
    """

    def __init__(
        self,
        socket_path: str,
        *,
        queue_size: int = 64,
        queue_bytes: int = 512_000_000,
        queue_timeout: float = 10.0,
        max_reply_bytes: int = 256_000_000,
        metrics: Metrics | None = None,
    ) -> None:
        self._metrics = metrics or Metrics()
        self._socket_path = socket_path
        self._queue_size = queue_size
        self._queue_bytes = queue_bytes
        self._queue_timeout = queue_timeout
        self._max_reply_bytes = max_reply_bytes
        self._behind = asyncio.Lock()
        self._waiting_behind = 0
        self._jobs = 0
        self._bytes = 0
        self._running = 0
        self._latest_seconds = 0.0

    @property
    def running(self) -> int:
        """Jobs of this process that a renderer is at."""
        return self._running

    @property
    def waiting(self) -> int:
        """Jobs of this process that no renderer has taken yet."""
        return self._jobs - self._running

    def require_room(self) -> None:
        """
        Raises Overloaded when nothing more is to be begun: asked before an original is fetched, so that what
        is refused has cost nothing, and is refused at once.
        """
        if self._jobs >= self._queue_size or self._bytes >= self._queue_bytes:
            raise self._overloaded()

    async def run(
        self,
        task: str,
        header: dict[str, Any],
        body: bytes,
        timeout: float,  # noqa: ASYNC109  kept by the kernel on the renderer, not by this loop
    ) -> Reply:
        """
        Runs `task` on `body` in a renderer, for at most `timeout` seconds from when one took it.

        A renderer that dies is given the benefit of the doubt once: it may be killed for what others use, and
        then the picture is as good as any. Raises Overloaded when too many jobs wait or one waits too long,
        TooCostly when the renderer ran out of time or memory or died again, the ProxyError that the task
        raised, and RuntimeError when the task raised anything else.
        """
        full = self._jobs >= 2 * self._queue_size
        if full or (self._jobs and self._bytes + len(body) > self._queue_bytes):
            raise self._overloaded()
        packed = protocol.pack({"task": task, "timeout": timeout, "header": header})
        asked = time.monotonic_ns()
        self._jobs += 1
        self._bytes += len(body)
        try:
            job = protocol.LENGTHS.pack(len(packed), len(body)) + packed
            with suppress(EOFError):
                return await self._attempt(job, body, asked, task, timeout)
            return await self._attempt(job, body, asked, task, timeout)
        except EOFError:
            raise TooCostly("renderers died on this picture") from None
        finally:
            self._jobs -= 1
            self._bytes -= len(body)
            self._latest_seconds = (time.monotonic_ns() - asked) / 1e9

    async def _attempt(self, job: bytes, body: bytes, asked: int, task: str, seconds: float) -> Reply:
        """Raises EOFError when the renderer dies."""
        taken = await self._taken(job, body)
        with taken.connection:
            return await self._answer(taken, asked, task, seconds)

    async def run_behind(
        self,
        task: str,
        header: dict[str, Any],
        body: bytes,
        timeout: float,  # noqa: ASYNC109  as in `run`
    ) -> Reply:
        """
        As `run`, for what nobody waits for: one at a time, begun when no other job of this process is under
        way, and in a place of its own. Raises Overloaded when there was no such moment for PATIENCE seconds,
        or MOST_BEHIND wait for one.
        """
        if self._waiting_behind >= MOST_BEHIND:
            raise self._overloaded()
        self._waiting_behind += 1
        try:
            return await self._run_behind(task, header, body, timeout)
        finally:
            self._waiting_behind -= 1

    async def _run_behind(self, task: str, header: dict[str, Any], body: bytes, seconds: float) -> Reply:
        async with self._behind:
            given_up = time.monotonic() + PATIENCE
            while self._jobs:
                if time.monotonic() > given_up:
                    raise self._overloaded()
                await asyncio.sleep(PAUSE)
            self._queue_size += 1
            try:
                return await self.run(task, header, body, seconds)
            finally:
                self._queue_size -= 1

    async def ping(self, patience: float = 1.0) -> bool:
        """Whether a renderer is at work for us, or one takes a call within `patience` seconds."""
        if self._running:
            return True
        try:
            async with asyncio.timeout(patience):
                with self._connect() as connection:
                    await receive(connection, protocol.GREETING.size)
        except (TimeoutError, EOFError, Overloaded):
            return False
        return True

    async def _taken(self, job: bytes, body: bytes) -> _Taken:
        """The job in the hands of a renderer, with the start of its body. Raises Overloaded."""
        try:
            async with asyncio.timeout(self._queue_timeout):
                while True:
                    connection = self._connect()
                    try:
                        # As much as the kernel takes: a renderer has work before we hear of it.
                        sent = connection.sendmsg((job, body)) - len(job)
                        pid, at = protocol.GREETING.unpack(await receive(connection, protocol.GREETING.size))
                    except (ConnectionError, EOFError):
                        connection.close()  # a renderer died before it greeted us: another one takes it
                    except OSError:
                        connection.close()
                        raise self._overloaded() from None  # the kernel has no memory for another job
                    except BaseException:
                        connection.close()
                        raise
                    else:
                        return _Taken(connection=connection, rest=memoryview(body)[sent:], pid=pid, at=at)
        except TimeoutError:
            raise self._overloaded() from None

    def _connect(self) -> socket.socket:
        try:
            connection = socket.socket(socket.AF_UNIX)
        except OSError:  # too many files are open: with clients, as a rule
            raise self._overloaded() from None
        connection.setblocking(False)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, CHUNK)
        try:
            # Never waits: at once in the kernel's queue, or (EAGAIN) there is no room in it.
            connection.connect(self._socket_path)
        except OSError:
            connection.close()
            raise self._overloaded() from None
        return connection

    async def _answer(self, taken: _Taken, asked: int, task: str, seconds: float) -> Reply:
        began = min(max(taken.at, asked), time.monotonic_ns())
        self._running += 1
        try:
            async with asyncio.timeout(seconds + GRACE) as deadline:
                loop = asyncio.get_running_loop()
                if taken.rest:
                    await loop.sock_sendall(taken.connection, taken.rest)
                    # The renderer's own clock starts when it has the whole body.
                    deadline.reschedule(loop.time() + seconds + GRACE)
                header, rendition = await reply(taken.connection, self._max_reply_bytes)
        except TimeoutError:
            _kill(taken)
            raise _too_slow(seconds) from None
        except (ConnectionError, EOFError):
            if time.monotonic_ns() - began >= seconds * 1e9:
                raise _too_slow(seconds) from None
            raise EOFError from None
        except ValueError:  # not a reply: this renderer is not ours any more
            _kill(taken)
            raise TooCostly("a renderer went wrong on this picture") from None
        finally:
            self._running -= 1
        if "crash" in header:
            failure = RuntimeError(f"task {task!r} raised {header['crash']}")
            failure.add_note(str(header.get("trace")))
            raise failure
        queue_seconds = (began - asked) / 1e9
        self._metrics.made(queue_seconds, header["header"].get("timings"))
        return Reply(
            header=header["header"],
            body=rendition,
            queue_seconds=queue_seconds,
            run_seconds=(time.monotonic_ns() - began) / 1e9,
        )

    def _overloaded(self) -> Overloaded:
        # What one job takes from asking to answering is how long a full queue takes to pass.
        seconds = min(30, max(1, math.ceil(self._latest_seconds)))
        return Overloaded("too many pictures are being made right now", retry_after=seconds)


def _too_slow(seconds: float) -> TooCostly:
    return TooCostly(f"this picture took longer than {seconds:g} s to render")


def _kill(taken: _Taken) -> None:
    """A process that holds our connection open is alive, so the pid is still its own."""
    if 1 < taken.pid < 2**31 and taken.pid != os.getpid():
        with suppress(ProcessLookupError):
            os.kill(taken.pid, signal.SIGKILL)
