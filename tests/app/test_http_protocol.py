"""What strangers may do to a connection, through sockets, at a server with small limits."""

from __future__ import annotations

import inspect
import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httptools
import httpx
import pytest
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from proxy.app.refused_requests import MAX_FIELDS, MAX_PIPELINED, MAX_URL_BYTES
from proxy.model.media import Format
from tests.deployments import Deployed, deployed
from tests.pictures import photo, saved

LIMITS = {"head_timeout": "2s", "slow_timeout": "3s", "idle_timeout": "3s", "max_sending_bytes": "8MB"}
WAIT = 12.0  # s, within which whatever ends is ended
GET = b"GET /f_png/small.png HTTP/1.1\r\nHost: proxy.test\r\n\r\n"
LARGE = b"GET /f_png,h_2000/large.png HTTP/1.1\r\nHost: proxy.test\r\n\r\n"


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("originals")
    (folder / "small.png").write_bytes(saved(photo(8, 8), Format.PNG))
    (folder / "large.png").write_bytes(saved(photo(2000, 2000), Format.PNG))
    return folder


@pytest.fixture(scope="module", params=[1, 2], ids=["one", "workers"])
def server(request: pytest.FixtureRequest, originals: Path) -> Iterator[Deployed]:
    with deployed(origin=str(originals), workers=request.param, metrics_port=0, **LIMITS) as started:
        wait_for(lambda: is_ready(started), 60)
        yield started


def wait_for(condition: Callable[[], bool], seconds: float = WAIT) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def is_ready(server: Deployed) -> bool:
    try:
        return httpx.get(f"{server.url}/readyz", timeout=5).status_code == 200
    except httpx.TransportError:  # one of several web processes listens, and imports its code still
        return False


def connect(server: Deployed) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=WAIT)


def read_to_end(connection: socket.socket) -> bytes:
    """All that comes until the other side ends; a TimeoutError where it does not."""
    parts = []
    try:
        while part := connection.recv(65536):
            parts.append(part)
    except ConnectionError:
        pass
    return b"".join(parts)


def answer_to(server: Deployed, *sent: bytes) -> bytes:
    """What comes back of all that can be sent, after which the connection is ended from there."""
    with connect(server) as connection:
        for part in sent:
            try:
                connection.sendall(part)
            except (ConnectionError, TimeoutError):
                break
        return read_to_end(connection)


def problem_in(answer: bytes) -> dict[str, Any]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"\r\ncontent-type: application/problem+json\r\n" in head
    assert b"\r\nconnection: close" in head
    assert b"\r\nx-request-id: " in head
    assert re.search(rb"\r\ncontent-length: (\d+)", head)[1] == b"%d" % len(body)  # type: ignore[index]
    found: dict[str, Any] = json.loads(body)
    assert head.startswith(b"HTTP/1.1 %d " % found["status"])
    return found


def resident_bytes(server: Deployed) -> int:
    """Of the server's processes, renderers included."""
    pages, group = 0, server.process.pid
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        pages += int(fields[21]) if int(fields[2]) == group else 0
    return pages * 4096


REQUEST = b"GET /_/a.jpg HTTP/1.1\r\nHost: a\r\n"
MANY = 30  # times 100 kB

FLOODS: list[tuple[str, bytes, bytes, int]] = [
    ("short lines", REQUEST, b"a:\r\n" * 25_000, 431),
    ("other lines", REQUEST, b"".join(b"h%d: x\r\n" % number for number in range(10_000)), 431),
    ("a header without end", REQUEST + b"a: ", b"x" * 100_000, 431),
    ("a name without end", REQUEST, b"x" * 100_000, 431),
    ("blank lines", b"", b"\r\n" * 50_000, 431),
    ("a path without end", b"GET /_/", b"x" * 100_000, 414),
    ("a query without end", b"GET /_/a.jpg?", b"x&" * 50_000, 414),
    ("a URL with a host without end", b"GET http://", b"x." * 50_000, 414),
    ("a method without end", b"", b"GET" * 30_000, 400),
    ("folded lines", REQUEST + b"a: b\r\n", b" c\r\n" * 25_000, 0),
]


@pytest.mark.parametrize(
    "start, part, status", [each[1:] for each in FLOODS], ids=[each[0] for each in FLOODS]
)
def test_bytes_are_bounded_while_they_arrive(
    server: Deployed, start: bytes, part: bytes, status: int
) -> None:
    before = resident_bytes(server)
    problem = problem_in(answer_to(server, start, *[part] * MANY))
    assert problem["status"] == status if status else problem["status"] in (400, 431)
    assert resident_bytes(server) - before < 8_000_000


CHUNKED = b"GET /f_png/small.png HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "start, part",
    [
        (CHUNKED + b"0\r\n", b"a: b\r\n" * 20_000),
        (CHUNKED + b"1\r\nx\r\n0\r\na: ", b"x" * 100_000),
        (CHUNKED + b"1;ext=", b"x" * 100_000),
    ],
)
def test_trailers_are_bounded_while_they_arrive(server: Deployed, start: bytes, part: bytes) -> None:
    before = resident_bytes(server)
    answer_to(server, start, *[part] * MANY)
    assert resident_bytes(server) - before < 8_000_000


def test_trailers_are_dropped(server: Deployed) -> None:
    with connect(server) as connection:
        connection.sendall(CHUNKED + b"1\r\nx\r\n0\r\nx-request-id: trailer\r\n\r\n" + GET)
        found = b""
        while found.count(b"HTTP/1.1 200") < 2:
            found += connection.recv(65536)
    assert b"trailer" not in found


@pytest.mark.parametrize("size, status", [(MAX_URL_BYTES, 404), (MAX_URL_BYTES + 1, 414)])
def test_a_url_may_be_as_long_as_that(server: Deployed, size: int, status: int) -> None:
    url = b"/_/" + b"x" * (size - 3)
    answer = answer_to(server, b"GET " + url + b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 %d " % status)


@pytest.mark.parametrize("lines, status", [(MAX_FIELDS, 200), (MAX_FIELDS + 1, 431)])
def test_a_head_may_have_as_many_lines_as_that(server: Deployed, lines: int, status: int) -> None:
    more = b"a:\r\n" * (lines - 2)
    start = b"GET /f_png/small.png HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
    assert answer_to(server, start + more + b"\r\n").startswith(b"HTTP/1.1 %d " % status)


@pytest.mark.parametrize(
    "request_line",
    [
        b"BREW / HTTP/1.1",
        b"get / HTTP/1.1",
        b"GET a\xffb HTTP/1.1",
        b"GET /\xc3\xa9.jpg HTTP/1.1",
        b"GET http:// HTTP/1.1",
        b"GET http://[::1/a HTTP/1.1",
        b"GET / HTTP/9.9",
        b"GET / FTP/1.1",
        b"GET",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0",
        b"CONNECT a.test:443 HTTP/1.1",
        b"\x00",
    ],
)
def test_what_the_server_refuses_by_itself_is_a_problem(server: Deployed, request_line: bytes) -> None:
    answer = answer_to(server, request_line + b"\r\nHost: a\r\nConnection: close\r\n\r\n")
    problem = problem_in(answer)
    assert 400 <= problem["status"] < 500
    assert problem["code"]


@pytest.mark.parametrize(
    "line",
    [b"a b: c", b": c", b"a\x00: c", b"Content-Length: x", b"Content-Length: -1", b"Transfer-Encoding: x"],
)
def test_headers_that_are_none_are_a_problem(server: Deployed, line: bytes) -> None:
    answer = answer_to(server, b"GET / HTTP/1.1\r\nHost: a\r\n" + line + b"\r\n\r\n")
    assert problem_in(answer)["status"] == 400


def test_a_refusal_is_logged_and_counted_once(server: Deployed) -> None:
    path = f"/_/{'logged' * 5}/" + "x" * MAX_URL_BYTES

    def lines() -> list[dict[str, Any]]:
        return [each for each in server.logged("request") if each["path"].startswith("/_/loggedlogged")]

    before = len(lines())
    answer_to(server, f"GET {path}?s={'x' * 43} HTTP/1.1\r\n".encode())
    wait_for(lambda: len(lines()) > before)
    line = lines()[-1]
    assert len(lines()) == before + 1
    assert (line["method"], line["status"], line["cache"]) == ("GET", 414, "detail=too_long")
    assert len(line["path"]) <= 256


SLOW: dict[str, tuple[bytes, bytes]] = {
    "nothing": (b"", b""),
    "half a head": (REQUEST, b""),
    "half a line": (b"GET /", b""),
    "a byte now and then": (b"GET /", b"x"),
    "a header now and then": (REQUEST, b"a: b\r\n"),
    "a blank line now and then": (b"", b"\r\n"),
    "half a body": (b"POST /f_png/small.png HTTP/1.1\r\nHost: a\r\nContent-Length: 9000000\r\n\r\nx", b""),
    "a body a byte at a time": (
        b"PUT /-/purge HTTP/1.1\r\nHost: a\r\nContent-Length: 9000000\r\n\r\nx",
        b"x",
    ),
    "half a chunk": (CHUNKED + b"5\r\nab", b""),
    "idle after an answer": (GET, b""),
    "half a second head": (GET + REQUEST, b"a: b\r\n"),
}


@pytest.mark.parametrize("start, drip", SLOW.values(), ids=list(SLOW))
def test_slow_connections_end(server: Deployed, start: bytes, drip: bytes) -> None:
    with connect(server) as connection:
        connection.sendall(start)
        connection.settimeout(0.3)
        deadline = time.monotonic() + WAIT
        while True:
            assert time.monotonic() < deadline, "it is open yet"
            try:
                if drip:
                    connection.sendall(drip)
                if not connection.recv(65536):
                    break
            except TimeoutError:
                continue
            except ConnectionError:
                break


def test_a_request_that_does_not_come_is_told_so(server: Deployed) -> None:
    assert problem_in(answer_to(server, REQUEST))["status"] == 408


def test_readers_that_stop_are_ended(server: Deployed) -> None:
    before, failures = all_ended(server), server.log.read_text().count("Exception in ASGI")
    readers = [connect_small(server) for _ in range(12)]
    try:
        for each in readers:
            each.sendall(LARGE * 4)
        wait_for(lambda: open_at(server) == 0, 40)
    finally:
        for each in readers:
            each.close()
    assert all_ended(server) == before + 12
    assert server.log.read_text().count("Exception in ASGI") == failures


def test_what_waits_for_readers_is_bounded(server: Deployed) -> None:
    """More than `max_sending_bytes`: some go before they are too slow, and the others are served."""
    before, readers = ended(server, "too_much_waiting"), [connect_small(server) for _ in range(60)]
    try:
        for each in readers:
            each.sendall(LARGE * 4)
        wait_for(lambda: ended(server, "too_much_waiting") > before, 20)
        assert (
            answer_to(server, GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))[:15]
            == b"HTTP/1.1 200 OK"
        )
    finally:
        for each in readers:
            each.close()


def test_a_steady_reader_is_served(server: Deployed) -> None:
    with connect_small(server) as connection:
        connection.sendall(LARGE.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        found, deadline = 0, time.monotonic() + 8
        while part := connection.recv(20_000):
            found += len(part)
            if time.monotonic() < deadline:
                time.sleep(0.1)  # 200 kB/s for longer than slow_timeout
    assert found > 2_500_000


def test_pipelined_requests_are_answered_in_turn(server: Deployed) -> None:
    with connect(server) as connection:
        connection.sendall(GET * 19 + GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        assert read_to_end(connection).count(b"HTTP/1.1 200 OK") == 20


def test_pipelined_requests_are_bounded(server: Deployed) -> None:
    before = resident_bytes(server)
    # Those of a hit are answered as they come, and none is queued.
    answer_to(server, *[GET * 2_000] * 10)
    usual_way = GET.replace(b"\r\n\r\n", b"\r\nContent-Length: 0\r\n\r\n")
    answer = answer_to(server, *[usual_way * 2_000] * 10)
    assert answer.count(b"HTTP/1.1 200 OK") <= 2 * MAX_PIPELINED
    assert resident_bytes(server) - before < 16_000_000


def test_what_asks_for_another_protocol_is_answered_in_this_one(server: Deployed) -> None:
    upgrade = b"\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQC\r\n\r\n"
    assert answer_to(server, GET.replace(b"\r\n\r\n", upgrade)).startswith(b"HTTP/1.1 200 OK")


def connect_small(server: Deployed) -> socket.socket:
    """A connection whose kernel buffers take little."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(WAIT)
    connection.connect(("127.0.0.1", server.port))
    return connection


def open_at(server: Deployed) -> int:
    """Connections that the server has open (proc(5), /proc/net/tcp: 01 is established)."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return len([row for row in rows if row[1].endswith(f":{server.port:04X}") and row[3] == "01"])


def all_ended(server: Deployed) -> int:
    return ended(server, "slow_reader") + ended(server, "too_much_waiting")


def ended(server: Deployed, reason: str) -> int:
    return len([each for each in server.logged("connection_ended") if each["reason"] == reason])


# What is taken of uvicorn and httptools


@pytest.mark.parametrize(
    "method, parameters",
    [
        (HttpToolsProtocol.__init__, ["self", "config", "server_state", "app_state", "_loop"]),
        (HttpToolsProtocol.connection_made, ["self", "transport"]),
        (HttpToolsProtocol.connection_lost, ["self", "exc"]),
        (HttpToolsProtocol.data_received, ["self", "data"]),
        (HttpToolsProtocol.on_message_begin, ["self"]),
        (HttpToolsProtocol.on_url, ["self", "url"]),
        (HttpToolsProtocol.on_header, ["self", "name", "value"]),
        (HttpToolsProtocol.on_headers_complete, ["self"]),
        (HttpToolsProtocol.on_body, ["self", "body"]),
        (HttpToolsProtocol.on_message_complete, ["self"]),
        (HttpToolsProtocol.on_response_complete, ["self"]),
        (HttpToolsProtocol._start_asgi_task, ["self", "cycle", "app"]),
        (FlowControl.resume_reading, ["self"]),
    ],
    ids=lambda given: getattr(given, "__qualname__", ""),
)
def test_the_methods_that_are_called_or_overridden_are_there(
    method: Callable[..., Any], parameters: list[str]
) -> None:
    assert list(inspect.signature(method).parameters) == parameters


@pytest.mark.parametrize(
    "owner, names",
    [
        (HttpToolsProtocol, ["config", "loop", "parser", "cycle", "pipeline", "flow", "connections"]),
        (HttpToolsProtocol, ["transport", "server_state", "headers", "url"]),
        (RequestResponseCycle, ["response_complete", "response_started", "keep_alive", "on_response"]),
        (RequestResponseCycle, ["disconnected", "message_event", "scope", "transport", "flow"]),
        (RequestResponseCycle, ["default_headers", "access_log", "waiting_for_100_continue"]),
        (FlowControl, ["read_paused", "write_paused"]),
        (ServerState, ["connections", "total_requests", "default_headers"]),
    ],
)  # fmt: skip
def test_the_attributes_that_are_used_are_there(owner: type, names: list[str]) -> None:
    code = inspect.getsource(owner)
    assert [name for name in names if f"self.{name}" not in code] == []


def test_the_timer_that_is_left_out_is_in_the_method_that_is_replaced() -> None:
    code = inspect.getsource(HttpToolsProtocol)
    assert code.count("self.loop.call_later(") == 1
    assert "call_later" in inspect.getsource(HttpToolsProtocol.on_response_complete)


def test_an_error_in_a_callback_is_the_context_of_what_the_parser_raises() -> None:
    class Callbacks:
        def on_url(self, url: bytes) -> None:
            raise KeyError

    with pytest.raises(httptools.HttpParserCallbackError) as caught:
        httptools.HttpRequestParser(Callbacks()).feed_data(b"GET / HTTP/1.1\r\n")
    assert isinstance(caught.value.__context__, KeyError)
