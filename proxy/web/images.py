"""The pictures themselves: from a request to its whole answer, at once where the rendition is at hand."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from starlette.types import Scope

from proxy.config.presets import Presets
from proxy.model.errors import Expired, InvalidKey, InvalidRequest, ProxyError
from proxy.model.freshness import provisional
from proxy.model.media import Rendition
from proxy.model.negotiation import Bucket, bucket
from proxy.purges.marks import PurgeSubject
from proxy.renditions.service import Renditions, Served
from proxy.requests.read import ParsedRequest, ServingTerms, may_vary, read_request
from proxy.url.grammar import parse_options
from proxy.web import conditional
from proxy.web.headers import (
    GUARDS,
    NOT_KEPT,
    cache_control,
    cache_status,
    disposition,
    entity,
    server_timing,
    tags,
)
from proxy.web.problems import Answered, problem, problem_of, status_of

OURS = b"image-proxy"
"""Our name in CDN-Loop (RFC 8586): whoever sends it back to us goes round in circles."""

ALLOWED = (b"allow", b"GET, HEAD, OPTIONS")
PREFLIGHT = (
    (b"access-control-allow-methods", ALLOWED[1]),
    (b"access-control-allow-headers", b"*"),
    (b"access-control-max-age", b"86400"),
    (b"cache-control", b"no-store"),
    (b"cache-status", b"image-proxy; fwd=method"),
)
"""What a browser asks before a script's request that carries more than a page's own would."""

BODY_HEADERS = (b"content-type", b"content-length")


@dataclass(frozen=True, slots=True)
class Ready:
    """A hit's headers, those that age apart: made once for each URL, and good `until` the next second."""

    rendition: Rendition
    lasting: list[tuple[bytes, bytes]]
    headers: list[tuple[bytes, bytes]]
    until: float
    purge: int


@dataclass(slots=True)
class Known:
    """A URL that was read before. The one mutable thing on the road: it remembers its last answer."""

    ask: ParsedRequest
    stem: str
    ready: Ready | None = None


class Images:
    """GET and HEAD of `/{options}/{key}`. `use` swaps the presets for all requests that come after."""

    def __init__(
        self, renditions: Renditions, terms: ServingTerms, presets: Presets, *, timing: bool = True
    ) -> None:
        self._renditions = renditions
        self._terms = terms
        self._timing = timing
        self.use(presets)

    def use(self, presets: Presets) -> None:
        def read(raw_path: bytes, query: bytes, accepted: Bucket) -> Known:
            ask = read_request(self._terms, presets, raw_path, query, accepted)
            return Known(ask, ask.rendition_request.stem)

        self._read: Callable[[bytes, bytes, Bucket], Known] = lru_cache(maxsize=4096)(read)

    async def __call__(self, scope: Scope) -> Answered:
        headers = joined(scope["headers"])
        method = scope["method"]
        if method not in ("GET", "HEAD"):
            return other_method(method, vary=may_vary(scope["raw_path"]))
        if b"cdn-loop" in headers and goes_round(headers[b"cdn-loop"]):
            return problem(508, "loop", "this request came from here")
        if method == "HEAD":
            headers.pop(b"range", None)  # of GET alone (RFC 9110 section 14.2)
            return (*(await self._answer(scope, headers))[:2], b"")
        return await self._answer(scope, headers)

    async def _answer(self, scope: Scope, headers: Mapping[bytes, bytes]) -> Answered:
        raw_path, query = scope["raw_path"], scope["query_string"]
        accept = headers.get(b"accept")
        try:
            known = self._read(
                raw_path,
                query if b"s=" in query else b"",
                bucket(accept.decode("latin-1") if accept else None),
            )
        except ProxyError as error:
            return self._refusal(error, raw_path)
        ask = known.ask
        now = time.time()
        try:
            left = ask.seconds_left(now)
            name = self._renditions.name(known.stem, ask.rendition_request)
            if (rendition := self._renditions.peek(name)) is not None:
                ready = known.ready
                purge = self._renditions.latest_purge
                if (
                    ready is not None
                    and ready.rendition is rendition
                    and now < ready.until
                    and purge == ready.purge
                ):
                    return answer_to(headers, rendition, ready.headers)
                if (hit := self._renditions.judge(ask.rendition_request, name, rendition)) is not None:
                    return answer_to(headers, rendition, self._hit(known, hit, now, left, purge))
            answer = await self._renditions.get(ask.rendition_request)
            left = ask.seconds_left(time.time())  # it may have taken what was left
        except ProxyError as error:
            return await self._failure(ask, error)
        return answer_to(headers, answer.rendition, self._headers(ask, answer, left))

    def _refusal(self, error: ProxyError, raw_path: bytes) -> Answered:
        if (
            isinstance(error, InvalidKey)
            and b"/" not in raw_path.removeprefix(self._terms.mount.encode())[1:]
        ):
            try:
                parse_options(raw_path.decode("latin-1").rsplit("/", 1)[-1])
            except InvalidRequest:
                return nothing_here()
        return problem_of(error, vary=may_vary(raw_path))

    def _hit(
        self, known: Known, answer: Served, now: float, left: float | None, purge: int
    ) -> list[tuple[bytes, bytes]]:
        if left is not None:
            return self._headers(known.ask, answer, left)
        rendition, ready = answer.rendition, known.ready
        same = ready is not None and ready.rendition is rendition
        lasting = ready.lasting if same and ready else self._lasting(known.ask, rendition)
        headers = [*lasting, *aging_headers(known.ask, answer, None)]
        until = now + 1 - max(0.0, answer.age) % 1
        known.ready = Ready(rendition, lasting, headers, until, purge)
        return headers

    def _headers(self, ask: ParsedRequest, answer: Served, left: float | None) -> list[tuple[bytes, bytes]]:
        found = [*self._lasting(ask, answer.rendition), *aging_headers(ask, answer, left)]
        if self._timing and answer.timings:
            found.append((b"server-timing", server_timing(answer.timings)))
        return found

    def _lasting(self, ask: ParsedRequest, rendition: Rendition) -> list[tuple[bytes, bytes]]:
        return lasting_headers(ask, rendition, ask.rendition_request.subject)

    async def _failure(self, ask: ParsedRequest, error: ProxyError) -> Answered:
        """The problem, or the picture that a preset shows in its place, with the error's lifetime."""
        ends = None if isinstance(error, Expired) else ask.spec.expires
        left = None if ends is None else ends - time.time()
        answered = problem_of(error, vary=ask.varies, left=left)
        preset = next((preset for preset in reversed(ask.presets) if preset.on_error), None)
        if preset is None or preset.on_error is None or preset.on_error == ask.rendition_request.key:
            return answered
        shown = replace(ask.rendition_request, original=self._terms.sources.locate(preset.on_error))
        try:
            answer = await self._renditions.get(shown)
        except ProxyError:
            return answered
        # The picture is how the error looks: kept as shortly, and told as one.
        told = {name: value for name, value in answered[1] if name in (b"cache-control", b"cache-status")}
        headers = [
            (header[0], told.get(header[0], header[1]))
            for header in self._headers(ask, answer, None)
            if header[0] not in (b"etag", b"last-modified", b"accept-ranges")
        ]
        headers += [header for header in answered[1] if header[0] == b"retry-after"]
        return preset.on_error_status or status_of(error), headers, answer.rendition.body


def lasting_headers(
    ask: ParsedRequest, rendition: Rendition, about: PurgeSubject
) -> list[tuple[bytes, bytes]]:
    """What is said of a rendition for as long as it is the same."""
    spec = ask.spec
    return [
        (b"content-type", rendition.media_type.encode()),
        (b"content-length", b"%d" % len(rendition.body)),
        *entity(rendition),
        (b"accept-ranges", b"bytes"),
        (
            b"content-disposition",
            disposition(spec.filename, ask.rendition_request.key, rendition.suffix, download=spec.download),
        ),
        *tags(about),
        *GUARDS,
        *([(b"image-proxy-note", ", ".join(rendition.notes).encode())] if rendition.notes else []),
        *([(b"vary", b"Accept")] if ask.varies else []),
    ]


def aging_headers(ask: ParsedRequest, answer: Served, left: float | None) -> list[tuple[bytes, bytes]]:
    """And what changes with every second, or with how it was come by."""
    lifetimes, failure = ask.rendition_request.lifetimes, None
    immutable = ask.spec.version is not None
    if answer.rendition.is_provisional:
        lifetimes, immutable = provisional(lifetimes), False
    if answer.failure is not None:
        failure = answer.failure.facts.get("origin_status") or status_of(answer.failure), answer.failure.code
    lasting = cache_control(lifetimes, age=answer.age, immutable=immutable, left=left)
    status = cache_status(
        hit=answer.hit,
        ttl=math.floor(lifetimes.s_maxage - answer.age) if answer.hit and answer.stale else None,
        stale=answer.stale,
        failure=failure,
        stored=answer.stored,
        collapsed=answer.collapsed,
    )
    return [(b"cache-control", lasting if answer.storable else NOT_KEPT), (b"cache-status", status)]


def goes_round(cdn_loop: bytes) -> bool:
    """Whether we are among those who passed this request on: a list of names with parameters."""
    return any(each.partition(b";")[0].strip().lower() == OURS for each in cdn_loop.split(b","))


def joined(headers: Sequence[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Each header once; several lines of one name are one list (RFC 9110 section 5.3)."""
    found = dict(headers)
    if len(found) < len(headers):
        found = {name: b", ".join(value for other, value in headers if other == name) for name in found}
    return found


def answer_to(
    headers: Mapping[bytes, bytes], rendition: Rendition, found: list[tuple[bytes, bytes]]
) -> Answered:
    """200, or what a conditional or a range request is answered with."""
    if (b"if-none-match" in headers or b"if-modified-since" in headers) and conditional.not_modified(
        headers, rendition
    ):
        return 304, [header for header in found if header[0] not in BODY_HEADERS], b""
    if b"range" not in headers:
        return 200, found, rendition.body
    length = len(rendition.body)
    try:
        span = conditional.requested_range(headers, rendition)
    except conditional.Unsatisfiable:
        return problem(
            416, "range_not_satisfiable", f"the picture has {length} bytes",
            headers=[(b"content-range", b"bytes */%d" % length)], vary=(b"vary", b"Accept") in found,
        )  # fmt: skip
    if span is None:
        return 200, found, rendition.body
    part = rendition.body[span.start : span.stop]
    sized = [
        (b"content-length", b"%d" % len(part)) if header[0] == b"content-length" else header
        for header in found
    ]
    place = (b"content-range", b"bytes %d-%d/%d" % (span.start, span.stop - 1, length))
    return 206, [*sized, place], part


def other_method(method: str, *, vary: bool) -> Answered:
    if method == "OPTIONS":
        return 204, [ALLOWED, *PREFLIGHT, *GUARDS], b""
    detail = f"a picture is had by GET, not {method}"
    return problem(405, "method_not_allowed", detail, vary=vary, headers=[ALLOWED])


def nothing_here() -> Answered:
    return problem(
        404, "not_found", "nothing is here; a picture is at /{options}/{key}, such as /w_300/a.jpg"
    )
