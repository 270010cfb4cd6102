"""Repeats of a hit are answered, counted and logged as others: at servers with the lane and without it."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from proxy.app.asgi import Deployment, create_app
from proxy.config.settings import load_settings
from proxy.model.media import Format
from proxy.web.access_log import AccessLog
from proxy.web.fast_lane import ReadyResponse
from tests.deployments import Deployed, deployed
from tests.pictures import photo, saved
from tests.web.serving import started

TOKEN = "a-token-of-at-least-thirty-two-bytes"
ADMIN = {"authorization": f"Bearer {TOKEN}"}
HOST = b"Host: proxy.test\r\n"
PATHS = [b"/w_40,f_png/a.png", b"/w_40,f_auto/a.png", b"/w_41/a.png?x=1&s=nothing", b"/w_40/c%20d.png"]
REQUESTS = {
    "plain": b"GET %b HTTP/1.1\r\n" + HOST + b"\r\n",
    "head": b"HEAD %b HTTP/1.1\r\n" + HOST + b"\r\n",
    "accept": b"GET %b HTTP/1.1\r\n" + HOST + b"Accept: image/avif,image/webp\r\n\r\n",
    "keep-alive": b"GET %b HTTP/1.1\r\n" + HOST + b"Connection: keep-alive\r\n\r\n",
    "its own id": b"GET %b HTTP/1.1\r\n" + HOST + b"X-Request-Id: mine\r\n\r\n",
    "no id": b"GET %b HTTP/1.1\r\n" + HOST + b"X-Request-Id: <script>\r\n\r\n",
    "another tag": b"GET %b HTTP/1.1\r\n" + HOST + b'If-None-Match: "nothing"\r\n\r\n',
    "any tag": b"GET %b HTTP/1.1\r\n" + HOST + b"If-None-Match: *\r\n\r\n",
    "since": b"GET %b HTTP/1.1\r\n" + HOST + b"If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT\r\n\r\n",
    "range": b"GET %b HTTP/1.1\r\n" + HOST + b"Range: bytes=0-9\r\n\r\n",
    "body": b"GET %b HTTP/1.1\r\n" + HOST + b"Content-Length: 2\r\n\r\n{}",
    "no host": b"GET %b HTTP/1.1\r\n\r\n",
    "two hosts": b"GET %b HTTP/1.1\r\n" + 2 * HOST + b"\r\n",
    "bad host": b"GET %b HTTP/1.1\r\nHost: a/b\r\n\r\n",
    "loop": b"GET %b HTTP/1.1\r\n" + HOST + b"CDN-Loop: image-proxy\r\n\r\n",
    "fragment": b"GET %b#x HTTP/1.1\r\n" + HOST + b"\r\n",
    "absolute": b"GET http://proxy.test%b HTTP/1.1\r\n" + HOST + b"\r\n",
    "options": b"OPTIONS %b HTTP/1.1\r\n" + HOST + b"\r\n",
    "post": b"POST %b HTTP/1.1\r\n" + HOST + b"\r\n",
    "expect": b"GET %b HTTP/1.1\r\n" + HOST + b"Expect: 100-continue\r\n\r\n",
    "upgrade": b"GET %b HTTP/1.1\r\n" + HOST + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
    "close": b"GET %b HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n",
    "HTTP/1.0": b"GET %b HTTP/1.0\r\n\r\n",
    "forwarded": b"GET %b HTTP/1.1\r\n" + HOST + b"X-Forwarded-For: 192.0.2.7\r\n\r\n",
}
VARIED = re.compile(rb"(?mi)^(date|x-request-id|server-timing): .*\r\n|(?<=age=)\d+")


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("originals")
    for name in ("a.png", "c d.png", "e.png"):
        (folder / name).write_bytes(saved(photo(80, 60), Format.PNG))
    return folder


@pytest.fixture(scope="module")
def lanes(originals: Path) -> Iterator[list[Deployed]]:
    flags = {"origin": str(originals), "unsigned": "allow", "trusted_proxies": "127.0.0.1/32"}
    flags |= {"admin_token": TOKEN}
    with deployed(**flags) as fast, deployed(**flags, fast_lane="false") as slow:
        yield [fast, slow]


def exchange(server: Deployed, sent: bytes, answers: int = 1) -> bytes:
    """So many answers to what is sent, those that announce others (1xx) included."""
    has_body = not sent.startswith(b"HEAD")
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(sent)
        received, end = b"", 0
        for _ in range(answers):
            while (head_end := received.find(b"\r\n\r\n", end)) < 0:
                received += take(connection)
            head = received[end:head_end]
            length = re.search(rb"content-length: (\d+)", head)
            end = head_end + 4 + (int(length[1]) if length and has_body else 0)
            while len(received) < end:
                received += take(connection)
    return received


def line_of(server: Deployed, answer: bytes) -> dict[str, Any]:
    """The line of the log about the request that was answered so."""
    found = re.search(rb"x-request-id: (\S+)", answer)
    assert found is not None
    deadline = time.monotonic() + 10
    while True:
        lines = [each for each in server.logged("request") if each["request_id"] == found[1].decode()]
        if lines:
            return lines[-1]
        assert time.monotonic() < deadline


def take(connection: socket.socket) -> bytes:
    part = connection.recv(1 << 16)
    assert part, "it ended in the middle of an answer"
    return part


@pytest.mark.parametrize("kind", REQUESTS)
def test_both_lanes_give_the_same_answer_and_the_same_line(lanes: list[Deployed], kind: str) -> None:
    for path in PATHS:
        told = []
        for server in lanes:
            for warm in ("plain", "accept"):  # from then on it is a hit
                exchange(server, REQUESTS[warm] % path)
            answer = exchange(server, REQUESTS[kind] % path)
            line = line_of(server, answer)
            own = {"ms": 0, "request_id": 0, "timestamp": 0}
            told.append((VARIED.sub(b"", answer), list(line), line | own))
        assert told[0] == told[1]


def test_the_same_tag_is_a_304_in_both(lanes: list[Deployed]) -> None:
    answers = []
    for server in lanes:
        tag = re.search(rb"etag: (\S+)", exchange(server, REQUESTS["plain"] % PATHS[0]))
        assert tag is not None
        asked = b"GET %b HTTP/1.1\r\n%bIf-None-Match: %b\r\n\r\n" % (PATHS[0], HOST, tag[1])
        answer = exchange(server, asked)
        assert answer.startswith(b"HTTP/1.1 304 ")
        answers.append(VARIED.sub(b"", answer))
    assert answers[0] == answers[1]


def test_pipelined_answers_come_in_order(lanes: list[Deployed]) -> None:
    hit, miss = REQUESTS["plain"] % PATHS[0], b"GET /w_%d/e.png HTTP/1.1\r\n" + HOST + b"\r\n"
    for server in lanes:
        exchange(server, hit)
        width = 30 + int(time.monotonic() * 1000) % 40
        missing = b"GET /nothing HTTP/1.1\r\n" + HOST + b"\r\n"
        received = exchange(server, hit + hit + miss % width + hit + missing, 5)
        assert re.findall(rb"HTTP/1.1 (\d+)", received) == [b"200"] * 4 + [b"404"]


def test_both_are_counted(lanes: list[Deployed]) -> None:
    counted = []
    for server in lanes:
        before = hits(server)
        for _ in range(10):
            exchange(server, REQUESTS["plain"] % PATHS[0])
        counted.append(hits(server) - before)
    assert counted == [10, 10]


def hits(server: Deployed) -> float:
    text = httpx.get(f"{server.url}/metrics", headers=ADMIN).text
    found = re.findall(r'^image_proxy_requests_total\{answer="hit",status="200"\} (\S+)', text, re.MULTILINE)
    return float(found[0]) if found else 0.0


def test_a_purge_and_a_change_of_the_original_end_repeats(originals: Path, lanes: list[Deployed]) -> None:
    name = originals / "changing.png"
    for server in lanes:
        name.write_bytes(saved(photo(80, 60), Format.PNG))
        time.sleep(1.2)  # a folder's file is looked at once a second
        path = f"{server.url}/w_20,f_png/changing.png"
        first = [httpx.get(path).headers["etag"] for _ in range(3)]
        assert len(set(first)) == 1
        assert (
            httpx.post(f"{server.url}/-/purge", json={"keys": ["changing.png"]}, headers=ADMIN).status_code
            == 200
        )
        assert httpx.get(path).headers["cache-status"] != "image-proxy; hit"
        name.write_bytes(saved(photo(81, 60), Format.PNG))
        time.sleep(1.2)
        assert httpx.get(path).headers["etag"] != first[0]


FAST = {"plain", "head", "accept", "keep-alive", "its own id", "no id", "forwarded"}


async def test_repeats_take_the_lane_and_nothing_else_does(renderers: str, originals: Path) -> None:
    settings = load_settings(origin=str(originals), cache="memory://64MB", unsigned="allow", metrics_port=9)
    app = create_app(Deployment(settings=settings, renderers=renderers, metrics_port=9))
    async with started(app):
        assert isinstance(app, AccessLog)
        assert app.fast_lane is not None
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://proxy.test") as session:
            for accept in ("", "image/avif,image/webp"):
                for _ in range(2):
                    answer = await session.get(PATHS[0].decode(), headers={"accept": accept})
                    assert answer.status_code == 200
            await session.get("/w_40,exp_9999999999/a.png")
            await session.get("/w_40,exp_9999999999/a.png")

        def taken(sent: bytes, port: int = 8000) -> ReadyResponse | None:
            line, *lines = sent.partition(b"\r\n\r\n")[0].split(b"\r\n")
            method, target, _ = line.split(b" ")
            headers = [(name.lower(), value) for name, _, value in (each.partition(b": ") for each in lines)]
            assert app.fast_lane is not None
            return app.fast_lane.response(method, target, headers, peer=("127.0.0.1", 1), port=port)

        # What the protocol itself leaves to the usual way is not asked of the lane.
        for kind in REQUESTS.keys() - {"close", "HTTP/1.0"}:
            assert (taken(REQUESTS[kind] % PATHS[0]) is not None) is (kind in FAST), kind
        assert taken(REQUESTS["plain"] % PATHS[0], port=9) is None
        assert taken(REQUESTS["plain"] % b"/w_40,exp_9999999999/a.png") is None
        assert taken(REQUESTS["plain"] % b"/w_40,f_png/e.png") is None
        assert taken(REQUESTS["plain"] % b"/healthz") is None
        fields = b"".join(b"x-%d: %b\r\n" % (at, b"y" * 8_000) for at in range(5))
        assert taken(REQUESTS["plain"].replace(HOST, HOST + fields) % PATHS[0]) is None


async def test_in_development_all_is_revalidated(renderers: str, originals: Path) -> None:
    settings = load_settings(origin=str(originals), cache="memory://64MB", dev=True)
    app = create_app(Deployment(settings=settings, renderers=renderers))
    async with started(app):
        assert isinstance(app, AccessLog)
        assert app.fast_lane is not None
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://proxy.test") as session:
            for _ in range(3):
                assert (await session.get(PATHS[0].decode())).headers["cache-control"] == "no-cache"
        headers = [(b"host", b"proxy.test")]
        assert app.fast_lane.response(b"GET", PATHS[0], headers, peer=None, port=None) is None


def test_it_can_be_left_out(renderers: str) -> None:
    app = create_app(Deployment(settings=load_settings(fast_lane="false"), renderers=renderers))
    assert isinstance(app, AccessLog)
    assert app.fast_lane is None
