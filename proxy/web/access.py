"""The outermost layer: one log line a request, and an answer even where we failed ourselves."""

from __future__ import annotations

import time
from typing import Any

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from proxy.grammar import SIGNED
from proxy.logs import escape
from proxy.web.problems import problem, respond


class AccessLog:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._log = structlog.get_logger()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        first: dict[str, Any] = {}
        sent = 0

        async def watch(message: Message) -> None:
            nonlocal sent
            if message["type"] == "http.response.start":
                first.update(message)
            else:
                sent += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, watch)
        except Exception:
            self._log.exception("request_failed", method=scope["method"], path=path_of(scope))
            if first:
                raise  # headers are out: the connection is aborted, never ended as if all was well
            await respond(watch, problem(500, "internal_error", "this is our fault, not yours"))
        self._log.info(
            "request",
            method=scope["method"],
            path=path_of(scope),
            status=first.get("status"),
            bytes=sent,
            ms=round((time.perf_counter() - started) * 1000, 2),
            **from_cache(first.get("headers", ())),
        )


def path_of(scope: Scope) -> str:
    """What was asked for, without the signature and without the query."""
    return escape(SIGNED.sub(b"", scope["raw_path"]).decode("utf-8", "backslashreplace"))


def from_cache(headers: Any) -> dict[str, str]:
    for name, value in headers:
        if name == b"cache-status":
            return {"cache": value.decode("latin-1").partition("; ")[2]}
    return {}
