"""What Prometheus is told, where it is told, and to whom."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.types import Scope

from proxy.app.asgi import Deployment, create_app
from proxy.config.settings import load_settings
from proxy.model.errors import errors_by_code
from proxy.model.media import Format
from tests.deployments import Deployed, deployed
from tests.paths import ROOT
from tests.pictures import photo, plain, saved
from tests.web.serving import client, started

WAIT_TIMEOUT = 60.0  # s: the machine may be busy

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("originals")
    (folder / "a.jpg").write_bytes(saved(photo(64, 48), Format.JPEG))
    (folder / "instead.png").write_bytes(saved(plain(8, 8, 200, 10, 10), Format.PNG))
    return folder


def parsed(text: str) -> Samples:
    families = text_string_to_metric_families(text)
    return {(s.name, frozenset(s.labels.items())): s.value for each in families for s in each.samples}


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples.get((f"image_proxy_{name}", frozenset(labels.items())), 0.0)


async def scraped(web: httpx.AsyncClient) -> Samples:
    answer = await web.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return parsed(answer.text)


def listener(server: Deployed) -> str:
    assert server.process.stdout is not None
    said = re.fullmatch(
        r"metrics are at (http://127\.0\.0\.1:\d+)/metrics\n", server.process.stdout.readline()
    )
    assert said
    return said[1]


def until_it_answers(url: str) -> None:
    deadline = time.monotonic() + 2 * WAIT_TIMEOUT
    while True:
        with suppress(httpx.TransportError):
            if httpx.get(f"{url}/readyz", timeout=WAIT_TIMEOUT).status_code == 200:
                return
        assert time.monotonic() < deadline
        time.sleep(0.1)


def until(url: str, settled: Callable[[Samples], bool]) -> Samples:
    deadline = time.monotonic() + WAIT_TIMEOUT
    while not settled(samples := parsed(httpx.get(f"{url}/metrics", timeout=WAIT_TIMEOUT).text)):
        assert time.monotonic() < deadline, samples
        time.sleep(0.1)
    return samples


@pytest.mark.parametrize("processes", [1, 2])
def test_a_listener_of_its_own_tells_of_all_processes_and_has_nothing_else(
    originals: Path, processes: int
) -> None:
    with deployed(origin=str(originals), workers=processes, metrics_port=0) as server:
        metrics = listener(server)
        until_it_answers(server.url)
        for _ in range(20):  # a connection each, so that both processes get some
            assert httpx.get(f"{server.url}/w_30/a.jpg", timeout=WAIT_TIMEOUT).status_code == 200
        assert httpx.get(f"{server.url}/w_30/none.jpg", timeout=WAIT_TIMEOUT).status_code == 404
        assert httpx.get(f"{server.url}/metrics", timeout=WAIT_TIMEOUT).status_code == 404
        assert httpx.get(f"{metrics}/w_30/a.jpg", timeout=WAIT_TIMEOUT).status_code == 404
        samples = until(
            metrics,
            lambda found: (
                sum(
                    value(found, "cache_lookups_total", cache="renditions", tier="memory", outcome=outcome)
                    for outcome in ("hit", "miss")
                )
                >= 21
            ),
        )
    hits = value(samples, "requests_total", status="200", answer="hit")
    misses = value(samples, "requests_total", status="200", answer="miss")
    assert hits + misses == 20
    assert 1 <= misses <= processes
    assert value(samples, "request_duration_seconds_count", answer="hit") == hits
    assert value(samples, "errors_total", code="original_not_found") == 1
    assert value(samples, "origin_fetches_total", origin="default", outcome="fetched") >= 1
    assert value(samples, "origin_fetches_total", origin="default", outcome="original_not_found") == 1
    for stage in ("queue", "decode", "transform", "encode"):
        assert value(samples, "stage_duration_seconds_count", stage=stage) == misses
    assert value(samples, "renderers") == 1
    assert value(samples, "renderer_deaths_total") == 0
    for lock in ("landlock", "seccomp", "uid"):
        assert value(samples, "renderer_sandbox", lock=lock) in (0, 1)
    assert value(samples, "renderer_jobs", state="waiting") == 0


async def test_the_public_listener_tells_only_in_development_or_the_bearer_of_the_token(
    renderers: str, originals: Path
) -> None:
    async with client(renderers, origin=str(originals), dev=True) as web:
        assert await scraped(web)
    async with client(renderers, origin=str(originals)) as web:
        assert (await web.get("/metrics")).status_code == 404
    token = "an-admin-token-of-more-than-thirty-two-bytes"
    async with client(renderers, origin=str(originals), admin_token=token) as web:
        assert (await web.get("/metrics")).status_code == 401
        web.headers["authorization"] = f"Bearer {token}"
        assert await scraped(web)
    secrets = "a-secret-of-at-least-thirty-two-bytes"
    async with client(renderers, origin=str(originals), host="0.0.0.0", secrets=secrets) as web:
        assert (await web.get("/metrics")).status_code == 404
    async with client(renderers, origin=str(originals), metrics_port=9000) as web:
        assert (await web.get("/metrics")).status_code == 404


async def test_ten_thousand_keys_make_no_more_series_than_one(renderers: str, originals: Path) -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request", "body": b""}

    async def ask(path: str) -> bytes:
        sent.clear()
        scope: Scope = {
            "type": "http",
            "http_version": "1.1",
            "method": "GET",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": [(b"host", b"127.0.0.1")],
            "server": ("127.0.0.1", 80),
        }
        await app(scope, receive, send)
        return b"".join(message.get("body", b"") for message in sent)

    settings = load_settings(
        dev=True, origin=str(originals), cache="memory://64MB", log_level="error", log_format="json"
    )
    app = create_app(Deployment(settings=settings, renderers=renderers))
    async with started(app):
        for path in ("/w_30/first.jpg", "/first_1/a.jpg", "/metrics"):
            await ask(path)
        before = parsed((await ask("/metrics")).decode())
        for number in range(5_000):
            await ask(f"/w_30/{number}.jpg")
            await ask(f"/o{number}_1/{number}.jpg")
        after = parsed((await ask("/metrics")).decode())
    assert after.keys() == before.keys()
    assert value(after, "requests_total", status="404", answer="error") == 5_001


async def test_a_picture_in_the_place_of_an_error_counts_as_the_error(
    renderers: str, originals: Path, tmp_path: Path
) -> None:
    presets = tmp_path / "presets.yaml"
    presets.write_text("presets: {card: {options: w_20, on_error: instead.png, on_error_status: 200}}\n")
    async with client(renderers, origin=str(originals), presets=presets, dev=True) as web:
        answer = await web.get("/p_card/none.jpg")
        assert answer.headers["content-type"] == "image/png"
        samples = await scraped(web)
    assert answer.headers["cache-status"] == "image-proxy; detail=original_not_found"
    assert value(samples, "errors_total", code="original_not_found") == 1
    assert value(samples, "requests_total", status="200", answer="error") == 1


async def test_every_metric_is_documented_and_no_other(renderers: str, originals: Path) -> None:
    async with client(renderers, origin=str(originals), dev=True) as web:
        text = (await web.get("/metrics")).text
    there = {each.name + "_total" * (each.type == "counter") for each in text_string_to_metric_families(text)}
    page = (ROOT / "docs" / "metrics.md").read_text()
    assert set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == there
    assert set(re.findall(r"image_proxy_\w+?(?=_bucket|\b)", page)) == there


def test_codes_of_origins_that_fail_are_those_that_the_alert_names() -> None:
    codes = {
        code
        for code, kind in errors_by_code().items()
        if "OriginFailed" in {each.__name__ for each in kind.__mro__}
    }
    page = (ROOT / "docs" / "metrics.md").read_text()
    alerted = re.search(r'outcome=~"([^"]+)"', page)
    assert alerted is not None
    assert codes == {code for code in errors_by_code() if re.fullmatch(alerted[1], code)}
