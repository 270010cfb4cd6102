"""What web processes rely on in uvicorn beyond its documentation: another version may move any of it."""

from __future__ import annotations

import asyncio
import inspect
import os
import re
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from uvicorn.supervisors import Multiprocess

from proxy.app.asgi import Deployment
from proxy.app.processes import DrainingServer, DrainingSupervisor
from proxy.config.settings import load_settings
from tests.deployments import Deployed, deployed

METHODS: list[tuple[Callable[..., Any], list[str]]] = [
    (uvicorn.Server.__init__, ["self", "config"]),
    (uvicorn.Server.run, ["self", "sockets"]),
    (uvicorn.Server.startup, ["self", "sockets"]),
    (uvicorn.Server.handle_exit, ["self", "sig", "frame"]),
    (Multiprocess.__init__, ["self", "config", "sockets"]),
    (Multiprocess.run, ["self"]),
    (Multiprocess.handle_signals, ["self"]),
    (Multiprocess.handle_int, ["self"]),
    (Multiprocess.handle_term, ["self"]),
    (Multiprocess.terminate_all, ["self"]),
    (Multiprocess.keep_subprocess_alive, ["self"]),
]


@pytest.mark.parametrize("method, parameters", METHODS, ids=[method.__qualname__ for method, _ in METHODS])
def test_the_methods_that_are_called_or_overridden_are_there(
    method: Callable[..., Any], parameters: list[str]
) -> None:
    assert list(inspect.signature(method).parameters) == parameters


def test_the_server_starts_in_a_coroutine() -> None:
    assert inspect.iscoroutinefunction(uvicorn.Server.startup)


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    return Deployment(settings=load_settings(origin=str(tmp_path)), renderers=str(tmp_path / "renderers"))


@pytest.fixture
def config(deployment: Deployment) -> uvicorn.Config:
    return uvicorn.Config(deployment, factory=True, workers=2, log_config=None)


@pytest.fixture
def supervisor(config: uvicorn.Config, deployment: Deployment) -> Iterator[DrainingSupervisor]:
    """It takes all signals for itself when it is made: they are given back."""
    handlers = {number: signal.getsignal(number) for number in signal.valid_signals()}
    listener = socket.create_server(("127.0.0.1", 0))
    try:
        yield DrainingSupervisor(config, [listener], deployment)
    finally:
        listener.close()
        for number, handler in handlers.items():
            if handler is not signal.getsignal(number):
                signal.signal(number, handler)


def test_the_supervisor_has_the_attributes_that_are_used(supervisor: DrainingSupervisor) -> None:
    assert [each.fileno() >= 0 for each in supervisor.sockets] == [True]
    assert isinstance(supervisor.should_exit, threading.Event)
    assert supervisor.signal_queue == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_supervisor_takes_signals_from_its_queue_to_their_methods(
    supervisor: DrainingSupervisor, deployment: Deployment, number: signal.Signals
) -> None:
    supervisor.signal_queue.append(number)
    supervisor.handle_signals()
    assert supervisor.should_exit.is_set()
    assert deployment.is_draining


def test_the_supervisor_closes_its_listeners_when_it_has_to_exit(
    supervisor: DrainingSupervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "init_processes", lambda: None)  # none to start, none to terminate
    supervisor.should_exit.set()
    supervisor.run()
    assert [each.fileno() for each in supervisor.sockets] == [-1]


async def test_the_server_takes_signals_to_its_method_while_it_runs(
    config: uvicorn.Config, deployment: Deployment
) -> None:
    server = DrainingServer(config, deployment, ())
    before = server.should_exit
    with server.capture_signals():
        for number in (signal.SIGTERM, signal.SIGINT):
            assert signal.getsignal(number) == server.handle_exit
    server.handle_exit(signal.SIGTERM, None)
    assert (before, server.should_exit) == (False, True)
    assert deployment.is_draining


async def test_a_server_that_was_told_to_stop_before_it_started_does_not_serve(
    deployment: Deployment,
) -> None:
    stopped = False

    async def app(scope: Any, receive: Any, send: Any) -> None:
        nonlocal stopped
        assert scope["type"] == "lifespan"
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        stopped = True

    config = uvicorn.Config(app, lifespan="on", log_config=None)
    server = DrainingServer(config, deployment, [signal.SIGTERM])
    with socket.create_server(("127.0.0.1", 0)) as listener:
        await asyncio.wait_for(server.serve([listener]), 30)
    assert stopped


def test_a_web_process_that_dies_during_a_health_check_is_replaced_at_once(tmp_path: Path) -> None:
    """And the supervisor obeys a signal then, which it did not for as long as a check may take: a minute."""
    with deployed(origin=str(tmp_path), workers=2) as server:
        first = started(server, 2)
        os.kill(first[0], signal.SIGSTOP)
        time.sleep(1.5)  # a check is under way
        os.kill(first[0], signal.SIGKILL)
        assert started(server, 3)[:2] == first


def started(server: Deployed, count: int) -> list[int]:
    """The pids of so many web processes, in the order in which they started."""
    deadline = time.monotonic() + 40
    while True:
        pids = [int(pid) for pid in re.findall(r"Started server process \[(\d+)\]", server.log.read_text())]
        if len(pids) >= count:
            return pids
        assert time.monotonic() < deadline
        time.sleep(0.1)
