"""
A cold `w_300,h_200` of a 12-megapixel JPEG from an HTTP origin, and its hit: ours beside other servers.

    python benchmarks/servers.py [--ipx FOLDER] [--thumbor COMMAND] [--originals none] [--rounds 7]

FOLDER is one in which `npm install ipx` ran; COMMAND is thumbor's. The servers take turns in short rounds,
so that a noisy machine is noisy for all of them; each original has a name that nobody asked for before. Shown
are medians over rounds: requests a second, CPU milliseconds a request over all processes of the server, and
ratios round by round. `bare` is the same work as one pyvips call in one process: CPU only. 1 to 2 minutes.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

ROOT = Path(__file__).parent.parent
CONCURRENCY = 16
COLD, HITS = 48, 1_500  # requests a round
RENDERERS = 2

ORIGIN = """
import asyncio, sys
body = open(sys.argv[1], "rb").read()
head = b"HTTP/1.1 200 OK\\r\\nContent-Type: image/jpeg\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(body)
async def answer(reader, writer):
    try:
        while await reader.readuntil(b"\\r\\n\\r\\n"):
            writer.write(head + body)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()
async def main():
    async with await asyncio.start_server(answer, "127.0.0.1", int(sys.argv[2])) as server:
        await server.serve_forever()
asyncio.run(main())
"""

IPX = """
const { createIPX, ipxHttpStorage, createIPXNodeServer } = require("ipx");
const ipx = createIPX({ storage: ipxHttpStorage({ allowAllDomains: true, ignoreCacheControl: true }) });
require("http").createServer(createIPXNodeServer(ipx)).listen(Number(process.argv[1]), "127.0.0.1");
"""

THUMBOR = """
STORAGE = "thumbor.storages.no_storage"
ALLOW_UNSAFE_URL = True
QUALITY = 80
HTTP_LOADER_CONNECT_TIMEOUT = HTTP_LOADER_REQUEST_TIMEOUT = 60  # both count the time in its own queue
HTTP_LOADER_MAX_CLIENTS = 16
"""

BARE = """
import os, sys, time, pyvips
pyvips.cache_set_max(0)
body = open(sys.argv[1], "rb").read()
def once():
    image = pyvips.Image.thumbnail_buffer(body, 300, height=200, crop="centre", option_string="fail_on=error")
    return image.jpegsave_buffer(Q=80, optimize_coding=True, keep="none")
once()
for line in sys.stdin:
    before = time.process_time()
    for _ in range(int(line)):
        once()
    print(time.process_time() - before, flush=True)
"""


@dataclass(frozen=True)
class Server:
    """`url` has one place, for the name of an original."""

    name: str
    pid: int
    url: str


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def running(command: list[str], port: int, cwd: Path = ROOT, **environment: str) -> Iterator[int]:
    """The pid of `command`, once something listens on `port`; its process group ends with the block."""
    process = subprocess.Popen(
        command, cwd=cwd, env=os.environ | environment, start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        for _ in range(300):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            if process.poll() is not None:
                raise SystemExit(f"{command[0]} ended by itself")
            time.sleep(0.1)
        yield process.pid
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(20)


def cpu_seconds(pid: int) -> float:
    """Of a process, its descendants and those of them that were reaped."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        children = [
            child
            for thread in Path(f"/proc/{pid}/task").iterdir()
            for child in (thread / "children").read_text().split()
        ]
    except FileNotFoundError:
        return 0.0
    own = sum(map(int, stat[11:15])) / os.sysconf("SC_CLK_TCK")
    return own + sum(cpu_seconds(int(child)) for child in children)


async def asked(client: httpx.AsyncClient, urls: list[str]) -> float:
    """Seconds until all were answered, `CONCURRENCY` at a time."""
    waiting = iter(urls)

    async def lane() -> None:
        for url in waiting:
            answer = await client.get(url)
            assert answer.status_code == 200, (url, answer.status_code, answer.text[:200])

    started = time.perf_counter()
    await asyncio.gather(*(lane() for _ in range(CONCURRENCY)))
    return time.perf_counter() - started


async def compared(servers: list[Server], bare: subprocess.Popen[str], rounds: int) -> None:
    assert bare.stdin is not None
    assert bare.stdout is not None
    names = (f"photo-{number}.jpg" for number in itertools.count())
    rates: dict[str, list[float]] = {}
    costs: dict[str, list[float]] = {}
    async with httpx.AsyncClient(timeout=60, trust_env=False) as client:
        for server in servers:
            await asked(client, [server.url.format("warm.jpg")] * 4)
        for _ in range(rounds):
            for server in servers:
                for kind, urls in (
                    ("cold", [server.url.format(next(names)) for _ in range(COLD)]),
                    ("hit", [server.url.format("warm.jpg")] * (HITS if server.name == "ours" else COLD)),
                ):
                    before = cpu_seconds(server.pid)
                    seconds = await asked(client, urls)
                    rates.setdefault(f"{server.name} {kind}", []).append(len(urls) / seconds)
                    cost = (cpu_seconds(server.pid) - before) / len(urls) * 1000
                    costs.setdefault(f"{server.name} {kind}", []).append(cost)
            bare.stdin.write(f"{COLD}\n")
            bare.stdin.flush()
            costs.setdefault("bare", []).append(float(bare.stdout.readline()) / COLD * 1000)
    print(f"{'':<16}{'requests/s':>12}{'CPU ms':>10}{'ours: rate x':>14}{'ours: CPU x':>13}")
    for name, spent in costs.items():
        kind = name.rpartition(" ")[2] if name != "bare" else "cold"
        rate = f"{statistics.median(rates[name]):.1f}" if name in rates else ""
        faster = ratio(rates[f"ours {kind}"], rates[name]) if name in rates else ""
        dearer = ratio(costs[f"ours {kind}"], spent)
        print(f"{name:<16}{rate:>12}{statistics.median(spent):>10.2f}{faster:>14}{dearer:>13}")


def ratio(ours: list[float], theirs: list[float]) -> str:
    return f"{statistics.median(a / b for a, b in zip(ours, theirs, strict=True)):.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--ipx", type=Path)
    parser.add_argument("--thumbor")
    parser.add_argument("--originals", default="none", help="our --originals-cache")
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        photo = folder / "photo.jpg"
        draw = "import sys, proxy.samples as s; sys.stdout.buffer.write(s.SAMPLES['mountains.jpg']())"
        with photo.open("wb") as file:
            subprocess.run([sys.executable, "-c", draw], cwd=ROOT, stdout=file, check=True)
        port, own = free_port(), free_port()
        stack.enter_context(running([sys.executable, "-c", ORIGIN, str(photo), str(port)], port))
        base = f"http://127.0.0.1:{port}/"
        serve = [str(Path(sys.executable).with_name("image-proxy")), "serve", "--port", str(own)]
        serve += ["--origin", base, "--private-networks", "--renderers", str(RENDERERS)]
        # None of the others keeps originals, of which this never asks for one twice.
        serve += ["--cache", "memory://64MB", "--originals-cache", given.originals, "--log-level", "warning"]
        pid = stack.enter_context(running(serve, own))
        servers = [Server("ours", pid, f"http://127.0.0.1:{own}/w_300,h_200/{{}}")]
        if given.ipx:
            port = free_port()
            pid = stack.enter_context(running(["node", "-e", IPX, str(port)], port, given.ipx))
            servers.append(Server("ipx", pid, f"http://127.0.0.1:{port}/s_300x200/{base}{{}}"))
        if given.thumbor:
            port = free_port()
            config = folder / "thumbor.conf"
            config.write_text(THUMBOR)
            command = [given.thumbor, "-i", "127.0.0.1", "-p", str(port), "-c", str(config)]
            command += ["--processes", str(RENDERERS), "-l", "critical"]
            pid = stack.enter_context(running(command, port))
            servers.append(Server("thumbor", pid, f"http://127.0.0.1:{port}/unsafe/300x200/{base}{{}}"))
        bare = subprocess.Popen(
            [sys.executable, "-c", BARE, str(photo)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"VIPS_CONCURRENCY": "1"},
        )
        stack.callback(bare.kill)
        asyncio.run(compared(servers, bare, given.rounds))


if __name__ == "__main__":
    main()
