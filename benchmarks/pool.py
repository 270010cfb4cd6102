"""
What a job costs beyond its own work: ours, pebble's process pool, and the bare call in this process.

A job reads a 3 MB original once (crc32) and answers with 20 kB. The three take turns in short rounds, so that
a noisy machine is noisy for all of them. Wall time is the median round, CPU time is over all processes.
Run it with `python benchmarks/pool.py`; 10 to 20 s.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import statistics
import time
import zlib
from collections.abc import Awaitable, Callable
from pathlib import Path

import pebble
import uvloop

from proxy.model.media import Format
from proxy.renderers import Job, JobKind, RenderedFile, Reply
from proxy.renderers.client import RendererClient
from proxy.renderers.supervisor import Supervisor

ORIGINAL = os.urandom(3_000_000)
PNG_START = b"\x89PNG\r\n\x1a\n"
REPLY_BYTES = 20_000
RENDERERS = 2
ROUNDS, JOBS = 25, 16

Run = Callable[[], Awaitable[object]]


def work(original: bytes) -> tuple[int, bytes]:
    return zlib.crc32(original), PNG_START + original[:REPLY_BYTES]


def task(job: Job) -> Reply:
    assert job.original is not None
    _, made = work(job.original)
    return Reply(files=(RenderedFile(body=made, format=Format.PNG, width=1, height=1),))


TASKS = {JobKind.RENDER: task}


async def bare() -> None:
    work(ORIGINAL)


def cpu_seconds() -> float:
    """Of this process and its living children."""
    threads = Path("/proc/self/task").iterdir()
    pids = ["self", *(pid for thread in threads for pid in (thread / "children").read_text().split())]
    stats = (Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in pids)
    return sum(int(stat[11]) + int(stat[12]) for stat in stats) / os.sysconf("SC_CLK_TCK")


async def measured(run: Run, concurrency: int) -> tuple[float, float]:
    """Milliseconds per job, wall and CPU, of `JOBS` jobs, `concurrency` of them at a time."""

    async def lane() -> None:
        for _ in range(JOBS // concurrency):
            await run()

    cpu, started = cpu_seconds(), time.perf_counter()
    await asyncio.gather(*(lane() for _ in range(concurrency)))
    wall = time.perf_counter() - started
    return wall / JOBS * 1e3, (cpu_seconds() - cpu) / JOBS * 1e3


async def compare(runs: dict[str, Run], concurrency: int) -> None:
    rounds = {name: [await measured(run, concurrency)] for name, run in runs.items()}
    for _ in range(ROUNDS - 1):
        for name, run in runs.items():
            rounds[name].append(await measured(run, concurrency))
    wall = {name: statistics.median(wall for wall, _ in taken) for name, taken in rounds.items()}
    cpu = {name: statistics.mean(cpu for _, cpu in taken) for name, taken in rounds.items()}
    print(f"\nconcurrency {concurrency}    wall ms    CPU ms   adds wall    adds CPU")
    for name in runs:
        added = f"{wall[name] - wall['bare']:12.2f}{cpu[name] - cpu['bare']:12.2f}"
        print(f"{name:12}{wall[name]:11.2f}{cpu[name]:10.2f}{added}")
    ratios = ((of["pebble"] - of["bare"]) / (of["ours"] - of["bare"]) for of in (wall, cpu))
    print("pebble adds {:.1f} times our wall time and {:.1f} times our CPU time".format(*ratios))


async def main() -> None:
    context = multiprocessing.get_context("spawn")
    with (
        Supervisor(renderers=RENDERERS, tasks="pool", nice=0) as supervisor,
        pebble.ProcessPool(max_workers=RENDERERS, context=context) as processes,
    ):
        client = RendererClient(supervisor.socket_path)

        async def ours() -> None:
            await client.run(Job(original=ORIGINAL), timeout=10)

        async def pebbles() -> None:
            await asyncio.wrap_future(processes.schedule(work, args=[ORIGINAL], timeout=10))

        for warm_up in (ours, pebbles):
            await asyncio.gather(*(warm_up() for _ in range(20)))
        for concurrency in (1, 4):
            await compare({"bare": bare, "ours": ours, "pebble": pebbles}, concurrency)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
