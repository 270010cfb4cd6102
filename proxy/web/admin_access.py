"""
Who may see the pages of administration: the bearer of the token, or in development this machine itself.

A listener on loopback proves nothing: a reverse proxy passes strangers on to it, and a browser of this
machine sends requests there for any web site, under a name of the site's own too (DNS rebinding). So without
a token a request is believed to be of this machine only where all of its headers say so.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hmac import compare_digest

from starlette.types import Scope

REQUEST_TARGET = "image_proxy.request_target"
"""The key in an ASGI scope of a request's target where that is no path, such as a whole URL."""

MAX_SHOWN = 64
"""Characters of a header that a refusal repeats."""

MAX_HOST_BYTES = 253 + len(":65535")
"""Of a name in DNS (RFC 1035 section 2.3.4), and a port."""

_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9.-]+)(?::([0-9]{1,5}))?")
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_IPV4_LOOPBACK = ipaddress.ip_network("127.0.0.0/8")
_IPV6_LOOPBACK = ipaddress.IPv6Address("::1")

PROXY_HEADERS = frozenset(
    {b"forwarded", b"via", b"x-real-ip", b"x-client-ip", b"cdn-loop", b"true-client-ip"}
)
PROXY_PREFIXES = (b"x-forwarded", b"x-original-", b"x-envoy-", b"cf-")
"""What proxies add to a request of somebody else: Forwarded (RFC 7239), Via (RFC 9110 section 7.6.3), ..."""

PORT_OF_SCHEME: Mapping[str, int] = {"http": 80, "https": 443}
SAFE_METHODS = frozenset({"GET", "HEAD"})
OWN_SITES = frozenset({"same-origin", "none"})
"""Sec-Fetch-Site (https://www.w3.org/TR/fetch-metadata/) of our own pages, and of what a person typed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminTerms:
    """
    On which terms pages of administration are shown.

    `token` is what a bearer has to know; without one they are shown in `development` to this machine, and
    else to nobody.
    """

    token: str | None
    development: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a request is refused: what a problem (RFC 9457) tells of it, with further `headers`."""

    status: int
    code: str
    detail: str
    headers: Sequence[tuple[bytes, bytes]] = ()


NOT_FOUND = Refusal(status=404, code="not_found", detail="nothing is here")


def admin_access(terms: AdminTerms, scope: Scope) -> Refusal | None:
    """
    Return why the request of an ASGI `scope` may not have a page of administration; `None` if it may.

    With a token it needs `Authorization: Bearer token` (RFC 6750), without one and in development a Host of
    loopback, no trace of a proxy and no other site's page behind it. What is more than a look, by its method,
    is refused from another site's page in any case, and is JSON: forms of HTML cannot send that.
    """
    headers: Sequence[tuple[bytes, bytes]] = scope["headers"]
    safe = scope["method"] in SAFE_METHODS
    if terms.token is not None:
        refusal = _token_refusal(terms.token, headers)
    elif terms.development:
        refusal = _locality_refusal(scope)
    else:
        return NOT_FOUND
    if refusal is None and not (safe and terms.token is not None):
        schemes = ("http", "https") if terms.token is not None else ("http",)
        refusal = _site_refusal(headers, schemes)
    if refusal is None and not safe:
        refusal = _media_type_refusal(headers)
    return refusal


def _token_refusal(token: str, headers: Sequence[tuple[bytes, bytes]]) -> Refusal | None:
    given = _values(headers, b"authorization")
    scheme, _, credentials = (given[0] if given else b"").partition(b" ")
    if len(given) != 1 or scheme.lower() != b"bearer":
        return Refusal(
            status=401,
            code="unauthorized",
            detail="an admin token is needed",
            headers=((b"www-authenticate", b"Bearer"),),
        )
    if not compare_digest(credentials.strip(), token.encode()):
        return Refusal(status=403, code="wrong_token", detail="this is not the admin token")
    return None


def _locality_refusal(scope: Scope) -> Refusal | None:
    """Of a request that may be of another machine, or meant for another host."""
    headers, target = scope["headers"], scope.get(REQUEST_TARGET)
    if scope["http_version"] == "1.0":  # what nginx speaks to what is behind it, unless told otherwise
        return _not_local("HTTP/1.1, not HTTP/1.0, which proxies speak")
    if target is not None:
        return _not_local(f"a path, not {_shown(target)}")
    hosts = _values(headers, b"host")
    if len(hosts) != 1 or not is_loopback_host(hosts[0]):
        named = f"Host {_shown(b', '.join(hosts))}" if hosts else "no Host"
        return _not_local(f"localhost, 127.0.0.1 or [::1], not {named}")
    for name, _ in headers:
        if name in PROXY_HEADERS or name.startswith(PROXY_PREFIXES):
            return _not_local(f"requests that no proxy passed on, and this one has {name.decode('latin-1')}")
    return None


def _site_refusal(headers: Sequence[tuple[bytes, bytes]], schemes: Iterable[str]) -> Refusal | None:
    """Of a request that a page of another site made."""
    origins, hosts = _values(headers, b"origin"), _values(headers, b"host")
    if origins and not (
        len(origins) == len(hosts) == 1
        and any(_is_same_origin(origins[0], scheme, hosts[0]) for scheme in schemes)
    ):
        return _foreign(f"Origin {_shown(b', '.join(origins))}")
    sites = _values(headers, b"sec-fetch-site")
    if sites and not (len(sites) == 1 and sites[0].decode("latin-1") in OWN_SITES):
        return _foreign(f"Sec-Fetch-Site {_shown(b', '.join(sites))}")
    return None


def _media_type_refusal(headers: Sequence[tuple[bytes, bytes]]) -> Refusal | None:
    types = _values(headers, b"content-type")
    if len(types) == 1 and types[0].partition(b";")[0].strip(b" \t").lower() == b"application/json":
        return None
    given = _shown(b", ".join(types)) if types else "none"
    return Refusal(
        status=415,
        code="unsupported_media_type",
        detail=f"Content-Type is application/json, not {given}",
        headers=((b"accept", b"application/json"),),
    )


def is_loopback_host(host: bytes) -> bool:
    """
    Whether a Host names this machine, with a port or without: `localhost` or a name below it (RFC 6761
    section 6.3), an address in 127.0.0.0/8, or [::1]. What is written in any other way is not believed.
    """
    parsed = _parse_host(host)
    if parsed is None:
        return False
    name = parsed[0]
    try:
        if name.startswith("["):
            return ipaddress.IPv6Address(name[1:-1]) == _IPV6_LOOPBACK
        return ipaddress.IPv4Address(name) in _IPV4_LOOPBACK
    except ValueError:
        *labels, last = name.split(".")
        return last == "localhost" and all(map(_LABEL.fullmatch, labels))


def _is_same_origin(origin: bytes, scheme: str, host: bytes) -> bool:
    """Whether pages at `scheme`://`host` have this Origin (RFC 6454 section 4)."""
    prefix = f"{scheme}://".encode()
    if not origin.startswith(prefix):
        return False
    theirs, ours = _parse_host(origin[len(prefix) :]), _parse_host(host)
    if theirs is None or ours is None:
        return False
    default = PORT_OF_SCHEME[scheme]
    return (theirs[0], theirs[1] or default) == (ours[0], ours[1] or default)


def _parse_host(host: bytes) -> tuple[str, int | None] | None:
    """The name in lower case, and the port if there is one; `None` where that is not all of it."""
    if len(host) > MAX_HOST_BYTES:
        return None
    found = _HOST.fullmatch(host.decode("latin-1").lower())
    if found is None:
        return None
    port = int(found[2]) if found[2] else None
    return None if port is not None and not 0 < port < 65_536 else (found[1], port)


def _values(headers: Iterable[tuple[bytes, bytes]], wanted: bytes) -> list[bytes]:
    return [value for name, value in headers if name == wanted]


def _not_local(detail: str) -> Refusal:
    return Refusal(status=403, code="not_local", detail=f"in development this page takes {detail}")


def _foreign(given: str) -> Refusal:
    return Refusal(
        status=403,
        code="foreign_origin",
        detail=f"this page answers its own site's pages alone, not {given}",
    )


def _shown(value: bytes) -> str:
    return repr(value[:MAX_SHOWN].decode("latin-1"))
