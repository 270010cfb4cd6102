from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO, cast

import pytest
import structlog
from hypothesis import HealthCheck, settings

from proxy.renderers.supervisor import Supervisor
from proxy.telemetry.logs import Stderr
from tests.paths import ROOT
from tests.s3 import S3Server, shared_s3_server
from tests.services import locked

# Noisy machines make deadlines lie; what is too slow shows in the durations that pytest prints.
settings.register_profile("tests", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tests")


@pytest.fixture(scope="session", autouse=True)
def _ctrl_c() -> Iterator[None]:
    """In the background of a shell SIGINT is ignored, and would be by every process that a test starts."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(autouse=True)
def _logging_put_back() -> Iterator[None]:
    """
    Logging belongs to the process: what a test configures, by a server within it too, ends with it. What it
    does not configure goes to what is standard error then, which pytest closes after each test.
    """
    structlog.configure(logger_factory=structlog.WriteLoggerFactory(file=cast(TextIO, Stderr())))
    names = ("uvicorn", "uvicorn.error", "uvicorn.access", "httpx", "aiohttp", "watchfiles", "pyvips")
    loggers = [logging.root, *map(logging.getLogger, names)]
    before = [(each.handlers, each.propagate, each.level) for each in loggers]
    yield
    structlog.reset_defaults()
    for logger, (handlers, propagate, level) in zip(loggers, before, strict=True):
        logger.handlers, logger.propagate = handlers, propagate
        logger.setLevel(level)


@pytest.hookimpl(optionalhook=True)  # without pytest-xdist there is none
def pytest_xdist_auto_num_workers() -> int:
    """For `-n auto`: the tests wait more than they compute."""
    return min(8, 2 * len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 4)


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all processes of a parallel run have in common."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def s3(run_folder: Path) -> Iterator[S3Server]:
    """A real S3 that all tests of the run share: each takes a prefix of its own."""
    with shared_s3_server(run_folder) as server:
        yield server


@pytest.fixture(scope="session")
def renderers() -> Iterator[str]:
    """The socket of two real renderers."""
    with Supervisor(renderers=2) as supervisor:
        yield supervisor.socket_path


@pytest.fixture(scope="session")
def samples(run_folder: Path) -> Path:
    """The originals that a first run draws, to be read and not to be changed."""
    folder, drawing = run_folder / "samples", run_folder / "samples.drawing"
    with locked(run_folder / "samples.lock"):
        if not folder.exists():
            # Elsewhere: a process that has run libvips must never fork.
            command = [sys.executable, "-m", "proxy.samples", str(drawing)]
            subprocess.run(command, cwd=ROOT, check=True, timeout=300)
            drawing.rename(folder)
    return folder
