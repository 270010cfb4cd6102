from __future__ import annotations

import logging
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
from tests.s3 import S3Server, s3_server

# Noisy machines make deadlines lie; what is too slow shows in the durations that pytest prints.
settings.register_profile("tests", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tests")


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


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    """A real S3 that all tests of the session share: each takes a prefix of its own."""
    with s3_server() as server:
        yield server


@pytest.fixture(scope="session")
def renderers() -> Iterator[str]:
    """The socket of two real renderers."""
    with Supervisor(renderers=2) as supervisor:
        yield supervisor.socket_path


@pytest.fixture(scope="session")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The originals that a first run draws, to be read and not to be changed."""
    folder = tmp_path_factory.mktemp("samples") / "originals"
    # Elsewhere: a process that has run libvips must never fork.
    subprocess.run([sys.executable, "-m", "proxy.samples", str(folder)], check=True, timeout=300)
    return folder
