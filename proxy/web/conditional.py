"""What a client already has: conditional and range requests (RFC 9110 sections 13 and 14)."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from proxy.model.media import Rendition

_SKEW = 60.0  # s by which a client's clock may be ahead; a later date is none that we gave it

ETAG = re.compile(r'[\s,]*(?:W/)?"([\x21\x23-\x7e\x80-\xff]*)"\s*(?:,|$)')


def not_modified(headers: Mapping[bytes, bytes], rendition: Rendition) -> bool:
    """If-None-Match decides alone where it is sent (RFC 9110 section 13.2.2); it compares weakly."""
    if (tags := headers.get(b"if-none-match")) is not None:
        return _matches(tags.decode("latin-1"), rendition.etag)
    since = _seconds(headers.get(b"if-modified-since"))
    if since is None or rendition.last_modified is None or since > time.time() + _SKEW:
        return False
    return int(rendition.last_modified) <= since


def _matches(tags: str, etag: str) -> bool:
    if tags.strip() == "*":
        return True
    position = 0
    while found := ETAG.match(tags, position):
        if found[1] == etag:
            return True
        position = found.end()
    return False


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes from `start` up to, not including, `stop`."""

    start: int
    stop: int


class Unsatisfiable(Exception):
    """416: the range begins after the end."""


def requested_range(headers: Mapping[bytes, bytes], rendition: Rendition) -> Span | None:
    """
    The one range that is asked for; `None` for none, for several and for what cannot be read: the whole
    body is the answer then. Raises Unsatisfiable.
    """
    asked = re.fullmatch(rb"(?i:bytes)=\s*(\d{0,18})-(\d{0,18})\s*", headers.get(b"range", b""))
    if not asked or asked[0].strip().endswith(b"=-"):
        return None
    if (validator := headers.get(b"if-range")) is not None and not _unchanged(validator, rendition):
        return None
    length = len(rendition.body)
    first, last = asked[1], asked[2]
    if not first:
        start, stop = max(0, length - int(last)), length
    else:
        start, stop = int(first), min(int(last) + 1 if last else length, length)
        if last and int(last) < start:
            return None
    if start >= length or not stop:
        raise Unsatisfiable
    return Span(start, stop)


def _unchanged(validator: bytes, rendition: Rendition) -> bool:
    """If-Range compares strongly (RFC 9110 section 13.1.5)."""
    if validator.startswith(b'"'):
        return validator.decode("latin-1") == f'"{rendition.etag}"'
    return rendition.last_modified is not None and _seconds(validator) == int(rendition.last_modified)


def _seconds(date: bytes | None) -> float | None:
    if date is None:
        return None
    try:
        return parsedate_to_datetime(date.decode("ascii")).timestamp()
    except (ValueError, OverflowError):
        return None
