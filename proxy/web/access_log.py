"""
The outermost layer: what every answer carries, one log line a request, and an answer even where we failed.
"""

from __future__ import annotations

import itertools
import re
import secrets
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Protocol

import structlog
from starlette.types import Message, Receive, Scope, Send

from proxy.telemetry.logs import escape
from proxy.telemetry.metrics import Answer, Metrics
from proxy.url.grammar import SIGNATURE_SEGMENT
from proxy.web.problems import Answered, problem, respond

LONGEST_HEADERS = 32_768
"""Bytes of all headers of a request: browsers send two thousand."""

REQUEST_ID = re.compile(rb"[A-Za-z0-9._~-]{1,64}")
"""What may be said again in a header and in a log, of what somebody else wrote."""

USER = re.compile(rb"(https?(?::|%3a)(?:/|%2f)+)(?:(?!/|%2f|%3f).)*(?:@|%40)", re.IGNORECASE)
QUERY = re.compile(rb"(https?(?::|%3a)(?:/|%2f)+.*?)%3f.*", re.IGNORECASE | re.DOTALL)

HOST = re.compile(rb"(?:[A-Za-z0-9._~!$&'()*+,;=%-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]*)?")
"""RFC 9112 section 3.2: what is none, and two of them, are a 400. A cache in front may have read another."""

NO_HOST = b"/"

FORWARDED: Mapping[str, Answer] = {"miss": "miss", "stale": "miss"}
"""Made because there was none, or only an old one; pages and preflights have other words for it."""


Answerer = Callable[[Scope], Awaitable[Answered]]


class Application(Protocol):
    """An ASGI application that gives what it can of its answers away whole, before anything is sent."""

    def answerer(self, scope: Scope) -> Answerer | None:
        """Who answers this request at once; `None` when the application has to be called."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None: ...


class AccessLog:
    """`allow_origin` is whose scripts may read what is answered: `*`, or one origin."""

    def __init__(self, app: Application, *, allow_origin: str = "*", metrics: Metrics | None = None) -> None:
        self._app = app
        self._metrics = metrics or Metrics()
        self._log = structlog.get_logger().bind()
        self._readers = [
            (name, allow_origin.encode()) for name in (b"access-control-allow-origin", b"timing-allow-origin")
        ]
        self._new_id = request_ids()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        size, given, host = measured(scope["headers"])
        request_id = given or self._new_id()
        try:
            if size > LONGEST_HEADERS:
                answered = problem(431, "headers_too_long", f"at most {LONGEST_HEADERS} bytes")
            elif not HOST.fullmatch(host) and scope["http_version"] != "1.0":
                answered = problem(400, "invalid_host", "a request names one host", keep=False)
            elif (answerer := self._app.answerer(scope)) is not None:
                answered = await answerer(scope)
            else:
                await self._watch(scope, receive, send, request_id, started)
                return
        except Exception:
            answered = self._failed(scope, request_id)
        status, headers, body = answered
        await respond(send, (status, [*headers, *self._readers, (b"x-request-id", request_id)], body))
        self._tell(scope, request_id, started, status, headers, len(body))

    async def _watch(
        self, scope: Scope, receive: Receive, send: Send, request_id: bytes, started: float
    ) -> None:
        first: Message = {}
        sent = 0
        always = [*self._readers, (b"x-request-id", request_id)]

        async def watch(message: Message) -> None:
            nonlocal first, sent
            if message["type"] == "http.response.start":
                first = message = {**message, "headers": [*message["headers"], *always]}
            else:
                sent += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, watch)
        except Exception:
            answered = self._failed(scope, request_id)
            if first:
                raise  # headers are out: the connection is aborted, never ended as if all was well
            await respond(watch, answered)
        self._tell(scope, request_id, started, first.get("status"), first.get("headers", ()), sent)

    def _failed(self, scope: Scope, request_id: bytes) -> Answered:
        self._log.exception(
            "request_failed", method=scope["method"], path=path_of(scope), request_id=request_id.decode()
        )
        return problem(500, "internal_error", "this is our fault, not yours")

    def _tell(
        self,
        scope: Scope,
        request_id: bytes,
        started: float,
        status: int | None,
        headers: Iterable[tuple[bytes, bytes]],
        sent: int,
    ) -> None:
        seconds = time.perf_counter() - started
        cache = from_cache(headers)
        if status is not None:
            answer, code = answered(cache)
            self._metrics.answered(answer, status, seconds, code)
        self._log.info(
            "request",
            method=scope["method"],
            path=path_of(scope),
            status=status,
            bytes=sent,
            ms=round(seconds * 1000, 2),
            request_id=request_id.decode(),
            **({"cache": cache} if cache else {}),
        )


def request_ids() -> Callable[[], bytes]:
    """
    For logs and not for secrets: what the process is called, by chance, and a number. Randomness for each
    request costs a call of the kernel.
    """
    process, numbers = secrets.token_hex(5).encode(), itertools.count(1)
    return lambda: b"%b%06x" % (process, next(numbers) & 0xFFFFFF)


def measured(headers: Iterable[tuple[bytes, bytes]]) -> tuple[int, bytes | None, bytes]:
    """
    Bytes of all headers; the request id that somebody before us gave, so that their logs and ours can be
    laid side by side; and the Host, which is none that could be when there is not exactly one.
    """
    size, given, host = 0, None, None
    for name, value in headers:
        size += len(name) + len(value)
        if name == b"host":
            host = value if host is None else NO_HOST
        elif name == b"x-request-id" and given is None:
            given = value
    return size, given if given and REQUEST_ID.fullmatch(given) else None, NO_HOST if host is None else host


def path_of(scope: Scope) -> str:
    """
    What was asked for, without the signature and without the query; of a key that is a whole URL without its
    user and its query, which may be credentials of the other server.
    """
    path = SIGNATURE_SEGMENT.sub(b"", scope["raw_path"])
    if b":/" in path or b":%2" in path or b"%3" in path:
        # Rarely, and this takes longer than all the rest.
        path = QUERY.sub(rb"\1%3F***", USER.sub(rb"\1***@", path))
    return escape(path.decode("utf-8", "backslashreplace"))


def from_cache(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """Our own Cache-Status, without our name."""
    for name, value in headers:
        if name == b"cache-status":
            return value.decode("latin-1").partition("; ")[2]
    return ""


def answered(cache: str) -> tuple[Answer, str | None]:
    """What `headers.cache_status` and `problems.problem` say in it, and the code of the error there was."""
    if cache == "hit":
        return "hit", None
    words = dict(word.partition("=")[::2] for word in cache.split("; "))
    code = words.get("detail")
    if "fwd-status" in words:
        return "stale", code
    if code is not None:
        return "error", code
    if "hit" in words:
        return "stale", None
    return FORWARDED.get(words.get("fwd", ""), "other"), None
