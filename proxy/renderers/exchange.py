"""One job in the hands of a renderer: what of it has yet to cross, and its answers."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from proxy.model.errors import TooCostly
from proxy.renderers.protocol import JobKind, RendererAnswer
from proxy.renderers.replies import CHUNK_BYTES, receive_answer

KILL_GRACE = 0.5
"""Seconds past its deadline before a renderer is killed from here: the kernel's own kill has failed then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedJob:
    """A job as it crosses: its `parts` one after another, asked for at `asked` (monotonic ns)."""

    kind: JobKind
    parts: Sequence[bytes]
    timeout: float
    asked: int


@dataclass(slots=True, kw_only=True)
class Exchange:
    """
    A job that the renderer `pid` accepted at `accepted` (monotonic ns), and the parts that it has yet to get.
    """

    packed: PackedJob
    connection: socket.socket
    unsent: Sequence[memoryview]
    pid: int
    accepted: int
    max_reply_bytes: int
    _began: int = field(default=0)

    def __post_init__(self) -> None:
        self._began = min(max(self.accepted, self.packed.asked), time.monotonic_ns())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.connection.close()

    @property
    def queue_seconds(self) -> float:
        return (min(max(self.accepted, self.packed.asked), time.monotonic_ns()) - self.packed.asked) / 1e9

    async def answer(self) -> RendererAnswer:
        """
        The next answer, for which the renderer has the job's time. Raises EOFError when it died, and
        TooCostly when its time is over or it says what no renderer of ours does.
        """
        seconds = self.packed.timeout
        try:
            async with asyncio.timeout(seconds + KILL_GRACE) as deadline:
                loop = asyncio.get_running_loop()
                unsent, self.unsent = self.unsent, ()
                for part in unsent:
                    await loop.sock_sendall(self.connection, part)
                if unsent:  # the renderer's own clock starts when it has all bodies
                    deadline.reschedule(loop.time() + seconds + KILL_GRACE)
                answer = await receive_answer(self.connection, self.packed.kind, self.max_reply_bytes)
        except TimeoutError:
            self._kill()
            raise _too_slow(seconds) from None
        except (ConnectionError, EOFError):
            if time.monotonic_ns() - self._began >= seconds * 1e9:
                raise _too_slow(seconds) from None
            raise EOFError from None
        except ValueError:  # not an answer: this renderer is not ours any more
            self._kill()
            raise TooCostly("a renderer went wrong on this picture") from None
        self._began = time.monotonic_ns()
        return answer

    def _kill(self) -> None:
        """
        A process that holds our connection open is alive, so the pid is still its own: unless it lied, which
        must neither end us nor the supervisor that started us.
        """
        if 1 < self.pid < 2**31 and self.pid not in (os.getpid(), os.getppid()):
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)


def connected(path: str) -> socket.socket:
    """Return a connection to the renderers, which never waits. Raises OSError when there is no room."""
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.setblocking(False)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, CHUNK_BYTES)
        # At once in the kernel's queue, or (EAGAIN) there is no room in it.
        connection.connect(path)
    except OSError:
        connection.close()
        raise
    return connection


def unsent_parts(parts: Iterable[bytes], sent: int) -> list[memoryview]:
    """All of `parts` from byte `sent` on, without a copy."""
    rest = []
    for part in parts:
        if sent < len(part):
            rest.append(memoryview(part)[sent:])
        sent = max(0, sent - len(part))
    return rest


def _too_slow(seconds: float) -> TooCostly:
    return TooCostly(f"this picture took longer than {seconds:g} s to render")
