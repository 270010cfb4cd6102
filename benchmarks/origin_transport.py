"""
What fetching an original costs: httpx's own transport, httpx-aiohttp and httpx2, where they are installed.

    python benchmarks/origin_transport.py [--bytes 500000] [--connections 16] [--rounds 9]

The clients take turns in short rounds against one server process, so that a noisy machine is noisy for all of
them. Bodies are read as `proxy.origins.download` reads them: raw parts, counted and joined. Shown are medians
over rounds, and ratios round by round to httpx. 20 to 60 s. `pip install httpx2 httpx-aiohttp` brings the
others.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import os
import socket
import statistics
import subprocess
import sys
import time
from typing import Any

import uvloop

SERVER = """
import asyncio, sys, uvloop
class Answer(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport, self.asked = transport, b""
    def data_received(self, data):
        self.asked += data
        while b"\\r\\n\\r\\n" in self.asked:
            self.asked = self.asked.partition(b"\\r\\n\\r\\n")[2]
            self.transport.write(answer)
size = int(sys.argv[2])
answer = b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n" % size + bytes(size)
async def main():
    server = await asyncio.get_running_loop().create_server(Answer, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()
uvloop.run(main())
"""

FETCHES = 160  # a round


def clients(connections: int) -> dict[str, Any]:
    """Long-lived, with nothing of the environment."""
    found: dict[str, Any] = {}
    for name in ("httpx", "httpx2"):
        try:
            module = importlib.import_module(name)
        except ImportError:
            continue
        limits = module.Limits(max_connections=connections, max_keepalive_connections=connections)
        found[name] = module.AsyncClient(limits=limits, trust_env=False)
    try:
        import httpx
        from httpx_aiohttp import AiohttpTransport
    except ImportError:
        return found
    limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
    found["httpx-aiohttp"] = httpx.AsyncClient(transport=AiohttpTransport(limits=limits), trust_env=False)
    return found


async def fetched(client: Any, url: str) -> int:
    parts = []
    async with client.stream("GET", url, headers={"accept-encoding": "identity"}) as response:
        async for part in response.aiter_raw():
            parts.append(part)
    return len(b"".join(parts))


async def round_of(client: Any, url: str, size: int, connections: int) -> tuple[float, float]:
    """Wall and CPU seconds."""
    waiting = iter(range(FETCHES))

    async def lane() -> None:
        for _ in waiting:
            assert await fetched(client, url) == size

    started, spent = time.perf_counter(), time.process_time()
    await asyncio.gather(*(lane() for _ in range(connections)))
    return time.perf_counter() - started, time.process_time() - spent


async def compared(url: str, size: int, connections: int, rounds: int) -> None:
    found = clients(connections)
    walls: dict[str, list[float]] = {name: [] for name in found}
    costs: dict[str, list[float]] = {name: [] for name in found}
    for client in found.values():
        await round_of(client, url, size, connections)
    for _ in range(rounds):
        for name, client in found.items():
            wall, cost = await round_of(client, url, size, connections)
            walls[name].append(wall)
            costs[name].append(cost)
    print(f"{size} bytes, {connections} connections")
    print(f"{'':<16}{'requests/s':>12}{'CPU ms':>10}{'rate x':>10}{'CPU x':>10}")
    for name in found:
        rate = FETCHES / statistics.median(walls[name])
        cost = statistics.median(costs[name]) / FETCHES * 1000
        faster = statistics.median(a / b for a, b in zip(walls["httpx"], walls[name], strict=True))
        dearer = statistics.median(b / a for a, b in zip(costs["httpx"], costs[name], strict=True))
        print(f"{name:<16}{rate:>12.0f}{cost:>10.2f}{faster:>10.2f}{dearer:>10.2f}")
    for client in found.values():
        await client.aclose()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--bytes", type=int, default=500_000)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=9)
    given = parser.parse_args()
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    server = subprocess.Popen([sys.executable, "-c", SERVER, str(port), str(given.bytes)], env=os.environ)
    try:
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        url = f"http://127.0.0.1:{port}/photo.jpg"
        uvloop.run(compared(url, given.bytes, given.connections, given.rounds))
    finally:
        server.kill()
        server.wait()


if __name__ == "__main__":
    main()
