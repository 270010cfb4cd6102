"""
The paths of URLs: `/w_300,h_200/cats/tom.jpg` to an `Address`.

    path      = [ "/s--" signature "--" / "/s=" signature ] "/" options "/" key [ "?s=" signature ]

A path is split first, and its parts are decoded afterwards, once.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from proxy.model.errors import InvalidKey, InvalidRequest, TooLong
from proxy.model.keys import check_key, clean_key

# No box is that long, so `s=` in this place is never a size.
SIGNATURE_SEGMENT = re.compile(rb"/s(?:--([^/]*)--|=([A-Za-z0-9_-]{22,43}))(?=/)")

MAX_PATH_BYTES = 8192
MAX_OPTIONS_BYTES = 2048

INFO_PREFIX = "/-/info"
"""The path below which URLs ask for facts about a picture."""


def strip_signature(path: str) -> str:
    """Return `path`, still encoded, without the signature that may stand at its beginning."""
    signature = SIGNATURE_SEGMENT.match(path.encode("utf-8", "surrogateescape"))
    return path[signature.end() :] if signature else path


def info_prefix_of(path: str) -> str:
    """Return `INFO_PREFIX` if a path without its mount is below it, signed or not, else nothing."""
    return INFO_PREFIX if strip_signature(path).startswith(f"{INFO_PREFIX}/") else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """
    The parts of a request's path.

    `options` is still percent-encoded, `key` is decoded. `signed` are the bytes that a signature covers: the
    raw path as it was sent, from the options on.
    """

    signature: str | None
    options: str
    key: str
    signed: bytes


def split_path(raw_path: bytes, query: bytes = b"", mount: str = "", below: str = "") -> Address:
    """
    Split the raw path of a request (`raw_path` of ASGI, still percent-encoded) into its parts.

    `mount` is the prefix under which the server is mounted, and is not signed. `below` is a prefix between
    the mount, or the signature, and the options, such as `INFO_PREFIX`; it is signed with them. Of the query
    only `s`, the signature, is read.

    Raises TooLong beyond `MAX_PATH_BYTES` or `MAX_OPTIONS_BYTES`, InvalidKey, and InvalidRequest for bytes
    that are not UTF-8.
    """
    if len(raw_path) > MAX_PATH_BYTES:
        raise TooLong(f"a path has at most {MAX_PATH_BYTES} bytes, not {len(raw_path)}")
    path = raw_path.removeprefix(mount.encode())
    signature = None
    if in_path := SIGNATURE_SEGMENT.match(path):
        signature, path = (in_path[1] or in_path[2] or b"").decode("latin-1"), path[in_path.end() :]
    elif in_query := signature_parameter(query):
        signature = in_query.removeprefix(b"s=").decode("latin-1")
    options, _, key = path.removeprefix(below.encode())[1:].partition(b"/")
    if len(options) > MAX_OPTIONS_BYTES:
        raise TooLong(f"the options have at most {MAX_OPTIONS_BYTES} bytes, not {len(options)}")
    return Address(
        signature=signature, options=decode_utf8(options), key=read_key(decode_utf8(key)), signed=path
    )


def signature_parameter(query: bytes) -> bytes:
    """Return the first `s=SIGNATURE` of a query, which is all that is read of it; empty if there is none."""
    if query.startswith(b"s="):
        return query.partition(b"&")[0]
    _, found, rest = query.partition(b"&s=")
    return b"s=" + rest.partition(b"&")[0] if found else b""


def decode_utf8(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise InvalidRequest("the URL has bytes that are not UTF-8") from None


def percent_decode(text: str) -> str:
    """
    Decode percent-encoded UTF-8, once (RFC 3986 section 2.1). A `+` and a `%` without two hex digits stay.

    Raises InvalidRequest for bytes that are not UTF-8.
    """
    return decode_utf8(unquote_to_bytes(text)) if "%" in text else text


def read_key(raw: str) -> str:
    """
    Decode and check the key of a path. A key that is a URL gets back the slash that proxies merge.

    Raises InvalidKey.
    """
    if not raw:
        raise InvalidKey("no key: a URL is /{options}/{key}, such as /w_300,h_200/cats/tom.jpg")
    key = percent_decode(raw)
    check_key(raw)
    return clean_key(key)
