"""Jobs of one original that wait at the same moment are one job of a renderer."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from proxy.fairness.turns import LocalTurns
from proxy.model.errors import InvalidValue, TooCostly, TooManyPixels
from proxy.renderers import Job, Reply
from proxy.renderers.batches import MAX_BATCH, MIN_SPLIT, Member, WaitingJobs, batch_job
from proxy.renderers.client import RendererClient
from proxy.renderers.protocol import MAX_HEADER_BYTES, pack_job
from proxy.renderers.supervisor import Supervisor
from tests.renderers.conftest import Eventually
from tests.renderers.tasks import body_of, facts_of, make_job

BODY = b"an original" * 1_000


def batchable(task: str, *, body: bytes = BODY, cost: float = 0.1, **arguments: Any) -> Job:
    return replace(make_job(task, body, **arguments), batchable=True, cost=cost)


async def run_all(client: RendererClient, *jobs: Job, seconds: float = 10) -> list[Reply | BaseException]:
    running = (client.run(job, timeout=seconds) for job in jobs)
    return await asyncio.gather(*running, return_exceptions=True)


async def in_order(client: RendererClient, *jobs: Job, seconds: float = 10) -> list[Reply | BaseException]:
    """As `run_all`; the first is the cheapest."""
    costed = (replace(job, cost=0.1 + number / 100) for number, job in enumerate(jobs))
    return await run_all(client, *costed, seconds=seconds)


async def test_each_gets_its_own_answer_of_one_renderer(client: RendererClient) -> None:
    replies = await run_all(client, *(batchable("echo", n=n, cost=9 - n) for n in range(8)))
    facts = [facts_of(reply) for reply in replies if isinstance(reply, Reply)]
    assert [each["n"] for each in facts] == [*range(8)]
    assert len({each["pid"] for each in facts}) == 1
    assert all(body_of(reply) == BODY for reply in replies if isinstance(reply, Reply))


async def test_other_originals_and_jobs_that_may_not_are_not_put_together(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches: list[object] = []
    client = RendererClient(supervisor.socket_path)
    monkeypatch.setattr("proxy.renderers.client.batch_job", batches.append)
    await run_all(
        client,
        batchable("echo", body=BODY + b"1"),
        batchable("echo", body=BODY + b"2"),
        make_job("echo", BODY),
        make_job("echo", BODY),
    )
    assert not batches


async def test_each_is_answered_as_soon_as_it_is_made(lone_client: RendererClient) -> None:
    done: list[int] = []

    async def run(number: int) -> None:
        await lone_client.run(batchable("sleep", seconds=0.3, cost=number), timeout=5)
        done.append(number)

    started = asyncio.get_running_loop().time()
    first = asyncio.create_task(run(1))
    rest = [asyncio.create_task(run(number)) for number in (3, 2)]
    await first
    assert asyncio.get_running_loop().time() - started < 0.6
    await asyncio.gather(*rest)
    assert done == [1, 2, 3]


async def test_errors_are_those_of_their_own_job(client: RendererClient) -> None:
    jobs = [batchable("echo"), batchable("refuse"), batchable("fail"), batchable("refuse_option")]
    first, refused, failed, option, last = await in_order(client, *jobs, batchable("echo"))
    assert isinstance(first, Reply)
    assert isinstance(refused, TooManyPixels)
    assert isinstance(failed, RuntimeError)
    assert isinstance(option, InvalidValue)
    assert isinstance(last, Reply)


@pytest.mark.parametrize("task", ["abort", "leave", "fill_memory"])
async def test_a_death_fails_only_what_kills(task: str, client: RendererClient) -> None:
    before, killer, *after = await in_order(
        client, batchable("echo"), batchable(task), batchable("echo"), batchable("echo"), seconds=20
    )
    assert isinstance(before, Reply)
    assert isinstance(killer, TooCostly)
    assert all(isinstance(reply, Reply) for reply in after)


async def test_the_time_is_that_of_each_and_one_that_takes_too_long_fails_alone(
    client: RendererClient,
) -> None:
    jobs = [batchable("sleep", seconds=seconds) for seconds in (0.3, 0.3, 60, 0.3)]
    first, second, slow, last = await in_order(client, *jobs, seconds=0.5)
    assert isinstance(first, Reply)
    assert isinstance(second, Reply)
    assert isinstance(slow, TooCostly)
    assert isinstance(last, Reply)


async def test_the_others_are_answered_when_the_caller_of_one_leaves(client: RendererClient) -> None:
    jobs = [asyncio.create_task(client.run(batchable("sleep", seconds=0.1), timeout=5)) for _ in range(3)]
    await asyncio.sleep(0.05)
    jobs[0].cancel()
    replies = await asyncio.gather(*jobs, return_exceptions=True)
    assert isinstance(replies[0], asyncio.CancelledError)
    assert all(isinstance(reply, Reply) for reply in replies[1:])
    assert (client.running, client.waiting) == (0, 0)


async def test_nothing_is_left_when_all_callers_leave(
    lone_client: RendererClient, eventually: Eventually
) -> None:
    jobs = [
        asyncio.create_task(lone_client.run(batchable("sleep", seconds=0.2), timeout=5)) for _ in range(5)
    ]
    await asyncio.sleep(0.1)
    assert (lone_client.running, lone_client.waiting) == (5, 0)
    for job in jobs:
        job.cancel()
    await asyncio.gather(*jobs, return_exceptions=True)
    await eventually(lambda: (lone_client.running, lone_client.waiting) == (0, 0))
    # The renderer stops at the first answer that nothing takes.
    started = asyncio.get_running_loop().time()
    await lone_client.run(make_job("echo"), timeout=5)
    assert asyncio.get_running_loop().time() - started < 0.8


async def test_those_that_wait_for_their_turn_are_taken_by_the_first_one(alone: Supervisor) -> None:
    client = RendererClient(alone.socket_path, turns=LocalTurns(1))
    busy = asyncio.create_task(client.run(make_job("sleep", b"other", seconds=0.3), timeout=5))
    await asyncio.sleep(0.1)
    jobs = []
    for number in range(4):  # one after another, while a renderer is at something else
        jobs.append(asyncio.create_task(client.run(batchable("echo", n=number), timeout=5)))
        await asyncio.sleep(0.02)
    replies = await asyncio.gather(*jobs)
    assert [facts_of(reply)["n"] for reply in replies] == [*range(4)]
    # From the first's asking to the hand-over of all: they were taken at the same moment.
    assert len({round(reply.queue_seconds, 6) for reply in replies}) == 1
    await busy
    assert isinstance(await client.run(batchable("echo"), timeout=5), Reply)


async def test_turns_are_given_back(alone: Supervisor) -> None:
    client = RendererClient(alone.socket_path, turns=LocalTurns(2))
    for _ in range(3):
        await run_all(client, *(batchable("echo", n=n) for n in range(5)), batchable("abort"))
    assert (client.running, client.waiting) == (0, 0)
    replies = await run_all(client, *(make_job("echo", b"%d" % n) for n in range(4)))
    assert all(isinstance(reply, Reply) for reply in replies)


def members(*costs: float, options: str = "w_1") -> list[Member]:
    body = b"x"
    jobs = [Job(options=options, original=body, batchable=True, cost=cost) for cost in costs]
    return [Member(job=job, asked=0, timeout=1) for job in jobs]


async def test_two_renderers_do_a_half_each() -> None:
    waiting = WaitingJobs(renderers=2)
    six = members(0.1, 1.0, 0.2, 0.3, 0.4, 0.15)
    for member in six:
        waiting.add(member)
    assert waiting.take(six[0]) == [six[0], six[5], six[2], six[3], six[4]]
    assert waiting.take(six[1]) == [six[1]]


@pytest.mark.parametrize(("renderers", "count"), [(1, 6), (2, MIN_SPLIT - 1)])
async def test_few_are_not_split_nor_are_many_for_one_renderer(renderers: int, count: int) -> None:
    waiting = WaitingJobs(renderers=renderers)
    all_of_them = members(*range(count))
    for member in all_of_them:
        waiting.add(member)
    assert waiting.take(all_of_them[1]) == all_of_them


async def test_no_batch_is_larger_than_its_header() -> None:
    waiting = WaitingJobs(renderers=1)
    many = members(*range(MAX_BATCH + 3))
    for member in many:
        waiting.add(member)
    assert waiting.take(many[0]) == many[:MAX_BATCH]
    assert waiting.take(many[-1]) == many[MAX_BATCH:]
    assert len(batch_job(many[:3]).variants) == 2
    long = members(0, 1, 2, options="🙂" * 4_000)
    for member in long:
        waiting.add(member)
    for member in long:
        assert waiting.take(member) == [member]
        start, _ = pack_job(batch_job([member]), timeout=1)
        assert len(start) <= MAX_HEADER_BYTES
