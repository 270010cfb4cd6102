"""What comes back from a renderer, which hostile bytes may own by then: read in turns, and checked."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from proxy.model.errors import ProxyError, errors_by_code
from proxy.renderers import protocol

CHUNK = 262_144
"""Bytes that move in one turn of the event loop: less than 0.1 ms, so that hits do not wait for originals."""


async def reply(connection: socket.socket, most: int) -> tuple[dict[str, Any], bytes]:
    """
    Its header and its body, of at most `most` bytes. Raises the task's ProxyError, EOFError when the renderer
    is gone, ValueError when it is not one.
    """
    header_bytes, body_bytes = protocol.LENGTHS.unpack(await receive(connection, protocol.LENGTHS.size))
    if header_bytes > protocol.MAX_HEADER or body_bytes > most:
        raise ValueError("larger than any reply")
    header = protocol.unpack(await receive(connection, header_bytes))
    if "error" in header:
        raise _as_error(header)
    if "crash" not in header and not isinstance(header.get("header"), dict):
        raise ValueError("neither an answer nor a failure")
    return header, await receive(connection, body_bytes)


async def receive(connection: socket.socket, size: int) -> bytes:
    """Exactly `size` bytes. Raises EOFError when the other side ends before."""
    loop = asyncio.get_running_loop()
    parts = []
    while size:
        try:
            part = await loop.sock_recv(connection, min(size, CHUNK))
        except ConnectionError:
            raise EOFError from None
        if not part:
            raise EOFError
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _as_error(header: dict[str, Any]) -> ProxyError:
    try:
        return errors_by_code()[header["error"]](str(header["message"]), **header["facts"])
    except (KeyError, TypeError) as error:
        raise ValueError("not an error that this package raises") from error
