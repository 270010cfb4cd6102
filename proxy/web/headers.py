"""Response headers, each made from the value that decides it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from email.utils import formatdate
from urllib.parse import quote

from proxy.model.freshness import Lifetimes
from proxy.model.media import SUFFIXES, Rendition
from proxy.model.outcome import HIT, Outcome
from proxy.purges.marks import PurgeSubject

Headers = Iterable[tuple[bytes, bytes]]

SECURITY_HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; sandbox"),
    (b"cross-origin-resource-policy", b"cross-origin"),
)
"""Of every response: every site may show our images, and no browser takes one for a document or a script."""


def cache_control(lifetimes: Lifetimes, *, age: float, immutable: bool, left: float | None) -> bytes:
    """
    Return the Cache-Control of a rendition of `age` seconds (RFC 9111 section 5.2.2, RFC 5861, RFC 8246).

    It has what is left of each lifetime, and there is no Age header, which CDNs read differently. Nothing
    outlives `left`, the seconds until the URL ends.
    """
    elapsed = max(0, int(age))
    longest = max(lifetimes.max_age, lifetimes.s_maxage)
    fresh = max(0, longest - elapsed)
    limit = max(0, int(left)) if left is not None else longest + lifetimes.retention
    fresh = min(fresh, limit)
    staleness = max(0, elapsed - longest)
    lengths = {
        "max-age": min(lifetimes.max_age, fresh),
        "s-maxage": min(max(0, lifetimes.s_maxage - elapsed), fresh),
        # Fresh and stale together end with the URL.
        "stale-while-revalidate": min(lifetimes.stale_while_revalidate - staleness, limit - fresh),
        "stale-if-error": min(lifetimes.stale_if_error - staleness, limit - fresh),
    }
    directives = [
        "public",
        *(f"{name}={seconds}" for name, seconds in lengths.items() if seconds > 0 or "age" in name),
    ]
    return ", ".join([*directives, *(["immutable"] if immutable else [])]).encode()


NO_STORE = b"no-store"
"""The Cache-Control of a rendition whose original no cache may store, as its origin said."""


def revalidated(headers: Headers) -> list[tuple[bytes, bytes]]:
    """`headers` with a Cache-Control that allows no use unasked (RFC 9111 section 5.2.2.4)."""
    return [
        (name, b"no-cache") if name == b"cache-control" and value != NO_STORE else (name, value)
        for name, value in headers
    ]


MAX_TAGS = 16
MAX_TAG_BYTES = 1_000
"""Of one response: CDNs refuse or cut what is much longer."""


def tag_headers(subject: PurgeSubject) -> list[tuple[bytes, bytes]]:
    """Return the headers with the tags that a CDN, and /-/purge, purges by."""
    tags = limited_tags(subject.tags)
    return [(b"cache-tag", ",".join(tags).encode()), (b"surrogate-key", " ".join(tags).encode())]


def limited_tags(tags: Sequence[str]) -> Sequence[str]:
    """Return as many of the first `tags` as fit into a response."""
    tags = tags[:MAX_TAGS]
    while sum(map(len, tags)) + len(tags) > MAX_TAG_BYTES:
        tags = tags[:-1]
    return tags


def content_disposition(filename: str | None, key: str, suffix: str, *, download: bool) -> bytes:
    """
    Return the Content-Disposition (RFC 6266) with `filename`, or the last segment of `key`, and `suffix`.

    It has an ASCII name for old clients, and the real one beside it where that is another (RFC 8187).
    """
    name = filename or re.sub(r"[?#].*", "", key).rsplit("/", 1)[-1] or "image"
    stem, dot, was = name.rpartition(".")
    if dot and was.lower() in SUFFIXES and stem:
        name = stem
    name = f"{name}.{suffix}"
    # No `%` either: there are browsers that read an escape into it (RFC 6266 appendix D).
    plain = re.sub(r"[^ !#$&-\[\]-~]", "_", name)
    text = f'{"attachment" if download else "inline"}; filename="{plain}"'
    if plain != name:
        text += f"; filename*=UTF-8''{quote(name, safe='')}"
    return text.encode()


def validators(rendition: Rendition) -> list[tuple[bytes, bytes]]:
    """Return ETag, and Last-Modified where it is known (RFC 9110 section 8.8)."""
    found = [(b"etag", f'"{rendition.etag}"'.encode())]
    if rendition.last_modified is not None:
        found.append((b"last-modified", formatdate(rendition.last_modified, usegmt=True).encode()))
    return found


def cache_status(outcome: Outcome) -> tuple[bytes, bytes]:
    """Return the header Cache-Status (RFC 9211)."""
    return b"cache-status", b"image-proxy; " + cache_status_parameters(outcome).encode()


def cache_status_parameters(outcome: Outcome) -> str:
    """Return what follows our name in Cache-Status and is in the access log; empty if nothing is known."""
    if outcome is HIT:
        return "hit"
    parameters = (
        "hit" if outcome.hit else None,
        f"fwd={outcome.forwarded}" if outcome.forwarded else None,
        f"fwd-status={outcome.failed_status}" if outcome.failed_status is not None else None,
        f"ttl={outcome.ttl}" if outcome.ttl is not None else None,
        "stored" if outcome.stored else None,
        f"detail={outcome.code}" if outcome.code is not None else None,
        "collapsed" if outcome.collapsed else None,
    )
    return "; ".join(filter(None, parameters))


def server_timing(outcome: Outcome) -> tuple[bytes, bytes]:
    """Return the header Server-Timing (https://www.w3.org/TR/server-timing/), in milliseconds."""
    timings = outcome.timings.items()
    return b"server-timing", ", ".join(
        f"{name};dur={seconds * 1000:.1f}" for name, seconds in timings
    ).encode()
