"""One web process asks; renderers answer, refuse, hang and die."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
from dataclasses import asdict, replace
from typing import Any

import pytest
import uvloop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.model.errors import InvalidValue, Overloaded, TooCostly, TooManyPixels
from proxy.model.limits import Limits
from proxy.renderers import Job, JobKind, Reply
from proxy.renderers.client import RendererClient
from proxy.renderers.supervisor import Supervisor
from tests.renderers.conftest import TASKS, Eventually
from tests.renderers.tasks import body_of, content_of, facts_of, make_job

LIMITS = st.builds(
    Limits,
    max_source_pixels=st.integers(0),
    formats=st.none() | st.lists(st.sampled_from(["jpeg", "png"])).map(tuple),
    render_timeout=st.floats(0, 100),
)
SHARED = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@SHARED
@given(
    job=st.builds(
        Job,
        kind=st.just(JobKind.DESCRIBE),
        options=st.text(),
        accepted=st.text(max_size=20),
        limits=LIMITS,
        overlay_limits=st.none() | LIMITS,
        background=st.booleans(),
        original=st.none() | st.binary(max_size=5_000),
        overlay=st.none() | st.binary(max_size=5_000),
    )
)
async def test_any_job_crosses_and_any_bodies_come_back(client: RendererClient, job: Job) -> None:
    reply = await client.run(job, timeout=5)
    fields, *bodies = map(content_of, reply.files)
    assert bodies == [body for body in (job.original, job.overlay) if body is not None]
    expected = asdict(replace(job, original=None, overlay=None)) | {"absent": 2 - len(bodies)}
    del expected["original"], expected["overlay"]
    assert json.loads(fields) == json.loads(json.dumps(expected))


@SHARED
@given(body=st.binary(max_size=5_000), arguments=st.dictionaries(st.text("abc"), st.integers() | st.text()))
async def test_any_bytes_and_options_cross_and_come_back(
    client: RendererClient, body: bytes, arguments: dict[str, Any]
) -> None:
    reply = await client.run(make_job("echo", body, **arguments), timeout=5)
    assert body_of(reply) == body
    assert facts_of(reply) == arguments | {"pid": facts_of(reply)["pid"]}


async def test_two_large_bodies_each_way_stay_apart(client: RendererClient) -> None:
    original, overlay = os.urandom(3_000_001), os.urandom(2_000_003)
    job = Job(kind=JobKind.DESCRIBE, original=original, overlay=overlay)
    _, first, second = (await client.run(job, timeout=10)).files
    assert (content_of(first), content_of(second)) == (original, overlay)


@pytest.mark.parametrize("size", [0, 1, 1_000_000, 1_000_001, 12_345_678])
async def test_bodies_of_all_sizes_cross(client: RendererClient, size: int) -> None:
    body = os.urandom(size)
    assert body_of(await client.run(make_job("echo", body), timeout=10)) == body


async def test_many_jobs_at_once_each_get_their_own_answer(
    client: RendererClient, supervisor: Supervisor
) -> None:
    async with asyncio.TaskGroup() as group:
        jobs = {
            n: group.create_task(client.run(make_job("echo", b"%d" % n * 5_000, n=n), timeout=10))
            for n in range(200)
        }
    replies = {n: job.result() for n, job in jobs.items()}
    assert all(
        body_of(reply) == b"%d" % n * 5_000 and facts_of(reply)["n"] == n for n, reply in replies.items()
    )


async def test_a_job_on_uvloop(supervisor: Supervisor) -> None:
    async def on_uvloop() -> bytes:
        client = RendererClient(supervisor.socket_path)
        replies = await asyncio.gather(
            *(client.run(make_job("echo", b"x" * 2_000_000), timeout=10) for _ in range(8))
        )
        with pytest.raises(TooCostly):
            await client.run(make_job("spin"), timeout=0.2)
        return b"".join(body_of(reply) for reply in replies)

    def run() -> bytes:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(on_uvloop())

    assert len(await asyncio.to_thread(run)) == 16_000_000


async def test_waiting_does_not_count_against_the_deadline(lone_client: RendererClient) -> None:
    await asyncio.gather(*(lone_client.run(make_job("sleep", seconds=0.15), timeout=0.4) for _ in range(4)))


@pytest.mark.parametrize("task", ["spin", "spin_deaf", "sleep"])
async def test_a_stuck_job_is_killed_and_the_next_one_works(
    task: str, lone_client: RendererClient, alone: Supervisor, eventually: Eventually
) -> None:
    pid = alone.pids()[0]
    with pytest.raises(TooCostly, match=r"longer than 0\.3 s"):
        await lone_client.run(make_job(task, seconds=60), timeout=0.3)
    reply = await lone_client.run(make_job("echo", b"fine"), timeout=5)
    assert body_of(reply) == b"fine"
    assert alone.pids() == [facts_of(reply)["pid"]] != [pid]


async def test_a_stopped_renderer_is_killed_at_the_deadline(
    lone_client: RendererClient, alone: Supervisor
) -> None:
    stuck = asyncio.create_task(lone_client.run(make_job("sleep", seconds=60), timeout=0.5))
    await asyncio.sleep(0.2)
    os.kill(alone.pids()[0], signal.SIGSTOP)
    with pytest.raises(TooCostly, match="longer than"):
        await stuck
    assert body_of(await lone_client.run(make_job("echo", b"fine"), timeout=5)) == b"fine"


@pytest.mark.parametrize("task", ["abort", "leave"])
async def test_a_death_fails_its_own_job_only(
    task: str, client: RendererClient, supervisor: Supervisor, eventually: Eventually
) -> None:
    good = [client.run(make_job("echo", b"%d" % n), timeout=10) for n in range(60)]
    bad = [client.run(make_job(task), timeout=10) for _ in range(4)]
    jobs = [job for n, job in enumerate(good) for job in ([bad.pop(), job] if n % 15 == 0 else [job])]
    outcomes = await asyncio.gather(*jobs, return_exceptions=True)
    failures = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    assert [type(failure) for failure in failures] == [TooCostly] * 4
    assert "died" in str(failures[0])
    await eventually(lambda: len(supervisor.pids()) == 2)


async def test_a_job_outlives_one_renderer_that_others_kill(
    lone_client: RendererClient, alone: Supervisor, eventually: Eventually
) -> None:
    (pid,) = alone.pids()
    job = asyncio.create_task(lone_client.run(make_job("sleep", b"fine", seconds=0.5), timeout=10))
    await asyncio.sleep(0.2)
    os.kill(pid, signal.SIGKILL)
    assert facts_of(await job)["pid"] != pid
    await eventually(lambda: alone.deaths == 1)


async def test_too_much_memory_is_too_costly(importable_tasks: None) -> None:
    with Supervisor(renderers=1, tasks=TASKS, memory_bytes=400_000_000) as supervisor:
        lone_client = RendererClient(supervisor.socket_path)
        with pytest.raises(TooCostly, match="memory"):
            await lone_client.run(make_job("fill_memory"), timeout=10)
        assert body_of(await lone_client.run(make_job("echo", b"fine"), timeout=5)) == b"fine"


async def test_an_error_crosses_with_its_facts(client: RendererClient) -> None:
    with pytest.raises(TooManyPixels, match="60 megapixels") as refused:
        await client.run(make_job("refuse"), timeout=5)
    assert refused.value.facts == {"value": "60", "allowed": ["50"]}
    with pytest.raises(InvalidValue):
        await client.run(make_job("refuse_option"), timeout=5)


async def test_a_renderer_says_nothing_of_origins(client: RendererClient) -> None:
    """Their answers are remembered for all renditions of a key, which no original may decide."""
    with pytest.raises(TooCostly, match="went wrong"):
        await client.run(make_job("refuse_as_an_origin"), timeout=5)


async def test_a_bug_in_a_task_is_our_bug_with_its_traceback(client: RendererClient) -> None:
    """A 500 that somebody must look at, and never the picture's fault."""
    with pytest.raises(RuntimeError, match="job of the kind render raised KeyError") as failure:
        await client.run(make_job("fail"), timeout=5)
    assert "a bug of ours" in failure.value.__notes__[0]
    with pytest.raises(RuntimeError, match="raised KeyError"):
        await client.run(make_job("no such task"), timeout=5)
    with pytest.raises(RuntimeError, match="raised ValueError"):
        await client.run(Job(kind=JobKind.FORMATS), timeout=5)


async def test_a_reply_beyond_the_bound_is_not_read(supervisor: Supervisor, eventually: Eventually) -> None:
    client = RendererClient(supervisor.socket_path, max_reply_bytes=1_000_000)
    reply = await client.run(make_job("zeros", size=1_000_000), timeout=5)
    assert sum(len(file.body) for file in reply.files) == 1_000_000
    with pytest.raises(TooCostly, match="went wrong"):
        await client.run(make_job("zeros", size=1_000_001), timeout=5)
    await eventually(lambda: len(supervisor.pids()) == 2)


async def test_askers_who_leave_do_no_harm(lone_client: RendererClient, alone: Supervisor) -> None:
    """Before a renderer took the job, while it runs, while the answer comes: the next job is not touched."""
    pids = alone.pids()
    for patience in (0, 0.0005, 0.001, 0.003, 0.01, 0.03):
        leaving = [
            asyncio.create_task(lone_client.run(make_job("sleep", b"x" * size, seconds=0.02), timeout=5))
            for size in (0, 10, 2_000_000, 2_000_000, 2_000_000, 2_000_000)
        ]
        leaving += [
            asyncio.create_task(lone_client.run(make_job("zeros", size=3_000_000), timeout=5))
            for _ in range(2)
        ]
        await asyncio.sleep(patience)
        for job in leaving:
            job.cancel()
        await asyncio.gather(*leaving, return_exceptions=True)
        body = os.urandom(100)
        assert body_of(await lone_client.run(make_job("echo", body), timeout=5)) == body
    assert alone.pids() == pids


async def test_jobs_of_askers_who_left_the_queue_are_not_done(lone_client: RendererClient) -> None:
    running = asyncio.create_task(lone_client.run(make_job("sleep", seconds=0.2), timeout=5))
    await asyncio.sleep(0.05)
    left = asyncio.create_task(lone_client.run(make_job("sleep", seconds=60), timeout=60))
    await asyncio.sleep(0.05)
    left.cancel()
    await running
    assert (await lone_client.run(make_job("echo", b"next"), timeout=5)).queue_seconds < 5


async def test_a_process_that_may_open_no_more_files_is_overloaded(lone_client: RendererClient) -> None:
    most = resource.getrlimit(resource.RLIMIT_NOFILE)
    await lone_client.run(make_job("echo"), timeout=5)  # whatever this opens for good is open
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, most[1]))
    try:
        with pytest.raises(Overloaded):
            await lone_client.run(make_job("echo"), timeout=5)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, most)
    assert body_of(await lone_client.run(make_job("echo", b"again"), timeout=5)) == b"again"


async def test_a_full_queue_is_refused_at_once(alone: Supervisor) -> None:
    lone_client = RendererClient(alone.socket_path, queue_size=3)
    jobs = []
    for _ in range(3):
        lone_client.require_room()
        jobs.append(asyncio.create_task(lone_client.run(make_job("sleep", seconds=0.2), timeout=5)))
        await asyncio.sleep(0)
    with pytest.raises(Overloaded) as refused:
        lone_client.require_room()
    assert refused.value.facts["retry_after"] >= 1
    assert not any(job.done() for job in jobs)
    await asyncio.gather(*jobs)
    lone_client.require_room()


async def test_what_was_on_its_way_to_a_full_queue_is_taken_up_to_as_many_again(alone: Supervisor) -> None:
    lone_client = RendererClient(alone.socket_path, queue_size=3)
    jobs = [
        asyncio.create_task(lone_client.run(make_job("sleep", seconds=0.05), timeout=5)) for _ in range(7)
    ]
    done = await asyncio.gather(*jobs, return_exceptions=True)
    assert [type(each) for each in done] == [Reply] * 6 + [Overloaded]


async def test_originals_that_wait_are_bounded_in_bytes_but_never_all_refused(alone: Supervisor) -> None:
    lone_client = RendererClient(alone.socket_path, queue_bytes=1_000)
    large = asyncio.create_task(lone_client.run(make_job("sleep", bytes(5_000), seconds=0.5), timeout=5))
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        lone_client.require_room()
    with pytest.raises(Overloaded):
        await lone_client.run(make_job("echo", b"one more"), timeout=5)
    assert body_of(await large) == bytes(10)
    lone_client.require_room()
    two = [asyncio.create_task(lone_client.run(make_job("echo", bytes(500)), timeout=5)) for _ in range(2)]
    assert [len(body_of(each)) for each in await asyncio.gather(*two)] == [500, 500]


async def test_waiting_too_long_is_an_overload(alone: Supervisor) -> None:
    """Both kinds of waiting: for a turn in this process, and for a renderer in the kernel's queue."""
    lone_client = RendererClient(alone.socket_path, queue_timeout=0.2)
    running = [asyncio.create_task(lone_client.run(make_job("sleep", seconds=0.6), timeout=5))]
    await asyncio.sleep(0.05)
    waiting = [asyncio.create_task(lone_client.run(make_job("echo"), timeout=5)) for _ in range(4)]
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {Overloaded}
    await asyncio.gather(*running)
    assert body_of(await lone_client.run(make_job("echo", b"fine"), timeout=5)) == b"fine"


async def test_the_death_of_an_idle_renderer_goes_unnoticed(
    lone_client: RendererClient, alone: Supervisor
) -> None:
    for _ in range(5):
        os.kill(alone.pids()[0], signal.SIGKILL)
        assert body_of(await lone_client.run(make_job("echo", b"fine"), timeout=5)) == b"fine"


async def test_without_a_supervisor_no_job_is_run(importable_tasks: None) -> None:
    supervisor = Supervisor(renderers=1, tasks=TASKS)
    lone_client = RendererClient(supervisor.socket_path)
    with pytest.raises(Overloaded):
        await lone_client.run(make_job("echo"), timeout=5)
    with supervisor:
        assert body_of(await lone_client.run(make_job("echo", b"fine"), timeout=5)) == b"fine"
    with pytest.raises(Overloaded):
        await lone_client.run(make_job("echo"), timeout=5)


async def test_no_descriptor_is_left_open(client: RendererClient, eventually: Eventually) -> None:
    async def exercise() -> None:
        jobs = [
            client.run(make_job(task, b"x" * 1_500_000, seconds=0), timeout=5)
            for task in ("echo", "sleep", "abort")
        ]
        await asyncio.gather(*jobs, return_exceptions=True)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(
                client.run(make_job("sleep", b"x" * 1_500_000, seconds=0.1), timeout=5), 0.0005
            )

    await exercise()
    await asyncio.sleep(0.5)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        await exercise()
    await eventually(lambda: len(os.listdir("/proc/self/fd")) <= before + 2)
