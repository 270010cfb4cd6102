"""Whatever the application does, a request is answered once and logged."""

from __future__ import annotations

from typing import Any

import pytest
import structlog
from starlette.types import Message, Receive, Scope, Send

from proxy.web.access_log import AccessLog, Responder

SCOPE = {
    "type": "http",
    "http_version": "1.1",
    "method": "GET",
    "raw_path": b"/healthz",
    "headers": [(b"host", b"proxy.test")],
}


class Pages:
    """An application that sends `messages` and fails then."""

    def __init__(self, *messages: Message) -> None:
        self._messages = messages

    def responder(self, scope: Scope) -> Responder | None:
        return None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        for message in self._messages:
            await send(message)
        raise ZeroDivisionError


async def nothing() -> Message:
    return {"type": "http.request", "body": b""}


async def test_what_fails_before_it_answers_is_a_500() -> None:
    sent: list[Any] = []

    async def send(message: Message) -> None:
        sent.append(message)

    with structlog.testing.capture_logs() as lines:
        await AccessLog(Pages())(dict(SCOPE), nothing, send)
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert sent[0]["status"] == 500
    assert [line["event"] for line in lines] == ["request_failed", "request"]
    assert (lines[1]["status"], lines[1]["cache"]) == (500, "detail=internal_error")


async def test_what_fails_after_its_headers_are_out_is_aborted_and_not_answered_twice() -> None:
    sent: list[Any] = []

    async def send(message: Message) -> None:
        sent.append(message)

    start: Message = {"type": "http.response.start", "status": 200, "headers": []}
    with structlog.testing.capture_logs() as lines, pytest.raises(ZeroDivisionError):
        await AccessLog(Pages(start))(dict(SCOPE), nothing, send)
    assert [message["type"] for message in sent] == ["http.response.start"]
    assert [line["event"] for line in lines] == ["request_failed"]
