"""
Download one original over HTTP: within a deadline, at most so many bytes, through few redirects, retried
once.

Nothing that the server says is trusted, and every error of httpx is translated here.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
import re
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from email.utils import formatdate
from typing import NamedTuple

import httpx

from proxy import __version__
from proxy.model.dates import parse_http_date
from proxy.model.errors import OriginFailed, OriginRefused
from proxy.model.media import Original
from proxy.origins.breaker import origin_answered
from proxy.origins.cache_control import cache_policy
from proxy.origins.content_coding import CODINGS, ContentDecoder
from proxy.origins.keys import forbidden, not_found, too_large
from proxy.origins.retry import Retrier, TransientFailure, timed_out

REQUEST_HEADERS = {
    "Accept": "*/*",
    "Accept-Encoding": "identity",
    # RFC 9110, 7.6.3.
    "Via": "1.1 image-proxy",
    # RFC 8586: a proxy that finds its own name in a request is in a loop.
    "CDN-Loop": "image-proxy",
    "User-Agent": f"image-proxy/{__version__}",
}

_MAX_REDIRECTS = 3
_REDIRECT_STATUSES = {301, 302, 303, 307, 308}
_NOT_FOUND_STATUSES = {404, 410}
_FORBIDDEN = 403
_UNAUTHENTICATED_STATUSES = {401, 407}
_TRANSIENT_STATUSES = {502, 503, 504}

_DRAINED_BYTES = 16_384  # of a body that is not needed
_CONNECT_TIMEOUT = 5.0  # s

# RFC 9110, 8.8.3, without obs-text; the empty tag is valid and says nothing.
_ETAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e]{1,256}"')


class _Redirect(NamedTuple):
    status: int
    location: str


class Downloader:
    """
    Downloads originals with one httpx client.

    `max_bytes` is of one body; `timeout` is in seconds, from the first lookup to the last byte, redirects and
    the retry included; `None` where the caller has a deadline. `allows` decides which redirects are followed.
    `headers` are sent with every request.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        *,
        max_bytes: int,
        timeout: float | None,
        allows: Callable[[httpx.URL], bool],
        auth: httpx.Auth | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._client = client
        self._max_bytes = max_bytes
        self._retrier = Retrier(timeout)
        self._allows = allows
        self._auth = auth
        # The deadline is the Retrier's, or the caller's.
        self._timeouts = httpx.Timeout(
            None, connect=min(timeout or _CONNECT_TIMEOUT, _CONNECT_TIMEOUT), pool=timeout
        )
        self._headers = httpx.Headers(REQUEST_HEADERS)
        self._headers.update(headers or {})

    async def original(self, key: str, url: httpx.URL, known: Original | None = None) -> Original:
        """
        Download what is at `url`, or where it redirects to. Messages name `key`: never the URL, which may
        hold credentials. `known` is returned when the server says that it has not changed.

        Raises OriginalNotFound, OriginalTooLarge, OriginFailed, OriginTimedOut; SourceNotAllowed comes from
        the client's guard.
        """
        return await self._retrier.fetch_with_retry(key, lambda: self._follow(key, url, known))

    async def _follow(self, key: str, url: httpx.URL, known: Original | None) -> Original:
        status = 0
        for _ in range(_MAX_REDIRECTS + 1):
            answer = await self._ask(key, url, known)
            if isinstance(answer, Original):
                return answer
            url, status = self._next(key, url, answer), answer.status
        raise OriginFailed(
            f"the origin redirects '{key}' more than {_MAX_REDIRECTS} times", origin_status=status
        )

    def _next(self, key: str, url: httpx.URL, redirect: _Redirect) -> httpx.URL:
        refusal = OriginFailed(
            f"the origin redirects '{key}' to where this deployment does not follow",
            origin_status=redirect.status,
        )
        try:
            there = url.join(redirect.location)
        except (httpx.InvalidURL, UnicodeError) as failure:
            raise refusal from failure
        downgrade = url.scheme == "https" and there.scheme == "http"
        if there.scheme not in ("http", "https") or downgrade or there.userinfo or not self._allows(there):
            raise refusal
        return there

    async def _ask(self, key: str, url: httpx.URL, known: Original | None) -> Original | _Redirect:
        headers = {**self._headers, **_conditions(known)}
        request = self._client.build_request("GET", url, headers=headers, timeout=self._timeouts)
        try:
            response = await self._client.send(request, stream=True, auth=self._auth, follow_redirects=False)
            origin_answered()
            try:
                return await self._read(key, response, known)
            finally:
                # Of a body that was not read to its end this closes the connection.
                await response.aclose()
        except httpx.ConnectTimeout as failure:
            raise TransientFailure(timed_out(key)) from failure
        except httpx.TimeoutException as failure:
            raise timed_out(key) from failure
        except httpx.ConnectError as failure:
            raise TransientFailure(OriginFailed(f"the origin of '{key}' cannot be reached")) from failure
        except (httpx.NetworkError, httpx.RemoteProtocolError) as failure:
            raise TransientFailure(
                OriginFailed(f"the origin broke off in the middle of '{key}'")
            ) from failure
        except (httpx.TransportError, httpx.InvalidURL, OSError) as failure:
            # InvalidURL: httpx reads a Location even when it does not follow it.
            raise OriginFailed(f"the origin of '{key}' cannot be talked to") from failure

    async def _read(self, key: str, response: httpx.Response, known: Original | None) -> Original | _Redirect:
        status = response.status_code
        if status == 304 and known is not None:
            return replace(
                known, cache_policy=cache_policy(response.headers, time.time(), known.cache_policy)
            )
        if (
            status in _REDIRECT_STATUSES or status in _NOT_FOUND_STATUSES or status == _FORBIDDEN
        ) and _length(response) <= _DRAINED_BYTES:
            # Read and thrown away, so that the connection can be used again.
            async for _ in response.aiter_raw():
                pass
        if status in _REDIRECT_STATUSES and "location" in response.headers:
            return _Redirect(status, response.headers["location"])
        if status in _NOT_FOUND_STATUSES:
            raise not_found(key, origin_status=status)
        if status == _FORBIDDEN:
            raise forbidden(key, origin_status=status)
        if status in _UNAUTHENTICATED_STATUSES:
            raise OriginRefused(f"the origin of '{key}' does not know us", origin_status=status)
        if status != 200:
            failure = OriginFailed(f"the origin answered {status} for '{key}'", origin_status=status)
            raise TransientFailure(failure) if status in _TRANSIENT_STATUSES else failure
        coding = response.headers.get("content-encoding", "").strip().lower()
        if coding in ("", "identity"):
            return await self._original(key, response, response.aiter_raw())
        if coding not in CODINGS:
            raise OriginFailed(
                f"the origin compressed '{key}' in a way that it was asked not to", origin_status=status
            )
        return await self._original(key, response, _decoded(key, response, CODINGS[coding]()))

    async def _original(self, key: str, response: httpx.Response, body: AsyncIterator[bytes]) -> Original:
        if self._max_bytes < _length(response) < math.inf:
            raise too_large(key, self._max_bytes)
        etag = _etag(response)
        digest = hashlib.sha256()
        parts, size = [], 0
        async for part in body:
            size += len(part)
            if size > self._max_bytes:
                raise too_large(key, self._max_bytes)
            parts.append(part)
            if etag is None:
                # As the parts come: over all of a large body at once it would hold up the event loop.
                digest.update(part)
        return Original(
            body=b"".join(parts),
            version=etag or digest.hexdigest(),
            etag=etag,
            last_modified=_last_modified(response),
            cache_policy=cache_policy(response.headers, time.time()),
        )


async def _decoded(key: str, response: httpx.Response, decoder: ContentDecoder) -> AsyncIterator[bytes]:
    try:
        async for part in response.aiter_raw():
            for piece in decoder.pieces(part):
                yield piece
                # A small part may take long to unpack: other tasks run in between.
                await asyncio.sleep(0)
        decoder.end()
    except ValueError as failure:
        raise OriginFailed(
            f"the origin sent '{key}' damaged", origin_status=response.status_code
        ) from failure


def _conditions(known: Original | None) -> dict[str, str]:
    """RFC 9110 section 13.1: both validators, of which the entity tag wins where it is understood."""
    if known is None:
        return {}
    conditions = {} if known.etag is None else {"If-None-Match": known.etag}
    if known.last_modified is not None:
        conditions["If-Modified-Since"] = formatdate(known.last_modified, usegmt=True)
    return conditions


def _length(response: httpx.Response) -> float:
    """Bytes, infinite when the origin does not say."""
    declared = response.headers.get("content-length", "")
    return int(declared) if declared.isdecimal() and len(declared) < 20 else math.inf


def _etag(response: httpx.Response) -> str | None:
    text = response.headers.get("etag", "")
    return text if _ETAG.fullmatch(text) else None


def _last_modified(response: httpx.Response) -> float | None:
    """Unix seconds. Garbage is no date, and neither is one in the future (RFC 9110, 8.8.2.1)."""
    then = parse_http_date(response.headers.get("last-modified"))
    return then if then is not None and 0 <= then <= time.time() else None
