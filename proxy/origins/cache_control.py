"""What an origin allows caches to do with what it sent: RFC 9111 as it binds a shared cache."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from proxy.model.dates import parse_http_date
from proxy.model.media import CachePolicy

# RFC 9111 section 5.2: a token, perhaps with a token or a quoted string.
_DIRECTIVE = re.compile(
    r'\s*+([!#$%&\'*+.^_`|~0-9A-Za-z-]++)(?:=(?:"((?:[^"\\]|\\.)*+)"|([^",]*+)))?\s*+(?:,|$)'
)
_MAX_SECONDS = 10 * 365 * 86_400


def cache_policy(headers: Mapping[str, str], now: float, known: CachePolicy | None = None) -> CachePolicy:
    """
    Read the cache policy in `headers`, with lower-case names, received at `now` (unix seconds). A 304 that
    says nothing leaves the `known` policy as it was, counted from now (RFC 9111 section 3.2).

    No request of ours speaks for one client, so `Vary` matters only as `*`, and credentials are those of the
    deployment: they make nothing private.
    """
    said = directives(headers.get("cache-control", ""))
    if not said and "expires" not in headers and "*" not in headers.get("vary", ""):
        return replace(known, received_at=now) if known else CachePolicy(received_at=now)
    strict = {"must-revalidate", "proxy-revalidate", "s-maxage"} & said.keys()
    no_reuse = "no-cache" in said or "*" in headers.get("vary", "")
    return CachePolicy(
        received_at=now,
        storable=not ({"no-store", "private"} & said.keys()),
        fresh_for=0 if no_reuse else _fresh_for(said, headers, now),
        stale_while_revalidate=0 if strict or no_reuse else _seconds(said.get("stale-while-revalidate")) or 0,
        stale_if_error=0 if strict or no_reuse else _seconds(said.get("stale-if-error")),
    )


def directives(text: str) -> dict[str, str]:
    """
    Read a Cache-Control field (RFC 9111 section 5.2) into directives by lower-case name. Of one that is
    repeated the first counts; what cannot be read is skipped.
    """
    found: dict[str, str] = {}
    position = 0
    while position < len(text):
        if (each := _DIRECTIVE.match(text, position)) is None:
            position = text.find(",", position) + 1 or len(text)
            continue
        found.setdefault(each[1].lower(), each[2] if each[2] is not None else (each[3] or "").strip())
        position = each.end()
    return found


def _fresh_for(said: Mapping[str, str], headers: Mapping[str, str], now: float) -> float | None:
    """Seconds; `None` when the origin leaves it to us. What makes no sense is stale (RFC 9111, 4.2.1)."""
    sent = parse_http_date(headers.get("date"))
    if (name := next((name for name in ("s-maxage", "max-age") if name in said), None)) is not None:
        lifetime: float = _seconds(said[name]) or 0
    elif "expires" in headers:
        ends = parse_http_date(headers["expires"])
        lifetime = 0 if ends is None else ends - (now if sent is None else sent)
    else:
        return None
    age = max(_seconds(headers.get("age")) or 0, now - sent if sent is not None else 0)
    return max(0.0, min(lifetime - age, _MAX_SECONDS))


def _seconds(text: str | None) -> int | None:
    if text is None:
        return None
    return min(int(text), _MAX_SECONDS) if re.fullmatch(r"[0-9]{1,19}", text, re.ASCII) else 0
