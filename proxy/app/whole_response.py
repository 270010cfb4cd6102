"""
A whole response, written at once: in one piece, and without what uvicorn's `send` checks of each header.

What may be in a head is checked for all its lines together. Whatever is not plain is left to `send`.
"""

from __future__ import annotations

from asyncio import Transport
from collections.abc import Sequence
from functools import lru_cache

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from proxy.model.media import Body
from proxy.web.responses import HeaderList

MAX_JOINED_BYTES = 65_536
"""Of a body that is written together with its head: a copy costs less than another call."""

BODILESS = (204, 304)
"""Statuses of responses that end with their head (RFC 9110 section 6.4.1)."""

_FIELD_OCTETS = bytes([0x09, *range(0x20, 0x7F), *range(0x80, 0x100)])  # RFC 9110 section 5.5


class WholeResponse:
    """A `WriteResponse` for the request of `cycle`."""

    __slots__ = ("_cycle",)

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle = cycle

    def __call__(self, status: int, headers: HeaderList, body: Body) -> bool:
        cycle = self._cycle
        if cycle.disconnected or cycle.response_started or cycle.flow.write_paused or cycle.access_log:
            return False
        if not cycle.keep_alive or cycle.scope["method"] == "HEAD" or status not in STATUS_LINE:
            return False
        lines = b"\r\n".join([*map(b": ".join, headers), b""])
        if not is_plain(lines, len(headers)) or not is_framed(lines, status, len(body)):
            return False
        cycle.response_started = cycle.response_complete = True
        cycle.waiting_for_100_continue = False
        common = header_lines(tuple(cycle.default_headers))
        write_joined(cycle.transport, (STATUS_LINE[status], common, lines, b"\r\n"), body)
        cycle.message_event.set()
        cycle.on_response()
        return True


def is_plain(lines: bytes, count: int) -> bool:
    """Whether these are `count` lines and nothing else: no control character, and no line too many."""
    return lines.translate(None, _FIELD_OCTETS) == b"\r\n" * count


def is_framed(lines: bytes, status: int, size: int) -> bool:
    """Whether the connection goes on after a body of `size` bytes, and the head says so by its length."""
    fields = b"\r\n" + lines
    if b"\r\nconnection: " in fields or b"\r\ntransfer-encoding: " in fields:
        return False
    if status in BODILESS:
        return size == 0
    return fields.count(b"\r\ncontent-length: ") == 1 and b"\r\ncontent-length: %d\r\n" % size in fields


def write_joined(transport: Transport, head: Sequence[bytes], body: Body) -> None:
    """Write the parts of a head and a body: together, unless the body is large."""
    if len(body) <= MAX_JOINED_BYTES:
        transport.write(b"".join((*head, body)))
    else:
        transport.write(b"".join(head))
        transport.write(body)


@lru_cache(maxsize=2)
def header_lines(headers: tuple[tuple[bytes, bytes], ...]) -> bytes:
    """The server's own headers as they are sent; it makes them once a second."""
    return b"".join(b"%b: %b\r\n" % header for header in headers)
