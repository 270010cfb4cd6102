"""
The outermost layer: what every answer carries, one log line a request, and an answer even where we failed.
"""

from __future__ import annotations

import itertools
import re
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from proxy.grammar import SIGNED
from proxy.logs import escape
from proxy.metrics import Answer, Metrics
from proxy.web.problems import problem, respond

LONGEST_HEADERS = 32_768
"""Bytes of all headers of a request: browsers send two thousand."""

REQUEST_ID = re.compile(rb"[A-Za-z0-9._~-]{1,64}")
"""What may be said again in a header and in a log, of what somebody else wrote."""

FORWARDED: Mapping[str, Answer] = {"miss": "miss", "stale": "miss"}
"""Made because there was none, or only an old one; pages and preflights have other words for it."""


class AccessLog:
    """`allow_origin` is whose scripts may read what is answered: `*`, or one origin."""

    def __init__(self, app: ASGIApp, *, allow_origin: str = "*", metrics: Metrics | None = None) -> None:
        self._app = app
        self._metrics = metrics or Metrics()
        self._log = structlog.get_logger()
        self._readers = [
            (name, allow_origin.encode()) for name in (b"access-control-allow-origin", b"timing-allow-origin")
        ]
        self._new_id = request_ids()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        first: Message = {}
        sent = 0
        size, given = measured(scope["headers"])
        request_id = given or self._new_id()
        always = [*self._readers, (b"x-request-id", request_id)]

        async def watch(message: Message) -> None:
            nonlocal first, sent
            if message["type"] == "http.response.start":
                first = message = {**message, "headers": [*message["headers"], *always]}
            else:
                sent += len(message.get("body", b""))
            await send(message)

        try:
            if size > LONGEST_HEADERS:
                await respond(watch, problem(431, "headers_too_long", f"at most {LONGEST_HEADERS} bytes"))
            else:
                await self._app(scope, receive, watch)
        except Exception:
            self._log.exception(
                "request_failed", method=scope["method"], path=path_of(scope), request_id=request_id.decode()
            )
            if first:
                raise  # headers are out: the connection is aborted, never ended as if all was well
            await respond(watch, problem(500, "internal_error", "this is our fault, not yours"))
        seconds = time.perf_counter() - started
        status, cache = first.get("status"), from_cache(first.get("headers", ()))
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


def measured(headers: Iterable[tuple[bytes, bytes]]) -> tuple[int, bytes | None]:
    """
    Bytes of all headers, and the request id that somebody before us gave, so that their logs and ours can be
    laid side by side.
    """
    size, given = 0, None
    for name, value in headers:
        size += len(name) + len(value)
        if name == b"x-request-id" and given is None:
            given = value
    return size, given if given and REQUEST_ID.fullmatch(given) else None


def path_of(scope: Scope) -> str:
    """What was asked for, without the signature and without the query."""
    return escape(SIGNED.sub(b"", scope["raw_path"]).decode("utf-8", "backslashreplace"))


def from_cache(headers: Any) -> str:
    """Our own Cache-Status, without our name."""
    for name, value in headers:
        if name == b"cache-status":
            return str(value.decode("latin-1").partition("; ")[2])
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
