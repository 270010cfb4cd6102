"""One web process asks; renderers answer, refuse, hang and die."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
from collections.abc import Awaitable

import pytest
import uvloop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.model.errors import InvalidValue, Overloaded, TooCostly, TooManyPixels
from proxy.renderers.client import MOST_BEHIND, RendererClient, Reply
from proxy.renderers.supervisor import Supervisor
from tests.renderers.conftest import TASKS, Eventually

SHARED = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@SHARED
@given(body=st.binary(max_size=5_000), header=st.dictionaries(st.text(), st.integers() | st.text()))
async def test_any_bytes_and_header_cross_and_come_back(
    client: RendererClient, body: bytes, header: dict[str, int | str]
) -> None:
    header.pop("pid", None)
    reply = await client.run("echo", header, body, 5)
    assert reply.body == body
    assert reply.header == header | {"pid": reply.header["pid"]}


@pytest.mark.parametrize("size", [0, 1, 1_000_000, 1_000_001, 12_345_678])
async def test_bodies_of_all_sizes_cross(client: RendererClient, size: int) -> None:
    body = os.urandom(size)
    assert (await client.run("echo", {}, body, 10)).body == body


async def test_many_jobs_at_once_each_get_their_own_answer(
    client: RendererClient, supervisor: Supervisor
) -> None:
    async with asyncio.TaskGroup() as group:
        jobs = {n: group.create_task(client.run("echo", {"n": n}, b"%d" % n * 5_000, 10)) for n in range(200)}
    replies = {n: job.result() for n, job in jobs.items()}
    assert all(reply.body == b"%d" % n * 5_000 and reply.header["n"] == n for n, reply in replies.items())


async def test_a_job_on_uvloop(supervisor: Supervisor) -> None:
    async def on_uvloop() -> bytes:
        client = RendererClient(supervisor.socket_path)
        replies = await asyncio.gather(*(client.run("echo", {}, b"x" * 2_000_000, 10) for _ in range(8)))
        with pytest.raises(TooCostly):
            await client.run("spin", {}, b"", 0.2)
        return b"".join(reply.body for reply in replies)

    def run() -> bytes:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(on_uvloop())

    assert len(await asyncio.to_thread(run)) == 16_000_000


async def test_waiting_and_running_are_told_apart(lone_client: RendererClient) -> None:
    first, second = await asyncio.gather(
        lone_client.run("sleep", {"seconds": 0.3}, b"", 5), lone_client.run("sleep", {"seconds": 0.1}, b"", 5)
    )
    assert first.queue_seconds < 0.3 <= first.run_seconds
    assert second.run_seconds < 0.3
    assert second.queue_seconds + second.run_seconds > first.run_seconds


async def test_what_nobody_waits_for_comes_after_what_somebody_does(lone_client: RendererClient) -> None:
    ended: list[str] = []

    async def told(name: str, job: Awaitable[Reply]) -> Reply:
        reply = await job
        ended.append(name)
        return reply

    async with asyncio.TaskGroup() as group:
        group.create_task(told("first", lone_client.run("sleep", {"seconds": 0.2}, b"", 5)))
        await asyncio.sleep(0)
        for name in ("behind", "behind again"):
            group.create_task(told(name, lone_client.run_behind("sleep", {"seconds": 0}, b"", 5)))
        group.create_task(told("second", lone_client.run("sleep", {"seconds": 0.2}, b"", 5)))
    assert ended == ["first", "second", "behind", "behind again"]


async def test_what_nobody_waits_for_takes_no_place_from_readers(supervisor: Supervisor) -> None:
    client = RendererClient(supervisor.socket_path, queue_size=1)
    behind = asyncio.create_task(client.run_behind("sleep", {"seconds": 0.3}, b"", 5))
    await asyncio.sleep(0.1)
    client.require_room()
    await client.run("echo", {}, b"", 5)
    await behind
    await client.run("echo", {}, b"", 5)


async def test_few_wait_behind(lone_client: RendererClient) -> None:
    jobs = [asyncio.create_task(lone_client.run_behind("echo", {}, b"", 5)) for _ in range(MOST_BEHIND + 1)]
    done = await asyncio.gather(*jobs, return_exceptions=True)
    assert [type(each) for each in done] == [Reply] * MOST_BEHIND + [Overloaded]


async def test_waiting_does_not_count_against_the_deadline(lone_client: RendererClient) -> None:
    await asyncio.gather(*(lone_client.run("sleep", {"seconds": 0.15}, b"", 0.4) for _ in range(4)))


@pytest.mark.parametrize("task", ["spin", "spin_deaf", "sleep"])
async def test_a_stuck_job_is_killed_and_the_next_one_works(
    task: str, lone_client: RendererClient, alone: Supervisor, eventually: Eventually
) -> None:
    pid = alone.pids()[0]
    with pytest.raises(TooCostly, match=r"longer than 0\.3 s"):
        await lone_client.run(task, {"seconds": 60}, b"", 0.3)
    reply = await lone_client.run("echo", {}, b"fine", 5)
    assert reply.body == b"fine"
    assert alone.pids() == [reply.header["pid"]] != [pid]


async def test_a_stopped_renderer_is_killed_at_the_deadline(
    lone_client: RendererClient, alone: Supervisor
) -> None:
    stuck = asyncio.create_task(lone_client.run("sleep", {"seconds": 60}, b"", 0.5))
    await asyncio.sleep(0.2)
    os.kill(alone.pids()[0], signal.SIGSTOP)
    with pytest.raises(TooCostly, match="longer than"):
        await stuck
    assert (await lone_client.run("echo", {}, b"fine", 5)).body == b"fine"


@pytest.mark.parametrize("task", ["abort", "leave"])
async def test_a_death_fails_its_own_job_only(
    task: str, client: RendererClient, supervisor: Supervisor, eventually: Eventually
) -> None:
    good = [client.run("echo", {}, b"%d" % n, 10) for n in range(60)]
    bad = [client.run(task, {}, b"", 10) for _ in range(4)]
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
    job = asyncio.create_task(lone_client.run("sleep", {"seconds": 0.5}, b"fine", 10))
    await asyncio.sleep(0.2)
    os.kill(pid, signal.SIGKILL)
    assert (await job).header["pid"] != pid
    await eventually(lambda: alone.deaths == 1)


async def test_too_much_memory_is_too_costly(importable_tasks: None) -> None:
    with Supervisor(renderers=1, tasks=TASKS, memory_bytes=400_000_000) as supervisor:
        lone_client = RendererClient(supervisor.socket_path)
        with pytest.raises(TooCostly, match="memory"):
            await lone_client.run("fill_memory", {}, b"", 10)
        assert (await lone_client.run("echo", {}, b"fine", 5)).body == b"fine"


async def test_an_error_crosses_with_its_facts(client: RendererClient) -> None:
    with pytest.raises(TooManyPixels, match="60 megapixels") as refused:
        await client.run("refuse", {}, b"", 5)
    assert refused.value.facts == {"value": "60", "allowed": ["50"]}
    with pytest.raises(InvalidValue):
        await client.run("refuse_option", {}, b"", 5)


async def test_a_bug_in_a_task_is_our_bug_with_its_traceback(client: RendererClient) -> None:
    """A 500 that somebody must look at, and never the picture's fault."""
    with pytest.raises(RuntimeError, match="task 'fail' raised KeyError") as failure:
        await client.run("fail", {}, b"", 5)
    assert "a bug of ours" in failure.value.__notes__[0]
    with pytest.raises(RuntimeError, match="raised KeyError"):
        await client.run("no such task", {}, b"", 5)
    with pytest.raises(RuntimeError, match="raised ValueError"):
        await client.run("answer_too_much", {}, b"", 5)


async def test_a_reply_beyond_the_bound_is_not_read(supervisor: Supervisor, eventually: Eventually) -> None:
    client = RendererClient(supervisor.socket_path, max_reply_bytes=1_000_000)
    assert len((await client.run("zeros", {"bytes": 1_000_000}, b"", 5)).body) == 1_000_000
    with pytest.raises(TooCostly, match="went wrong"):
        await client.run("zeros", {"bytes": 1_000_001}, b"", 5)
    await eventually(lambda: len(supervisor.pids()) == 2)


async def test_askers_who_leave_do_no_harm(lone_client: RendererClient, alone: Supervisor) -> None:
    """Before a renderer took the job, while it runs, while the answer comes: the next job is not touched."""
    pids = alone.pids()
    for patience in (0, 0.0005, 0.001, 0.003, 0.01, 0.03):
        leaving = [
            asyncio.create_task(lone_client.run("sleep", {"seconds": 0.02}, b"x" * size, 5))
            for size in (0, 10, 2_000_000, 2_000_000, 2_000_000, 2_000_000)
        ]
        leaving += [
            asyncio.create_task(lone_client.run("zeros", {"bytes": 3_000_000}, b"", 5)) for _ in range(2)
        ]
        await asyncio.sleep(patience)
        for job in leaving:
            job.cancel()
        await asyncio.gather(*leaving, return_exceptions=True)
        body = os.urandom(100)
        assert (await lone_client.run("echo", {}, body, 5)).body == body
    assert alone.pids() == pids


async def test_jobs_of_askers_who_left_the_queue_are_not_done(lone_client: RendererClient) -> None:
    running = asyncio.create_task(lone_client.run("sleep", {"seconds": 0.2}, b"", 5))
    await asyncio.sleep(0.05)
    left = asyncio.create_task(lone_client.run("sleep", {"seconds": 60}, b"", 60))
    await asyncio.sleep(0.05)
    left.cancel()
    await running
    assert (await lone_client.run("echo", {}, b"next", 5)).queue_seconds < 5


async def test_a_process_that_may_open_no_more_files_is_overloaded(lone_client: RendererClient) -> None:
    most = resource.getrlimit(resource.RLIMIT_NOFILE)
    await lone_client.run("echo", {}, b"", 5)  # whatever this opens for good is open
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, most[1]))
    try:
        with pytest.raises(Overloaded):
            await lone_client.run("echo", {}, b"", 5)
        assert not await lone_client.ping()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, most)
    assert (await lone_client.run("echo", {}, b"again", 5)).body == b"again"


async def test_a_full_queue_is_refused_at_once(alone: Supervisor) -> None:
    lone_client = RendererClient(alone.socket_path, queue_size=3)
    jobs = []
    for _ in range(3):
        lone_client.require_room()
        jobs.append(asyncio.create_task(lone_client.run("sleep", {"seconds": 0.2}, b"", 5)))
        await asyncio.sleep(0)
    with pytest.raises(Overloaded) as refused:
        lone_client.require_room()
    assert refused.value.facts["retry_after"] >= 1
    assert not any(job.done() for job in jobs)
    await asyncio.gather(*jobs)
    lone_client.require_room()


async def test_what_was_on_its_way_to_a_full_queue_is_taken_up_to_as_many_again(alone: Supervisor) -> None:
    lone_client = RendererClient(alone.socket_path, queue_size=3)
    jobs = [asyncio.create_task(lone_client.run("sleep", {"seconds": 0.05}, b"", 5)) for _ in range(7)]
    done = await asyncio.gather(*jobs, return_exceptions=True)
    assert [type(each) for each in done] == [Reply] * 6 + [Overloaded]


async def test_originals_that_wait_are_bounded_in_bytes_but_never_all_refused(alone: Supervisor) -> None:
    lone_client = RendererClient(alone.socket_path, queue_bytes=1_000)
    large = asyncio.create_task(lone_client.run("echo", {}, bytes(5_000), 5))
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        lone_client.require_room()
    with pytest.raises(Overloaded):
        await lone_client.run("echo", {}, b"one more", 5)
    assert len((await large).body) == 5_000
    lone_client.require_room()
    two = [asyncio.create_task(lone_client.run("echo", {}, bytes(500), 5)) for _ in range(2)]
    assert [len(each.body) for each in await asyncio.gather(*two)] == [500, 500]


async def test_waiting_too_long_is_an_overload(alone: Supervisor) -> None:
    """Both kinds of waiting: for a turn in this process, and for a renderer in the kernel's queue."""
    lone_client = RendererClient(alone.socket_path, queue_timeout=0.2)
    running = [asyncio.create_task(lone_client.run("sleep", {"seconds": 0.6}, b"", 5))]
    await asyncio.sleep(0.05)
    waiting = [asyncio.create_task(lone_client.run("echo", {}, b"", 5)) for _ in range(4)]
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {Overloaded}
    await asyncio.gather(*running)
    assert (await lone_client.run("echo", {}, b"fine", 5)).body == b"fine"


async def test_the_death_of_an_idle_renderer_goes_unnoticed(
    lone_client: RendererClient, alone: Supervisor
) -> None:
    for _ in range(5):
        os.kill(alone.pids()[0], signal.SIGKILL)
        assert (await lone_client.run("echo", {}, b"fine", 5)).body == b"fine"


async def test_ping_tells_whether_a_picture_could_be_made(importable_tasks: None) -> None:
    supervisor = Supervisor(renderers=1, tasks=TASKS)
    lone_client = RendererClient(supervisor.socket_path)
    assert not await lone_client.ping()
    with supervisor:
        assert await lone_client.ping()
        os.kill(supervisor.pids()[0], signal.SIGSTOP)
        await asyncio.sleep(0.05)
        assert not await lone_client.ping(0.1)
        os.kill(supervisor.pids()[0], signal.SIGCONT)
        busy = asyncio.create_task(lone_client.run("sleep", {"seconds": 0.5}, b"", 5))
        await asyncio.sleep(0.2)
        assert await lone_client.ping(0.1)
        await busy
    assert not await lone_client.ping()
    with pytest.raises(Overloaded):
        await lone_client.run("echo", {}, b"", 5)


async def test_no_descriptor_is_left_open(client: RendererClient, eventually: Eventually) -> None:
    async def exercise() -> None:
        jobs = [client.run(task, {"seconds": 0}, b"x" * 1_500_000, 5) for task in ("echo", "sleep", "abort")]
        await asyncio.gather(*jobs, return_exceptions=True)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.run("sleep", {"seconds": 0.1}, b"x" * 1_500_000, 5), 0.0005)

    await exercise()
    await asyncio.sleep(0.5)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        await exercise()
    await eventually(lambda: len(os.listdir("/proc/self/fd")) <= before + 2)
