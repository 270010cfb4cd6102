"""
httpx over aiohttp's connections: the client keeps its interface, and a fetch takes a third of the CPU.

What httpx brings for this is the slowest of its kind under concurrency (benchmarks/origin_transport.py). The
adapter on PyPI, httpx-aiohttp, has aiohttp rewrite the URL's escapes, which would break signed ones, and
calls a connection that was dropped one that took too long to make.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from socket import AF_INET, AF_INET6, AI_NUMERICHOST, AddressFamily

import aiohttp
import httpx
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from proxy.origins.aiohttp_private import limit_unread_answers, send_requests_once
from proxy.origins.guard import Guard, SystemResolver
from proxy.origins.retry import raise_when_exhausted

_ERRORS: Mapping[type[Exception], type[httpx.TransportError]] = {
    aiohttp.ConnectionTimeoutError: httpx.ConnectTimeout,
    aiohttp.ClientConnectorError: httpx.ConnectError,
    aiohttp.ClientPayloadError: httpx.RemoteProtocolError,
    aiohttp.ClientResponseError: httpx.RemoteProtocolError,
    aiohttp.ServerDisconnectedError: httpx.RemoteProtocolError,
    aiohttp.ClientConnectionError: httpx.ReadError,
    aiohttp.InvalidURL: httpx.UnsupportedProtocol,
    aiohttp.NonHttpUrlClientError: httpx.UnsupportedProtocol,
    asyncio.TimeoutError: httpx.ConnectTimeout,
    OSError: httpx.NetworkError,
}
"""The first one that fits decides. Of timeouts that are left, all come before the first byte."""


class GuardedTransport(httpx.AsyncBaseTransport):
    """
    Connects to addresses that `guard` gave, and to no others. SourceNotAllowed and Overloaded pass through
    httpx as they are. `timeout.pool` is for a turn and a connection together; how long an answer may take is
    the caller's to bound. Owns `resolver`, if there is one, and closes it. To be made where an event loop
    runs.
    """

    def __init__(
        self,
        guard: Guard,
        context: ssl.SSLContext,
        limits: httpx.Limits,
        socket_factory: aiohttp.SocketFactoryType | None = None,
        resolver: SystemResolver | None = None,
    ) -> None:
        self._guard = guard
        self._resolver = resolver
        connector = aiohttp.TCPConnector(
            ssl=context,
            limit=limits.max_connections or 0,
            keepalive_timeout=limits.keepalive_expiry,
            resolver=_GuardedResolver(guard),
            use_dns_cache=False,
            socket_factory=socket_factory,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=("Accept", "Accept-Encoding", "User-Agent", "Content-Type"),
            trust_env=False,
            read_bufsize=1 << 18,
        )
        send_requests_once(self._session)
        limit_unread_answers(connector)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        limit = request.extensions.get("timeout", {})
        host = request.url.raw_host.decode("ascii")
        with _errors_of_httpx():
            if not any(map(str.isalpha, host)) or ":" in host:
                # No name: aiohttp asks its resolver about names only.
                await self._guard.addresses(host, request.url.port or 0)
            answer = await self._session.request(
                request.method,
                URL(str(request.url), encoded=True),
                headers=request.headers.multi_items(),
                allow_redirects=False,
                # No `sock_read`: aiohttp 3.14 starts it again for a body that came to its end while reading
                # was paused, and its end spoils the idle connection for the next request.
                timeout=aiohttp.ClientTimeout(connect=limit.get("pool"), sock_connect=limit.get("connect")),
            )
        if answer.headers.get("transfer-encoding", "chunked").lower() != "chunked":
            answer.close()
            raise httpx.RemoteProtocolError("a transfer coding that was not asked for")
        body = _Body(answer)
        return httpx.Response(answer.status, headers=list(answer.raw_headers), stream=body, request=request)

    async def aclose(self) -> None:
        await self._session.close()
        if self._resolver is not None:
            self._resolver.close()


class _GuardedResolver(AbstractResolver):
    def __init__(self, guard: Guard) -> None:
        self._guard = guard

    async def resolve(
        self, host: str, port: int = 0, family: AddressFamily = AddressFamily.AF_INET
    ) -> list[ResolveResult]:
        """Both families, whatever is asked for: aiohttp tries them as RFC 8305 says."""
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=AF_INET6 if ":" in address else AF_INET,
                proto=0,
                flags=AI_NUMERICHOST,
            )
            for address in await self._guard.addresses(host, port)
        ]

    async def close(self) -> None:
        """The guard has nothing to close."""


class _Body(httpx.AsyncByteStream):
    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self._answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _errors_of_httpx():
            async for part in self._answer.content.iter_any():
                yield part

    async def aclose(self) -> None:
        """Of a body that was not read to its end this closes the connection."""
        if self._answer.content.at_eof():
            self._answer.release()
        else:
            self._answer.close()


@contextmanager
def _errors_of_httpx() -> Iterator[None]:
    try:
        yield
    except tuple(_ERRORS) as error:
        if isinstance(error, OSError):
            raise_when_exhausted(error)
        kind = next(ours for theirs, ours in _ERRORS.items() if isinstance(error, theirs))
        raise kind(type(error).__name__) from error
