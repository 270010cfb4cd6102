"""
A checker of promises over histories: originals that change and are purged at random, while readers ask the
four processes of two servers over one Redis, with faults and without.

- No read that began after a purge's 200 gets an older version, at any process.
- One ETag is one body.
- No URL is served past its `exp`.

What it cannot prove: that there is no violation in a history that was not tried. It times reads and purges in
one process, so a violation that is shorter than its own delays goes unseen (never the reverse: a read that it
counts did begin after the answer had come in). A failover of Redis to a replica that lacks the last writes is
not tried, nor is a Redis whose clock jumps. Clocks apart are those of `time.time` in servers; clocks that
tick at other rates, and virtual machines whose monotonic clock stands still meanwhile, are not tried. While
an origin is out of reach, stale-if-error may serve what was purged: here it is always in reach.

`make drill` runs it for longer and with more seeds: HISTORY_SEEDS and HISTORY_SECONDS.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
import pyvips

from proxy.clients.address import parse_tier_address
from proxy.clients.redis import redis_client
from proxy.model.media import Format
from tests.deployments import Deployed, deployed
from tests.histories import History, Purged, Read, digest
from tests.origins.server import Server, running
from tests.pictures import plain, saved
from tests.services import RedisServer, redis_server

pytestmark = pytest.mark.asyncio(loop_scope="module")

TOKEN = "an-admin-token-of-more-than-thirty-two-bytes"
LEASE = 1.0  # s
KEYS, WIDTHS, READERS = 3, 2, 6
SECONDS = float(os.environ.get("HISTORY_SECONDS", "0"))
"""Of each history of `make drill`; without it, histories are as short as `make test` wants them."""
SEEDS = range(int(os.environ.get("HISTORY_SEEDS", "1")))


class Link:
    """A TCP connection between a machine and Redis that can be cut: bytes stay where they are."""

    def __init__(self, port: int) -> None:
        self._to = port
        self.port = 0
        self.whole = asyncio.Event()
        self.whole.set()

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            await self.whole.wait()
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._to)
            await asyncio.gather(self._carry(reader, far_writer), self._carry(far_reader, writer))

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while part := await reader.read(65_536):
                await self.whole.wait()
                writer.write(part)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()


@dataclass
class Cluster:
    """Two servers of two processes each, with their links to one Redis, and the origin of both."""

    servers: list[Deployed]
    clocks: tuple[int, ...]
    links: list[Link]
    redis: RedisServer
    random: random.Random
    versions: dict[str, int] = field(default_factory=dict)
    history: History = field(default_factory=History)
    seen: dict[str, int] = field(default_factory=dict)

    def workers(self, server: int) -> list[int]:
        """The process ids of the web processes of a server."""
        parent = self.servers[server].process.pid
        return [
            int(path.name)
            for path in Path("/proc").glob("[0-9]*")
            if _parent(path) == parent and b"spawn_main" in _command(path)
        ]

    def version_in(self, body: bytes) -> int:
        """Decode what `_picture` has written into the colour."""
        found = digest(body)
        if found not in self.seen:
            red, green, *_ = pyvips.Image.new_from_buffer(body, "").getpoint(2, 2)
            self.seen[found] = int(red) * 256 + int(green)
        return self.seen[found]


def _parent(process: Path) -> int:
    with suppress(OSError):
        return int((process / "stat").read_text().rpartition(")")[2].split()[1])
    return 0


def _command(process: Path) -> bytes:
    with suppress(OSError):
        return (process / "cmdline").read_bytes()
    return b""


def _picture(version: int, key: int) -> bytes:
    return saved(plain(16, 12, version // 256, version % 256, key), Format.PNG)


@asynccontextmanager
async def cluster(clocks: tuple[int, ...]) -> AsyncIterator[Cluster]:
    async with AsyncExitStack() as stack:
        origin = await stack.enter_async_context(running())
        redis = stack.enter_context(redis_server())
        links = [Link(redis.port) for _ in clocks]
        for link in links:
            listener = await asyncio.start_server(link.connected, "127.0.0.1", 0)
            stack.callback(listener.close)
            link.port = listener.sockets[0].getsockname()[1]
        servers = await asyncio.gather(
            *(
                stack.enter_async_context(_started(origin, link, ahead))
                for link, ahead in zip(links, clocks, strict=True)
            )
        )
        made = Cluster(list(servers), clocks, links, redis, random.Random())
        for key in range(KEYS):
            made.versions[f"k{key}.png"] = 1
            _publish(origin, made, key)
        yield made
        for link in links:
            link.whole.set()


async def warmed(made: Cluster) -> None:
    """Until both processes of each server have started, and all four are live for purges."""
    async with asyncio.timeout(60):
        while not all(len(made.workers(server)) == 2 for server in (0, 1)):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        names = {f"/{process}/" for server in (0, 1) for process in made.workers(server)}
        registry = redis_client(parse_tier_address(made.redis.url), step=10.0)
        while True:
            live = str(await registry.execute_command("HKEYS", "image-proxy:{purges}:live"))
            if all(name in live for name in names):
                break
            await asyncio.sleep(0.05)
        await registry.aclose()


@asynccontextmanager
async def _started(origin: Server, link: Link, ahead: int) -> AsyncIterator[Deployed]:
    """In a thread, for a server that starts needs this process's event loop."""
    context = deployed(
        ahead,
        origin=origin.url,
        workers=2,
        cache=f"memory://64MB,redis://127.0.0.1:{link.port}/0",
        originals_cache="memory://16MB",
        admin_token=TOKEN,
        log_level="warning",
        purge_lease=f"{LEASE:g}s",
    )
    server = await asyncio.to_thread(context.__enter__)
    try:
        yield server
    finally:
        await asyncio.to_thread(context.__exit__, None, None, None)


def _publish(origin: Server, made: Cluster, key: int) -> None:
    name = f"k{key}.png"

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        version = made.versions[name]
        etag = f'"{version}"'
        same = origin.asked[-1].headers.get("if-none-match") == etag
        body = b"" if same else _picture(version, key)
        head = (
            f"HTTP/1.1 {'304 Not Modified' if same else '200 OK'}\r\netag: {etag}\r\n"
            f"cache-control: max-age=3600\r\n{'' if same else f'content-length: {len(body)}'}"
        )
        writer.write(head.rstrip("\r\n").encode() + b"\r\n\r\n" + body)
        return True

    origin.put(f"/{name}", answer)


async def read_on(made: Cluster, server: int, stop: asyncio.Event) -> None:
    """Read at random, on a connection that stays with one process until that ends."""
    parts = urlsplit(made.servers[server].url)
    while not stop.is_set():
        try:
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        except OSError:
            await asyncio.sleep(0.05)
            continue
        try:
            while not stop.is_set():
                await _read(made, server, reader, writer)
                await asyncio.sleep(made.random.choice((0, 0.001, 0.005)))
        except (OSError, asyncio.IncompleteReadError, TimeoutError):
            pass
        finally:
            writer.close()


async def _read(
    made: Cluster, server: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    key, width, exp = f"k{made.random.randrange(KEYS)}.png", 8 + made.random.randrange(WIDTHS), None
    options = f"w_{width},f_png"
    if made.random.random() < 0.05:
        exp = int(time.time() + made.clocks[server]) + made.random.randrange(3)
        options += f",exp_{exp}"
    path = f"/{options}/{key}"
    start, wall = time.monotonic(), time.time() + made.clocks[server]
    writer.write(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    async with asyncio.timeout(15):
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        headers = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in head.splitlines()[1:])
        }
        body = await reader.readexactly(int(headers["content-length"]))
    status = int(head.split(" ")[1])
    age = re.search(r"\bmax-age=(\d+)", headers.get("cache-control", ""))
    made.history.reads.append(
        Read(
            start=start,
            end=time.monotonic(),
            wall=wall,
            server=server,
            path=path,
            key=key,
            status=status,
            version=made.version_in(body) if status == 200 else None,
            etag=headers.get("etag", ""),
            digest=digest(body),
            max_age=int(age[1]) if age else None,
            exp=exp,
        )
    )


async def purge(made: Cluster, server: int, key: str) -> Purged:
    """Change the original, then purge it, on a connection of its own."""
    made.versions[key] += 1
    version = made.versions[key]
    parts = urlsplit(made.servers[server].url)
    body = f'{{"keys": ["{key}"]}}'
    start = time.monotonic()
    status, said = 0, ""
    with suppress(OSError, TimeoutError, IndexError):
        async with asyncio.timeout(20):
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
            try:
                writer.write(
                    f"POST /-/purge HTTP/1.1\r\nHost: 127.0.0.1:{parts.port}\r\nConnection: close\r\n"
                    f"Authorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\n"
                    f"Content-Length: {len(body)}\r\n\r\n{body}".encode()
                )
                said = (await reader.read()).decode()
            finally:
                writer.close()
        status = int(said.split(" ")[1])
    purged = Purged(
        start=start, end=time.monotonic(), server=server, key=key, version=version, status=status, detail=said
    )
    made.history.purges.append(purged)
    return purged


async def purge_on(made: Cluster, stop: asyncio.Event) -> None:
    while not stop.is_set():
        await purge(made, made.random.randrange(2), f"k{made.random.randrange(KEYS)}.png")
        await asyncio.sleep(made.random.random() * 0.06)


Fault = Callable[[Cluster], Awaitable[None]]


async def no_fault(made: Cluster) -> None:
    await asyncio.sleep(SECONDS or 3)


async def a_process_killed(made: Cluster) -> None:
    await asyncio.sleep(0.5)
    os.kill(made.random.choice(made.workers(made.random.randrange(2))), signal.SIGKILL)
    await asyncio.sleep(LEASE + 0.3)


async def a_process_stopped(made: Cluster) -> None:
    """Longer than its lease, so that it may not believe itself when it goes on."""
    stopped = made.random.choice(made.workers(made.random.randrange(2)))
    os.kill(stopped, signal.SIGSTOP)
    try:
        await asyncio.sleep(LEASE + made.random.random() / 2)
    finally:
        os.kill(stopped, signal.SIGCONT)
    await asyncio.sleep(0.3)


async def redis_frozen(made: Cluster) -> None:
    assert made.redis.process is not None
    made.redis.process.send_signal(signal.SIGSTOP)
    await asyncio.sleep(LEASE + 0.7)
    made.redis.process.send_signal(signal.SIGCONT)
    await asyncio.sleep(1)


async def a_machine_cut_off(made: Cluster) -> None:
    link = made.random.choice(made.links)
    link.whole.clear()
    await asyncio.sleep(LEASE + 0.7)
    link.whole.set()
    await asyncio.sleep(1)


FAULTS: tuple[Fault, ...] = (a_process_killed, a_process_stopped, redis_frozen, a_machine_cut_off)


async def run(made: Cluster, *faults: Fault) -> History:
    """Read and purge while `faults` happen, one after the other."""
    stop = asyncio.Event()
    tasks = [asyncio.create_task(read_on(made, each % 2, stop)) for each in range(2 * READERS)]
    tasks.append(asyncio.create_task(purge_on(made, stop)))
    try:
        for fault in faults:
            await fault(made)
    finally:
        stop.set()
        await asyncio.gather(*tasks)
    return made.history


def check(history: History) -> None:
    """All three promises; says how much was tried."""
    stale = history.stale_reads()
    print(
        f"{len(history.reads)} reads, {len(history.confirmed)} of {len(history.purges)} purges confirmed, "
        f"p95 {history.purge_seconds(0.95) * 1000:.1f} ms, longest {history.purge_seconds(1):.2f} s; "
        f"{len(stale)} stale reads: {[f'{after * 1000:.1f} ms' for _, after in stale[:20]]}"
    )
    assert history.confirmed
    assert stale == []
    assert history.torn_etags() == []
    assert history.reads_past_exp() == []


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def started() -> AsyncIterator[Cluster]:
    async with cluster(clocks=(0, 7)) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def made(started: Cluster) -> Cluster:
    """All four processes live, and nothing in the history."""
    await warmed(started)
    started.history = History()
    return started


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_purge_is_a_promise_at_every_process(made: Cluster, seed: int) -> None:
    made.random.seed(seed)
    history = await run(made, no_fault)
    check(history)
    assert {read.status for read in history.reads} <= {200, 410}
    assert {each.status for each in history.purges} == {200}


@pytest.mark.parametrize("seed", SEEDS)
async def test_it_is_kept_through_faults(made: Cluster, seed: int) -> None:
    made.random.seed(seed)
    faults = [*FAULTS]
    made.random.shuffle(faults)
    ends = time.monotonic() + SECONDS
    history = await run(made, *faults)
    while time.monotonic() < ends:
        history = await run(made, made.random.choice(FAULTS))
    check(history)
    # A read that a fault cuts off has no answer; those that have one have the picture.
    assert {read.status for read in history.reads} <= {200, 410}


async def test_a_purge_waits_for_a_killed_process_no_longer_than_its_lease(made: Cluster) -> None:
    assert (await purge(made, 0, "k0.png")).status == 200
    os.kill(made.workers(1)[0], signal.SIGKILL)
    purged = await purge(made, 0, "k0.png")
    assert purged.status == 200
    assert purged.seconds < LEASE + 1


async def test_a_purge_that_could_not_be_confirmed_says_by_whom(made: Cluster) -> None:
    processes = made.workers(1)
    await asyncio.sleep(LEASE)  # each process knows the others from its last renewal
    made.links[0].whole.clear()
    refused = await purge(made, 0, "k0.png")
    made.links[0].whole.set()
    assert refused.status == 503
    assert "purge_incomplete" in refused.detail
    assert all(f"/{process}/" in refused.detail for process in processes)
