"""The way from one web process to the renderers that all of them share."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace

from proxy.fairness.demand import current_demand
from proxy.fairness.turns import AbandonedWork, DisplacedWork, LocalTurns, Ticket, Turns
from proxy.model.errors import ClientLeft, TooCostly
from proxy.renderers.admission import Admission, Place
from proxy.renderers.protocol import ACCEPTANCE, CrashedJob, Job, RefusedJob, Reply, pack_job
from proxy.renderers.replies import CHUNK_BYTES, receive, receive_answer
from proxy.renderers.state import current_fingerprint
from proxy.telemetry.metrics import Metrics

UNLIMITED = 1_000_000
"""Turns at a time where nothing else is said: the renderers take jobs in the order in which they come."""

KILL_GRACE = 0.5
"""Seconds past its deadline before a renderer is killed from here: the kernel's own kill has failed then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _PackedJob:
    """A job as it crosses: its `parts` one after another, asked for at `asked` (monotonic ns)."""

    job: Job
    parts: list[bytes]
    timeout: float
    asked: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _AcceptedJob:
    """The renderer that accepted a job at `accepted` (monotonic ns), and the parts that it has yet to get."""

    connection: socket.socket
    unsent: list[memoryview]
    pid: int
    accepted: int


class RendererClient:
    """
    Gives jobs to renderers: makes no process, and holds no connection between jobs.

    Jobs wait for one of `turns`, by which clients share the renderers; those that have one are taken in the
    order in which they come, also those of other processes. How many may wait, `queue_size`, `queue_bytes`
    and `background_timeout` say (see Admission). None waits longer than `queue_timeout` seconds for its turn.
    An answer has at most `max_reply_bytes`.
    """

    def __init__(
        self,
        socket_path: str,
        *,
        queue_size: int = 64,
        queue_bytes: int = 512_000_000,
        queue_timeout: float = 10.0,
        background_timeout: float = 30.0,
        max_reply_bytes: int = 256_000_000,
        metrics: Metrics | None = None,
        turns: Turns | None = None,
    ) -> None:
        self._turns = turns or LocalTurns(UNLIMITED)
        self._metrics = metrics or Metrics()
        self._socket_path = socket_path
        self._admission = Admission(
            queue_size=queue_size, queue_bytes=queue_bytes, background_timeout=background_timeout
        )
        self._queue_timeout = queue_timeout
        self._max_reply_bytes = max_reply_bytes
        self._running = 0
        self._fingerprint = current_fingerprint(socket_path)

    @property
    def fingerprint(self) -> str:
        """Names all that renderers work with, as far as this process has seen: see `Reply.fingerprint`."""
        return self._fingerprint

    @property
    def running(self) -> int:
        """Jobs of this process that a renderer is at."""
        return self._running

    @property
    def waiting(self) -> int:
        """Jobs of this process that no renderer has accepted yet."""
        return self._admission.jobs - self._running

    def require_room(self) -> None:
        """
        Raise Overloaded when nothing more is to be begun: asked before an original is fetched, so that what
        is refused has cost nothing, and is refused at once.
        """
        self._admission.require_room()

    async def run(
        self,
        job: Job,
        *,
        timeout: float,  # noqa: ASYNC109  kept by the kernel on the renderer, not by this loop
    ) -> Reply:
        """
        Run `job` in a renderer, for at most `timeout` seconds from when one accepted it.

        A background job is given to one only when no other job of this process is under way, one at a time.
        A renderer that dies is given the benefit of the doubt once: it may be killed for what others use, and
        then the picture is as good as any.

        Raises Overloaded when too many jobs wait, one waits too long, or its place is given to a client that
        has fewer; ClientLeft when all clients have left before its turn; TooCostly when the renderer ran out
        of time or memory or died again; the ProxyError that the job ended with, and RuntimeError when it met
        a bug.
        """
        with self._admission.place(job, current_demand()) as place:
            if not job.background:
                return await self._run(job, timeout, place)
            async with self._admission.background_turn():
                return await self._run(job, timeout, place)

    def close(self) -> None:
        """End what its turns need."""
        self._turns.close()

    async def _run(self, job: Job, seconds: float, place: Place) -> Reply:
        start, bodies = pack_job(job, timeout=seconds)
        packed = _PackedJob(job=job, parts=[start, *bodies], timeout=seconds, asked=time.monotonic_ns())
        place.ticket = ticket = self._turns.ask(current_demand(), job.cost)
        try:
            await self._wait_for_turn(ticket)
            with suppress(EOFError):
                return await self._attempt(packed)
            return await self._attempt(packed)
        except EOFError:
            raise TooCostly("renderers died on this picture") from None
        finally:
            self._turns.release(ticket)
            if not job.background:
                self._admission.note_duration((time.monotonic_ns() - packed.asked) / 1e9)

    async def _wait_for_turn(self, ticket: Ticket) -> None:
        if ticket.granted.done() and ticket.granted.exception() is None:
            return
        try:
            async with asyncio.timeout(self._queue_timeout):
                await ticket.granted
        except AbandonedWork:
            raise ClientLeft("the client left before its picture was made") from None
        except (DisplacedWork, TimeoutError):
            raise self._admission.overloaded() from None

    async def _attempt(self, packed: _PackedJob) -> Reply:
        """Raises EOFError when the renderer dies."""
        accepted = await self._hand_over(packed)
        with accepted.connection:
            return await self._reply(packed, accepted)

    async def _hand_over(self, packed: _PackedJob) -> _AcceptedJob:
        """The job in the hands of a renderer, with the start of its bodies. Raises Overloaded."""
        try:
            async with asyncio.timeout(self._queue_timeout):
                while True:
                    connection = self._connect()
                    try:
                        # As much as the kernel takes: a renderer has work before we hear of it.
                        sent = connection.sendmsg(packed.parts)
                        pid, accepted = ACCEPTANCE.unpack(await receive(connection, ACCEPTANCE.size))
                    except (ConnectionError, EOFError):
                        connection.close()  # a renderer died before it accepted: another one does
                    except OSError:
                        connection.close()
                        # The kernel has no memory for another job.
                        raise self._admission.overloaded() from None
                    except BaseException:
                        connection.close()
                        raise
                    else:
                        return _AcceptedJob(
                            connection=connection,
                            unsent=_after(packed.parts, sent),
                            pid=pid,
                            accepted=accepted,
                        )
        except TimeoutError:
            raise self._admission.overloaded() from None

    def _connect(self) -> socket.socket:
        try:
            connection = socket.socket(socket.AF_UNIX)
        except OSError:  # too many files are open: with clients, as a rule
            raise self._admission.overloaded() from None
        connection.setblocking(False)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, CHUNK_BYTES)
        try:
            # Never waits: at once in the kernel's queue, or (EAGAIN) there is no room in it.
            connection.connect(self._socket_path)
        except OSError:
            connection.close()
            raise self._admission.overloaded() from None
        return connection

    async def _reply(self, packed: _PackedJob, accepted: _AcceptedJob) -> Reply:
        """What the job ended with. Raises EOFError when the renderer died."""
        began = min(max(accepted.accepted, packed.asked), time.monotonic_ns())
        seconds = packed.timeout
        self._running += 1
        try:
            async with asyncio.timeout(seconds + KILL_GRACE) as deadline:
                loop = asyncio.get_running_loop()
                for part in accepted.unsent:
                    await loop.sock_sendall(accepted.connection, part)
                if accepted.unsent:  # the renderer's own clock starts when it has all bodies
                    deadline.reschedule(loop.time() + seconds + KILL_GRACE)
                answer = await receive_answer(accepted.connection, packed.job.kind, self._max_reply_bytes)
        except TimeoutError:
            _kill(accepted)
            raise _too_slow(seconds) from None
        except (ConnectionError, EOFError):
            if time.monotonic_ns() - began >= seconds * 1e9:
                raise _too_slow(seconds) from None
            raise EOFError from None
        except ValueError:  # not an answer: this renderer is not ours any more
            _kill(accepted)
            raise TooCostly("a renderer went wrong on this picture") from None
        finally:
            self._running -= 1
        match answer:
            case RefusedJob():
                raise answer.error
            case CrashedJob():
                failure = RuntimeError(f"a job of the kind {packed.job.kind} raised {answer.exception}")
                failure.add_note(answer.trace)
                raise failure
        if answer.fingerprint != self._fingerprint:
            self._fingerprint = await asyncio.to_thread(current_fingerprint, self._socket_path)
        queue_seconds = (began - packed.asked) / 1e9
        self._metrics.rendered(queue_seconds, answer.timings)
        return replace(answer, queue_seconds=queue_seconds)


def _after(parts: Iterable[bytes], sent: int) -> list[memoryview]:
    """All of `parts` from byte `sent` on, without a copy."""
    rest = []
    for part in parts:
        if sent < len(part):
            rest.append(memoryview(part)[sent:])
        sent = max(0, sent - len(part))
    return rest


def _too_slow(seconds: float) -> TooCostly:
    return TooCostly(f"this picture took longer than {seconds:g} s to render")


def _kill(accepted: _AcceptedJob) -> None:
    """
    A process that holds our connection open is alive, so the pid is still its own: unless it lied, which must
    neither end us nor the supervisor that started us.
    """
    if 1 < accepted.pid < 2**31 and accepted.pid not in (os.getpid(), os.getppid()):
        with suppress(ProcessLookupError):
            os.kill(accepted.pid, signal.SIGKILL)
