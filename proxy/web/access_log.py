"""
The outermost layer: checks each request's own form, answers with a 500 where we failed, adds the headers that
every response carries, writes one log line a request, and counts it.
"""

from __future__ import annotations

import itertools
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

import structlog
from starlette.types import Message, Receive, Scope, Send

from proxy.fairness.client_address import ClientAddresses
from proxy.model.outcome import UNKNOWN, Outcome
from proxy.telemetry.logs import RequestLog, StructlogRequests
from proxy.telemetry.metrics import Metrics
from proxy.web.fast_lane import FastLane
from proxy.web.headers import cache_status_parameters
from proxy.web.loggable import loggable_path
from proxy.web.problems import problem
from proxy.web.request_headers import HOST, MAX_REQUEST_HEADER_BYTES, scan_headers
from proxy.web.responses import OUTCOME, HttpResponse, respond, send_response

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
    `addresses` tell the client that a line names. `fast_lane`, if there is one, is what the HTTP server asks
    first.
    """

    def __init__(
        self,
        app: Application,
        *,
        allow_origin: str = "*",
        metrics: Metrics | None = None,
        addresses: ClientAddresses | None = None,
        lines: RequestLog | None = None,
    ) -> None:
        self._app = app
        self.lines = lines or StructlogRequests()
        self.fast_lane: FastLane | None = None
        self.addresses = addresses or ClientAddresses()
        self.metrics = metrics or Metrics()
        self._log = structlog.get_logger().bind()
        self.common_headers = [
            (name, allow_origin.encode()) for name in (b"access-control-allow-origin", b"timing-allow-origin")
        ]
        self.new_request_id = request_ids()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        size, client_id, host = scan_headers(scope["headers"])
        request_id = client_id or self.new_request_id()
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
        headers = [*headers, *self.common_headers, (b"x-request-id", request_id)]
        await respond(scope, send, status, headers, body)
        self.record(scope, request_id, started, status, len(body), outcome)

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
        request_id = self.new_request_id()
        response = problem(status, code, detail, cacheable=False)
        headers = [*response.headers, *self.common_headers, (b"x-request-id", request_id)]
        scope = {"method": method, "raw_path": raw_path, "client": peer}
        started = time.perf_counter()
        self.record(scope, request_id, started, status, len(response.body), response.outcome)
        return response._replace(headers=headers)

    def connection_ended(self, reason: str) -> None:
        """Count a connection that the HTTP server ends, for one of its reasons, and log all but the usual."""
        self.metrics.connection_ended(reason)
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
        self.record(scope, request_id, started, status, sent, scope.get(OUTCOME, UNKNOWN))

    def _internal_error(self, scope: Scope, request_id: bytes) -> HttpResponse:
        self._log.exception(
            "request_failed",
            method=scope["method"],
            path=loggable_path(scope["raw_path"]),
            request_id=request_id.decode(),
        )
        return problem(500, "internal_error", "this is our fault, not yours")

    def record(
        self, scope: Scope, request_id: bytes, started: float, status: int | None, sent: int, outcome: Outcome
    ) -> None:
        """Count a request that was answered, and write its line. `started` is of `time.perf_counter`."""
        seconds = time.perf_counter() - started
        if status is not None:
            self.metrics.answered(outcome.answer, status, seconds, outcome.code)
        fields = self.fields(scope["method"], scope["raw_path"], status, sent, outcome)
        fields["ms"] = round(seconds * 1000, 2)
        fields["request_id"] = request_id.decode()
        fields["client"] = self.addresses.client_of_scope(scope)
        self.lines.write(fields)

    @staticmethod
    def fields(
        method: str, raw_path: bytes, status: int | None, sent: int, outcome: Outcome
    ) -> dict[str, object]:
        """Return the fields of the line of a request, but those that each request has of its own."""
        cache = cache_status_parameters(outcome)
        fields = {"method": method, "path": loggable_path(raw_path), "status": status, "bytes": sent}
        # In this order they are written.
        return fields | dict.fromkeys(("ms", "request_id", "client")) | ({"cache": cache} if cache else {})


def request_ids() -> Callable[[], bytes]:
    """
    Return a function that gives another request id (16 hexadecimal digits) at each call.

    A random prefix for the process and a number: fit for logs, not for secrets. Randomness for each request
    would cost a system call.
    """
    process, numbers = secrets.token_hex(5).encode(), itertools.count(1)
    return lambda: b"%b%06x" % (process, next(numbers) & 0xFFFFFF)
