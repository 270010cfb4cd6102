"""What the author of a URL that cannot be served probably meant: the same, as this proxy would have it."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, quote

from proxy.model.errors import InvalidKey, InvalidRequest, OriginalNotFound, ProxyError, UnknownOption
from proxy.options.spec import OPTIONS_BY_NAME
from proxy.options.suggestions import suggest_option
from proxy.url.grammar import parse_options
from proxy.url.path import MAX_PATH_BYTES, read_key, strip_signature

MAX_SEGMENTS = 8
"""Segments of options that are joined, and parameters of a query that are read."""

CORRECTABLE = (UnknownOption, InvalidKey, OriginalNotFound)
"""Errors of URLs whose parts may lie where this proxy does not look for them."""

NEXT_IMAGE = ("_next/image", "_vercel/image")
"""
Where Next.js and Vercel have their image optimizers: `/_next/image?url=%2Fcats%2Ftom.jpg&w=640&q=75`.
"""

_VERSION = re.compile(r"v[0-9]+")
"""What Cloudinary's libraries put between transformations and keys."""


def corrected_path(path: str, query: str = "", below: str = "") -> str | None:
    """
    Return the path that was probably meant, or `None` when nothing comes to mind.

    `path` and `query` are as they were sent, percent-encoded; `path` is without its mount, and its signature
    counts for nothing. `below` is what stands before the options, as for `split_path`. Chained
    transformations become one segment, a query of options becomes a segment, and a bare key gets `_`.
    """
    if len(path) + len(query) > MAX_PATH_BYTES:
        return None
    meant = _rewritten(strip_signature(path).removeprefix(below), query)
    return None if meant is None else below + meant


def _rewritten(path: str, query: str) -> str | None:
    asked = path.removeprefix("/")
    if asked in NEXT_IMAGE:
        return _from_next_image(query)
    first, *rest = asked.split("/")
    if not _are_options(first) and _is_mistaken_option(first):
        return None  # its own error names the mistake
    joined = [first] if _are_options(first) else []
    while joined and len(rest) > 1 and len(joined) < MAX_SEGMENTS and _are_options(rest[0]):
        joined.append(rest.pop(0))
    if joined and len(rest) > 1 and _VERSION.fullmatch(rest[0]):
        del rest[0]
    key = "/".join(rest) if joined else asked
    options = [each for each in joined if each != "_"] + _options_of_query(query)
    meant = f"/{','.join(options) or '_'}/{key}"
    return meant if meant != path and _is_key(key) and _are_options(meant.split("/")[1]) else None


def correction(error: ProxyError, path: str, query: str, below: str) -> str | None:
    """Return the corrected path for an error that such a path may mend, else `None`."""
    return corrected_path(path, query, below) if isinstance(error, CORRECTABLE) else None


def _from_next_image(query: str) -> str | None:
    given = dict(parse_qsl(query, max_num_fields=None)) if query.count("&") < MAX_SEGMENTS else {}
    key = given.get("url", "").lstrip("/")
    options = ",".join(f"{name}_{given[name]}" for name in ("w", "q") if name in given)
    return f"/{options or '_'}/{quote(key)}" if _is_key(key) and _are_options(options or "_") else None


def _options_of_query(query: str) -> list[str]:
    """Parameters that are options, such as `w=300`; others, and the signature, mean nothing here."""
    parameters = query.split("&")[:MAX_SEGMENTS] if query else []
    return [each for each in parameters if not each.startswith("s=") and "=" in each and _are_options(each)]


def _is_mistaken_option(text: str) -> bool:
    """Whether `text` was rather meant as options than as the beginning of a key."""
    return bool(re.search(r"[_:=,&]", text)) or bool(suggest_option(text, text, OPTIONS_BY_NAME))


def _is_key(text: str) -> bool:
    try:
        read_key(text)
    except InvalidRequest:
        return False
    return True


def _are_options(text: str) -> bool:
    try:
        parse_options(text)
    except InvalidRequest:
        return False
    return bool(text)
