"""However a request is answered, its headers, its log line and the metrics tell the same story."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from proxy.model.media import Format
from proxy.model.outcome import HIT, PAGE, PREFLIGHT, UNKNOWN, Outcome
from proxy.url.path import INFO_PREFIX
from proxy.web.headers import cache_status, cache_status_parameters, server_timing
from tests.origins.server import reply, running
from tests.pictures import photo, plain, saved
from tests.web.serving import client

TABLE: list[tuple[Outcome, str, str]] = [
    (HIT, "hit", "hit"),
    (Outcome(hit=True), "hit", "hit"),
    (Outcome(hit=True, timings={"cache": 0.1}), "hit", "hit"),
    (Outcome(hit=True, ttl=-5), "hit; ttl=-5", "stale"),
    (Outcome(forwarded="miss"), "fwd=miss", "miss"),
    (Outcome(forwarded="miss", stored=True), "fwd=miss; stored", "miss"),
    (Outcome(forwarded="miss", collapsed=True), "fwd=miss; collapsed", "miss"),
    (Outcome(forwarded="miss", stored=True, collapsed=True), "fwd=miss; stored; collapsed", "miss"),
    (Outcome(forwarded="stale"), "fwd=stale", "miss"),
    (Outcome(forwarded="stale", stored=True), "fwd=stale; stored", "miss"),
    (Outcome(forwarded="stale", stored=True, collapsed=True), "fwd=stale; stored; collapsed", "miss"),
    (
        Outcome(forwarded="stale", failed_status=500, code="origin_failed"),
        "fwd=stale; fwd-status=500; detail=origin_failed",
        "stale",
    ),
    (
        Outcome(forwarded="stale", failed_status=503, code="overloaded", collapsed=True),
        "fwd=stale; fwd-status=503; detail=overloaded; collapsed",
        "stale",
    ),
    (Outcome(code="unknown_option"), "detail=unknown_option", "error"),
    (PREFLIGHT, "fwd=method", "other"),
    (PAGE, "fwd=bypass", "other"),
    (UNKNOWN, "", "other"),
]


@pytest.mark.parametrize("outcome, parameters, answer", TABLE)
def test_an_outcome_is_told_alike_everywhere(outcome: Outcome, parameters: str, answer: str) -> None:
    assert cache_status(outcome) == (b"cache-status", f"image-proxy; {parameters}".encode())
    assert cache_status_parameters(outcome) == parameters
    assert outcome.answer == answer


def test_steps_are_told_in_milliseconds() -> None:
    outcome = Outcome(forwarded="miss", timings={"fetch": 0.01234, "encode": 1.0})
    assert server_timing(outcome) == (b"server-timing", b"fetch;dur=12.3, encode;dur=1000.0")


HITS = st.builds(Outcome, hit=st.just(True), ttl=st.none() | st.integers(-9999, -1))
FORWARDS = st.builds(
    Outcome, forwarded=st.sampled_from(["miss", "stale"]), stored=st.booleans(), collapsed=st.booleans()
)
STALE_IF_ERROR = st.builds(
    Outcome,
    forwarded=st.just("stale"),
    failed_status=st.just(502),
    code=st.just("origin_failed"),
    collapsed=st.booleans(),
)


@given(HITS | FORWARDS | STALE_IF_ERROR)
def test_cache_status_is_a_structured_field(outcome: Outcome) -> None:
    """RFC 9211 section 2 in the syntax of RFC 8941: a token with parameters, `hit` or `fwd`, not both."""
    name, *parameters = cache_status(outcome)[1].decode().split("; ")
    assert name == "image-proxy"
    kinds = {"hit": "", "ttl": "-?[0-9]+", "fwd": "miss|stale", "fwd-status": "[0-9]{3}", "stored": "",
             "collapsed": "", "detail": "[a-z_]+"}  # fmt: skip
    found = dict(each.partition("=")[::2] for each in parameters)
    assert len(found) == len(parameters)
    assert all(re.fullmatch(kinds[key], value) for key, value in found.items())
    assert ("hit" in found) != ("fwd" in found)


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("originals")
    (folder / "a.jpg").write_bytes(saved(photo(64, 48), Format.JPEG))
    (folder / "instead.png").write_bytes(saved(plain(8, 8, 200, 10, 10), Format.PNG))
    (folder / "presets.yaml").write_text("presets: {card: {options: w_20, on_error: instead.png}}\n")
    return folder


@dataclass(frozen=True, kw_only=True)
class Case:
    """The last of `times` requests for `path`; what is told of it, `None` where nothing is."""

    path: str
    cache: str | None
    answer: str
    status: int = 200
    code: str | None = None
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    times: int = 1


def lifetimes(s_maxage: int, stale_while_revalidate: int, stale_if_error: int) -> dict[str, Any]:
    return {
        "s_maxage": s_maxage,
        "stale_while_revalidate": stale_while_revalidate,
        "stale_if_error": stale_if_error,
    }


TOKEN = "an-admin-token-of-thirty-two-bytes-or-so"
ADMIN = {"admin_token": TOKEN}
BEARER = {"authorization": f"Bearer {TOKEN}"}
PICTURE = "/w_30/a.jpg"
CASES = {
    "miss": Case(path=PICTURE, cache="fwd=miss; stored", answer="miss"),
    "miss without a cache": Case(
        path=PICTURE, cache="fwd=miss", answer="miss", settings={"cache": "none"}, times=2
    ),
    "hit": Case(path=PICTURE, cache="hit", answer="hit", times=2),
    "HEAD": Case(path=PICTURE, cache="hit", answer="hit", times=2, method="HEAD"),
    "304": Case(
        path=PICTURE, cache="hit", answer="hit", status=304, times=2, headers={"if-none-match": "*"}
    ),
    "206": Case(
        path=PICTURE, cache="hit", answer="hit", status=206, times=2, headers={"range": "bytes=0-1"}
    ),
    "416": Case(
        path=PICTURE, cache="detail=range_not_satisfiable", answer="error", status=416, times=2,
        code="range_not_satisfiable", headers={"range": "bytes=999999-"},
    ),
    "stale hit": Case(
        path=PICTURE, cache="hit; ttl=-1", answer="stale", times=2, settings=lifetimes(0, 600, 600)
    ),
    "made again": Case(
        path=PICTURE, cache="fwd=stale; stored", answer="miss", times=2, settings=lifetimes(0, 0, 600)
    ),
    "description": Case(path=f"{INFO_PREFIX}/_/a.jpg", cache="hit", answer="hit", times=2),
    "unknown option": Case(
        path="/blurr_3/a.jpg", cache="detail=unknown_option", answer="error", status=400,
        code="unknown_option",
    ),
    "no original": Case(
        path="/w_30/no.jpg", cache="detail=original_not_found", answer="error", status=404,
        code="original_not_found",
    ),
    "image in place of an error": Case(
        path="/p_card/no.jpg", cache="detail=original_not_found", answer="error", status=404,
        code="original_not_found",
    ),
    "not an image's path": Case(
        path="/favicon.ico", cache="detail=not_found", answer="error", status=404, code="not_found"
    ),
    "loop": Case(
        path=PICTURE, cache="detail=loop", answer="error", status=508, code="loop",
        headers={"cdn-loop": "image-proxy"},
    ),
    "other method": Case(
        path=PICTURE, cache="detail=method_not_allowed", answer="error", status=405, method="POST",
        code="method_not_allowed",
    ),
    "preflight": Case(path=PICTURE, cache="fwd=method", answer="other", status=204, method="OPTIONS"),
    "long headers": Case(
        path=PICTURE, cache="detail=headers_too_long", answer="error", status=431, code="headers_too_long",
        headers={"x": "x" * 40_000},
    ),
    "page": Case(path="/healthz", cache="fwd=bypass", answer="other"),
    "options": Case(path="/-/options.json", cache="fwd=bypass", answer="other"),
    "no page": Case(
        path="/-/nothing", cache="detail=not_found", answer="error", status=404, code="not_found"
    ),
    "method of a page": Case(
        path="/healthz", cache="detail=method_not_allowed", answer="error", status=405, method="POST",
        code="method_not_allowed",
    ),
    "page that wants a token": Case(
        path="/-/purge", cache="detail=unauthorized", answer="error", status=401, code="unauthorized",
        method="POST",
    ),
    "purge of nothing": Case(
        path="/-/purge", cache="detail=invalid_purge", answer="error", status=400, method="POST",
        headers={**BEARER, "content-type": "application/json"},
        code="invalid_purge",
    ),
    "a slash too many": Case(
        path="/healthz/", cache="detail=not_found", answer="error", status=404, code="not_found"
    ),
}  # fmt: skip


Told = tuple[list[str | None], dict[str, int], dict[str, int]]


@asynccontextmanager
async def watched(web: httpx.AsyncClient) -> AsyncIterator[Callable[[], Awaitable[Told]]]:
    """Gives a function for the log's `cache`, and for the requests and the errors counted, since."""

    async def counted() -> Counter[tuple[str, str]]:
        families = text_string_to_metric_families((await web.get("/metrics", headers=BEARER)).text)
        return Counter(
            {
                (each.name, " ".join(sorted(sample.labels.values()))): int(sample.value)
                for each in families
                for sample in each.samples
                if each.name in ("image_proxy_requests", "image_proxy_errors")
            }
        )

    before = await counted()
    with structlog.testing.capture_logs() as lines:

        async def told() -> Told:
            cache = [line.get("cache") for line in lines if line["event"] == "request"]
            more = await counted()
            more.subtract(before)
            more["image_proxy_requests", "200 other"] -= 1  # the look before
            requests, errors = (
                {labels: count for (each, labels), count in more.items() if each == name and count}
                for name in ("image_proxy_requests", "image_proxy_errors")
            )
            return cache, requests, errors

        yield told


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_headers_log_and_metrics_agree(renderers: str, originals: Path, case: Case) -> None:
    settings = {"origin": str(originals), "presets": originals / "presets.yaml", **ADMIN, **case.settings}
    async with client(renderers, **settings) as web:
        for _ in range(case.times - 1):
            await web.get(case.path)
        async with watched(web) as told:
            answer = await web.request(case.method, case.path, headers=case.headers)
            assert await told() == (
                [case.cache],
                {f"{case.status} {case.answer}": 1},
                {case.code: 1} if case.code else {},
            )
    assert answer.status_code == case.status
    assert answer.headers.get("cache-status") == (case.cache and f"image-proxy; {case.cache}")


async def test_a_stale_rendition_in_place_of_an_error_tells_of_both(renderers: str) -> None:
    async with running() as origin:
        picture = saved(photo(64, 48), Format.JPEG)
        origin.put("/a.jpg", reply(picture), reply(b"", status=500))
        settings = {**ADMIN, "private_networks": True, "originals_cache": "none", **lifetimes(0, 0, 600)}
        async with client(renderers, origin=f"{origin.url}/", **settings) as web:
            await web.get(PICTURE)
            async with watched(web) as told:
                answer = await web.get(PICTURE)
                cache = "fwd=stale; fwd-status=500; detail=origin_failed"
                assert await told() == ([cache], {"200 stale": 1}, {"origin_failed": 1})
    assert answer.headers["cache-status"] == f"image-proxy; {cache}"


async def test_the_second_of_two_at_once_is_collapsed(renderers: str, originals: Path) -> None:
    async with client(renderers, origin=str(originals), **ADMIN) as web, watched(web) as told:
        answers = await asyncio.gather(web.get(PICTURE), web.get(PICTURE))
        cache, requests, errors = await told()
    assert set(cache) == {"fwd=miss; stored", "fwd=miss; stored; collapsed"}
    assert (requests, errors) == ({"200 miss": 2}, {})
    assert {answer.headers["cache-status"] for answer in answers} == {
        f"image-proxy; {each}" for each in cache
    }
