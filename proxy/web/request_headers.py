"""Headers of requests: their bounds, and what has to be known of them before anything else."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

MAX_REQUEST_HEADER_BYTES = 32_768
"""Of all headers of a request together: browsers send two thousand."""

REQUEST_ID = re.compile(rb"[A-Za-z0-9._~-]{1,64}")
"""A request id of a client that may safely be repeated in a header and in a log."""

HOST = re.compile(rb"(?:[A-Za-z0-9._~!$&'()*+,;=%-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]*)?")
"""A valid Host (RFC 9112 section 3.2). All else is a 400: a cache in front may read another host in it."""

INVALID_HOST = b"/"

CDN_LOOP_NAME = b"image-proxy"
"""Our name in CDN-Loop (RFC 8586): a request that has it has been here before."""


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


def is_loop(cdn_loop: bytes) -> bool:
    """Whether we are in CDN-Loop, a list of names with parameters (RFC 8586)."""
    return any(each.partition(b";")[0].strip().lower() == CDN_LOOP_NAME for each in cdn_loop.split(b","))


def combined(headers: Sequence[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Headers by name; several lines of one name are one list (RFC 9110 section 5.3)."""
    found = dict(headers)
    if len(found) == len(headers):
        return found
    lines: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        lines.setdefault(name, []).append(value)
    return {name: b", ".join(values) for name, values in lines.items()}
