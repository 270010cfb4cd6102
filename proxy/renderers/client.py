"""The way from one web process to the renderers that all of them share."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from proxy.fairness.demand import current_demand
from proxy.fairness.turns import AbandonedWork, DisplacedWork, LocalTurns, Ticket, Turns
from proxy.model.errors import ClientLeft, Overloaded, ProxyError, TooCostly
from proxy.renderers.admission import Admission, Place
from proxy.renderers.batches import AloneAgain, Member, WaitingJobs, batch_job
from proxy.renderers.exchange import Exchange, PackedJob, connected, unsent_parts
from proxy.renderers.protocol import (
    ACCEPTANCE,
    CrashedJob,
    Job,
    JobKind,
    RefusedJob,
    RendererAnswer,
    Reply,
    pack_job,
)
from proxy.renderers.replies import receive
from proxy.renderers.state import current_fingerprint
from proxy.telemetry.metrics import Metrics

UNLIMITED = 1_000_000
"""Turns at a time where nothing else is said: the renderers take jobs in the order in which they come."""


class RendererClient:
    """
    Gives jobs to renderers: makes no process, and holds no connection between jobs.

    Jobs wait for one of `turns`, by which clients share the renderers; those that have one are taken in the
    order in which they come, also those of other processes. How many may wait, `queue_size`, `queue_bytes`
    and `background_timeout` say (see Admission). None waits longer than `queue_timeout` seconds for its turn.
    An answer has at most `max_reply_bytes`. Jobs of one original that wait at the same moment are done as one
    where they may be, and as two where there are several `renderers`.
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
        renderers: int = 1,
    ) -> None:
        self._waiting_jobs = WaitingJobs(renderers=renderers)
        self._batches: set[asyncio.Task[None]] = set()
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
        """End what its turns need, and its batches."""
        for batch in self._batches:
            batch.cancel()
        self._turns.close()

    async def _run(self, job: Job, seconds: float, place: Place) -> Reply:
        asked = time.monotonic_ns()
        place.ticket = ticket = self._turns.ask(current_demand(), job.cost)
        member = Member(job=job, asked=asked, timeout=seconds) if job.batchable else None
        keeps_turn = True
        try:
            if member is None:
                await self._wait_for_turn(ticket)
                return await self._run_alone(job, seconds, asked)
            batch = await self._wait_for_batch(ticket, member)
            if batch is None or len(batch) > 1:
                place.ticket, keeps_turn = None, False
                if batch is None:
                    self._turns.release(ticket)
                else:
                    self._start_batch(batch, ticket)
                with suppress(AloneAgain):
                    return await member.reply
                return await self._attempt(job, seconds, asked)
            return await self._run_alone(job, seconds, asked)
        except EOFError:
            raise TooCostly("renderers died on this picture") from None
        finally:
            if keeps_turn:
                self._turns.release(ticket)
            if not job.background:
                self._admission.note_duration((time.monotonic_ns() - asked) / 1e9)

    async def _run_alone(self, job: Job, seconds: float, asked: int) -> Reply:
        """Raises EOFError when two renderers died."""
        with suppress(EOFError):
            return await self._attempt(job, seconds, asked)
        return await self._attempt(job, seconds, asked)

    async def _wait_for_batch(self, ticket: Ticket, member: Member) -> list[Member] | None:
        """
        Wait for the turn of `ticket`, and return the members that are to be done with it; `None` when another
        one's turn came first, and `member` is done with that. Raises what `_wait_for_turn` raises.
        """
        self._waiting_jobs.add(member)
        turn = asyncio.ensure_future(self._wait_for_turn(ticket))
        try:
            await asyncio.wait((turn, member.taken), return_when=asyncio.FIRST_COMPLETED)
            if member.taken.done():
                return None
            await turn
            return self._waiting_jobs.take(member)
        finally:
            if not turn.cancel() and not turn.cancelled():
                turn.exception()  # retrieved: it may not have been what was waited for
            self._waiting_jobs.remove(member)

    def _start_batch(self, members: Sequence[Member], ticket: Ticket) -> None:
        """Have a batch run, which goes on when one of its callers leaves, and ends when all have."""
        task = asyncio.create_task(self._run_batch(members))
        self._batches.add(task)

        def end_unless_awaited(_: object) -> None:
            if all(member.reply.done() for member in members):
                task.cancel()

        def ended(_: object) -> None:
            self._batches.discard(task)
            self._turns.release(ticket)
            for member in members:
                member.fail(AloneAgain())

        for member in members:
            member.reply.add_done_callback(end_unless_awaited)
        task.add_done_callback(ended)

    async def _run_batch(self, members: Sequence[Member]) -> None:
        """Answer each of them, or leave it to be run alone where another one's failure says nothing of it."""
        asked = min(member.asked for member in members)
        try:
            exchange = await self._hand_over(_packed(batch_job(members), members[0].timeout, asked))
        except Overloaded as error:
            for member in members:
                member.fail(error)
            return
        unanswered = len(members)
        self._running += unanswered
        try:
            with exchange:
                for member in members:
                    try:
                        answer = await exchange.answer()
                    except EOFError:
                        return
                    except TooCostly as error:
                        member.fail(error)
                        return
                    unanswered -= 1
                    self._running -= 1
                    try:
                        member.succeed(await self._reply(answer, member.job.kind, exchange.queue_seconds))
                    except (ProxyError, RuntimeError) as error:
                        member.fail(error)
        finally:
            self._running -= unanswered

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

    async def _attempt(self, job: Job, seconds: float, asked: int) -> Reply:
        """Raises EOFError when the renderer dies."""
        with await self._hand_over(_packed(job, seconds, asked)) as exchange:
            self._running += 1
            try:
                answer = await exchange.answer()
            finally:
                self._running -= 1
            return await self._reply(answer, job.kind, exchange.queue_seconds)

    async def _hand_over(self, packed: PackedJob) -> Exchange:
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
                    except OSError:  # the kernel has no memory for another job
                        connection.close()
                        raise self._admission.overloaded() from None
                    except BaseException:
                        connection.close()
                        raise
                    else:
                        return Exchange(
                            packed=packed,
                            connection=connection,
                            unsent=unsent_parts(packed.parts, sent),
                            pid=pid,
                            accepted=accepted,
                            max_reply_bytes=self._max_reply_bytes,
                        )
        except TimeoutError:
            raise self._admission.overloaded() from None

    def _connect(self) -> socket.socket:
        try:
            return connected(self._socket_path)
        except OSError:  # there is no room in the kernel's queue, or too many files are open
            raise self._admission.overloaded() from None

    async def _reply(self, answer: RendererAnswer, kind: JobKind, queue_seconds: float) -> Reply:
        """What a job ended with. Raises its error."""
        match answer:
            case RefusedJob():
                raise answer.error
            case CrashedJob():
                failure = RuntimeError(f"a job of the kind {kind} raised {answer.exception}")
                failure.add_note(answer.trace)
                raise failure
        if answer.fingerprint != self._fingerprint:
            self._fingerprint = await asyncio.to_thread(current_fingerprint, self._socket_path)
        self._metrics.rendered(queue_seconds, answer.timings)
        return replace(answer, queue_seconds=queue_seconds)


def _packed(job: Job, seconds: float, asked: int) -> PackedJob:
    start, bodies = pack_job(job, timeout=seconds)
    return PackedJob(kind=job.kind, parts=[start, *bodies], timeout=seconds, asked=asked)
