"""What the author of a URL that cannot be served probably meant: the same, as this proxy would have it."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, quote

from proxy.model.errors import InvalidKey, InvalidRequest, OriginalNotFound, ProxyError, UnknownOption
from proxy.url.grammar import parse_options
from proxy.url.path import MAX_PATH_BYTES, SIGNATURE_SEGMENT

MAX_SEGMENTS = 8
"""Segments of options that are joined, and parameters of a query that are read."""

CORRECTABLE = (UnknownOption, InvalidKey, OriginalNotFound)
"""Errors of URLs whose parts may lie where this proxy does not look for them."""

NEXT_IMAGE = "_next/image"
"""Where Next.js has its image optimizer: `/_next/image?url=%2Fcats%2Ftom.jpg&w=640&q=75`."""


def corrected_path(path: str, query: str = "") -> str | None:
    """
    Return the path that was probably meant, or `None` when nothing comes to mind.

    `path` and `query` are as they were sent, percent-encoded; `path` is without mount and signature. Chained
    transformations become one segment, a query of options becomes a segment, and a bare key gets `_`.
    """
    if len(path) + len(query) > MAX_PATH_BYTES:
        return None
    signature = SIGNATURE_SEGMENT.match(path.encode("utf-8", "surrogateescape"))
    path = path[signature.end() :] if signature else path
    asked = path.removeprefix("/")
    if asked == NEXT_IMAGE:
        return _from_next_image(query)
    first, *rest = asked.split("/")
    if not _are_options(first) and re.search(r"[_:=,&]|^\d+x\d+$", first, re.ASCII):
        return None  # options with a mistake in them, which their own error names
    joined = [first] if _are_options(first) else []
    while joined and len(rest) > 1 and len(joined) < MAX_SEGMENTS and _are_options(rest[0]):
        joined.append(rest.pop(0))
    key = "/".join(rest) if joined else asked
    options = [each for each in joined if each != "_"] + _options_of_query(query)
    meant = f"/{','.join(options) or '_'}/{key}"
    return meant if key and meant != path and _are_options(meant.split("/")[1]) else None


def correction(error: ProxyError, path: str, query: str) -> str | None:
    """Return the corrected path for an error that such a path may mend, else `None`."""
    return corrected_path(path, query) if isinstance(error, CORRECTABLE) else None


def _from_next_image(query: str) -> str | None:
    given = dict(parse_qsl(query, max_num_fields=None)) if query.count("&") < MAX_SEGMENTS else {}
    key = given.get("url", "").lstrip("/")
    options = ",".join(f"{name}_{given[name]}" for name in ("w", "q") if name in given)
    return f"/{options or '_'}/{quote(key)}" if key and _are_options(options or "_") else None


def _options_of_query(query: str) -> list[str]:
    """Parameters that are options, such as `w=300`; others, and the signature, mean nothing here."""
    parameters = query.split("&")[:MAX_SEGMENTS] if query else []
    return [each for each in parameters if not each.startswith("s=") and "=" in each and _are_options(each)]


def _are_options(text: str) -> bool:
    try:
        parse_options(text)
    except InvalidRequest:
        return False
    return bool(text)
