"""
The HTTP server's protocol with bounds: what a client may send, how slowly, and how much may wait for it.

uvicorn's own has none: heads, trailers and lines without end are collected, connections that say nothing stay
open, and a client that stops reading holds on to its answer. It has no hooks for bounds, so its protocol is
subclassed; tests/app/test_http_protocol.py names what is taken of it, and fails where a version moves that.
Bytes are counted as they arrive, and time by one sweep a second over all connections (`app.sweep`).
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from proxy.app.asgi import Deployment
from proxy.app.refused_requests import (
    LONG_HEAD,
    LONG_TRAILERS,
    LONG_URL,
    MANY_PIPELINED,
    MAX_FIELDS,
    MAX_HEAD_BYTES,
    MAX_PIPELINED,
    MAX_TRAILER_BYTES,
    MAX_URL_BYTES,
    TIMED_OUT,
    RefusedRequest,
    invalid_request,
)
from proxy.app.sweep import Phase, Sweep, sweep_of
from proxy.app.whole_response import WholeResponse, header_lines, write_joined
from proxy.web.access_log import AccessLog
from proxy.web.admin_access import REQUEST_TARGET
from proxy.web.fast_lane import MAX_REPEATS_AT_ONCE, FastLane
from proxy.web.responses import ON_DISCONNECT, WRITE_RESPONSE


class BoundedProtocol(HttpToolsProtocol):
    """One connection. Its limits are its `Deployment`'s, and the `AccessLog` is told how it ended."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.phase = Phase.HEAD
        self.phase_began = 0.0
        self.window_began = 0.0
        self.waiting = 0
        self.taken = 0
        self.body_bytes = 0
        self._head_bytes = 0
        self._trailers = self._trailer_bytes = 0
        self._silent_bytes = 0
        self._body_parts = 0
        self._has_url = self._has_data = False
        self._running: RequestResponseCycle | None = None
        self._lane: FastLane | None = None
        self._was_repeated = False
        self._repeats_at_once = 0

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.url = b""
        self.sweep = sweep_of(self.server_state, self._make_sweep)
        self.sweep.start()
        self._lane = self._log.fast_lane
        self.phase_began = self.sweep.now
        connection = transport.get_extra_info("socket")
        if connection.family != socket.AF_UNIX and hasattr(socket, "TCP_USER_TIMEOUT"):
            # For what is in the kernel's buffers, which the sweep does not see: twice as long, to be second.
            milliseconds = int(2000 * self.sweep.limits.slow_timeout)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)

    def connection_lost(self, exc: Exception | None) -> None:
        # uvicorn tells the last request alone, and those before it would write to what is closed.
        for cycle in (self._running, *(cycle for cycle, _ in self.pipeline)):
            if cycle is not None:
                cycle.disconnected = True
        self.pipeline.clear()
        if self._running is not None and not self._running.response_complete:
            leave: Callable[[], None] | None = self._running.scope.get(ON_DISCONNECT)  # type: ignore[assignment]
            if leave is not None:
                leave()
        super().connection_lost(exc)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        cycle.scope[WRITE_RESPONSE] = WholeResponse(cycle)  # type: ignore[literal-required]
        super()._start_asgi_task(cycle, app)

    def _make_sweep(self) -> Sweep:
        deployment: Deployment = self.config.app  # type: ignore[assignment]  # as run_web_processes gives it
        return Sweep(self.loop, self.connections, deployment.connection_limits, self._log.connection_ended)

    @property
    def _log(self) -> AccessLog:
        app: AccessLog = self.config.loaded_app
        return app

    @property
    def is_answering(self) -> bool:
        """Whether the application is at a request."""
        return self.cycle is not None and not self.cycle.response_complete

    @property
    def is_read_paused(self) -> bool:
        """Whether it is the application that does not take a body."""
        return self.flow.read_paused

    def data_received(self, data: bytes) -> None:
        phase, parts = self.phase, self._body_parts
        if phase is Phase.CLOSING:
            return
        self._has_data = True
        self._repeats_at_once = 0
        if phase is Phase.IDLE:
            self._enter(Phase.HEAD)
            self._head_bytes = 0
            self._has_url = False
            self.url = b""
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserCallbackError as error:
            refused = error.__context__
            self._refuse(
                refused if isinstance(refused, RefusedRequest) else invalid_request("this is no URL")
            )
        except httptools.HttpParserUpgrade:
            # Answered as if it had not asked; what follows would be of another protocol.
            self._close_after_answer()
        except httptools.HttpParserInvalidMethodError:
            self._refuse(invalid_request("this is no method of HTTP"))
        except httptools.HttpParserError:
            self._refuse(invalid_request("this is no request of HTTP/1.1"))
        else:
            self._count(data, parts)

    def _count(self, data: bytes, parts: int) -> None:
        """Count what no callback tells: fields, lines and extensions of chunks that do not end."""
        if self.phase is Phase.HEAD:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._refuse(LONG_HEAD)
        elif self.phase is Phase.BODY:
            self._silent_bytes = self._silent_bytes + len(data) if parts == self._body_parts else 0
            if self._silent_bytes > MAX_TRAILER_BYTES:
                self._refuse(LONG_TRAILERS)

    def on_message_begin(self) -> None:
        # uvicorn's own, which makes the scope, is called when it is needed.
        self.url = b""
        self.headers = []
        self._enter(Phase.HEAD)
        self._head_bytes = 0
        self._has_url = False

    def on_url(self, url: bytes) -> None:
        self._has_url = True
        if len(self.url) + len(url) > MAX_URL_BYTES:
            self.url += url[: MAX_URL_BYTES - len(self.url)]
            raise LONG_URL
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.phase is Phase.BODY:
            # uvicorn adds trailers to the headers of the request, which is being answered already.
            self._trailers += 1
            self._trailer_bytes += len(name) + len(value)
            if self._trailer_bytes > MAX_TRAILER_BYTES or self._trailers > MAX_FIELDS:
                raise LONG_TRAILERS
            return
        if len(self.headers) >= MAX_FIELDS:
            raise LONG_HEAD
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        if len(self.pipeline) >= MAX_PIPELINED:
            raise MANY_PIPELINED
        self._was_repeated = self._lane is not None and self._repeat(self._lane)
        if not self._was_repeated:
            self._begin_usual_way()
        self._enter(Phase.BODY)
        self.body_bytes = self._trailers = self._trailer_bytes = self._silent_bytes = 0

    def _repeat(self, lane: FastLane) -> bool:
        """Whether the request was answered, as a repeat of a hit; it has no body then."""
        if self.is_answering or self.flow.write_paused or self._repeats_at_once >= MAX_REPEATS_AT_ONCE:
            return False
        if self.parser.get_http_version() != "1.1":
            return False
        if not self.parser.should_keep_alive():
            return False
        port = self.server[1] if self.server else None
        ready = lane.response(self.parser.get_method(), self.url, self.headers, peer=self.client, port=port)
        if ready is None:
            return False
        common = header_lines(tuple(self.server_state.default_headers))
        write_joined(self.transport, (ready.status_line, common, ready.headers), ready.body)
        self.server_state.total_requests += 1
        self.window_began = 0.0
        return True

    def _begin_usual_way(self) -> None:
        url, headers = self.url, self.headers
        super().on_message_begin()
        self.url = url
        for name, value in headers:
            super().on_header(name, value)
        super().on_headers_complete()
        if not url.startswith(b"/"):
            self.scope[REQUEST_TARGET] = url  # type: ignore[literal-required]

    def on_body(self, body: bytes) -> None:
        self.body_bytes += len(body)
        self._body_parts += 1
        super().on_body(body)

    def on_message_complete(self) -> None:
        if not self._was_repeated:  # else uvicorn knows nothing of it
            super().on_message_complete()
        self._enter(Phase.ANSWER if self.is_answering else Phase.IDLE)

    def on_response_complete(self) -> None:
        # As uvicorn does it, without a timer for each request.
        self.server_state.total_requests += 1
        self.window_began = 0.0  # answers wait for each other to be taken: this client reads
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif self.phase is Phase.ANSWER:
            self._enter(Phase.IDLE)

    def time_out(self) -> None:
        """Refuse a request that began and does not come; close where there was not a byte of one."""
        if self._has_data and self.phase is not Phase.IDLE:
            self._refuse(TIMED_OUT)
        else:
            self.transport.close()

    def _enter(self, phase: Phase) -> None:
        if self.phase is not Phase.CLOSING:
            self.phase = phase
            self.phase_began = self.sweep.now

    def _refuse(self, refused: RefusedRequest) -> None:
        """Answer the request that arrives with a problem, and end the connection."""
        method = self.parser.get_method().decode("ascii") if self._has_url else "-"
        response = self._log.refuse(
            refused.status,
            refused.code,
            refused.detail,
            method=method,
            raw_path=self.url.partition(b"?")[0],
            peer=self.client,
        )
        if self.phase is Phase.BODY and (self.pipeline or self.cycle.response_started):
            # Its answer may be on its way, or there: another one would be taken for that.
            self._enter(Phase.CLOSING)
            self.transport.abort()
        elif self.phase is not Phase.BODY and self.is_answering:
            self._close_after_answer()
        else:
            if self.is_answering:  # the application is at this request, and has said nothing yet
                self.cycle.disconnected = True
                self.cycle.message_event.set()
            self._enter(Phase.CLOSING)
            headers = [*self.server_state.default_headers, *response.headers, (b"connection", b"close")]
            lines = [b"%b: %b\r\n" % header for header in headers]
            start = f"HTTP/1.1 {response.status} {HTTPStatus(response.status).phrase}\r\n".encode()
            body = b"" if method == "HEAD" else response.body
            self.transport.write(b"".join([start, *lines, b"\r\n", body]))
            self.transport.write_eof()

    def _close_after_answer(self) -> None:
        """Read no more; the requests that are here already are answered."""
        self._enter(Phase.CLOSING)
        if self.is_answering:
            self.cycle.keep_alive = False
        else:
            self.transport.close()
