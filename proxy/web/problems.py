"""Errors as responses: problem details (RFC 9457), with one HTTP status for each family of errors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from proxy.model import errors
from proxy.model.outcome import Outcome
from proxy.web.headers import SECURITY_HEADERS, Headers, cache_status
from proxy.web.responses import HttpResponse

CLIENT_LEFT = 499
"""As nginx has it: no client gets this status, and in logs and metrics it is no failure of the server."""

STATUS: Mapping[type[errors.ProxyError], int] = {
    errors.InvalidRequest: 400,
    errors.TooLong: 414,
    errors.Forbidden: 403,
    errors.Expired: 410,
    errors.OriginalNotFound: 404,
    errors.OriginalTooLarge: 413,
    errors.UnusableOriginal: 422,
    errors.NotAnImage: 415,
    errors.ResultTooLarge: 422,
    errors.OriginFailed: 502,
    errors.OriginTimedOut: 504,
    errors.Overloaded: 503,
    errors.RateLimited: 429,
    errors.ClientLeft: CLIENT_LEFT,
    errors.ProxyError: 500,
}
"""By family of errors; the nearest one along an error's MRO decides."""

TITLES: Mapping[int, str] = {
    413: "Content Too Large",
    422: "Unprocessable Content",
    414: "URI Too Long",
    CLIENT_LEFT: "Client Closed Request",
}

MAX_AGES = {400: 60, 403: 60, 404: 60, 410: 60, 413: 60, 415: 60, 422: 60}
"""By status, seconds for which caches may store it: the URL alone decides these. No others are stored."""

SHOWN_FACTS = ("option", "value", "allowed", "reason", "origin_status", "smallest")
"""The facts of an error that are members of its problem."""


def status_of(error: errors.ProxyError) -> int:
    """Return the HTTP status for `error`."""
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def problem(
    status: int,
    code: str,
    detail: str,
    *,
    vary: bool = False,
    cacheable: bool = True,
    left: float | None = None,
    headers: Headers = (),
    **facts: Any,
) -> HttpResponse:
    """
    Make the response to an error.

    `code` is its stable name and `detail` one sentence for people; `facts` are further members of the problem
    (RFC 9457 section 3.2). Without `cacheable` no cache stores it, since something else than the URL decided;
    nothing is stored for longer than `left`, the seconds until the URL ends and the answer is another one.
    """
    title = TITLES.get(status) or HTTPStatus(status).phrase
    members = {
        "type": f"urn:image-proxy:{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
    }
    body = json.dumps(members | facts, ensure_ascii=False).encode()
    max_age = MAX_AGES.get(status, 0)
    if left is not None:
        max_age = min(max_age, max(0, int(left)))
    outcome = Outcome(code=code)
    return HttpResponse(
        status,
        [
            (b"content-type", b"application/problem+json"),
            (b"content-length", b"%d" % len(body)),
            (b"cache-control", b"public, max-age=%d" % max_age if max_age and cacheable else b"no-store"),
            cache_status(outcome),
            *([(b"vary", b"Accept")] if vary else []),
            *SECURITY_HEADERS,
            *headers,
        ],
        body,
        outcome,
    )


def problem_from(
    error: errors.ProxyError, *, vary: bool = False, left: float | None = None, suggestion: str | None = None
) -> HttpResponse:
    """Make the response to `error`; see `problem`. `suggestion` is the path that was probably meant."""
    facts = {name: value for name, value in error.facts.items() if name in SHOWN_FACTS}
    retry = error.facts.get("retry_after")
    headers = [(b"retry-after", b"%d" % max(1, round(retry)))] if retry is not None else []
    if isinstance(error, errors.RateLimited):
        headers += rate_limit_headers(error)
    message = error.message
    if suggestion is not None:
        facts["suggestion"] = suggestion
        message = f"{message.rstrip('?')}; did you mean {suggestion}?"
    return problem(status_of(error), error.code, message, vary=vary, left=left, headers=headers, **facts)


def rate_limit_headers(error: errors.RateLimited) -> list[tuple[bytes, bytes]]:
    """
    Return the fields RateLimit-Policy and RateLimit of a client that has nothing left.

    https://datatracker.ietf.org/doc/html/draft-ietf-httpapi-ratelimit-headers-10
    """
    rate, window, seconds = (error.facts[name] for name in ("rate", "window", "retry_after"))
    return [
        (b"ratelimit-policy", b'"renders";q=%d;w=%d' % (rate, window)),
        (b"ratelimit", b'"renders";r=0;t=%d' % seconds),
    ]


def no_such_path(suggestion: str | None = None) -> HttpResponse:
    if suggestion is None:
        return problem(
            404, "not_found", "nothing is here; a picture is at /{options}/{key}, such as /w_300/a.jpg"
        )
    detail = f"nothing is here; did you mean {suggestion}?"
    return problem(404, "not_found", detail, suggestion=suggestion)
