"""
What a hit in memory costs a running server, with its access log, beside other checkouts and settings.

Each lane is a server of its own, on a free port; they take turns in short rounds of requests over 16
connections, in random order. Printed are medians of the CPU time of the web process for one hit, and ratios
round by round. `python benchmarks/hit_server.py [OTHER_CHECKOUT...]`: each checkout is a lane, run as it is
installed in its own `.venv`.
"""

from __future__ import annotations

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
    b"GET /w_300,f_webp/%b HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n"
    b"Accept: image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8\r\n"
    b"Accept-Encoding: gzip, deflate, br\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n\r\n"
)
LENGTH = re.compile(rb"content-length: (\d+)")


@dataclass(kw_only=True)
class Lane:
    """A running server, what is asked of it, and the microseconds of CPU of a hit, by round."""

    name: str
    port: int
    pid: int
    request: bytes
    spent: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)

    def run(self, hits: int) -> None:
        before, started = cpu_seconds(self.pid), time.perf_counter()
        ask(self.port, self.request, hits)
        self.spent.append((cpu_seconds(self.pid) - before) / hits * 1e6)
        self.rates.append(hits / (time.perf_counter() - started))


def cpu_seconds(pid: int) -> float:
    """Time that all threads of a process ran (proc(5), schedstat)."""
    tasks = Path(f"/proc/{pid}/task")
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks.iterdir()) / 1e9


def ask(port: int, request: bytes, hits: int) -> None:
    """Ask `hits` times over all connections, each the next time when it has its answer."""
    selector = selectors.DefaultSelector()
    left = hits
    for _ in range(CONNECTIONS):
        connection = socket.create_connection(("127.0.0.1", port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(connection, selectors.EVENT_READ, bytearray())
        connection.sendall(request)
        left -= 1
    waiting = CONNECTIONS
    while waiting:
        for key, _ in selector.select():
            connection, received = key.fileobj, key.data
            assert isinstance(connection, socket.socket)
            received += connection.recv(262_144)
            head, found, _ = received.partition(b"\r\n\r\n")
            if not found:
                continue
            length = LENGTH.search(head)
            assert length is not None, bytes(head)
            if len(received) < len(head) + 4 + int(length[1]):
                continue
            received.clear()
            if left:
                left -= 1
                connection.sendall(request)
            else:
                waiting -= 1
                selector.unregister(connection)
                connection.close()


@contextmanager
def server(name: str, checkout: Path, flags: Sequence[str], originals: Path) -> Iterator[Lane]:
    command = [sys.executable, "-m", "proxy"] if checkout == HERE else [checkout / ".venv/bin/image-proxy"]
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "serve", "--port", "0", "--origin", originals, "--cache", "memory://64MB",
             "--renderers", "1", "--originals-cache", "none", "--log-format", "json", *flags],
            cwd=folder, env={**os.environ, "PYTHONPATH": str(checkout)},
            stdout=subprocess.PIPE, stderr=log, text=True,
        )  # fmt: skip
        assert process.stdout is not None
        try:
            port = next(int(found[1]) for line in process.stdout if (found := re.search(r":(\d+)", line)))
            key = next(path.name for path in originals.iterdir() if path.suffix == ".jpg")
            lane = Lane(name=name, port=port, pid=process.pid, request=REQUEST % key.encode())
            ask(port, lane.request, 2 * CONNECTIONS)
            yield lane
        finally:
            process.terminate()
            process.wait(20)


def main(checkouts: Sequence[str]) -> None:
    with ExitStack() as stack:
        originals = Path(stack.enter_context(tempfile.TemporaryDirectory()), "originals")
        subprocess.run(
            [sys.executable, "-m", "proxy.samples", originals], check=True, capture_output=True, cwd=HERE
        )
        wanted: list[tuple[str, Path, Sequence[str]]] = [
            ("this checkout", HERE, ()),
            ("without the fast lane", HERE, ("--no-fast-lane",)),
            *((each, Path(each).resolve(), ()) for each in checkouts),
        ]
        lanes = [stack.enter_context(server(*each, originals)) for each in wanted]
        for _ in range(ROUNDS):
            for lane in random.sample(lanes, len(lanes)):
                lane.run(HITS)
        first = lanes[0]
        for lane in lanes:
            ratios = sorted(mine / theirs for mine, theirs in zip(first.spent, lane.spent, strict=True))
            rates = statistics.median(
                mine / theirs for mine, theirs in zip(first.rates, lane.rates, strict=True)
            )
            print(
                f"{lane.name}: {statistics.median(lane.spent):.1f} us of CPU a hit, "
                f"{statistics.median(lane.rates):.0f} a second; CPU ratio {statistics.median(ratios):.3f} "
                f"({ratios[7]:.3f} to {ratios[-8]:.3f}), rate ratio {rates:.2f}"
            )


if __name__ == "__main__":
    main(sys.argv[1:])
