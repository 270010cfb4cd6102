from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from functools import partial

import pytest

from proxy.renderers.client import RendererClient
from proxy.renderers.supervisor import Supervisor
from tests.paths import ROOT

TASKS = "tests.renderers.tasks"

Eventually = Callable[[Callable[[], bool]], Awaitable[None]]


@pytest.fixture(scope="package", autouse=True)
def importable_tasks() -> Iterator[None]:
    """Renderers import what the tests can import: here also when pytest is not run as `python -m pytest`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT)
        yield


@pytest.fixture(scope="package")
def supervisor(importable_tasks: None) -> Iterator[Supervisor]:
    """Two renderers that all tests of this folder share, and keep killing: that is the point."""
    with Supervisor(renderers=2, tasks=TASKS) as supervisor:
        yield supervisor


@pytest.fixture
def alone(importable_tasks: None) -> Iterator[Supervisor]:
    """One renderer, and nobody else's."""
    with Supervisor(renderers=1, tasks=TASKS) as supervisor:
        yield supervisor


@pytest.fixture
def client(supervisor: Supervisor) -> RendererClient:
    return RendererClient(supervisor.socket_path, queue_size=1_000, queue_timeout=60)


@pytest.fixture
def lone_client(alone: Supervisor) -> RendererClient:
    return RendererClient(alone.socket_path, queue_timeout=60)


@pytest.fixture
def eventually() -> Eventually:
    return partial(_eventually, time.monotonic() + 20)


async def _eventually(deadline: float, holds: Callable[[], bool]) -> None:
    while not holds():
        assert time.monotonic() < deadline, "never came true"
        await asyncio.sleep(0.01)
