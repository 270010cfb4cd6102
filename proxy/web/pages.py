"""Pages, by Starlette: health, readiness, the option table, metrics."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from proxy.model.errors import ProxyError
from proxy.model.outcome import PAGE
from proxy.options.catalogue import options_table
from proxy.web.admin_access import NOT_FOUND, AdminTerms, Refusal, admin_access
from proxy.web.headers import SECURITY_HEADERS, cache_status
from proxy.web.problems import problem, problem_from
from proxy.web.readiness import Readiness
from proxy.web.responses import OUTCOME, HttpResponse

Page = Callable[[Request], Awaitable[Response]]


class PageResponse(Response):
    """A response of a Starlette page, which leaves its outcome in the request's scope for the access log."""

    def __init__(self, response: HttpResponse) -> None:
        super().__init__(response.body, response.status)
        self.raw_headers[:] = response.headers
        self._outcome = response.outcome

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope[OUTCOME] = self._outcome
        await super().__call__(scope, receive, send)


def uncached_page(body: bytes, media_type: str, *, status: int = 200) -> PageResponse:
    """A page that is made anew for each request, and that no cache stores."""
    headers = [
        (b"content-type", media_type.encode()),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
        cache_status(PAGE),
        *SECURITY_HEADERS,
        *([(b"retry-after", b"1")] if status == 503 else []),
    ]
    return PageResponse(HttpResponse(status, headers, body, PAGE))


def json_page(content: object, *, status: int = 200) -> PageResponse:
    body = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
    return uncached_page(body, "application/json", status=status)


def admin_only(page: Page, *, terms: AdminTerms) -> Page:
    """Guard `page` by `admin_access`; a request that may not have it gets a problem in its place."""

    async def guarded(request: Request) -> Response:
        refusal = admin_access(terms, request.scope)
        return await page(request) if refusal is None else refused_page(refusal)

    return guarded


def refused_page(refusal: Refusal) -> Response:
    if refusal is NOT_FOUND:
        return nothing_here()
    headers = refusal.headers
    return PageResponse(
        problem(refusal.status, refusal.code, refusal.detail, headers=headers, cacheable=False)
    )


async def healthz(_: Request) -> Response:
    """Say that the process runs its event loop."""
    return json_page({"status": "ok"})


def readiness_page(readiness: Callable[[], Readiness], *, shows_detail: Callable[[Scope], bool]) -> Page:
    """
    Say whether this deployment takes requests: 200, or 503 before its start, while it drains and without
    renderers. The requests of which `shows_detail` is true are told why.
    """

    async def page(request: Request) -> Response:
        found = await asyncio.to_thread(readiness)  # it reads files
        said = {"status": "ready" if found.ready else "not ready"}
        detail = found.detail() if shows_detail(request.scope) else {}
        return json_page({**said, **detail}, status=200 if found.ready else 503)

    return page


def options_page(formats: Callable[[], Awaitable[Mapping[str, Any]]]) -> Page:
    """
    Show the option table, and with `formats` what can be decoded here (`load`) and encoded (`save`).

    These do not change while a process runs: `formats` is called until it answers, and not again.
    """
    known: dict[str, Any] = {}
    asking = asyncio.Lock()

    async def page(_: Request) -> Response:
        async with asking:
            if not known:
                try:
                    known.update(await formats())
                except ProxyError as error:
                    return PageResponse(problem_from(error))
        return json_page({"options": options_table(), "formats": known})

    return page


def metrics_page(exposition: Callable[[], Awaitable[bytes]]) -> Page:
    """Show the metrics in Prometheus' text format, which every version of it reads."""

    async def page(_: Request) -> Response:
        return uncached_page(await exposition(), CONTENT_TYPE_PLAIN_0_0_4)

    return page


def nothing_here() -> Response:
    return PageResponse(problem(404, "not_found", "nothing is here"))


async def _not_found(_: Request, __: Exception) -> Response:
    return nothing_here()


async def _method_not_allowed(_: Request, error: Exception) -> Response:
    allowed = getattr(error, "headers", {}).get("Allow", "GET, HEAD")
    headers = [(b"allow", allowed.encode())]
    return PageResponse(problem(405, "method_not_allowed", f"this page takes {allowed}", headers=headers))


async def _internal_error(_: Request, __: Exception) -> Response:
    return PageResponse(problem(500, "internal_error", "this is our fault, not yours"))


ERROR_PAGES: Mapping[Any, Any] = {404: _not_found, 405: _method_not_allowed, 500: _internal_error}
"""Starlette's exception handlers, by status."""
