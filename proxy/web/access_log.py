"""
The outermost layer: checks each request's own form, answers with a 500 where we failed, adds the headers that
every response carries, writes one log line a request, and counts it.
"""

from __future__ import annotations

import itertools
import re
import secrets
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol

import structlog
from starlette.types import Message, Receive, Scope, Send

from proxy.fairness.client_address import ClientAddresses
from proxy.model.outcome import UNKNOWN, Outcome
from proxy.telemetry.metrics import Metrics
from proxy.web.headers import cache_status_parameters
from proxy.web.loggable import loggable_path
from proxy.web.problems import problem
from proxy.web.responses import OUTCOME, HttpResponse, send_response

MAX_REQUEST_HEADER_BYTES = 32_768
"""Of all headers of a request together: browsers send two thousand."""

REQUEST_ID = re.compile(rb"[A-Za-z0-9._~-]{1,64}")
"""A request id of a client that may safely be repeated in a header and in a log."""

HOST = re.compile(rb"(?:[A-Za-z0-9._~!$&'()*+,;=%-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]*)?")
"""A valid Host (RFC 9112 section 3.2). All else is a 400: a cache in front may read another host in it."""

INVALID_HOST = b"/"


Responder = Callable[[Scope], Awaitable[HttpResponse]]
"""Makes the whole response to a request at once, from its ASGI scope."""


class Application(Protocol):
    """An ASGI application that has responders for some requests, and has to be called for all others."""

    def responder(self, scope: Scope) -> Responder | None:
        """The responder to this request; `None` when the application has to be called."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None: ...


class AccessLog:
    """
    An ASGI application around another one.

    `allow_origin` is whose scripts may read the responses of responders and their timing: `*`, or one origin.
    What the application answers when it is called, its pages, only scripts of pages of its own may read.
    `addresses` tell the client that a line names.
    """

    def __init__(
        self,
        app: Application,
        *,
        allow_origin: str = "*",
        metrics: Metrics | None = None,
        addresses: ClientAddresses | None = None,
    ) -> None:
        self._app = app
        self._addresses = addresses or ClientAddresses()
        self._metrics = metrics or Metrics()
        self._log = structlog.get_logger().bind()
        self._common_headers = [
            (name, allow_origin.encode()) for name in (b"access-control-allow-origin", b"timing-allow-origin")
        ]
        self._new_id = request_ids()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        size, client_id, host = scan_headers(scope["headers"])
        request_id = client_id or self._new_id()
        response: HttpResponse | None = None
        try:
            if size > MAX_REQUEST_HEADER_BYTES:
                response = problem(431, "headers_too_long", f"at most {MAX_REQUEST_HEADER_BYTES} bytes")
            elif not HOST.fullmatch(host) and scope["http_version"] != "1.0":
                response = problem(400, "invalid_host", "a request names one host", cacheable=False)
            elif (responder := self._app.responder(scope)) is not None:
                response = await responder(scope)
        except Exception:
            response = self._internal_error(scope, request_id)
        if response is None:
            await self._call_app(scope, receive, send, request_id, started)
            return
        status, headers, body, outcome = response
        headers = [*headers, *self._common_headers, (b"x-request-id", request_id)]
        await send_response(send, status, headers, body)
        self._record(scope, request_id, started, status, len(body), outcome)

    def refuse(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        method: str,
        raw_path: bytes,
        peer: tuple[str, int] | None = None,
    ) -> HttpResponse:
        """
        Make the response to a request that the HTTP server ends before it has come, and record it.

        `method` and `raw_path` are what had come of it, `peer` is the address and port that it came from.
        """
        request_id = self._new_id()
        response = problem(status, code, detail, cacheable=False)
        headers = [*response.headers, *self._common_headers, (b"x-request-id", request_id)]
        scope = {"method": method, "raw_path": raw_path, "client": peer}
        started = time.perf_counter()
        self._record(scope, request_id, started, status, len(response.body), response.outcome)
        return response._replace(headers=headers)

    def connection_ended(self, reason: str) -> None:
        """Count a connection that the HTTP server ends, for one of its reasons, and log all but the usual."""
        self._metrics.connection_ended(reason)
        if reason != "idle":
            self._log.info("connection_ended", reason=reason)

    async def _call_app(
        self, scope: Scope, receive: Receive, send: Send, request_id: bytes, started: float
    ) -> None:
        status: int | None = None
        sent = 0
        common = [(b"x-request-id", request_id)]

        async def watch(message: Message) -> None:
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message["headers"], *common]}
            else:
                sent += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, watch)
        except Exception:
            response = self._internal_error(scope, request_id)
            if status is not None:
                raise  # headers are out: the connection is aborted, never ended as if all was well
            scope[OUTCOME] = response.outcome
            await send_response(watch, response.status, response.headers, response.body)
        self._record(scope, request_id, started, status, sent, scope.get(OUTCOME, UNKNOWN))

    def _internal_error(self, scope: Scope, request_id: bytes) -> HttpResponse:
        self._log.exception(
            "request_failed",
            method=scope["method"],
            path=loggable_path(scope["raw_path"]),
            request_id=request_id.decode(),
        )
        return problem(500, "internal_error", "this is our fault, not yours")

    def _record(
        self, scope: Scope, request_id: bytes, started: float, status: int | None, sent: int, outcome: Outcome
    ) -> None:
        seconds = time.perf_counter() - started
        if status is not None:
            self._metrics.answered(outcome.answer, status, seconds, outcome.code)
        cache = cache_status_parameters(outcome)
        self._log.info(
            "request",
            method=scope["method"],
            path=loggable_path(scope["raw_path"]),
            status=status,
            bytes=sent,
            ms=round(seconds * 1000, 2),
            request_id=request_id.decode(),
            client=self._addresses.client_of_scope(scope),
            **({"cache": cache} if cache else {}),
        )


def request_ids() -> Callable[[], bytes]:
    """
    Return a function that gives another request id (16 hexadecimal digits) at each call.

    A random prefix for the process and a number: fit for logs, not for secrets. Randomness for each request
    would cost a system call.
    """
    process, numbers = secrets.token_hex(5).encode(), itertools.count(1)
    return lambda: b"%b%06x" % (process, next(numbers) & 0xFFFFFF)


def scan_headers(headers: Iterable[tuple[bytes, bytes]]) -> tuple[int, bytes | None, bytes]:
    """
    Return the bytes of all headers, the client's request id, and the Host, in one pass.

    The id is `None` where there is none that may be repeated. The Host is `INVALID_HOST` unless there is
    exactly one.
    """
    size, client_id, host = 0, None, None
    for name, value in headers:
        size += len(name) + len(value)
        if name == b"host":
            host = value if host is None else INVALID_HOST
        elif name == b"x-request-id" and client_id is None:
            client_id = value
    if client_id is not None and not REQUEST_ID.fullmatch(client_id):
        client_id = None
    return size, client_id, INVALID_HOST if host is None else host
