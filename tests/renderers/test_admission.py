"""Which jobs may begin, and when: told by the order in which a renderer gets them, not by a clock."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from proxy.model.errors import Overloaded
from proxy.renderers import Job, Reply
from proxy.renderers.admission import MAX_BACKGROUND_JOBS
from proxy.renderers.client import RendererClient
from tests.renderers.conftest import Eventually
from tests.renderers.fake import FakeRenderer, fake_renderer


@pytest.fixture
async def fake(tmp_path: Path) -> AsyncIterator[FakeRenderer]:
    async with fake_renderer(tmp_path) as fake:
        yield fake


@pytest.fixture
def client(fake: FakeRenderer) -> RendererClient:
    return RendererClient(fake.socket_path)


def start(
    client: RendererClient, name: str, size: int = 0, *, background: bool = False
) -> asyncio.Task[Reply]:
    job = Job(options=name, original=bytes(size), background=background)
    return asyncio.create_task(client.run(job, timeout=20))


async def refused(job: asyncio.Task[Reply]) -> None:
    """At once: not when something else has ended."""
    with pytest.raises(Overloaded):
        await asyncio.wait_for(job, 20)


async def test_a_job_is_queued_until_a_renderer_accepts_it(
    client: RendererClient, fake: FakeRenderer, eventually: Eventually
) -> None:
    before = time.monotonic_ns()
    task = start(client, "job")
    job = await fake.next_job()
    await eventually(lambda: client.running == 1)
    await asyncio.sleep(0.1)
    job.answer()
    assert 0 < (await task).queue_seconds <= (job.accepted - before) / 1e9


async def test_a_background_job_begins_after_all_that_clients_wait_for(
    client: RendererClient, fake: FakeRenderer
) -> None:
    tasks = [start(client, "first")]
    first = await fake.next_job()
    tasks += [start(client, "background", background=True), start(client, "second")]
    second = await fake.next_job()
    assert second.options == "second"
    first.answer()
    await tasks[0]
    tasks.append(start(client, "third"))
    third = await fake.next_job()
    assert third.options == "third"
    second.answer()
    await tasks[2]
    assert (fake.is_idle, client.waiting) == (True, 1)
    third.answer()
    background = await fake.next_job()
    assert background.options == "background"
    background.answer()
    await asyncio.gather(*tasks)


async def test_background_jobs_run_one_at_a_time_and_hold_up_no_other(
    client: RendererClient, fake: FakeRenderer
) -> None:
    tasks = [start(client, f"background {n}", background=True) for n in range(2)]
    one = await fake.next_job()
    assert one.options == "background 0"
    tasks.append(start(client, "urgent"))
    urgent = await fake.next_job()
    assert urgent.options == "urgent"
    one.answer()
    await tasks[0]
    assert (fake.is_idle, client.waiting) == (True, 1)
    urgent.answer()
    two = await fake.next_job()
    assert two.options == "background 1"
    two.answer()
    await asyncio.gather(*tasks)


async def test_a_background_job_takes_a_place_like_any_other(fake: FakeRenderer) -> None:
    client = RendererClient(fake.socket_path, queue_size=2)
    tasks = [start(client, "job"), start(client, "background", background=True)]
    job = await fake.next_job()
    assert client.running + client.waiting == 2
    with pytest.raises(Overloaded):
        client.require_room()
    job.answer()
    background = await fake.next_job()
    await tasks[0]
    client.require_room()
    tasks.append(start(client, "next"))
    last = await fake.next_job()
    with pytest.raises(Overloaded):
        client.require_room()
    background.answer()
    await tasks[1]
    client.require_room()
    last.answer()
    await tasks[2]


async def test_a_background_job_is_refused_where_there_is_no_place(fake: FakeRenderer) -> None:
    """No original of its own was on its way, so it has no part in what a full queue takes beyond its size."""
    client = RendererClient(fake.socket_path, queue_size=2)
    tasks = [start(client, "job") for _ in range(2)]
    jobs = [await fake.next_job() for _ in tasks]
    await refused(start(client, "background", background=True))
    tasks.append(start(client, "on its way"))
    jobs.append(await fake.next_job())
    for job in jobs:
        job.answer()
    await asyncio.gather(*tasks)


async def test_the_bytes_of_a_background_job_count(fake: FakeRenderer) -> None:
    client = RendererClient(fake.socket_path, queue_bytes=1_000)
    tasks = [start(client, "job", 300), start(client, "background", 600, background=True)]
    job = await fake.next_job()
    await refused(start(client, "too large", 101))
    await refused(start(client, "too large", 101, background=True))
    tasks.append(start(client, "small", 100))
    small = await fake.next_job()
    job.answer()
    small.answer()
    (await fake.next_job()).answer()
    await asyncio.gather(*tasks)
    client.require_room()


@pytest.mark.parametrize("queue_size, most", [(1_000, MAX_BACKGROUND_JOBS), (16, 4), (3, 1), (1, 1)])
async def test_background_jobs_leave_most_of_a_queue_to_others(
    fake: FakeRenderer, queue_size: int, most: int
) -> None:
    client = RendererClient(fake.socket_path, queue_size=queue_size)
    tasks = [start(client, "background", background=True) for _ in range(most)]
    job = await fake.next_job()
    await refused(start(client, "one more", background=True))
    if queue_size > 1:
        client.require_room()
    for _ in range(most - 1):
        job.answer()
        job = await fake.next_job()
    job.answer()
    await asyncio.gather(*tasks)


async def test_a_background_job_that_never_gets_its_turn_is_given_up(fake: FakeRenderer) -> None:
    client = RendererClient(fake.socket_path, background_timeout=0.05)
    busy = start(client, "busy")
    job = await fake.next_job()
    await refused(start(client, "background", background=True))
    assert client.waiting == 0
    job.answer()
    await busy
    later = start(client, "later", background=True)
    (await fake.next_job()).answer()
    await later


async def test_a_background_job_that_is_cancelled_leaves_its_place_and_its_turn(
    client: RendererClient, fake: FakeRenderer, eventually: Eventually
) -> None:
    busy = start(client, "busy")
    job = await fake.next_job()
    cancelled, next_one = (start(client, name, background=True) for name in ("cancelled", "next one"))
    await eventually(lambda: client.waiting == 2)
    cancelled.cancel()
    await asyncio.gather(cancelled, return_exceptions=True)
    assert client.waiting == 1
    job.answer()
    last = await fake.next_job()
    assert last.options == "next one"
    last.answer()
    await asyncio.gather(busy, next_one)


async def test_waiting_for_a_turn_is_not_looking_again_and_again(
    client: RendererClient, fake: FakeRenderer, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy = start(client, "busy")
    job = await fake.next_job()
    await eventually(lambda: client.running == 1)
    loop = asyncio.get_running_loop()
    timers: list[float] = []
    schedule = loop.call_at

    def counted(when: float, *arguments: Any, **more: Any) -> asyncio.TimerHandle:
        timers.append(when)
        return schedule(when, *arguments, **more)

    monkeypatch.setattr(loop, "call_at", counted)
    background = start(client, "background", background=True)
    await asyncio.sleep(0.2)
    assert len(timers) == 2, "its own timeout, and the sleep of this test"
    monkeypatch.undo()
    job.answer()
    (await fake.next_job()).answer()
    await asyncio.gather(busy, background)
