"""The headers of a rendition, each from the value that decides it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from email.utils import formatdate
from urllib.parse import quote

from proxy.model.freshness import Lifetimes
from proxy.model.media import SUFFIXES, Rendition
from proxy.purges.marks import PurgeSubject

Headers = Iterable[tuple[bytes, bytes]]

GUARDS: tuple[tuple[bytes, bytes], ...] = (
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


NOT_KEPT = b"no-store"
"""Of a rendition whose original nobody but its origin may keep."""


MOST_TAGS = 16
LONGEST_TAGS = 1_000
"""Bytes of all tags of an answer: CDNs refuse, or cut, what is much longer."""


def tags(about: PurgeSubject) -> list[tuple[bytes, bytes]]:
    """What a CDN purges by, and `/-/purge` too."""
    found = within_caps(about.tags)
    return [(b"cache-tag", ",".join(found).encode()), (b"surrogate-key", " ".join(found).encode())]


def within_caps(found: Sequence[str]) -> Sequence[str]:
    """Without what is too much, from the end."""
    found = found[:MOST_TAGS]
    while sum(map(len, found)) + len(found) > LONGEST_TAGS:
        found = found[:-1]
    return found


def disposition(filename: str | None, key: str, suffix: str, *, download: bool) -> bytes:
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


def entity(rendition: Rendition) -> list[tuple[bytes, bytes]]:
    """The validators: what a 304 says as well."""
    found = [(b"etag", f'"{rendition.etag}"'.encode())]
    if rendition.last_modified is not None:
        found.append((b"last-modified", formatdate(rendition.last_modified, usegmt=True).encode()))
    return found


def cache_status(
    *,
    hit: bool,
    ttl: int | None = None,
    stale: bool = False,
    failure: tuple[int, str] | None = None,
    stored: bool = True,
    collapsed: bool = False,
) -> bytes:
    """
    RFC 9211. `ttl` is told of stale hits, and negative. `failure` is the status and the code of what went
    wrong when a stale rendition is answered because no new one could be made.
    """
    if hit:
        return b"image-proxy; hit" if ttl is None else b"image-proxy; hit; ttl=%d" % ttl
    said = b"image-proxy; fwd=stale" if stale else b"image-proxy; fwd=miss"
    if failure is not None:
        said += b"; fwd-status=%d; detail=%s" % (failure[0], failure[1].encode())
    elif stored:
        said += b"; stored"
    return said + (b"; collapsed" if collapsed else b"")


def server_timing(timings: Mapping[str, float]) -> bytes:
    """https://www.w3.org/TR/server-timing/ - `timings` are seconds, the header has milliseconds."""
    return ", ".join(f"{name};dur={seconds * 1000:.1f}" for name, seconds in timings.items()).encode()
