"""A response written at once is to the byte what uvicorn makes of it; what is not plain is left to it."""

from __future__ import annotations

import asyncio
import gc
import logging
import weakref
from typing import Any

import pytest
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from proxy.app.whole_response import MAX_JOINED_BYTES, WholeResponse
from proxy.model.media import Body
from proxy.web.responses import WRITE_RESPONSE, HeaderList, respond, send_response

ETAG = (b"etag", b'"a"')


class Written(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.closed = False

    def write(self, data: Any) -> None:
        if data:
            self.writes.append(bytes(data))

    def close(self) -> None:
        self.closed = True


def cycle_of(method: str = "GET", **state: Any) -> RequestResponseCycle:
    transport = Written()
    cycle = RequestResponseCycle(
        scope={"method": method},  # type: ignore[typeddict-item]
        transport=transport,
        flow=FlowControl(transport),
        logger=logging.getLogger(),
        access_logger=logging.getLogger(),
        access_log=False,
        default_headers=[(b"date", b"Tue, 01 Dec 2026 05:00:00 GMT"), (b"server", b"image-proxy")],
        message_event=asyncio.Event(),
        expect_100_continue=True,
        keep_alive=True,
        on_response=lambda: None,
    )
    for name, value in state.items():
        setattr(cycle, name, value)
    return cycle


def sized(size: int, *more: tuple[bytes, bytes]) -> HeaderList:
    return [(b"content-type", b"image/webp"), (b"content-length", b"%d" % size), *more]


def state_of(cycle: RequestResponseCycle) -> tuple[object, ...]:
    return (
        cycle.response_started,
        cycle.response_complete,
        cycle.message_event.is_set(),
        cycle.waiting_for_100_continue,
        cycle.keep_alive,
    )


@pytest.mark.parametrize(
    "status, headers, body",
    [
        (200, sized(3, ETAG), b"abc"),
        (200, sized(3), memoryview(b"abc")),
        (200, sized(0), b""),
        (206, sized(2, (b"content-range", b"bytes 0-1/3")), memoryview(b"abc")[:2]),
        (200, sized(MAX_JOINED_BYTES + 1), bytes(MAX_JOINED_BYTES + 1)),
        (404, sized(3, (b"x", b"\xe9\tand a tab")), b"abc"),
        (304, [ETAG], b""),
        (204, [ETAG], b""),
        (503, sized(3), b"abc"),
    ],
)
async def test_it_writes_what_uvicorn_sends(status: int, headers: HeaderList, body: Body) -> None:
    ours, theirs = cycle_of(), cycle_of()
    completed: list[bool] = []
    ours.on_response = lambda: completed.append(True)
    assert WholeResponse(ours)(status, headers, body)
    await send_response(theirs.send, status, headers, body)  # type: ignore[arg-type]
    assert b"".join(ours.transport.writes) == b"".join(theirs.transport.writes)  # type: ignore[attr-defined]
    assert state_of(ours) == state_of(theirs)
    assert completed == [True]
    assert len(ours.transport.writes) == (2 if len(body) > MAX_JOINED_BYTES else 1)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "state",
    [
        {"method": "HEAD"},
        {"keep_alive": False},
        {"disconnected": True},
        {"response_started": True},
        {"access_log": True},
    ],
    ids=str,
)
async def test_what_is_not_plain_is_left_to_uvicorn(state: dict[str, Any]) -> None:
    cycle = cycle_of(**state)
    assert not WholeResponse(cycle)(200, sized(3), b"abc")
    assert cycle.transport.writes == []  # type: ignore[attr-defined]
    assert not cycle.response_complete


async def test_a_client_that_does_not_read_is_left_to_uvicorn() -> None:
    cycle = cycle_of()
    cycle.flow.pause_writing()
    assert not WholeResponse(cycle)(200, sized(3), b"abc")


@pytest.mark.parametrize(
    "status, headers, body",
    [
        (200, [(b"content-type", b"image/webp")], b"abc"),  # chunked
        (200, sized(4), b"abc"),
        (200, sized(30), b"abc"),
        (200, sized(2), b"abc"),
        (200, [*sized(3), *sized(3)], b"abc"),
        (200, [(b"x-content-length", b"3")], b"abc"),
        (200, sized(3, (b"connection", b"close")), b"abc"),
        (200, sized(3, (b"transfer-encoding", b"chunked")), b"abc"),
        (200, sized(3, (b"x", b"a\r\nset-cookie: b")), b"abc"),
        (200, sized(3, (b"x", b"a\n")), b"abc"),
        (200, sized(3, (b"x\r\n", b"a")), b"abc"),
        (200, sized(3, (b"x", b"\x00")), b"abc"),
        (200, sized(3, (b"x", b"\x7f")), b"abc"),
        (200, [(b"x", b"content-length: 3")], b"abc"),
        (304, [ETAG], b"abc"),
        (999, sized(3), b"abc"),
        (200, [(b"connection", b"close"), *sized(3)], b"abc"),
        (200, [], b""),
    ],
)
async def test_heads_that_need_a_closer_look_are_left_to_uvicorn(
    status: int, headers: HeaderList, body: bytes
) -> None:
    cycle = cycle_of()
    assert not WholeResponse(cycle)(status, headers, body)
    assert cycle.transport.writes == []  # type: ignore[attr-defined]


async def test_a_request_that_was_answered_needs_no_collector_of_garbage() -> None:
    cycle = cycle_of()
    cycle.scope[WRITE_RESPONSE] = WholeResponse(cycle)  # type: ignore[literal-required]
    await respond(cycle.scope, cycle.send, 200, sized(3), b"abc")  # type: ignore[arg-type]
    reference = weakref.ref(cycle)
    gc.disable()
    try:
        del cycle
        assert reference() is None
    finally:
        gc.enable()
