"""What is not a picture: health, readiness and the option table."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from hmac import compare_digest
from typing import Any

from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from proxy.model.errors import ProxyError
from proxy.options.catalogue import options_table
from proxy.web.headers import GUARDS
from proxy.web.problems import problem, problem_of

Page = Callable[[Request], Awaitable[Response]]


def as_response(answered: tuple[int, list[tuple[bytes, bytes]], bytes]) -> Response:
    status, headers, body = answered
    response = Response(body, status)
    response.raw_headers[:] = headers
    return response


def plain(content: object, status: int = 200) -> JSONResponse:
    headers = {name.decode(): value.decode() for name, value in GUARDS}
    headers |= {"cache-control": "no-store", "cache-status": "image-proxy; fwd=bypass"}
    if status == 503:
        headers["retry-after"] = "1"
    return JSONResponse(content, status, headers=headers)


def admin_only(page: Page, *, token: str | None, development: bool) -> Page:
    """Behind `Authorization: Bearer token`; open in development when no token is set, else not there."""

    async def guarded(request: Request) -> Response:
        if token is None:
            return (
                await page(request)
                if development
                else as_response(problem(404, "not_found", "nothing is here"))
            )
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            challenge = [(b"www-authenticate", b"Bearer")]
            return as_response(problem(401, "unauthorized", "an admin token is needed", headers=challenge))
        if not compare_digest(given.strip().encode(), token.encode()):
            return as_response(problem(403, "wrong_token", "this is not the admin token", keep=False))
        return await page(request)

    return guarded


async def healthz(_: Request) -> Response:
    return plain({"status": "ok"})


def readyz(is_ready: Callable[[], Awaitable[bool]]) -> Page:
    async def page(_: Request) -> Response:
        return plain({"status": "ready"}) if await is_ready() else plain({"status": "not ready"}, 503)

    return page


def options(formats: Callable[[], Awaitable[Mapping[str, Any]]]) -> Page:
    async def page(_: Request) -> Response:
        try:
            return plain({"options": options_table(), "formats": await formats()})
        except ProxyError as error:
            return as_response(problem_of(error))

    return page


def metrics(exposition: Callable[[], Awaitable[bytes]]) -> Route:
    """In Prometheus' text format, which every version of it reads."""

    async def page(_: Request) -> Response:
        headers = {name.decode(): value.decode() for name, value in GUARDS}
        headers |= {"cache-control": "no-store", "cache-status": "image-proxy; fwd=bypass"}
        return Response(await exposition(), headers=headers, media_type=CONTENT_TYPE_PLAIN_0_0_4)

    return Route("/metrics", page)


async def not_found(_: Request, __: Exception) -> Response:
    return as_response(problem(404, "not_found", "nothing is here"))


async def not_allowed(_: Request, error: Exception) -> Response:
    allowed = getattr(error, "headers", {}).get("Allow", "GET, HEAD")
    headers = [(b"allow", allowed.encode())]
    return as_response(problem(405, "method_not_allowed", f"this page takes {allowed}", headers=headers))


async def failed(_: Request, __: Exception) -> Response:
    return as_response(problem(500, "internal_error", "this is our fault, not yours"))


def routes(
    is_ready: Callable[[], Awaitable[bool]],
    formats: Callable[[], Awaitable[Mapping[str, Any]]],
    *,
    mount: str,
    token: str | None,
    development: bool,
) -> list[Route]:
    """`formats` tells what can be decoded here (`load`) and encoded (`save`)."""
    return [
        Route("/healthz", healthz),
        Route("/readyz", readyz(is_ready)),
        Route(f"{mount}/-/options.json", admin_only(options(formats), token=token, development=development)),
    ]
