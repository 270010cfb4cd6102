"""The head of a response with a rendition: how it was had, what it is, and how long it may be used."""

from __future__ import annotations

import math

from proxy.model.freshness import FLAWED_MAX_AGE, provisional
from proxy.model.media import Rendition
from proxy.model.outcome import HIT, Outcome
from proxy.purges.marks import PurgeSubject
from proxy.renditions import Served
from proxy.requests.read import ParsedRequest
from proxy.web.headers import (
    NO_STORE,
    SECURITY_HEADERS,
    cache_control,
    content_disposition,
    tag_headers,
    validators,
)
from proxy.web.problems import status_of
from proxy.web.responses import HeaderList


def outcome_of(parsed: ParsedRequest, served: Served) -> Outcome:
    """How a rendition was had, as an outcome."""
    if served.hit:
        if not served.stale and not served.timings:
            return HIT
        ttl = math.floor(parsed.rendition_request.lifetimes.s_maxage - served.age) if served.stale else None
        return Outcome(hit=True, ttl=ttl, timings=served.timings)
    failed_status, code = None, None
    if (failure := served.failure) is not None:
        failed_status, code = failure.facts.get("origin_status") or status_of(failure), failure.code
    return Outcome(
        forwarded="stale" if served.stale else "miss",
        failed_status=failed_status,
        code=code,
        stored=served.stored,
        collapsed=served.collapsed,
        timings=served.timings,
    )


def stable_headers(parsed: ParsedRequest, rendition: Rendition, subject: PurgeSubject) -> HeaderList:
    """The headers of a response that stay as they are for as long as the rendition does."""
    spec = parsed.spec
    filename = content_disposition(
        spec.filename, parsed.rendition_request.key, rendition.suffix, download=spec.download
    )
    return [
        (b"content-type", rendition.media_type.encode()),
        (b"content-length", b"%d" % len(rendition.body)),
        *validators(rendition),
        (b"accept-ranges", b"bytes"),
        (b"content-disposition", filename),
        *tag_headers(subject),
        *SECURITY_HEADERS,
        *([(b"image-proxy-note", ", ".join(rendition.notes).encode())] if rendition.notes else []),
        *([(b"vary", b"Accept")] if parsed.varies else []),
    ]


def lifetime_of(parsed: ParsedRequest, served: Served, left: float | None) -> bytes:
    """The value of Cache-Control; nothing outlives `left`, the seconds until the URL ends."""
    if not served.storable:
        return NO_STORE
    lifetimes, immutable = parsed.rendition_request.lifetimes, parsed.spec.version is not None
    if served.rendition.is_provisional:
        lifetimes, immutable = provisional(lifetimes), False
    elif served.rendition.is_flawed:
        lifetimes, immutable = provisional(lifetimes, FLAWED_MAX_AGE), False
    return cache_control(lifetimes, age=served.age, immutable=immutable, left=left)
