"""The headers of a rendition, each from the value that decides it."""

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
"""On every answer: pictures are for every page, and nothing that we send is ever a document or a script."""


def cache_control(lifetimes: Lifetimes, *, age: float, immutable: bool, left: float | None) -> bytes:
    """
    RFC 9111 section 5.2.2, RFC 5861, RFC 8246. There is no Age header, because CDNs read it differently:
    what a rendition of this `age` has left is what is said. Nothing outlives `left`, the seconds until a
    signed URL ends.
    """
    spent = max(0, int(age))
    longest = max(lifetimes.max_age, lifetimes.s_maxage)
    fresh = max(0, longest - spent)
    most = max(0, int(left)) if left is not None else longest + lifetimes.retention
    fresh = min(fresh, most)
    over = max(0, spent - longest)
    lengths = {
        "max-age": min(lifetimes.max_age, fresh),
        "s-maxage": min(max(0, lifetimes.s_maxage - spent), fresh),
        # Fresh and stale together end with the URL.
        "stale-while-revalidate": min(lifetimes.stale_while_revalidate - over, most - fresh),
        "stale-if-error": min(lifetimes.stale_if_error - over, most - fresh),
    }
    directives = [
        "public",
        *(f"{name}={seconds}" for name, seconds in lengths.items() if seconds > 0 or "age" in name),
    ]
    return ", ".join([*directives, *(["immutable"] if immutable else [])]).encode()


NO_STORE = b"no-store"
"""Of a rendition whose original nobody but its origin may keep."""


MAX_TAGS = 16
MAX_TAG_BYTES = 1_000
"""Bytes of all tags of an answer: CDNs refuse, or cut, what is much longer."""


def tag_headers(subject: PurgeSubject) -> list[tuple[bytes, bytes]]:
    """What a CDN purges by, and `/-/purge` too."""
    found = limited_tags(subject.tags)
    return [(b"cache-tag", ",".join(found).encode()), (b"surrogate-key", " ".join(found).encode())]


def limited_tags(found: Sequence[str]) -> Sequence[str]:
    """Without what is too much, from the end."""
    found = found[:MAX_TAGS]
    while sum(map(len, found)) + len(found) > MAX_TAG_BYTES:
        found = found[:-1]
    return found


def content_disposition(filename: str | None, key: str, suffix: str, *, download: bool) -> bytes:
    """RFC 6266, with an ASCII name for old clients and the real one (RFC 8187) beside it."""
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
    """The validators: what a 304 says as well."""
    found = [(b"etag", f'"{rendition.etag}"'.encode())]
    if rendition.last_modified is not None:
        found.append((b"last-modified", formatdate(rendition.last_modified, usegmt=True).encode()))
    return found


def cache_status(outcome: Outcome) -> tuple[bytes, bytes]:
    """The header Cache-Status (RFC 9211)."""
    return b"cache-status", b"image-proxy; " + cache_status_parameters(outcome).encode()


def cache_status_parameters(outcome: Outcome) -> str:
    """What follows our name in Cache-Status; the access log has it, too. Empty if nothing is known."""
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
    """The header Server-Timing (https://www.w3.org/TR/server-timing/), in milliseconds."""
    timings = outcome.timings.items()
    return b"server-timing", ", ".join(
        f"{name};dur={seconds * 1000:.1f}" for name, seconds in timings
    ).encode()
