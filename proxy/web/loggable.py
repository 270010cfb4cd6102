"""
Paths as the log has them: without signatures, and without credentials of other servers.

This runs on what strangers send, before anything of it is checked: each step goes through a path once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from proxy.telemetry.logs import MASK, escape
from proxy.url.path import SIGNATURE_SEGMENT

_MASK = MASK.encode()
_SLASH = re.compile(rb"(/|%2f)", re.IGNORECASE)
_QUERY = re.compile(rb"%3f", re.IGNORECASE)
_AT = re.compile(rb"@|%40")
_SCHEMES = (b"http:", b"https:", b"http%3a", b"https%3a")
_ENCODED_UNRESERVED = re.compile(rb"%(2[de]|3[0-9]|4[1-9a-f]|5[0-9af]|6[1-9a-f]|7[0-9ae])", re.IGNORECASE)
"""RFC 3986 section 2.3: `%73--` is `s--`."""

_NAMED_SIGNATURE = re.compile(
    rb"(?:^|[,&;?]|%2c|%26|%3b|%3f)s(?:=|%3d)"
    rb"(?![0-9.]{1,7}(?:x[0-9.]{1,7})?(?:[,&]|%2c|%26|$))",  # a size: 300x200
    re.IGNORECASE,
)
_STANDARD_BASE64 = re.compile(rb"[A-Za-z0-9+=]*")
"""Between its slashes, of which it may have some; options have other characters."""


def loggable_path(raw_path: bytes) -> str:
    """
    Return a request's raw path as the log has it.

    It has no signature; whatever else is in the place of one, such as a signature with padding, is `***`. A
    key that is a URL loses its user and its query, which may be credentials of another server.
    """
    path = SIGNATURE_SEGMENT.sub(b"", raw_path)
    lowered = path.lower()
    if b"%" in path or b":/" in path or b"s=" in lowered or b"s--" in lowered:
        # Rarer, and slower than all the rest.
        path = mask_credentials(path)
    return escape(path.decode("utf-8", "backslashreplace"))


def mask_credentials(path: bytes) -> bytes:
    """Return `path` with `***` for malformed signatures, and for users and queries of URLs in it."""
    segments = _SLASH.split(_ENCODED_UNRESERVED.sub(lambda found: bytes.fromhex(found[1].decode()), path))
    slashes = [*segments[1::2], b""]
    masked = _mask_urls(_mask_signatures(segments[::2]))
    return b"".join(part for pair in zip(masked, slashes, strict=False) for part in pair)


def _mask_signatures(segments: list[bytes]) -> Iterator[bytes]:
    closing = max((at for at, segment in enumerate(segments) if segment.endswith(b"--")), default=-1)
    is_open = False  # after a signature that has slashes, as in standard base64: what follows is of it, too
    until = -1
    for at, segment in enumerate(segments):
        if at <= until or (is_open and segment and _STANDARD_BASE64.fullmatch(segment)):
            yield _MASK
        elif segment[:3].lower() == b"s--":
            until = closing
            yield segment[:3] + _MASK
        elif named := _NAMED_SIGNATURE.search(segment):
            is_open = True
            yield segment[: named.end()] + _MASK
        else:
            is_open = is_open and not segment
            yield segment


def _mask_urls(segments: Iterable[bytes]) -> Iterator[bytes]:
    """Of each URL the user in the segment after its scheme; the first query, and all that follows it."""
    in_url = at_authority = False
    for segment in segments:
        query = _QUERY.search(segment) if in_url else None
        if query is not None:
            segment = segment[: query.start()]
        if at_authority and segment:
            user_end = max((found.end() for found in _AT.finditer(segment)), default=0)
            segment = _MASK + b"@" + segment[user_end:] if user_end else segment
        if query is not None:
            yield segment + b"%3F" + _MASK
            return
        yield segment
        at_authority = segment.lower().endswith(_SCHEMES) or (at_authority and not segment)
        in_url = in_url or at_authority
