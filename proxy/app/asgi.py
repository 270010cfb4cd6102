"""The wiring: from settings to an ASGI application. Clients and caches are opened here and nowhere else."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import structlog
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import ASGIApp

from proxy.app.wiring import open_renditions, serving_terms
from proxy.config.deployment import deployed_presets, deployed_sources
from proxy.config.presets import Presets
from proxy.config.settings import Settings
from proxy.config.watch import watch_presets
from proxy.purges.log import open_purge_log
from proxy.renderers.client import RendererClient
from proxy.renderers.supervisor import counts
from proxy.telemetry import logs
from proxy.telemetry.metrics import Facts, Metrics, exposed
from proxy.url.grammar import INFO_PREFIX
from proxy.web import pages
from proxy.web.access_log import AccessLog
from proxy.web.images import Images
from proxy.web.purge import purge
from proxy.web.switch import Switch

log = structlog.get_logger()

SAMPLED = 1.0
"""Seconds between looks at what is not counted as it happens, where several processes count together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """What a web process is made from; it travels to the process that it is for, and is called there."""

    settings: Settings
    renderers: str
    """The Unix socket at which the renderers take jobs."""
    metrics_port: int | None = None
    """The port of the listener for nothing but /metrics; never 0."""
    counting: Path | None = None
    """The folder in which its web processes count together, when there are several."""

    @property
    def _leaving(self) -> Path:
        # Beside the socket, in a folder of this deployment's own, where all of its processes see it.
        return Path(self.renderers).with_name("draining")

    def drain(self) -> bool:
        """From now on not ready. False when that was said before."""
        if self.is_draining:
            return False
        self._leaving.touch()
        return True

    @property
    def is_draining(self) -> bool:
        return self._leaving.exists()

    def __call__(self) -> ASGIApp:
        logs.configure(self.settings.log_format, self.settings.log_level)
        end_with_parent()
        return create_app(self)


def end_with_parent() -> None:
    """Of several web processes: when the one that started them is killed, its renderers are gone too."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="parent", daemon=True).start()


def create_app(deployment: Deployment) -> ASGIApp:
    settings = deployment.settings
    metrics, facts = Metrics(), Facts(lambda: counts(deployment.renderers))
    renderers = RendererClient(
        deployment.renderers,
        queue_size=settings.queue_size,
        queue_bytes=settings.queue_bytes,
        metrics=metrics,
    )
    # In the folder of the socket, which all processes of this deployment share, if there is none on disk.
    purging = open_purge_log(settings.cache, settings.originals_cache, Path(deployment.renderers).parent)

    def sample() -> None:
        metrics.sample(waiting=renderers.waiting, running=renderers.running)

    async def keep_sampling() -> None:
        while True:
            sample()
            await asyncio.sleep(SAMPLED)

    async def exposition() -> bytes:
        sample()
        return await asyncio.to_thread(exposed, metrics, facts, deployment.counting)

    async def is_ready() -> bool:
        return switch.images is not None and not deployment.is_draining and await renderers.ping()

    async def formats() -> dict[str, Any]:
        return (await renderers.run("formats", {}, b"", settings.render_timeout)).header

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        sources = deployed_sources(settings)
        async with open_renditions(settings, sources, renderers, purging, metrics) as renditions:
            images, info = (
                Images(renditions, each, deployed_presets(settings), timing=settings.server_timing)
                for each in (
                    serving_terms(settings, sources),
                    replace(serving_terms(settings, sources), below=INFO_PREFIX, task="describe"),
                )
            )

            def use(presets: Presets) -> None:
                images.use(presets)
                info.use(presets)

            tasks = [asyncio.create_task(watch_presets(settings.presets, use))]
            if deployment.counting is not None:  # another process may be the one that is asked
                tasks.append(asyncio.create_task(keep_sampling()))
            switch.images, switch.info = images, info
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    token = settings.admin_token.get_secret_value() if settings.admin_token else None
    development = settings.is_loopback
    guarded = pages.admin_only(purge(purging), token=token, development=development)
    routes = [
        *pages.routes(is_ready, formats, mount=settings.mount, token=token, development=development),
        Route(f"{settings.mount}/-/purge", guarded, methods=["POST"]),
    ]
    handlers = {404: pages.not_found, 405: pages.not_allowed, 500: pages.failed}
    scraped = pages.metrics(exposition)
    if settings.metrics_port is None and settings.is_loopback:
        routes.append(scraped)
    switch = Switch(
        Starlette(routes=routes, lifespan=lifespan, exception_handlers=handlers),
        settings.mount,
        Starlette(routes=[scraped], exception_handlers=handlers),
        deployment.metrics_port,
    )
    return AccessLog(switch, allow_origin=settings.allow_origin, metrics=metrics)
