"""
What a hit in memory costs through the whole ASGI application, beside a bare application that sends the same.

Each lane is a process of its own, and they take turns in short rounds, so that a noisy machine is noisy for
all of them. Printed are medians of CPU time. Run it with `python benchmarks/hit.py [OTHER_CHECKOUT...]`: each
checkout becomes two lanes too, run by its own copy of this file and compared round by round with this one;
10 to 20 s.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent.parent
ROUNDS, HITS = 25, 2_000
SCOPE = {
    "type": "http",
    "http_version": "1.1",
    "method": "GET",
    "path": "/w_300,f_webp/tom.jpg",
    "raw_path": b"/w_300,f_webp/tom.jpg",
    "query_string": b"",
    "headers": [
        (b"host", b"127.0.0.1:8000"),
        (b"accept", b"image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"),
        (b"accept-encoding", b"gzip, deflate, br"),
        (b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)"),
    ],
}

App = Callable[[Any, Any, Any], Awaitable[None]]


async def bare(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"20000")]})
    await send({"type": "http.response.body", "body": b""})


async def nothing() -> dict[str, Any]:
    return {"type": "http.request", "body": b""}


async def dropped(message: Any) -> None:
    pass


async def run(app: App) -> None:
    """A round for each line on standard input: microseconds of CPU for one hit, on standard output."""
    for _ in sys.stdin:
        started = time.process_time()
        for _ in range(HITS):
            await app(dict(SCOPE), nothing, dropped)
        print((time.process_time() - started) / HITS * 1e6, flush=True)


def run_ours(log_level: str) -> None:
    from proxy.renderers.supervisor import Supervisor

    with tempfile.TemporaryDirectory() as folder, Supervisor(renderers=1) as renderers:
        samples = Path(folder, "originals")
        subprocess.run([sys.executable, "-m", "proxy.samples", samples], check=True, capture_output=True)
        (samples / "tom.jpg").symlink_to(next(path.name for path in samples.iterdir() if path.is_file()))
        asyncio.run(served(str(samples), renderers.socket_path, log_level))


async def served(samples: str, renderers: str, log_level: str) -> None:
    from proxy.app.asgi import Deployment, create_app
    from proxy.config.settings import load_settings
    from proxy.telemetry import logs

    settings = load_settings(origin=samples, cache="memory://64MB", log_level=log_level, log_format="json")
    logs.configure(settings.log_format, settings.log_level)
    app = create_app(Deployment(settings=settings, renderers=renderers))
    said, heard = asyncio.Queue[Any](), asyncio.Queue[Any]()
    life = asyncio.create_task(app({"type": "lifespan", "asgi": {"version": "3.0"}}, said.get, heard.put))
    await said.put({"type": "lifespan.startup"})
    await heard.get()
    first: list[Any] = []

    async def keep(message: Any) -> None:
        first.append(message)

    await app(dict(SCOPE), nothing, keep)
    assert first[0]["status"] == 200, first
    await run(app)
    await said.put({"type": "lifespan.shutdown"})
    await life


def main(checkouts: list[str]) -> None:
    checked_out = {"": HERE, **{f" in {each}": Path(each).resolve() for each in checkouts}}
    places = [
        ("bare", "bare", HERE),
        *((f"ours{where}", "error", place) for where, place in checked_out.items()),
        *((f"ours{where} with its access log", "info", place) for where, place in checked_out.items()),
    ]
    lanes = [
        subprocess.Popen(
            [sys.executable, place / "benchmarks/hit.py", "--lane", lane],
            env={**os.environ, "PYTHONPATH": str(place)}, cwd=place,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, bufsize=1,
        )
        for _, lane, place in places
    ]  # fmt: skip
    spent: list[list[float]] = [[] for _ in lanes]
    for _ in range(ROUNDS):
        for lane, found in zip(lanes, spent, strict=True):
            assert lane.stdin is not None
            assert lane.stdout is not None
            lane.stdin.write("\n")
            found.append(float(lane.stdout.readline()))
    for (name, _, _), lane, found in zip(places, lanes, spent, strict=True):
        lane.communicate()
        print(f"{name}: {statistics.median(found):.1f} us of CPU for a hit (best {min(found):.1f})")
    print_ratios(places, spent)


def print_ratios(places: list[tuple[str, str, Path]], spent: list[list[float]]) -> None:
    """Of this checkout to each other one, round by round: the median and its 95 % confidence interval."""
    ours = {lane: found for (_, lane, place), found in zip(places, spent, strict=True) if place == HERE}
    # Ranks between which the median of 25 lies in 95 % of all cases (binomial distribution, n = 25, p = 1/2).
    low, high = 7, ROUNDS - 8
    for (name, lane, place), found in zip(places, spent, strict=True):
        if place != HERE:
            ratios = sorted(mine / theirs for mine, theirs in zip(ours[lane], found, strict=True))
            median = statistics.median(ratios)
            print(f"ratio to {name}: {median:.3f} ({ratios[low]:.3f} to {ratios[high]:.3f})")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--lane"]:
        asyncio.run(run(bare)) if sys.argv[2] == "bare" else run_ours(sys.argv[2])
    else:
        main(sys.argv[1:])
