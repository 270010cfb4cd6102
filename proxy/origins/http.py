"""Originals below a base URL of one HTTP server, over one long-lived client."""

from __future__ import annotations

import os
import ssl
from collections.abc import Collection, Mapping
from functools import cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from urllib.parse import quote

import httpx
from aiohttp import SocketFactoryType

from proxy.model.limits import Limits
from proxy.model.media import Original
from proxy.origins.download import Downloader
from proxy.origins.guard import Guard, Resolve, SystemResolver
from proxy.origins.keys import KeyRewrite, not_found, segments, unchanged
from proxy.origins.listing import PAGE_KEYS, CannotList, KeyPage
from proxy.origins.transport import GuardedTransport

# Seconds; the Downloader limits the whole fetch.
_TIMEOUT = httpx.Timeout(None, connect=5.0, pool=10.0)
# LimitedOrigin limits how many fetches there are at a time.
_POOL = httpx.Limits(max_connections=None, keepalive_expiry=15.0)


NO_HTTP_LISTING = "an HTTP server has no list of its keys"

_AUTHORITIES = ("SSL_CERT_FILE", "SSL_CERT_DIR")


@cache
def _trust(file: str | None, folder: str | None) -> ssl.SSLContext:
    """One for all clients: to read the authorities takes 20 ms, and a deployment may have many origins."""
    return httpx.create_ssl_context()


def make_client(
    *,
    private_hosts: Collection[str] = (),
    resolve: Resolve | None = None,
    socket_factory: SocketFactoryType | None = None,
) -> httpx.AsyncClient:
    """
    Make an HTTP client that reaches public addresses, and whatever `private_hosts` resolve to. To be reused:
    making one costs as much as twenty requests. `resolve` is the system's resolver unless it is given.

    It uses no proxy and no netrc of the environment, follows no redirect, and keeps no cookie. An operator's
    own authority (SSL_CERT_FILE, SSL_CERT_DIR) is trusted.
    """
    resolver = SystemResolver()
    guard = Guard(private_hosts, resolve or resolver.resolve)
    return httpx.AsyncClient(
        transport=GuardedTransport(
            guard, _trust(*map(os.environ.get, _AUTHORITIES)), _POOL, socket_factory, resolver
        ),
        trust_env=False,
        follow_redirects=False,
        timeout=_TIMEOUT,
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
    )


class HTTPOrigin:
    """
    Originals below one base URL. Owns `client` and closes it. `base` is a URL with or without credentials
    (sent as Basic auth, to its own host only); ValueError when it is not one that keys can be put below.
    `headers` are sent with every request, to that host only.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        base: str,
        limits: Limits,
        *,
        fetch_timeout: float | None = None,
        headers: Mapping[str, str] | None = None,
        rewrite: KeyRewrite = unchanged,
    ) -> None:
        url = base_url(base)
        self._rewrite = rewrite
        self._client = client
        self._base = url.copy_with(userinfo=b"", raw_path=url.raw_path.rstrip(b"/") + b"/")
        self._downloader = Downloader(
            client,
            max_bytes=limits.max_source_bytes,
            timeout=fetch_timeout,
            allows=self._is_here,
            auth=httpx.BasicAuth(url.username, url.password) if url.userinfo else None,
            headers=headers,
        )

    async def fetch(self, key: str, known: Original | None = None) -> Original:
        return await self._downloader.original(key, self._url(key), known)

    async def list_keys(self, prefix: str = "", cursor: str | None = None, limit: int = PAGE_KEYS) -> KeyPage:
        raise CannotList(NO_HTTP_LISTING)

    def version(self, key: str) -> str | None:
        return None

    def refresh(self, key: str) -> None:
        return None

    async def close(self) -> None:
        await self._client.aclose()

    def _url(self, key: str) -> httpx.URL:
        # Only unreserved characters stay: some servers read `+` as a space and `;` as the end of the name.
        path = "/".join(quote(name, safe="") for name in segments(key, self._rewrite))
        try:
            url = self._base.copy_with(raw_path=self._base.raw_path + path.encode())
        except httpx.InvalidURL as failure:
            raise not_found(key) from failure
        # No known key gets here. But httpx normalises what it is given, and this is where that would show.
        if not self._is_here(url) or url.raw_path != self._base.raw_path + path.encode():
            raise not_found(key)
        return url

    def _is_here(self, url: httpx.URL) -> bool:
        """The same host and port. Both ports standard: from http to https is no other place."""
        return url.raw_host == self._base.raw_host and url.port == self._base.port


def base_url(text: str) -> httpx.URL:
    """
    Parse the base URL of an origin. Raises ValueError, which never quotes the text (it may hold a password),
    when keys cannot be put below it.
    """
    try:
        url = httpx.URL(text)
    except (httpx.InvalidURL, UnicodeError) as failure:
        raise ValueError(f"the URL of an origin is not valid: {type(failure).__name__}") from None
    if url.scheme not in ("http", "https") or not url.raw_host:
        raise ValueError("the URL of an origin takes http:// or https:// and a host")
    if url.query or url.fragment or "?" in text or "#" in text:
        raise ValueError(
            f"the URL of an origin takes no query and no fragment (host '{url.raw_host.decode()}')"
        )
    return url
