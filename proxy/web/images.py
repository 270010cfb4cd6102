"""Respond to requests for images: at once from memory where the rendition is there, else by `Renditions`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from weakref import ref

from starlette.types import Scope

from proxy.config.presets import Presets
from proxy.fairness.client_address import ClientAddresses
from proxy.model.errors import Expired, InvalidKey, InvalidRequest, ProxyError
from proxy.model.media import SUFFIXES, Rendition
from proxy.model.negotiation import Bucket, bucket
from proxy.model.outcome import PREFLIGHT, Outcome
from proxy.renditions import Renditions, Served
from proxy.requests.correction import correction
from proxy.requests.read import ParsedRequest, ServingTerms, may_vary, read_request
from proxy.url.grammar import parse_options
from proxy.url.path import signature_parameter
from proxy.web.client_work import ClientWork
from proxy.web.conditional import conditional_response
from proxy.web.headers import (
    SECURITY_HEADERS,
    cache_status,
    revalidated,
    server_timing,
)
from proxy.web.problems import no_such_path, problem, problem_from
from proxy.web.read_urls import HitResponse, ReadUrl, ReadUrls, RepeatedHit
from proxy.web.rendition_head import lifetime_of, outcome_of, stable_headers
from proxy.web.request_headers import combined, is_loop
from proxy.web.responses import HeaderList, HttpResponse

ALLOWED_METHODS = (b"allow", b"GET, HEAD, OPTIONS")
PREFLIGHT_HEADERS = (
    (b"access-control-allow-methods", ALLOWED_METHODS[1]),
    (b"access-control-allow-headers", b"*"),
    (b"access-control-max-age", b"86400"),
    (b"cache-control", b"no-store"),
    cache_status(PREFLIGHT),
)
"""The answer to a CORS preflight (https://fetch.spec.whatwg.org/#cors-preflight-fetch)."""


class Images:
    """
    The responder to GET and HEAD of `/{options}/{key}`.

    With `timing`, responses have Server-Timing. If they are to be `revalidated`, each use of what a browser
    has cached is asked for, so that a reload shows what has changed here. `addresses` tell clients, who share
    what is scarce.
    """

    def __init__(
        self,
        renditions: Renditions,
        terms: ServingTerms,
        presets: Presets,
        *,
        timing: bool = True,
        revalidated: bool = False,
        addresses: ClientAddresses | None = None,
    ) -> None:
        self._renditions = renditions
        self._work = ClientWork(addresses or ClientAddresses())
        self._terms = terms
        self._timing = timing
        self._revalidated = revalidated
        self.use(presets)

    def use(self, presets: Presets) -> None:
        """Read all requests from now on with `presets`."""

        def read(raw_path: bytes, signature: bytes, accepted: Bucket) -> ReadUrl:
            parsed = read_request(self._terms, presets, raw_path, signature, accepted)
            return ReadUrl(parsed, parsed.rendition_request.stem)

        self._read = ReadUrls(read)
        self.preset_names = presets.presets.keys()

    async def __call__(self, scope: Scope) -> HttpResponse:
        headers = combined(scope["headers"])
        method = scope["method"]
        if method not in ("GET", "HEAD"):
            return other_method(method, vary=may_vary(scope["raw_path"]))
        if b"cdn-loop" in headers and is_loop(headers[b"cdn-loop"]):
            return problem(508, "loop", "this request came from here")
        if method == "HEAD":
            headers.pop(b"range", None)  # of GET alone (RFC 9110 section 14.2)
        response = await self._respond(scope, headers)
        if self._revalidated:
            response = response._replace(headers=revalidated(response.headers))
        return response if method == "GET" else response._replace(body=b"")

    async def _respond(self, scope: Scope, headers: Mapping[bytes, bytes]) -> HttpResponse:
        raw_path, query = scope["raw_path"], scope["query_string"]
        try:
            url = self._read(*self._read_key(raw_path, query, headers.get(b"accept")))
        except ProxyError as error:
            return self._unread(error, raw_path, query)
        parsed = url.parsed
        try:
            parsed.seconds_left(time.time())
            parsed.rendition_request.require_allowed()
            if (refreshing := self._renditions.refresh(parsed.rendition_request)) is not None:
                await refreshing()
            if (found := self._in_memory(url)) is not None:
                return conditional_response(headers, *found)
            served = await self._work.run(scope, lambda: self._renditions.get(parsed.rendition_request))
            left = parsed.seconds_left(time.time())  # it may have taken what was left
        except ProxyError as error:
            error = parsed.for_client(error)
            return await self._failed(parsed, error, self._suggestion(error, raw_path, query), scope)
        if served.stored and not served.collapsed:
            self._renditions.prepare(parsed.other_widths)
        response = self._response(parsed, served, self._stable_headers(parsed, served.rendition), left)
        return conditional_response(headers, served.rendition, response)

    def repeated(self, raw_path: bytes, query: bytes, accept: bytes | None) -> RepeatedHit | None:
        """
        Return the hit in memory of a URL that was read before: what `__call__` would respond, found without a
        wait, and without anything that needs one.
        """
        if self._revalidated:
            return None
        url = self._read.known(*self._read_key(raw_path, query, accept))
        if url is None or self._renditions.refresh(url.parsed.rendition_request) is not None:
            return None
        try:
            found = self._in_memory(url)
        except ProxyError:  # of which the usual way tells
            return None
        if found is None or url.last_hit is None or url.last_hit.headers is not found[1].headers:
            return None
        return RepeatedHit(url.last_hit, found[0])

    def _read_key(self, raw_path: bytes, query: bytes, accept: bytes | None) -> tuple[bytes, bytes, Bucket]:
        signature = signature_parameter(query) if query and self._terms.secrets else b""
        return raw_path, signature, bucket(accept.decode("latin-1") if accept else None)

    def _in_memory(self, url: ReadUrl) -> tuple[Rendition, HttpResponse] | None:
        """What is served of this URL without a wait. Raises Expired and SourceNotAllowed."""
        now = time.time()
        parsed = url.parsed
        left = parsed.seconds_left(now)
        parsed.rendition_request.require_allowed()
        name = self._renditions.name(url.stem, parsed.rendition_request)
        purge = self._renditions.latest_purge
        rendition = self._renditions.peek(name)
        if rendition is None:
            return None
        last = url.last_hit
        if last is not None and now < last.until and purge == last.purge and last.rendition() is rendition:
            return rendition, HttpResponse(200, last.headers, rendition.body, last.outcome)
        hit = self._renditions.serve_cached(parsed.rendition_request, name, rendition)
        return None if hit is None else (rendition, self._hit(url, hit, now, left, purge))

    def _hit(self, url: ReadUrl, hit: Served, now: float, left: float | None, purge: int) -> HttpResponse:
        rendition, last = hit.rendition, url.last_hit
        if last is not None and last.rendition() is rendition:
            stable = last.stable_headers
        else:
            stable = self._stable_headers(url.parsed, rendition)
        response = self._response(url.parsed, hit, stable, left)
        if left is None:
            until = now + 1 - max(0.0, hit.age) % 1
            url.last_hit = HitResponse(
                ref(rendition), stable, response.headers, response.outcome, until, purge
            )
        return response

    def _response(
        self, parsed: ParsedRequest, served: Served, stable: HeaderList, left: float | None
    ) -> HttpResponse:
        outcome = outcome_of(parsed, served)
        headers = [
            *stable,
            (b"cache-control", lifetime_of(parsed, served, left)),
            cache_status(outcome),
            *self._timing_header(outcome),
        ]
        return HttpResponse(200, headers, served.rendition.body, outcome)

    def _timing_header(self, outcome: Outcome) -> HeaderList:
        return [server_timing(outcome)] if self._timing and outcome.timings else []

    def _stable_headers(self, parsed: ParsedRequest, rendition: Rendition) -> HeaderList:
        return stable_headers(parsed, rendition, parsed.rendition_request.subject)

    def _unread(self, error: ProxyError, raw_path: bytes, query: bytes) -> HttpResponse:
        suggestion = self._suggestion(error, raw_path, query)
        if (
            isinstance(error, InvalidKey)
            and b"/" not in raw_path.removeprefix(self._terms.mount.encode())[1:]
        ):
            try:
                parse_options(raw_path.decode("latin-1").rsplit("/", 1)[-1])
            except InvalidRequest:
                # What browsers and robots ask every server for is no key.
                suffix = raw_path.rpartition(b".")[2].decode("latin-1").lower()
                return no_such_path(suggestion if suffix in SUFFIXES - {"ico"} else None)
        return problem_from(error, vary=may_vary(raw_path), suggestion=suggestion)

    def _suggestion(self, error: ProxyError, raw_path: bytes, query: bytes) -> str | None:
        mount = self._terms.mount
        path = raw_path.decode("latin-1").removeprefix(mount)
        found = correction(error, path, query.decode("latin-1"), self._terms.below)
        return None if found is None else mount + found

    async def _failed(
        self, parsed: ParsedRequest, error: ProxyError, suggestion: str | None, scope: Scope
    ) -> HttpResponse:
        """The problem, or the image that a preset shows in its place, which lives as long as the problem."""
        ends = None if isinstance(error, Expired) else parsed.spec.expires
        left = None if ends is None else ends - time.time()
        failure = problem_from(error, vary=parsed.varies, left=left, suggestion=suggestion)
        preset = next((preset for preset in reversed(parsed.presets) if preset.on_error), None)
        request = parsed.rendition_request
        if preset is None or preset.on_error is None or preset.on_error == request.key:
            return failure
        substitute = replace(request, original=self._terms.sources.locate(preset.on_error))
        try:
            served = await self._work.run(scope, lambda: self._renditions.get(substitute))
        except ProxyError:
            return failure
        outcome = replace(failure.outcome, timings=served.timings)
        headers = [
            *(
                header
                for header in self._stable_headers(parsed, served.rendition)
                if header[0] not in (b"etag", b"last-modified", b"accept-ranges")
            ),
            *(header for header in failure.headers if header[0] in (b"cache-control", b"retry-after")),
            cache_status(outcome),
            *self._timing_header(outcome),
        ]
        status = preset.on_error_status or failure.status
        return HttpResponse(status, headers, served.rendition.body, outcome)


def other_method(method: str, *, vary: bool) -> HttpResponse:
    if method == "OPTIONS":
        headers = [ALLOWED_METHODS, *PREFLIGHT_HEADERS, *SECURITY_HEADERS]
        return HttpResponse(204, headers, b"", PREFLIGHT)
    detail = f"a picture is had by GET, not {method}"
    return problem(405, "method_not_allowed", detail, vary=vary, headers=[ALLOWED_METHODS])
