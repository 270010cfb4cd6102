"""The whole application in the test's own event loop, behind a client that speaks to it without a socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from starlette.types import ASGIApp, Message

from proxy.app.asgi import Deployment, create_app
from proxy.config.settings import load_settings
from tests.deployments import open_to_all


@asynccontextmanager
async def started(app: ASGIApp) -> AsyncIterator[ASGIApp]:
    """`app` between its lifespan's startup and shutdown."""
    said: asyncio.Queue[Message] = asyncio.Queue()
    heard: asyncio.Queue[Message] = asyncio.Queue()
    scope = {"type": "lifespan", "asgi": {"version": "3.0"}}

    async def live() -> None:
        await app(scope, said.get, heard.put)

    life = asyncio.create_task(live())
    await said.put({"type": "lifespan.startup"})
    answer = await heard.get()
    if answer["type"] != "lifespan.startup.complete":
        await life
        raise AssertionError(answer)
    try:
        yield app
    finally:
        await said.put({"type": "lifespan.shutdown"})
        assert (await heard.get())["type"] == "lifespan.shutdown.complete"
        await life


@asynccontextmanager
async def client(renderers: str, **flags: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a deployment with these settings."""
    flags = {
        "cache": "memory://64MB",
        "originals_cache": "memory://64MB",
        "log_format": "json",
        **open_to_all(flags),
        **flags,
    }
    app = create_app(Deployment(settings=load_settings(**flags), renderers=renderers))
    async with started(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as session:
            yield session
