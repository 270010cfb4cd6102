"""A load generator: one thread, keep-alive connections, any HTTP/1.1 server on loopback."""

from __future__ import annotations

import selectors
import socket
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import httptools

TIMEOUT = 90.0
ACCEPT = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"


@dataclass(slots=True, kw_only=True)
class Answers:
    """Of one run: seconds until the last answer, seconds of each, and the body of the last."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    body: bytes = b""
    etag: str = ""


class Connection:
    """What a connection received of the answer that it waits for; `httptools` calls `on_*`."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sent_at = 0.0
        self.target = ""
        self.reset()

    def reset(self) -> None:
        self.parser = httptools.HttpResponseParser(self)
        self.parts: list[bytes] = []
        self.complete = False
        self.etag = ""

    def send(self, target: str, headers: str) -> None:
        self.reset()
        self.target = target
        self.sent_at = time.perf_counter()
        head = f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nAccept: {ACCEPT}\r\n{headers}\r\n"
        self.socket.sendall(head.encode())

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"etag":
            self.etag = value.decode()

    def on_body(self, part: bytes) -> None:
        self.parts.append(part)

    def on_message_complete(self) -> None:
        self.complete = True


def ask(
    port: int, targets: Sequence[str], concurrency: int, *, headers: str = "", status: int = 200
) -> Answers:
    """
    Ask for `targets` in order, `concurrency` at a time, each answered with `status`.

    `headers` are lines that end with CRLF. Raises RuntimeError for another status, a connection that
    is closed early and for `TIMEOUT` seconds without a byte.
    """
    left, answers = deque(targets), Answers()
    selector = selectors.DefaultSelector()
    waiting = min(concurrency, len(left))
    connections = [Connection(port) for _ in range(waiting)]
    started = time.perf_counter()
    try:
        for each in connections:
            selector.register(each.socket, selectors.EVENT_READ, each)
            each.send(left.popleft(), headers)
        while waiting:
            events = selector.select(TIMEOUT)
            if not events:
                raise RuntimeError(f"no answer to {connections[0].target} in {TIMEOUT:.0f} s")
            for key, _ in events:
                connection: Connection = key.data
                received = connection.socket.recv(262_144)
                if not received:
                    raise RuntimeError(f"closed early: {connection.target}")
                connection.parser.feed_data(received)
                if not connection.complete:
                    continue
                answers.latencies.append(time.perf_counter() - connection.sent_at)
                if connection.parser.get_status_code() != status:
                    body = b"".join(connection.parts)[:200]
                    raise RuntimeError(
                        f"{connection.parser.get_status_code()} for {connection.target}: {body!r}"
                    )
                if left:
                    connection.send(left.popleft(), headers)
                else:
                    waiting -= 1
                    answers.body, answers.etag = b"".join(connection.parts), connection.etag
        answers.seconds = time.perf_counter() - started
    finally:
        selector.close()
        for each in connections:
            each.socket.close()
    return answers
