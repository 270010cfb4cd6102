"""Renderers that neither take a job nor die are replaced; those that are at work are left alone."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator

import pytest

from proxy.renderers.activity import (
    Activity,
    ActivityRecord,
    count_checks,
    max_checks,
    new_record,
    read_record,
)
from proxy.renderers.client import RendererClient
from proxy.renderers.supervisor import Supervisor
from tests.renderers.conftest import TASKS
from tests.renderers.tasks import body_of, facts_of, make_job

SECOND = 1_000_000_000


@pytest.fixture
def pair(importable_tasks: None) -> Iterator[Supervisor]:
    with Supervisor(renderers=2, tasks=TASKS) as supervisor:
        yield supervisor


@pytest.fixture
def web_client(pair: Supervisor) -> RendererClient:
    """As web processes have it: a job that waits for 10 s is given up."""
    return RendererClient(pair.socket_path)


async def test_renderers_that_are_all_stopped_while_idle_are_replaced(
    pair: Supervisor, web_client: RendererClient
) -> None:
    stopped = pair.pids()
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    began = time.monotonic()
    replies = await asyncio.gather(*(web_client.run(make_job("echo", b"x"), timeout=5) for _ in range(4)))
    assert time.monotonic() - began < 10
    assert not {facts_of(reply)["pid"] for reply in replies} & {*stopped}
    assert pair.deaths == 2


async def test_a_job_that_its_client_gave_up_is_work_too(
    pair: Supervisor, web_client: RendererClient
) -> None:
    for pid in pair.pids():
        os.kill(pid, signal.SIGSTOP)
    await asyncio.sleep(0.2)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(web_client.run(make_job("echo", b"x"), timeout=5), 0.1)
    await asyncio.sleep(5)
    assert pair.deaths == 2
    await asyncio.wait_for(web_client.run(make_job("echo", b"x"), timeout=5), 10)


async def test_renderers_that_are_busy_for_long_are_left_alone(
    pair: Supervisor, web_client: RendererClient
) -> None:
    """With work that waits all the time."""
    pids = {*pair.pids()}
    jobs = [web_client.run(make_job("sleep", b"x", seconds=6.5), timeout=20) for _ in range(2)]
    jobs += [web_client.run(make_job("echo", b"x"), timeout=5) for _ in range(3)]
    replies = await asyncio.gather(*jobs)
    assert [body_of(reply) for reply in replies] == [b"x"] * 5
    assert {facts_of(reply)["pid"] for reply in replies} == pids
    assert pair.deaths == 0


async def test_only_the_one_that_is_stuck_is_replaced(pair: Supervisor, web_client: RendererClient) -> None:
    stuck, busy = pair.pids()
    os.kill(stuck, signal.SIGSTOP)
    await asyncio.sleep(0.2)
    long = asyncio.create_task(web_client.run(make_job("sleep", b"long", seconds=7), timeout=20))
    await asyncio.sleep(0.2)
    assert facts_of(await web_client.run(make_job("echo"), timeout=5))["pid"] not in (stuck, busy)
    assert facts_of(await long)["pid"] == busy
    assert pair.deaths == 1


async def test_a_renderer_that_is_stopped_before_it_is_ready_is_replaced(
    importable_tasks: None,
) -> None:
    with Supervisor(renderers=1, tasks=TASKS, start_seconds=3) as supervisor:
        (first,) = supervisor.pids()
        os.kill(first, signal.SIGKILL)
        second = await _next_pid(supervisor, first)
        os.kill(second, signal.SIGSTOP)
        client = RendererClient(supervisor.socket_path, queue_timeout=20)
        assert facts_of(await client.run(make_job("echo"), timeout=5))["pid"] not in (first, second)


async def _next_pid(supervisor: Supervisor, dead: int) -> int:
    """A process that has only just been made."""
    while True:
        pids = supervisor.pids()
        if pids and pids != [dead]:
            return pids[0]
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("until", "idle"),
    [
        (0, True),
        (98 * SECOND, True),
        (101 * SECOND, False),
        (159 * SECOND, False),
        (161 * SECOND, True),
        (2**64 - 1, True),
    ],
)
def test_a_claim_to_be_busy_holds_for_no_longer_than_a_job_and_its_transfer(until: int, idle: bool) -> None:
    activity = Activity(pid=1, jobs=0, until=until)
    assert activity.is_idle(100 * SECOND, max_job_seconds=10) is idle


def test_a_record_tells_what_its_renderer_is_at() -> None:
    ours = new_record()
    theirs = ActivityRecord(os.dup(ours))
    assert read_record(ours, 7) == Activity(pid=7, jobs=0, until=0)
    theirs.begin(5)
    assert 0 < read_record(ours, 7).until - time.monotonic_ns() <= 5 * SECOND
    theirs.end()
    assert read_record(ours, 7) == Activity(pid=7, jobs=1, until=0)
    with pytest.raises(OSError, match="not permitted"):
        os.ftruncate(ours, 0)
    os.close(ours)


def test_only_checks_after_the_same_job_add_up() -> None:
    stuck = Activity(pid=1, jobs=5, until=0)
    counted = count_checks({}, [stuck, Activity(pid=2, jobs=5, until=0)])
    counted = count_checks(counted, [stuck, Activity(pid=2, jobs=6, until=0)])
    assert counted == {(1, 5): 2, (2, 6): 1}
    assert count_checks(counted, []) == {}


def test_who_claims_to_be_at_one_job_for_ever_is_not() -> None:
    """As a renderer that is not ours any more may, by moving its end on and on."""
    now = 100 * SECOND
    busy, idle = (Activity(pid=1, jobs=0, until=until) for until in (now + SECOND, 0))
    assert max_checks(idle, now, max_job_seconds=10) == 3
    assert max_checks(busy, now, max_job_seconds=10) == 70
