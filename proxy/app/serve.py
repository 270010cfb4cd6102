"""A deployment on its listener: renderers first, then the web processes, until somebody says stop."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import socket
import time
from collections.abc import Collection
from contextlib import ExitStack
from pathlib import Path
from types import FrameType

import structlog
import uvicorn
from uvicorn.supervisors import Multiprocess

from proxy.app.announce import announce
from proxy.app.asgi import Deployment
from proxy.app.wiring import open_originals
from proxy.caches.tiers import open_cache
from proxy.config.deployment import deployed_presets, deployed_sources
from proxy.config.settings import Settings
from proxy.renderers.supervisor import Supervisor
from proxy.telemetry import logs
from proxy.telemetry.metrics import PROCESSES_FOLDER

IDLE = 75
"""Seconds that an idle connection is kept: longer than CDNs keep theirs, so that they end it and not we."""

STARTS_WITHIN = 60
"""
Seconds that a web process may leave its supervisor's question unanswered, which it cannot answer before it
has read its code: on a busy machine uvicorn's five kill each new one as it starts, again and again.
"""

MANY_FILES = 65_536
"""How many may be open in one process, where the system lets us have them."""

log = structlog.get_logger()


def serve(settings: Settings) -> int:
    """
    Serve until SIGTERM or SIGINT, drain, and return the exit code. Raises ValueError or InvalidPresets for
    an origin, a cache or presets that cannot be opened, OSError for an address that cannot be had.
    """
    logs.configure(settings.log_format, settings.log_level)
    asyncio.run(check(settings))
    asked: list[int] = []
    for each in (signal.SIGTERM, signal.SIGINT):
        # Until uvicorn listens itself. It raises the signal again when it has drained, for the exit code:
        # ours is 0 then.
        signal.signal(each, lambda number, _: asked.append(number))
    open_more_files()
    with ExitStack() as stack:
        listeners = [stack.enter_context(bind(settings.host, settings.port))]
        if settings.metrics_port is not None:
            listeners.append(stack.enter_context(bind(settings.host, settings.metrics_port)))
        renderers = stack.enter_context(
            Supervisor(renderers=settings.renderers, memory_bytes=settings.render_memory)
        )
        port, metrics_port = (*(each.getsockname()[1] for each in listeners), None)[:2]
        deployment = Deployment(
            settings=settings,
            renderers=renderers.socket_path,
            metrics_port=metrics_port,
            counting=count_together(renderers.socket_path) if settings.workers > 1 else None,
        )
        config = uvicorn.Config(
            deployment,
            factory=True,
            workers=settings.workers,
            lifespan="on",
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=IDLE,
            timeout_worker_healthcheck=STARTS_WITHIN,
            timeout_graceful_shutdown=max(1, round(settings.drain_timeout)),
        )
        announce(settings, port, metrics_port)
        if settings.workers > 1:
            processes = Processes(config, listeners, deployment)
            processes.signal_queue.extend(asked)
            processes.run()
        else:
            Process(config, deployment, asked).run(listeners)
    return 0


def open_more_files() -> None:
    """
    A process is given 1,024 for the sake of `select`, which nothing here uses; a thousand readers who wait
    for one picture are as many connections.
    """
    few, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if few < MANY_FILES:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, MANY_FILES), most))


async def check(settings: Settings) -> None:
    """Everything that a web process will open, opened once, so that a mistake is one line and no crash."""
    deployed_presets(settings)
    await open_cache(settings.cache).close()
    await open_originals(settings, deployed_sources(settings)).close()


def bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=2048)


def count_together(renderers: str) -> Path:
    """The folder in which web processes that are started from now on count: it ends with the renderers'."""
    folder = Path(renderers).with_name("metrics")
    folder.mkdir()
    os.environ[PROCESSES_FOLDER] = str(folder)
    return folder


class Process(uvicorn.Server):
    """
    The one web process. After a signal it is not ready for `drain_delay`, and stops accepting then; `asked`
    are those that came before it listened.
    """

    def __init__(self, config: uvicorn.Config, deployment: Deployment, asked: Collection[int]) -> None:
        super().__init__(config)
        self._deployment = deployment
        self._asked = asked

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self._asked:
            self.should_exit = True

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        delay = self._deployment.settings.drain_delay
        if self._deployment.drain() and delay:
            asyncio.get_running_loop().call_later(delay, super().handle_exit, sig, frame)
        else:
            super().handle_exit(sig, frame)


class Processes(Multiprocess):
    """Several web processes, which all ask the same renderers."""

    def __init__(self, config: uvicorn.Config, sockets: list[socket.socket], deployment: Deployment) -> None:
        super().__init__(config, sockets)
        self._deployment = deployment

    def handle_term(self) -> None:
        self.handle_int()

    def handle_int(self) -> None:
        if self._deployment.drain():
            time.sleep(self._deployment.settings.drain_delay)
        self.should_exit.set()

    def terminate_all(self) -> None:
        # Here too: who comes now would wait for as long as the others drain, for nobody.
        for each in self.sockets:
            each.close()
        super().terminate_all()
