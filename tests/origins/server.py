"""A real HTTP server on loopback that says what it is told to, breaks where it is told to, and counts."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import chain, repeat
from urllib.parse import unquote_to_bytes

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[bool]]
"""Writes a response and says whether the connection goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    target: str
    headers: dict[str, str]


class Server:
    """`answers` maps a path, decoded, to what is answered the first, the second, ... and every later time."""

    def __init__(self) -> None:
        self.answers: dict[str, list[Answer]] = {}
        self.asked: list[Asked] = []
        self.connections = 0
        self.open = 0
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def put(self, path: str, *answers: Answer) -> None:
        self.answers[path] = list(answers)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        try:
            while await self._answer(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self.open -= 1
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.splitlines()
        pairs = (line.partition(":") for line in lines if line)
        target = first.split(" ")[1]
        self.asked.append(
            Asked(target=target, headers={name.lower(): value.strip() for name, _, value in pairs})
        )
        path = unquote_to_bytes(target.partition("?")[0]).decode(errors="replace")
        answers = self.answers.get(path) or self.answers.get("*") or [reply(status=404)]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        goes_on = await answer(reader, writer)
        await writer.drain()
        return goes_on


@asynccontextmanager
async def running(tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    server = Server()
    tasks = set[asyncio.Task[None]]()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(server.serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    listener = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _head(status: int, headers: dict[str, str]) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} As Told\r\n{lines}\r\n".encode("latin-1")


def reply(body: bytes = b"", *, status: int = 200, **headers: str) -> Answer:
    """A well-formed answer. `content_type="..."` is the header Content-Type."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        writer.write(_head(status, {"content-length": str(len(body))} | named) + body)
        return True

    return answer


def redirect(location: str, status: int = 302) -> Answer:
    return reply(status=status, location=location)


def raw(first: bytes, then: Iterable[bytes] = (), *, pause: float = 0.0) -> Answer:
    """These very bytes, with a pause in seconds after each part, and the end of the connection."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        for part in chain([first], then):
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause)
        return False

    return answer


def declared(length: int, body: bytes) -> Answer:
    """A Content-Length that is not that of the body, and the end of the connection."""
    return raw(_head(200, {"content-length": str(length)}) + body)


def drip(pause: float = 0.01) -> Answer:
    """A body of ninety thousand bytes, one at a time."""
    return raw(_head(200, {"content-length": "90000"}), repeat(b"x"), pause=pause)


def drip_headers(pause: float = 0.01) -> Answer:
    return raw(b"HTTP/1.1 200 OK\r\n", repeat(b"x-drip: 1\r\n"), pause=pause)


async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """No answer, as long as the asker stays."""
    await reader.read()
    return False


async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """A chunked body without an end."""
    writer.write(_head(200, {"transfer-encoding": "chunked"}))
    while True:
        writer.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")
        await writer.drain()


async def promise(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """The announcement of a gigabyte, and not one byte of it."""
    writer.write(_head(200, {"content-length": "1000000000"}))
    return await silence(reader, writer)


async def half_close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """Half a body, then no more is sent, and the connection stays."""
    writer.write(_head(200, {"content-length": "10"}) + b"12345")
    writer.write_eof()
    return await silence(reader, writer)


async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """Half a body and a TCP reset."""
    writer.write(_head(200, {"content-length": "10"}) + b"12345")
    await writer.drain()
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return False


async def until(happened: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not happened():  # noqa: ASYNC110 - what happens, happens in a server that knows no events
            await asyncio.sleep(0.005)
