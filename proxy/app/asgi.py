"""Build the ASGI application of a web process from a deployment's settings."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import threading
from collections.abc import AsyncIterator, Collection, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import ASGIApp, Lifespan

from proxy.app.sweep import ConnectionLimits
from proxy.app.wiring import open_renditions, serving_terms
from proxy.config.deployment import deployed_presets, deployed_sources
from proxy.config.presets import Presets
from proxy.config.settings import Settings
from proxy.config.watch import watch_presets
from proxy.fairness.client_address import ClientAddresses
from proxy.fairness.turns import LocalTurns
from proxy.purges.log import open_purge_log
from proxy.renderers import Job, JobKind
from proxy.renderers.client import RendererClient
from proxy.renderers.sandbox import hide_memory
from proxy.renderers.shared_turns import SharedTurns
from proxy.renderers.state import counts, sandbox_state
from proxy.telemetry import logs
from proxy.telemetry.metrics import DeploymentFacts, Metrics, render_exposition
from proxy.url.path import INFO_PREFIX
from proxy.web import pages
from proxy.web.access_log import AccessLog
from proxy.web.admin_access import AdminTerms, admin_access
from proxy.web.fast_lane import FastLane
from proxy.web.images import Images
from proxy.web.purge import purge_page
from proxy.web.readiness import Readiness
from proxy.web.switch import Switch

METRICS_SAMPLE_INTERVAL = 1.0
"""Seconds between two samples of the metrics that are not counted as they happen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """
    What a web process is made from. It is pickled, sent to the process and called there for the application.

    `renderers` is the path of the Unix socket at which the renderers take jobs. `metrics_port` is the port of
    the listener for nothing but /metrics (never 0), `metrics_folder` where several web processes count
    together; both are `None` if there is no such thing.
    """

    settings: Settings
    renderers: str
    metrics_port: int | None = None
    metrics_folder: Path | None = None

    @property
    def connection_limits(self) -> ConnectionLimits:
        """How slow the connections of each web process may be, and how much may wait for them."""
        said = ConnectionLimits.__dataclass_fields__
        return ConnectionLimits(**{name: getattr(self.settings, name) for name in said})

    @property
    def _draining_mark(self) -> Path:
        # Beside the socket, in a folder of this deployment's own, where all of its processes see it.
        return Path(self.renderers).with_name("draining")

    def begin_draining(self) -> bool:
        """Be not ready from now on, in all web processes. False if that was so already."""
        if self.is_draining:
            return False
        self._draining_mark.touch()
        return True

    @property
    def is_draining(self) -> bool:
        return self._draining_mark.exists()

    def __call__(self) -> ASGIApp:
        logs.configure(self.settings.log_format, self.settings.log_level)
        hide_memory()
        end_with_parent()
        return create_app(self, logs.request_log())


def end_with_parent() -> None:
    """End this process when the one that started it is killed, if that is a supervisor of web processes."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="parent", daemon=True).start()


def create_app(deployment: Deployment, lines: logs.RequestLog | None = None) -> ASGIApp:
    """
    Build the application of one web process. `lines` writes those of its requests, by default as any other.

    `AccessLog` around a `Switch` between the images' responders and Starlette's pages. What needs an event
    loop is opened in the lifespan; until then the switch has no responders, and /readyz says not ready.
    """
    settings = deployment.settings
    metrics = Metrics()
    addresses = ClientAddresses(settings.trusted_proxies)
    # With one web process the renderers are its own, and ready jobs may wait for them.
    turns = (
        SharedTurns(deployment.renderers)
        if settings.workers > 1
        else LocalTurns(settings.renderers, ahead=settings.renderers)
    )
    renderers = RendererClient(
        deployment.renderers,
        queue_size=settings.queue_size,
        queue_bytes=settings.queue_bytes,
        metrics=metrics,
        turns=turns,
        renderers=settings.renderers,
    )
    # In the folder of the socket, which all processes of this deployment share, if there is none on disk.
    purges = open_purge_log(
        settings.cache,
        settings.originals_cache,
        Path(deployment.renderers).parent,
        lease_duration=settings.purge_lease,
    )
    exposition = Exposition(deployment, metrics, renderers)

    presets_problem: str | None = None

    def readiness() -> Readiness:
        alive, deaths = counts(deployment.renderers) or (None, None)
        return Readiness(
            started=switch.images is not None,
            draining=deployment.is_draining,
            renderers=alive,
            deaths=deaths,
            sandbox=sandbox_state(deployment.renderers),
            presets_problem=presets_problem,
            purges_confirmed=purges.leased,
            cache_failures=metrics.cache_failures(),
        )

    def preset_names() -> Collection[str] | None:
        return None if switch.images is None else switch.images.preset_names

    async def formats() -> dict[str, Any]:
        reply = await renderers.run(Job(kind=JobKind.FORMATS), timeout=settings.render_timeout)
        assert reply.formats is not None  # told for jobs of this kind
        return asdict(reply.formats)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        sources = deployed_sources(settings)
        async with open_renditions(settings, sources, renderers, purges, metrics) as renditions:
            terms, presets = serving_terms(settings, sources), deployed_presets(settings)
            described = replace(terms, below=INFO_PREFIX, task="describe")
            respond = partial(
                Images, timing=settings.server_timing, revalidated=settings.dev, addresses=addresses
            )
            images, info = (respond(renditions, each, presets) for each in (terms, described))

            def use(found: Presets) -> None:
                nonlocal presets, presets_problem
                presets, presets_problem = found, found.rejected
                metrics.presets_rejected(found.rejected is not None)
                images.use(found)
                info.use(found)

            def reject(problem: str) -> None:
                # Clients may be told, and where it lies on disk is nobody's business.
                shown = problem.replace(str(settings.presets), settings.presets.name, 1)
                use(replace(presets, rejected=shown))

            watching = watch_presets(settings.presets, use, reject=reject)
            async with background(watching, exposition.keep_sampling()):
                switch.images, switch.info = images, info
                yield
        renderers.close()

    admin = AdminTerms(
        token=settings.admin_token.get_secret_value() if settings.admin_token else None,
        development=settings.dev,
    )
    admin_only = partial(pages.admin_only, terms=admin)
    readiness_page = partial(pages.readiness_page, readiness)
    metrics_page = pages.metrics_page(exposition)
    routes = [
        Route("/healthz", pages.healthz),
        Route("/readyz", readiness_page(shows_detail=lambda scope: admin_access(admin, scope) is None)),
        Route(f"{settings.mount}/-/options.json", pages.options_page(formats)),
        Route(f"{settings.mount}/-/purge", admin_only(purge_page(purges, preset_names)), methods=["POST"]),
    ]
    if settings.metrics_port is None:
        routes.append(Route("/metrics", admin_only(metrics_page)))
    private_routes = [
        Route("/metrics", metrics_page),
        Route("/readyz", readiness_page(shows_detail=lambda _: True)),
    ]
    switch = Switch(
        pages=starlette(routes, lifespan=lifespan),
        mount=settings.mount,
        metrics=starlette(private_routes),
        metrics_port=deployment.metrics_port,
    )
    access_log = AccessLog(
        switch,
        allow_origin=settings.allow_origin,
        metrics=metrics,
        addresses=addresses,
        lines=lines,
    )
    if settings.fast_lane:
        access_log.fast_lane = FastLane(switch, access_log)
    return access_log


def starlette(routes: Sequence[Route], lifespan: Lifespan[Starlette] | None = None) -> Starlette:
    """Make the application of pages; a path with a slash too many is not there, and leads nowhere."""
    app = Starlette(routes=routes, lifespan=lifespan, exception_handlers=pages.ERROR_PAGES)
    app.router.redirect_slashes = False  # it would redirect to whatever Host says
    return app


class Exposition:
    """The metrics of a deployment, as /metrics shows them; of all its web processes if there are several."""

    def __init__(self, deployment: Deployment, metrics: Metrics, renderers: RendererClient) -> None:
        self._metrics = metrics
        self._renderers = renderers
        self._facts = DeploymentFacts(
            lambda: counts(deployment.renderers), lambda: sandbox_state(deployment.renderers)
        )
        self._folder = deployment.metrics_folder

    async def __call__(self) -> bytes:
        self._sample()
        return await asyncio.to_thread(render_exposition, self._metrics, self._facts, self._folder)

    async def keep_sampling(self) -> None:
        """Sample this process once a second, since another one may be asked for the metrics of both."""
        while self._folder is not None:
            self._sample()
            await asyncio.sleep(METRICS_SAMPLE_INTERVAL)

    def _sample(self) -> None:
        self._metrics.sample(waiting=self._renderers.waiting, running=self._renderers.running)


@asynccontextmanager
async def background(*coroutines: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run `coroutines` as tasks that are cancelled when the block is left."""
    tasks = [asyncio.create_task(each) for each in coroutines]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
