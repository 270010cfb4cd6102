"""Serve a deployment: open its listeners, start its renderers, then its web processes, until a signal."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from proxy.app.announce import announce
from proxy.app.asgi import Deployment
from proxy.app.processes import collect_signals, run_web_processes
from proxy.app.wiring import open_originals, open_renderers
from proxy.caches.tiers import open_cache, open_originals_cache
from proxy.clients.address import first_folder
from proxy.config.deployment import deployed_presets, deployed_sources
from proxy.config.environment import variable_name
from proxy.config.settings import Settings
from proxy.renderers.sandbox import hide_memory
from proxy.telemetry import logs
from proxy.telemetry.metrics import METRICS_FOLDER_VARIABLE

MAX_OPEN_FILES = 65_536
"""How many files one process may have open, where the system allows it."""


def serve_deployment(settings: Settings) -> int:
    """
    Serve until SIGTERM or SIGINT, drain, and return the exit code.

    Raises ValueError or InvalidPresets for an origin, a cache, presets or renderers that cannot be had,
    OSError for an address that cannot be bound.
    """
    logs.configure(settings.log_format, settings.log_level)
    hide_memory()
    asyncio.run(check_deployment(settings))
    early_signals = collect_signals()
    raise_open_files_limit()
    with ExitStack() as stack:
        listeners = [stack.enter_context(bind(settings.host, settings.port))]
        if settings.metrics_port is not None:
            listeners.append(stack.enter_context(bind(settings.host, settings.metrics_port)))
        port, metrics_port = (*(each.getsockname()[1] for each in listeners), None)[:2]
        try:
            renderers = stack.enter_context(open_renderers(settings))
        except ValueError:
            if early_signals:  # a process manager signals all processes of a service
                return 0
            raise
        deployment = Deployment(
            settings=settings,
            renderers=renderers.socket_path,
            metrics_port=metrics_port,
            metrics_folder=share_metrics(renderers.socket_path) if settings.workers > 1 else None,
        )
        announce(settings, port, metrics_port)
        run_web_processes(deployment, listeners, early_signals)
    return 0


async def check_deployment(settings: Settings) -> None:
    """Open everything that a web process will open, once, so that a mistake is one line and not a crash."""
    deployed_presets(settings)
    with _naming("cache"):
        await open_cache(settings.cache).close()
        require_writable(first_folder(settings.cache))
    with _naming("originals_cache"):
        await open_originals_cache(settings.originals_cache).close()
        require_writable(first_folder(settings.originals_cache))
    await open_originals(settings, deployed_sources(settings)).close()


@contextmanager
def _naming(setting: str) -> Iterator[None]:
    """Say at which setting a ValueError or an OSError is."""
    try:
        yield
    except (ValueError, OSError) as error:
        raise ValueError(f"{variable_name(setting)}: {error}") from error


def require_writable(folder: Path | None) -> None:
    """Make `folder`, if there is to be one, and a file in it. Raises ValueError."""
    if folder is None:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ValueError(f"the folder {str(folder)!r} cannot be written to: {error.strerror}") from error


def raise_open_files_limit() -> None:
    """
    Let this process and its children have as many files open as the system allows, up to `MAX_OPEN_FILES`.

    The usual 1,024 are for the sake of `select`, which nothing here uses, and each connection is one.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < MAX_OPEN_FILES:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, MAX_OPEN_FILES), hard))


def bind(host: str, port: int) -> socket.socket:
    """Listen at an IPv4 or IPv6 address; at a free port for port 0."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=2048)


def share_metrics(renderers: str) -> Path:
    """
    Make web processes that are started from now on count in files of one folder, and return it.

    It is beside the socket of the renderers, and removed with it.
    """
    folder = Path(renderers).with_name("metrics")
    folder.mkdir()
    os.environ[METRICS_FOLDER_VARIABLE] = str(folder)
    return folder
