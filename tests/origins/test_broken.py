"""Answers that break, and which are asked for again."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import repeat
from pathlib import Path

import httpx
import pytest
import uvloop

from proxy.model.errors import OriginFailed, OriginTimedOut, ProxyError
from proxy.model.limits import Limits
from proxy.origins.http import HTTPOrigin, make_client
from tests.origins.server import (
    Answer,
    Server,
    declared,
    half_close,
    raw,
    reply,
    reset,
)

LIMITS = Limits(max_source_bytes=100_000)
TOM = reply(b"tom")


BROKEN: dict[str, Answer] = {
    "short body": declared(10, b"tom"),
    "cut chunk": raw(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n10\r\ntom"),
    "no last chunk": raw(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\ntom\r\n"),
    "reset": reset,
    "half-closed": half_close,
    "no answer": raw(b""),
    "half a head": raw(b"HTTP/1.1 200 OK\r\ncontent-le"),
    "no HTTP": raw(b"SSH-2.0-OpenSSH_9.2p1 Debian\r\n"),
    "bad length": raw(b"HTTP/1.1 200 OK\r\ncontent-length: -3\r\n\r\ntom"),
    "endless length": raw(b"HTTP/1.1 200 OK\r\ncontent-length: " + b"9" * 5000 + b"\r\n\r\ntom"),
    "two lengths": raw(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\ntom"),
    "unknown coding": raw(b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\ntom"),
    "interim answers without end": raw(b"", repeat(b"HTTP/1.1 103 Early Hints\r\nlink: <x>\r\n\r\n" * 5000)),
    "huge head": raw(b"HTTP/1.1 200 OK\r\nx: " + b"x" * 300_000 + b"\r\n\r\n"),
    "nul in a header": raw(b'HTTP/1.1 200 OK\r\netag: "\0"\r\ncontent-length: 3\r\n\r\ntom'),
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
async def test_a_broken_answer_is_a_failure_after_one_more_try(
    server: Server, origin: HTTPOrigin, broken: Answer
) -> None:
    server.put("/base/tom.jpg", broken)
    with pytest.raises(OriginFailed) as failure:
        await origin.fetch("tom.jpg")
    assert len(server.asked) == 2
    assert str(server.port) not in failure.value.message


@pytest.mark.parametrize("once", [reset, raw(b""), *(reply(status=status) for status in (502, 503, 504))])
async def test_what_passes_is_asked_for_again(server: Server, origin: HTTPOrigin, once: Answer) -> None:
    server.put("/base/tom.jpg", once, TOM)
    assert (await origin.fetch("tom.jpg")).body == b"tom"
    assert len(server.asked) == 2


async def test_what_does_not_pass_is_not_asked_for_a_third_time(server: Server, origin: HTTPOrigin) -> None:
    server.put("/base/tom.jpg", reply(status=503))
    with pytest.raises(OriginFailed) as failure:
        await origin.fetch("tom.jpg")
    assert failure.value.facts == {"origin_status": 503}
    assert len(server.asked) == 2


async def test_an_origin_in_trouble_is_not_asked_twice_as_much(server: Server, origin: HTTPOrigin) -> None:
    server.put("*", reply(status=503))
    await asyncio.gather(*(origin.fetch("tom.jpg") for _ in range(200)), return_exceptions=True)
    assert 200 < len(server.asked) <= 200 + 10 + 20


async def test_nobody_there_is_a_failure(unused_tcp_port: int) -> None:
    client = make_client(private_hosts=["127.0.0.1"])
    origin = HTTPOrigin(client, f"http://127.0.0.1:{unused_tcp_port}/", LIMITS)
    with pytest.raises(OriginFailed, match="cannot be reached"):
        await origin.fetch("tom.jpg")
    await origin.close()


@pytest.mark.parametrize(
    "mend, kind",
    [
        (httpx.ConnectTimeout, OriginTimedOut),
        (httpx.ReadTimeout, OriginTimedOut),
        (httpx.PoolTimeout, OriginTimedOut),
        (httpx.WriteError, OriginFailed),
        (httpx.LocalProtocolError, OriginFailed),
        (ssl.SSLError, OriginFailed),
        (ConnectionResetError, OriginFailed),
    ],
)
async def test_every_error_of_the_network_is_one_of_ours(
    mend: type[Exception], kind: type[ProxyError]
) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise mend("10.0.0.1: secret words")

    client = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    with pytest.raises(kind) as failure:
        await HTTPOrigin(client, "http://photos.test", LIMITS).fetch("tom.jpg")
    assert "secret" not in failure.value.message
    await client.aclose()


def test_an_idle_connection_is_good_beyond_the_time_that_a_fetch_may_take(tmp_path: Path) -> None:
    """On uvloop, as served, aiohttp's own time limit ran on after a body had ended while reading paused."""
    body = bytes(600_000)
    (tmp_path / "tom.jpg").write_bytes(body)

    async def fetched(base: str) -> list[bytes]:
        client = make_client(private_hosts=["127.0.0.1"])
        origin = HTTPOrigin(client, base, Limits(max_source_bytes=len(body)), fetch_timeout=2.0)

        async def in_the_way() -> None:
            while True:
                time.sleep(0.03)  # noqa: ASYNC251 - what arrives piles up, and reading is paused
                await asyncio.sleep(0)

        found = []
        for _ in range(3):
            busy = asyncio.create_task(in_the_way())
            await asyncio.gather(*(origin.fetch("tom.jpg") for _ in range(3)), return_exceptions=True)
            busy.cancel()
            await asyncio.sleep(2.3)
            found += await asyncio.gather(*(origin.fetch("tom.jpg") for _ in range(3)))
        await origin.close()
        return [original.body for original in found]

    with served_aside(tmp_path) as base, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(fetched(base)) == [body] * 9


@contextmanager
def served_aside(folder: Path) -> Iterator[str]:
    """By another process, which sends while the event loop of the test is held up."""
    server = [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--protocol", "HTTP/1.1"]
    with subprocess.Popen(
        [*server, "--directory", str(folder)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().split("(")[1].partition(")")[0]
        finally:
            process.terminate()
