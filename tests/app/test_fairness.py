"""One client that asks a hundredfold takes no more than its share, over all processes of a deployment."""

from __future__ import annotations

import asyncio
import itertools
import re
import statistics
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.model.media import Format
from tests.deployments import Deployed, deployed
from tests.pictures import photo, saved

GREEDY, VICTIM = "203.0.113.1", "2001:db8::7"
NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("originals")
    (folder / "a.jpg").write_bytes(saved(photo(1600, 1200), Format.JPEG))
    return folder


class Client:
    """A client behind a trusted proxy, over one connection."""

    def __init__(self, server: Deployed, address: str) -> None:
        self._port = server.port
        self._address = address
        self._connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def send(self, path: str) -> asyncio.StreamReader:
        if self._connection is None:
            self._connection = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._connection
        lines = f"GET {path} HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.1.1.1, {self._address}\r\n\r\n"
        writer.write(lines.encode())
        return reader

    async def status(self, path: str) -> int:
        reader = await self.send(path)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = re.search(rb"content-length: (\d+)", head)
        assert length is not None
        await reader.readexactly(int(length[1]))
        return int(head[9:12])

    async def leave(self) -> None:
        if self._connection is not None:
            self._connection[1].close()
            await self._connection[1].wait_closed()


def new_path() -> str:
    number = next(NUMBERS)
    return f"/w_{400 + number % 100},h_{300 + number // 100},f_webp/a.jpg"


@pytest.fixture(scope="module", params=[1, 4], ids=["one", "four"])
def server(request: pytest.FixtureRequest, originals: Path) -> Iterator[Deployed]:
    with deployed(
        workers=request.param,
        renderers=2,
        origin=str(originals),
        trusted_proxies="127.0.0.1",
        unsigned="allow",
    ) as server:
        yield server


async def test_beside_a_client_that_asks_a_hundredfold_another_gets_all_its_pictures_in_turn(
    server: Deployed,
) -> None:
    """
    Told by how many pictures of the other are made meanwhile, whatever the machine's speed: those that were
    begun, and one for each of its own; first come, first served would be a hundred.
    """
    statuses, ended = Counter[int](), asyncio.Event()

    async def ask_again_and_again() -> None:
        client = Client(server, GREEDY)
        while not ended.is_set():
            statuses[await client.status(new_path())] += 1
        await client.leave()

    asking = [asyncio.create_task(ask_again_and_again()) for _ in range(100)]
    while statuses[200] < 20:  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    victim, meanwhile, answers = Client(server, VICTIM), [], []
    for _ in range(21):
        before = statuses[200]
        answers.append(await victim.status(new_path()))
        meanwhile.append(statuses[200] - before)
    ended.set()
    await asyncio.gather(*asking)
    await victim.leave()
    assert answers == [200] * 21
    assert statistics.median(meanwhile) <= 6
    assert set(statuses) <= {200, 503}


async def test_what_a_client_that_left_waited_for_is_not_made(server: Deployed) -> None:
    clients = [Client(server, GREEDY) for _ in range(40)]
    for client in clients:
        await client.send(new_path())
    stays, path = Client(server, VICTIM), new_path()
    await clients[0].send(path)
    answer = asyncio.create_task(stays.status(path))
    await asyncio.sleep(0.1)
    await asyncio.gather(*(client.leave() for client in clients))
    assert await answer == 200
    assert await stays.status(new_path()) == 200
    await stays.leave()
    given_up = [line for line in server.logged("request") if line["status"] == 499]
    assert len(given_up) >= 15, "all but those that had begun, or ended before they left"
    assert {line["client"] for line in server.logged("request")} >= {GREEDY, VICTIM}
