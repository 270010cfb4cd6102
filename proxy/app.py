"""The wiring: from settings to an ASGI application. Clients and caches are opened here and nowhere else."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import re
import signal
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import structlog
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from proxy import logs
from proxy.caches.tiered import open_cache, open_originals_cache
from proxy.flights import open_flights
from proxy.freshness import Lifetimes
from proxy.grammar import SIGNED
from proxy.originals import Originals
from proxy.origins import Origin
from proxy.origins.schemes import open_origins
from proxy.presets import EMPTY, Presets, load_presets
from proxy.purges import Heard
from proxy.purging import Purging, open_purging
from proxy.reload import watch_presets
from proxy.renditions import Renditions
from proxy.settings import Settings
from proxy.sourcefile import read_origins
from proxy.sources import Source, Sources
from proxy.web import pages
from proxy.web.access import AccessLog
from proxy.web.asking import Terms
from proxy.web.images import Images
from proxy.web.purge import purge
from proxy.workers.pool import Workers

log = structlog.get_logger()

INFO = "/-/info"
"""Below this, URLs ask what can be said about a picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """What a web process is made from; it travels to the process that it is for, and is called there."""

    settings: Settings
    renderers: str
    """The Unix socket at which the renderers take jobs."""

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


class Switch:
    """
    Sends each request to the pictures, to what is said about them, or to the pages. Lifespan goes to the
    pages, which own the rest; what is outside the mount does too, and finds nothing there.
    """

    def __init__(self, pages: Starlette, mount: str) -> None:
        self._pages = pages
        self._below = f"{mount}/".encode()
        self._page_paths = (b"/healthz", b"/readyz", f"{mount}/-/".encode())
        self._info = re.compile(
            re.escape(mount.encode()) + rb"(?:" + SIGNED.pattern + rb")?" + INFO.encode() + b"/"
        )
        self.images: ASGIApp | None = None
        self.info: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self.images is not None and self.info is not None:
            path = scope["raw_path"]
            if self._info.match(path):
                await self.info(scope, receive, send)
                return
            if path.startswith(self._below) and not path.startswith(self._page_paths):
                await self.images(scope, receive, send)
                return
        await self._pages(scope, receive, send)


def create_app(deployment: Deployment) -> ASGIApp:
    settings = deployment.settings
    workers = Workers(deployment.renderers, queue_size=settings.queue_size)
    # In the folder of the socket, which all processes of this deployment share, if there is none on disk.
    purging = open_purging(settings.cache, settings.originals_cache, Path(deployment.renderers).parent)

    async def is_ready() -> bool:
        return switch.images is not None and not deployment.is_draining and await workers.ping()

    async def formats() -> dict[str, Any]:
        return (await workers.run("formats", {}, b"", settings.render_timeout)).header

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with road(settings, workers, purging) as renditions:
            images, info = (
                Images(renditions, each, presets(settings), timing=settings.server_timing)
                for each in (terms(settings), replace(terms(settings), below=INFO, task="describe"))
            )

            def use(presets: Presets) -> None:
                images.use(presets)
                info.use(presets)

            watcher = asyncio.create_task(watch_presets(settings.presets, use))
            switch.images, switch.info = images, info
            try:
                yield
            finally:
                watcher.cancel()
                await asyncio.gather(watcher, return_exceptions=True)

    token = settings.admin_token.get_secret_value() if settings.admin_token else None
    development = settings.is_loopback
    guarded = pages.admin_only(purge(purging), token=token, development=development)
    routes = [
        *pages.routes(is_ready, formats, mount=settings.mount, token=token, development=development),
        Route(f"{settings.mount}/-/purge", guarded, methods=["POST"]),
    ]
    handlers = {404: pages.not_found, 405: pages.not_allowed, 500: pages.failed}
    switch = Switch(Starlette(routes=routes, lifespan=lifespan, exception_handlers=handlers), settings.mount)
    return AccessLog(switch, allow_origin=settings.allow_origin)


@asynccontextmanager
async def road(settings: Settings, workers: Workers, purging: Purging) -> AsyncIterator[Renditions]:
    """From origin to cache and back, open. Raises ValueError."""
    await purging.open()
    origin = keep_originals(settings, open_originals(settings), purging)
    cache = open_cache(settings.cache)
    renditions = Renditions(
        origin=origin,
        cache=cache,
        renderers=workers,
        limits=settings.limits,
        sources=sources(settings),
        purges=purging,
        makers=open_flights(settings.cache),
    )
    try:
        yield renditions
    finally:
        await renditions.close()
        await cache.close()
        await origin.close()
        await purging.close()


def sources(settings: Settings) -> Sources:
    """
    Where originals come from: the default origin, unless there are named ones and it was not named too.
    Raises InvalidSources.
    """
    default = Source(url=settings.origin, private=settings.private_networks)
    if settings.origins is None:
        return Sources(default=default)
    found = read_origins(settings.origins)
    if settings.private_networks:
        found = found.private
    return replace(found, default=default, chosen=None) if "origin" in settings.model_fields_set else found


def open_originals(settings: Settings) -> Origin:
    """Raises ValueError and InvalidSources."""
    return open_origins(
        sources(settings),
        limits=settings.limits,
        remote_hosts=settings.remote_hosts,
        private_networks=settings.private_networks,
        fetch_timeout=settings.fetch_timeout,
    )


def keep_originals(settings: Settings, origin: Origin, purges: Heard | None = None) -> Originals:
    """Raises ValueError."""
    return Originals(
        origin,
        open_originals_cache(settings.originals_cache),
        fresh_for=settings.originals_max_age,
        stale_if_error=settings.stale_if_error,
        sources=sources(settings),
        purges=purges,
    )


def terms(settings: Settings) -> Terms:
    return Terms(
        mount=settings.mount,
        secrets=settings.signing_secrets,
        policy=settings.unsigned,
        lifetimes=Lifetimes(**{field.name: getattr(settings, field.name) for field in fields(Lifetimes)}),
    )


def presets(settings: Settings) -> Presets:
    """Those of the file; none when the default file is not there. Raises InvalidPresets."""
    if not settings.presets.exists() and "presets" not in settings.model_fields_set:
        return EMPTY
    return load_presets(settings.presets)
