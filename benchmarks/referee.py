"""
Measure image-proxy beside other servers, in one run, interleaved in random order.

    python -m benchmarks.referee [--quick] [--peers FILE] [--checkout FOLDER]

Every scenario asks every server once a round. Reported are medians over rounds, and medians of ratios to ours
of the same round: requests a second, CPU of the server's process tree, bytes and similarity of what came out
(`proxy.pipeline.encode.similarity`, fitted to SSIMULACRA2), 99th percentiles, peak PSS. `--quick` does it
with tiny originals.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import re
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pyvips

from benchmarks import originals, reporting, servers
from benchmarks.load import Answers, ask
from benchmarks.processes import PeakPss, cpu_seconds, free_port, machine, running
from benchmarks.reporting import Results, Round
from benchmarks.scenarios import Kind, Scenario, scenarios
from benchmarks.servers import Bare, Server
from proxy.pipeline.encode.similarity import SimilarityReference

RENDITIONS = (Kind.COLD, Kind.SECOND)  # whose bytes and similarity are reported
NUMBERS = itertools.count()


@dataclass(kw_only=True)
class Referee:
    """`folder` has the originals."""

    folder: Path
    running: list[Server]
    bare: Bare
    results: Results = field(default_factory=lambda: Results(machine=machine()))
    references: dict[str, SimilarityReference] = field(default_factory=dict)

    def measure(self, scenario: Scenario, rounds: int) -> None:
        """Run one scenario; a server that fails in it is left out of it, with the reason in the results."""
        failed: set[str] = set()
        taking = [each for each in self.running if each.takes_part(scenario)]
        for _ in range(1 if scenario.once else rounds):
            for each in random.sample(taking, len(taking)):
                if each.name not in failed:
                    try:
                        self.results.add(scenario.name, each.name, self.round(each, scenario))
                    except (RuntimeError, OSError, pyvips.Error) as error:
                        failed.add(each.name)
                        self.results.fail(scenario.name, each.name, str(error))
            if scenario.kind is Kind.COLD:
                count, seconds, cpu = self.bare.run(scenario, self.folder)
                self.results.add(
                    scenario.name, "bare", Round(rate=count / seconds, cpu_ms=cpu / count * 1000)
                )

    def round(self, server: Server, scenario: Scenario) -> Round:
        targets, headers, status = prepared(server, scenario)
        before = cpu_seconds(server.pid)
        with ExitStack() as stack:
            if scenario.kind is Kind.MIXED:
                stack.enter_context(ColdLoad(server, scenario))
            peak = stack.enter_context(PeakPss(server.pid)) if scenario.kind is Kind.MEMORY else None
            answers = ask(server.port, targets, scenario.concurrency, headers=headers, status=status)
        spent = (cpu_seconds(server.pid) - before) / len(targets) * 1000
        return Round(
            rate=len(targets) / answers.seconds, cpu_ms=spent,
            p99_ms=percentile(answers.latencies, 0.99) * 1000,
            peak_mb=peak.peak / 1e6 if peak else None, **self.looks(scenario, answers),
        )  # fmt: skip

    def looks(self, scenario: Scenario, answers: Answers) -> dict[str, float]:
        if scenario.kind not in RENDITIONS:
            return {}
        image = opaque(pyvips.Image.new_from_buffer(answers.body, ""))
        if scenario.kind is Kind.COLD and scenario.height:
            return {"bytes": len(answers.body)}  # where servers cut differs by a pixel
        if scenario.name not in self.references:
            path = str(self.folder / scenario.original)
            source = pyvips.Image.thumbnail(path, scenario.width, height=image.height)
            self.references[scenario.name] = SimilarityReference.of(opaque(source))
        with suppress(pyvips.Error):
            return {
                "bytes": len(answers.body),
                "similarity": self.references[scenario.name].similarity(image),
            }
        return {"bytes": len(answers.body)}


def opaque(image: pyvips.Image) -> pyvips.Image:
    flat = image.flatten(background=[255] * 3) if image.hasalpha() else image
    return flat.colourspace("srgb").cast("uchar").copy_memory()


def percentile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


def new_key(scenario: Scenario) -> str:
    stem, _, extension = scenario.original.rpartition(".")
    return f"{stem}-{next(NUMBERS)}.{extension}"


def prepared(server: Server, scenario: Scenario) -> tuple[list[str], str, int]:
    """The targets of a round, request headers and the status that is right, after what must come before."""
    per_photo = [(width, format) for format in scenario.formats() for width in scenario.widths()]
    photos = max(scenario.count // len(per_photo), 1)
    match scenario.kind:
        case Kind.HIT | Kind.NOT_MODIFIED | Kind.HERD | Kind.MIXED:
            target = server.target(scenario, new_key(scenario), *per_photo[0])
            headers, status = "", 200
            if scenario.kind is not Kind.HERD:
                etag = ask(server.port, [target] * 2, 1).etag
                if scenario.kind is Kind.NOT_MODIFIED:
                    headers, status = f"If-None-Match: {etag}\r\n", 304
            return [target] * scenario.count, headers, status
        case Kind.SECOND:
            keys = [new_key(scenario) for _ in range(scenario.count)]
            ask(server.port, [server.target(scenario, key, 400, scenario.format) for key in keys], 4)
            time.sleep(0.5)  # what is made in the background of the first
            return [server.target(scenario, key, *per_photo[0]) for key in keys], "", 200
        case _:
            keys = [new_key(scenario) for _ in range(photos)]
            return [server.target(scenario, key, *each) for key in keys for each in per_photo], "", 200


class ColdLoad:
    """Cold renditions, two at a time, while the block runs."""

    def __init__(self, server: Server, scenario: Scenario) -> None:
        self.server, self.scenario, self.ended = server, scenario, threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self) -> None:
        while not self.ended.is_set():
            keys = [new_key(self.scenario) for _ in range(4)]
            targets = [self.server.target(self.scenario, key, 300, self.scenario.format) for key in keys]
            ask(self.server.port, targets, 2)

    def __enter__(self) -> None:
        self.thread.start()

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.thread.join()


def started(stack: ExitStack, given: argparse.Namespace, folder: Path, results: Results) -> Iterator[Server]:
    """Start what can be started, ours first; the rest is noted in the results."""
    origin = free_port()
    stack.enter_context(
        running(
            [sys.executable, str(servers.ROOT / "benchmarks" / "origin.py"), str(folder), str(origin)],
            origin, cwd=Path(stack.enter_context(tempfile.TemporaryDirectory())),
        )
    )  # fmt: skip
    redis = free_port()
    if shutil.which("redis-server"):
        command = ["redis-server", "--port", str(redis), "--save", "", "--bind", "127.0.0.1"]
        stack.enter_context(
            running(command, redis, cwd=Path(stack.enter_context(tempfile.TemporaryDirectory())))
        )
    wanted = list(servers.entries(servers.ROOT / "benchmarks" / "peers.toml"))
    wanted += [servers.checkout(wanted[0], each) for each in given.checkout]
    wanted += [entry for path in given.peers for entry in servers.entries(path)]
    for entry in wanted[:1] if given.alone else wanted:
        places = {
            "root": servers.ROOT, "python": sys.executable, "port": free_port(), "tools": given.tools,
            "origin": f"http://127.0.0.1:{origin}/", "host": "127.0.0.1", "redis": redis,
            "processes": len(os.sched_getaffinity(0)),
        }  # fmt: skip
        if entry.missing(places):
            results.absent[entry.name] = f"{entry.needs.format_map(places)} is not here"
            continue
        try:
            yield stack.enter_context(servers.server(entry, places))
        except RuntimeError as error:
            results.absent[entry.name] = str(error)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="tiny originals, one round")
    parser.add_argument("--alone", action="store_true", help="no peers")
    parser.add_argument(
        "--peers", type=Path, action="append", default=[], help="more servers: a file as peers.toml"
    )
    parser.add_argument(
        "--checkout", type=Path, action="append", default=[], help="another checkout with a .venv"
    )
    parser.add_argument(
        "--tools", type=Path, default=servers.TOOLS, help="where ipx and thumbor are installed"
    )
    parser.add_argument("--rounds", type=int, default=0, help="of each scenario (5; quick: 1)")
    parser.add_argument("--only", default="", help="scenarios whose name this regular expression finds")
    parser.add_argument("--minutes", type=float, default=60, help="begin no scenario after that")
    parser.add_argument("--report", type=Path, default=servers.ROOT / "benchmarks" / "report")
    given = parser.parse_args(arguments)
    deadline = time.monotonic() + given.minutes * 60
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        originals.draw(folder, quick=given.quick)
        bare = Bare(len(os.sched_getaffinity(0)))
        stack.callback(bare.close)
        referee = Referee(folder=folder, running=[], bare=bare)
        referee.running += started(stack, given, folder, referee.results)
        wanted = [each for each in scenarios(quick=given.quick) if re.search(given.only, each.name)]
        warm(referee, wanted, stack)
        for scenario in wanted:
            if time.monotonic() > deadline:
                referee.results.absent[scenario.name] = "not measured: out of time"
                continue
            print(scenario.name, flush=True)
            referee.measure(scenario, given.rounds or (1 if given.quick else 5))
        referee.results.ended()
    print(reporting.write(referee.results, given.report))
    return 0 if any("ours" in each for each in referee.results.rounds.values()) else 1


def warm(referee: Referee, wanted: Sequence[Scenario], stack: ExitStack) -> None:
    """Let every server load what it loads with its first requests, and start nginx with a hit's bytes."""
    scenario = next((each for each in wanted if each.kind is Kind.HIT), None)
    for each in referee.running:
        with suppress(RuntimeError):
            sample = Scenario(name="", original="photo.jpg", width=30, height=20, format="jpeg")
            target = each.target(scenario or sample, new_key(sample), (scenario or sample).width, "jpeg")
            body = ask(each.port, [target] * 4, 2).body
            if scenario and each.name == "ours":
                try:
                    referee.running.append(stack.enter_context(servers.nginx(body, free_port())))
                except (RuntimeError, OSError) as error:
                    referee.results.absent["nginx"] = str(error)


if __name__ == "__main__":
    sys.exit(main())
