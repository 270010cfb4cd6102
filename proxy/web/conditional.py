"""Conditional and range requests (RFC 9110 sections 13 and 14): do not send what a client has."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass

from proxy.model.dates import parse_http_date
from proxy.model.media import Rendition, without_road
from proxy.web.problems import problem
from proxy.web.responses import HttpResponse

BODY_HEADERS = (b"content-type", b"content-length")
"""What a 304 leaves out."""

_SKEW = 60.0  # s by which a client's clock may be ahead; a later date is not one of ours

ETAG = re.compile(r'[\s,]*+(?:W/)?"([\x21\x23-\x7e\x80-\xff]*+)"\s*+(?:,|$)')


def conditional_response(
    headers: Mapping[bytes, bytes], rendition: Rendition, response: HttpResponse
) -> HttpResponse:
    """`response`, a 200, as 304, 206 or 416 if the request's `headers` are conditional or ask for a range."""
    if (b"if-none-match" in headers or b"if-modified-since" in headers) and not_modified(headers, rendition):
        without_body = [header for header in response.headers if header[0] not in BODY_HEADERS]
        return response._replace(status=304, headers=without_body, body=b"")
    if b"range" not in headers:
        return response
    length = len(rendition.body)
    try:
        span = requested_range(headers, rendition)
    except Unsatisfiable:
        return problem(
            416, "range_not_satisfiable", f"the picture has {length} bytes",
            headers=[(b"content-range", b"bytes */%d" % length)],
            vary=(b"vary", b"Accept") in response.headers,
        )  # fmt: skip
    if span is None:
        return response
    part = memoryview(rendition.body)[span.start : span.stop]  # not a copy, for a slow reader to hold
    sized = [
        (b"content-length", b"%d" % len(part)) if header[0] == b"content-length" else header
        for header in response.headers
    ]
    content_range = (b"content-range", b"bytes %d-%d/%d" % (span.start, span.stop - 1, length))
    return response._replace(status=206, headers=[*sized, content_range], body=part)


def not_modified(headers: Mapping[bytes, bytes], rendition: Rendition) -> bool:
    """
    Whether the client has the rendition already.

    If-None-Match decides alone where it is sent (RFC 9110 section 13.2.2); it compares weakly: the same
    picture is also one that was decoded in another way.
    """
    if (tags := headers.get(b"if-none-match")) is not None:
        return _matches(tags.decode("latin-1"), rendition.etag)
    since = _http_date(headers.get(b"if-modified-since"))
    if since is None or rendition.last_modified is None or since > time.time() + _SKEW:
        return False
    return int(rendition.last_modified) <= since


def _matches(tags: str, etag: str) -> bool:
    if tags.strip() == "*":
        return True
    position, common = 0, without_road(etag)
    while found := ETAG.match(tags, position):
        if without_road(found[1]) == common:
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
    Return the one range that the client asks for, or `None` if the answer is the whole body: there is no
    range, are several, or it cannot be read. Raises Unsatisfiable.
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
    return rendition.last_modified is not None and _http_date(validator) == int(rendition.last_modified)


def _http_date(date: bytes | None) -> float | None:
    return None if date is None else parse_http_date(date.decode("latin-1"))
