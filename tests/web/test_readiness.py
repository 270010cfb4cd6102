# ruff: noqa: ASYNC110  tests may wait
"""`/readyz`: told by state. No question of a stranger is a renderer's work, and only some are told why."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from proxy.model.media import Format
from proxy.renderers.sandbox import Lock
from proxy.renderers.state import write_state
from proxy.renderers.supervisor import Supervisor
from proxy.web.readiness import Readiness
from tests.pictures import photo, saved
from tests.web.serving import client

TOKEN = "an-admin-token-of-more-than-thirty-two-bytes"
LOCKED = frozenset(Lock)


@pytest.fixture
def originals(tmp_path: Path) -> Path:
    (tmp_path / "a.jpg").write_bytes(saved(photo(64, 48), Format.JPEG))
    return tmp_path


@pytest.fixture
def silent(tmp_path: Path) -> Iterator[tuple[str, socket.socket]]:
    """Where renderers would listen: calls wait there, and are counted by accepting them."""
    path = str(tmp_path / "renderers")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(100)
        listener.setblocking(False)
        yield path, listener


def calls(listener: socket.socket) -> int:
    count = 0
    while True:
        try:
            listener.accept()[0].close()
        except BlockingIOError:
            return count
        count += 1


async def test_a_hundred_questions_are_no_call_of_a_renderer(
    silent: tuple[str, socket.socket], originals: Path
) -> None:
    path, listener = silent
    write_state(path, locks=[LOCKED], deaths=0)
    async with client(path, origin=str(originals)) as web:
        found = await asyncio.gather(*(web.get("/readyz") for _ in range(100)))
        assert {each.status_code for each in found} == {200}
    assert calls(listener) == 0


async def test_a_deployment_is_ready_while_its_renderers_are_at_work(originals: Path) -> None:
    """For others or for us: what waits is bounded elsewhere, and a pod that works is no dead one."""
    with Supervisor(renderers=1) as supervisor:
        async with client(supervisor.socket_path, origin=str(originals)) as web:
            (pid,) = supervisor.pids()
            os.kill(pid, signal.SIGSTOP)
            try:
                async with asyncio.timeout(0.5):
                    assert (await web.get("/readyz")).status_code == 200
            finally:
                os.kill(pid, signal.SIGCONT)


async def test_without_renderers_it_is_not_ready(silent: tuple[str, socket.socket], originals: Path) -> None:
    path, _ = silent
    async with client(path, origin=str(originals)) as web:
        assert (await web.get("/readyz")).status_code == 503
        write_state(path, locks=[LOCKED], deaths=0)
        assert (await web.get("/readyz")).status_code == 200
        write_state(path, locks=[], deaths=1)
        found = await web.get("/readyz")
        assert (found.status_code, found.json()) == (503, {"status": "not ready"})
        assert found.headers["retry-after"]


async def test_its_detail_is_for_the_bearer_of_the_token(
    silent: tuple[str, socket.socket], originals: Path
) -> None:
    path, _ = silent
    write_state(path, locks=[LOCKED - {Lock.UID}], deaths=3)
    presets = originals / "presets.yaml"
    presets.write_text("presets: {a: w_1}\n")
    bearer = {"authorization": f"Bearer {TOKEN}"}
    async with client(path, origin=str(originals), admin_token=TOKEN, presets=presets) as web:

        async def detail() -> dict[str, Any]:
            found: dict[str, Any] = (await web.get("/readyz", headers=bearer)).json()
            return found

        assert (await web.get("/readyz")).json() == {"status": "ready"}
        assert (await web.get("/readyz", headers={"authorization": "Bearer x"})).json() == {"status": "ready"}
        assert await detail() == {
            "status": "ready", "started": True, "draining": False,
            "renderers": {
                "alive": 1, "deaths": 3, "sandbox": {"landlock": True, "seccomp": True, "uid": False},
            },
            "presets": {"rejected": None}, "purges": {"confirmed": True},
            "cache_failures": {"renditions": {"memory": 0}, "originals": {"memory": 0}},
        }  # fmt: skip
        await asyncio.sleep(0.3)
        presets.write_text("presets: {a: wdth_1}\n")
        async with asyncio.timeout(20):
            while (await detail())["presets"]["rejected"] is None:
                await asyncio.sleep(0.05)
        assert "wdth" in (await detail())["presets"]["rejected"]
        assert (await web.get("/readyz")).json() == {"status": "ready"}
        presets.write_text("presets: {a: w_2}\n")
        async with asyncio.timeout(20):
            while (await detail())["presets"]["rejected"] is not None:
                await asyncio.sleep(0.05)


def test_what_is_needed_is_all_of_it() -> None:
    fine: dict[str, Any] = {"started": True, "draining": False, "renderers": 1, "cache_failures": {}}
    assert Readiness(**fine).ready
    for name, value in (("started", False), ("draining", True), ("renderers", 0), ("renderers", None)):
        assert not Readiness(**fine | {name: value}).ready
    json.dumps(Readiness(**fine).detail())


async def test_the_table_of_options_asks_the_renderers_once(renderers: str, originals: Path) -> None:
    async with client(renderers, origin=str(originals), dev=True) as web:

        async def renderings() -> float:
            lines = (await web.get("/metrics")).text.splitlines()
            name = 'image_proxy_stage_duration_seconds_count{stage="queue"} '
            return next(float(line.removeprefix(name)) for line in lines if line.startswith(name))

        before = await renderings()
        found = await asyncio.gather(*(web.get("/-/options.json") for _ in range(50)))
        assert {each.status_code for each in found} == {200}
        assert len({each.content for each in found}) == 1
        assert await renderings() - before == 1


async def test_a_reload_shows_an_edited_preset_in_development(renderers: str, originals: Path) -> None:
    presets = originals / "presets.yaml"
    presets.write_text("presets: {card: 'w_20'}\n")
    paths = {"/p_card/a.jpg": 200, "/w_10,v_3/a.jpg": 200, "/p_other/a.jpg": 400, "/w_10/no.jpg": 404}
    async with client(renderers, origin=str(originals), presets=presets) as web:
        for path, status in paths.items():
            found = await web.get(path)
            assert (found.status_code, found.headers["cache-control"][:14]) == (status, "public, max-ag")
    async with client(renderers, origin=str(originals), presets=presets, dev=True) as web:
        for path, status in paths.items():
            for method in ("GET", "HEAD", "GET"):
                found = await web.request(method, path)
                assert (found.status_code, found.headers["cache-control"]) == (status, "no-cache")
        first = await web.get("/p_card/a.jpg")
        same = await web.get("/p_card/a.jpg", headers={"if-none-match": first.headers["etag"]})
        assert (same.status_code, same.headers["cache-control"]) == (304, "no-cache")
        await asyncio.sleep(0.3)
        presets.write_text("presets: {card: 'w_30', other: 'w_5'}\n")
        async with asyncio.timeout(20):
            while (
                again := await web.get("/p_card/a.jpg", headers={"if-none-match": first.headers["etag"]})
            ).status_code == 304:
                await asyncio.sleep(0.05)
        assert again.status_code == 200
        assert again.content != first.content
        assert (await web.get("/p_other/a.jpg")).status_code == 200


async def test_a_page_that_is_never_stored_stays_so_in_development(renderers: str, originals: Path) -> None:
    async with client(renderers, origin=str(originals), dev=True) as web:
        assert (await web.request("OPTIONS", "/w_10/a.jpg")).headers["cache-control"] == "no-store"
