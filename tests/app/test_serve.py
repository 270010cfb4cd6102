"""The server as an operator runs it: processes, signals, ends."""

from __future__ import annotations

import asyncio
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from proxy.app import serve as serve_module
from proxy.config.settings import Settings, load_settings
from proxy.model.media import Format
from proxy.renderers.supervisor import Supervisor
from proxy.telemetry import logs
from tests.deployments import deployed
from tests.pictures import photo, saved

Serve = Callable[..., tuple["subprocess.Popen[str]", str]]
WAIT_TIMEOUT = 30.0  # s: the machine may be busy


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Starts a server with these flags; gives the process and where it listens."""
    (tmp_path / "a.jpg").write_bytes(saved(photo(64, 48), Format.JPEG))
    started: list[subprocess.Popen[str]] = []

    def start(*flags: str) -> tuple[subprocess.Popen[str], str]:
        command = [str(Path(sys.executable).with_name("image-proxy")), "serve", "--port", "0"]
        command += ["--origin", str(tmp_path), "--cache", "none", "--renderers", "1", *flags]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None
        said = re.search(r"http://\S+", process.stdout.readline())
        assert said is not None
        deadline = time.monotonic() + WAIT_TIMEOUT
        while not answers(said[0]):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        return process, said[0]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def answers(base: str) -> bool:
    try:
        return httpx.get(f"{base}/readyz", timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("web_processes", ["1", "2"])
def test_a_server_that_is_told_to_stop_exits_well(
    serve: Serve, number: signal.Signals, web_processes: str
) -> None:
    process, base = serve("--workers", web_processes)
    assert httpx.get(f"{base}/w_30/a.jpg").status_code == 200
    process.send_signal(number)
    assert process.wait(WAIT_TIMEOUT) == 0
    assert not answers(base)


@pytest.mark.parametrize("web_processes", ["1", "2"])
async def test_who_comes_while_a_server_drains_is_refused_at_once(serve: Serve, web_processes: str) -> None:
    asked, gives = asyncio.Event(), asyncio.Event()
    picture = saved(photo(64, 48), Format.JPEG)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        await gives.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(picture) + picture)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as origin:
        port = origin.sockets[0].getsockname()[1]
        flags = ("--workers", web_processes, "--originals-cache", "none", "--private-networks")
        limits = ("--fetch-timeout", "120s", "--drain-timeout", "120s")
        process, base = await asyncio.to_thread(
            serve, *flags, *limits, "--origin", f"http://127.0.0.1:{port}"
        )
        async with httpx.AsyncClient(base_url=base, timeout=4 * WAIT_TIMEOUT) as web:
            under_way = asyncio.create_task(web.get("/w_30/a.jpg"))
            await asyncio.wait_for(asked.wait(), WAIT_TIMEOUT)
            process.send_signal(signal.SIGTERM)
            deadline = time.monotonic() + WAIT_TIMEOUT
            while await asyncio.to_thread(answers_at_all, base):
                assert time.monotonic() < deadline
                await asyncio.sleep(0.05)
            assert process.poll() is None
            gives.set()
            assert (await under_way).status_code == 200
    assert await asyncio.to_thread(process.wait, WAIT_TIMEOUT) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("web_processes", [1, 2])
def test_a_server_that_is_told_to_stop_while_it_starts_exits_well(
    tmp_path: Path, number: signal.Signals, web_processes: int
) -> None:
    with deployed(origin=str(tmp_path), workers=web_processes) as server:
        server.process.send_signal(number)
        assert server.process.wait(WAIT_TIMEOUT) == 0


@pytest.mark.parametrize("received", [[signal.SIGTERM], [signal.SIGINT], []])
def test_renderers_that_are_told_to_stop_with_the_server_are_no_mistake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, received: list[int]
) -> None:
    def none_start(_settings: Settings) -> Supervisor:
        raise ValueError("the renderers do not start")

    monkeypatch.setattr(serve_module, "open_renderers", none_start)
    monkeypatch.setattr(serve_module, "collect_signals", lambda: received)
    for change in ("hide_memory", "raise_open_files_limit"):
        monkeypatch.setattr(serve_module, change, lambda: None)
    monkeypatch.setattr(logs, "configure", lambda *_: None)
    settings = load_settings(origin=str(tmp_path), cache="none", originals_cache="none", port=0)
    if received:
        assert serve_module.serve_deployment(settings) == 0
    else:
        with pytest.raises(ValueError, match="do not start"):
            serve_module.serve_deployment(settings)


def test_nothing_outlives_a_server_that_is_killed(serve: Serve) -> None:
    process, base = serve("--workers", "2")
    process.kill()
    process.wait(WAIT_TIMEOUT)
    deadline = time.monotonic() + WAIT_TIMEOUT
    while answers_at_all(base):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def answers_at_all(base: str) -> bool:
    try:
        httpx.get(f"{base}/healthz", timeout=5)
    except httpx.ConnectError:
        return False
    except httpx.HTTPError:
        return True
    return True


async def test_a_thousand_readers_are_no_matter_of_how_many_files_a_shell_allows(serve: Serve) -> None:
    few, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (128, most))
    try:
        _, base = serve()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (few, most))
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=base, limits=limits, timeout=WAIT_TIMEOUT) as web:
        found = await asyncio.gather(*(web.get("/w_30/a.jpg") for _ in range(300)))
    assert {answer.status_code for answer in found} == {200}
