"""
Repeats of a hit, answered with what was sent the last time, before an ASGI scope is made of the request.

What is asked, checked, counted and logged is what it is for any other request; only what a repeat cannot need
is left out. What is not plain here goes the usual way: nothing is refused.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple, Protocol

from proxy.web.conditional import BODY_HEADERS
from proxy.web.read_urls import HitResponse, ReadyHead, RepeatedHit
from proxy.web.request_headers import HOST, INVALID_HOST, MAX_REQUEST_HEADER_BYTES, REQUEST_ID
from proxy.web.responses import HeaderList

if TYPE_CHECKING:
    from proxy.web.access_log import AccessLog

USUAL_WAY = frozenset(
    {
        b"cdn-loop", b"content-length", b"expect", b"if-match", b"if-modified-since", b"if-range",
        b"if-unmodified-since", b"range", b"transfer-encoding", b"upgrade",
    }
)  # fmt: skip
"""Headers of requests that are not answered here."""

MAX_REPEATS_AT_ONCE = 50
"""Of a hit, answered before other connections have their turn: some 2 ms."""

METHODS = (b"GET", b"HEAD")
STATUS_LINES = {200: b"HTTP/1.1 200 OK\r\n", 304: b"HTTP/1.1 304 Not Modified\r\n"}


class ReadyResponse(NamedTuple):
    """A response as it is sent: its status line, its headers but those of the server, and its body."""

    status_line: bytes
    headers: bytes
    body: bytes


class Repeats(Protocol):
    """What knows the hits of URLs that were read before."""

    def repeated(
        self, port: int | None, raw_path: bytes, query: bytes, accept: bytes | None
    ) -> RepeatedHit | None: ...


class FastLane:
    """Answers from `repeats`, and records each answer with `log`."""

    def __init__(self, repeats: Repeats, log: AccessLog) -> None:
        self._repeats = repeats
        self._log = log

    def response(
        self,
        method: bytes,
        target: bytes,
        headers: HeaderList,
        *,
        peer: tuple[str, int] | None,
        port: int | None,
    ) -> ReadyResponse | None:
        """
        Return the response to a request of HTTP/1.1 without a body, and record it; `None` when it has to go
        the usual way. `target` is that of its request line, `headers` have names in lower case.
        """
        started = time.perf_counter()
        found = dict(headers)
        if method not in METHODS or len(found) != len(headers) or not found.keys().isdisjoint(USUAL_WAY):
            return None
        if b"#" in target or not target.startswith(b"/"):
            return None
        if not HOST.fullmatch(found.get(b"host", INVALID_HOST)):
            return None
        if sum(map(len, found)) + sum(map(len, found.values())) > MAX_REQUEST_HEADER_BYTES:
            return None
        raw_path, _, query = target.partition(b"?")
        hit = self._repeats.repeated(port, raw_path, query, found.get(b"accept"))
        if hit is None:
            return None
        response, rendition = hit
        status, body = 200, rendition.body if method == b"GET" else b""
        if (tags := found.get(b"if-none-match")) is not None:
            if tags != b'"%b"' % rendition.etag.encode():
                return None
            status, body = 304, b""
        ready = response.ready.get((method, status))
        if ready is None:
            ready = response.ready[method, status] = self._ready(
                response, method, status, raw_path, len(body)
            )
        request_id = found.get(b"x-request-id")
        if request_id is None or not REQUEST_ID.fullmatch(request_id):
            request_id = self._log.new_request_id()
        client = self._log.addresses.client_of(peer[0] if peer else None, headers)
        seconds = time.perf_counter() - started
        self._log.metrics.answered(response.outcome.answer, status, seconds, response.outcome.code)
        ready.write_line(round(seconds * 1000, 2), request_id.decode(), client)
        head = b"%bx-request-id: %b\r\n\r\n" % (ready.headers, request_id)
        return ReadyResponse(STATUS_LINES[status], head, body)

    def _ready(
        self, response: HitResponse, method: bytes, status: int, raw_path: bytes, size: int
    ) -> ReadyHead:
        left_out = BODY_HEADERS if status == 304 else ()
        headers = [header for header in response.headers if header[0] not in left_out]
        lines = b"".join(b"%b: %b\r\n" % header for header in (*headers, *self._log.common_headers))
        fields = self._log.fields(method.decode(), raw_path, status, size, response.outcome)
        return ReadyHead(lines, self._log.lines.prepare(fields))
