"""Errors as clients get them: RFC 9457 problem details, one status for each family of errors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from proxy.model import errors
from proxy.model.outcome import Outcome
from proxy.web.headers import SECURITY_HEADERS, Headers, cache_status
from proxy.web.responses import HttpResponse

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
    errors.ProxyError: 500,
}
"""The nearest family along an error's MRO decides."""

TITLES: Mapping[int, str] = {413: "Content Too Large", 422: "Unprocessable Content", 414: "URI Too Long"}

LASTING = {400: 60, 403: 60, 404: 60, 410: 60, 413: 60, 415: 60, 422: 60}
"""Seconds for which an answer that the URL alone decides may be kept. All others: not at all."""


def status_of(error: errors.ProxyError) -> int:
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def problem(
    status: int,
    code: str,
    detail: str,
    *,
    vary: bool = False,
    keep: bool = True,
    left: float | None = None,
    headers: Headers = (),
    **facts: Any,
) -> HttpResponse:
    """
    Without `keep` no cache keeps it: something else than the URL decided. Nothing outlives `left`, the
    seconds until the URL ends and the answer is another one. `facts` are further members of the problem (RFC
    9457 section 3.2).
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
    lasting = LASTING.get(status, 0)
    if left is not None:
        lasting = min(lasting, max(0, int(left)))
    outcome = Outcome(code=code)
    return HttpResponse(
        status,
        [
            (b"content-type", b"application/problem+json"),
            (b"content-length", b"%d" % len(body)),
            (b"cache-control", b"public, max-age=%d" % lasting if lasting and keep else b"no-store"),
            cache_status(outcome),
            *([(b"vary", b"Accept")] if vary else []),
            *SECURITY_HEADERS,
            *headers,
        ],
        body,
        outcome,
    )


def problem_of(error: errors.ProxyError, *, vary: bool = False, left: float | None = None) -> HttpResponse:
    facts = {name: value for name, value in error.facts.items() if name in SHOWN}
    retry = error.facts.get("retry_after")
    headers = [(b"retry-after", b"%d" % max(1, round(retry)))] if retry is not None else []
    return problem(
        status_of(error), error.code, error.message, vary=vary, left=left, headers=headers, **facts
    )


SHOWN = ("option", "value", "allowed", "reason", "origin_status", "smallest")
