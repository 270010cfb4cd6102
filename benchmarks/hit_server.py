"""
What a hit costs a running server, with its access log, beside other checkouts and settings.

Each lane is a server of its own, on a free port; they take turns in short rounds of requests over 16
connections, in random order. Printed are medians of the CPU time of the web process for one hit, and ratios
round by round. `python benchmarks/hit_server.py [OTHER_CHECKOUT...]`: each checkout is a lane, run as it is
installed in its own `.venv`. `--tier` says where the hits are: in memory (with and without the fast lane), on
disk alone or in a Redis alone, which is started for it. Each connection asks for a width of its own, from
`--width` pixels on, since those who ask for one rendition share a lookup. `--not-modified` asks for what the
client has.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import selectors
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
ROUNDS, HITS, CONNECTIONS = 25, 4_000, 16
REQUEST = (
    b"GET /w_%d,f_webp/%b HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n"
    b"Accept: image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8\r\n"
    b"Accept-Encoding: gzip, deflate, br\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n%b\r\n"
)
LENGTH = re.compile(rb"content-length: (\d+)")
ETAG = re.compile(rb"etag: (\S+)")


@dataclass(kw_only=True)
class Lane:
    """A running server, what is asked of it, and the microseconds of CPU of a hit, by round."""

    name: str
    port: int
    pid: int
    requests: list[bytes]
    spent: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)

    def run(self, hits: int) -> None:
        before, started = cpu_seconds(self.pid), time.perf_counter()
        ask(self.port, self.requests, hits)
        self.spent.append((cpu_seconds(self.pid) - before) / hits * 1e6)
        self.rates.append(hits / (time.perf_counter() - started))


def cpu_seconds(pid: int) -> float:
    """Time that all threads of a process ran (proc(5), schedstat)."""
    tasks = Path(f"/proc/{pid}/task")
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks.iterdir()) / 1e9


def ask(port: int, requests: Sequence[bytes], hits: int) -> list[bytes]:
    """Ask `hits` times, each request at a connection of its own, again when it was answered; return heads."""
    selector = selectors.DefaultSelector()
    left, heads = hits, [b""] * len(requests)
    for number, request in enumerate(requests):
        connection = socket.create_connection(("127.0.0.1", port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(connection, selectors.EVENT_READ, (number, bytearray()))
        connection.sendall(request)
        left -= 1
    waiting = len(requests)
    while waiting:
        for key, _ in selector.select():
            connection, (number, received) = key.fileobj, key.data
            assert isinstance(connection, socket.socket)
            received += connection.recv(262_144)
            end = received.find(b"\r\n\r\n")
            if end < 0:
                continue
            heads[number] = head = bytes(received[:end])
            length = LENGTH.search(head)
            assert length is not None or head.startswith(b"HTTP/1.1 304 "), head
            if len(received) < end + 4 + (int(length[1]) if length else 0):
                continue
            received.clear()
            if left:
                left -= 1
                connection.sendall(requests[number])
            else:
                waiting -= 1
                selector.unregister(connection)
                connection.close()
    return heads


@contextmanager
def redis_server() -> Iterator[str]:
    """A Redis without a disk; yields its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        time.sleep(0.5)
        yield f"redis://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


@contextmanager
def server(
    name: str, checkout: Path, flags: Sequence[str], originals: Path, asked: argparse.Namespace
) -> Iterator[Lane]:
    command = [sys.executable, "-m", "proxy"] if checkout == HERE else [checkout / ".venv/bin/image-proxy"]
    with (
        tempfile.TemporaryDirectory() as folder,
        (Path(folder) / "log").open("wb") as log,
        cache(asked.tier, folder) as address,
    ):
        process = subprocess.Popen(
            [*command, "serve", "--port", "0", "--origin", originals, "--cache", address,
             "--renderers", "1", "--originals-cache", "none", "--log-format", "json", *flags],
            cwd=folder, env={**os.environ, "PYTHONPATH": str(checkout)},
            stdout=subprocess.PIPE, stderr=log, text=True,
        )  # fmt: skip
        assert process.stdout is not None
        try:
            port = next(int(found[1]) for line in process.stdout if (found := re.search(r":(\d+)", line)))
            key = next(path.name for path in originals.iterdir() if path.suffix == ".jpg").encode()
            widths = range(asked.width, asked.width + CONNECTIONS)
            requests = [REQUEST % (width, key, b"") for width in widths]
            heads = ask(port, requests, 2 * CONNECTIONS)
            if asked.not_modified:
                tags = [b"If-None-Match: %b\r\n" % ETAG.findall(head)[0] for head in heads]
                requests = [REQUEST % (width, key, tag) for width, tag in zip(widths, tags, strict=True)]
            yield Lane(name=name, port=port, pid=process.pid, requests=requests)
        finally:
            process.terminate()
            process.wait(20)


@contextmanager
def cache(tier: str, folder: str) -> Iterator[str]:
    """The address of an empty cache with that tier alone."""
    if tier == "redis":
        with redis_server() as address:
            yield address
    else:
        yield f"disk://{folder}/cache" if tier == "disk" else "memory://64MB"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("checkouts", nargs="*")
    parser.add_argument("--tier", choices=["memory", "disk", "redis"], default="memory")
    parser.add_argument("--not-modified", action="store_true")
    parser.add_argument("--width", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--hits", type=int, default=HITS)
    asked = parser.parse_args()
    with ExitStack() as stack:
        originals = Path(stack.enter_context(tempfile.TemporaryDirectory()), "originals")
        subprocess.run(
            [sys.executable, "-m", "proxy.samples", originals], check=True, capture_output=True, cwd=HERE
        )
        ways = {"": (), ", without the fast lane": ("--no-fast-lane",)}
        checkouts = {"this checkout": HERE, **{each: Path(each).resolve() for each in asked.checkouts}}
        wanted = [
            (f"{name}{way}", checkout, flags)
            for way, flags in reversed(ways.items())
            if asked.tier == "memory" or not flags
            for name, checkout in checkouts.items()
        ]
        lanes = [stack.enter_context(server(*each, originals, asked)) for each in wanted]
        for _ in range(asked.rounds):
            for lane in random.sample(lanes, len(lanes)):
                lane.run(asked.hits)
        first = lanes[0]
        for lane in lanes:
            ratios = sorted(mine / theirs for mine, theirs in zip(first.spent, lane.spent, strict=True))
            low, *_, high = statistics.quantiles(ratios, n=4)
            rates = statistics.median(
                mine / theirs for mine, theirs in zip(first.rates, lane.rates, strict=True)
            )
            print(
                f"{lane.name}: {statistics.median(lane.spent):.1f} us of CPU a hit, "
                f"{statistics.median(lane.rates):.0f} a second; CPU ratio {statistics.median(ratios):.3f} "
                f"({low:.3f} to {high:.3f}), rate ratio {rates:.2f}"
            )


if __name__ == "__main__":
    main()
