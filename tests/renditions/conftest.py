from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from proxy.caches.memory import MemoryCache
from proxy.caches.tiers import TieredCache
from proxy.model.limits import Limits
from proxy.model.media import Rendition
from proxy.origins.http import HTTPOrigin, make_client
from proxy.origins.router import OriginRouter
from proxy.renderers.client import RendererClient
from proxy.renditions.service import Renditions
from tests.caches.clocks import Clock
from tests.origins.server import Server, running

Open = Callable[..., Renditions]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running() as server:
        yield server


def router_to(server: Server) -> OriginRouter:
    web = make_client(private_hosts=["127.0.0.1"])
    return OriginRouter(HTTPOrigin(web, server.url, Limits(), fetch_timeout=1.0))


@pytest.fixture
async def open_renditions(renderers: str, server: Server, clock: Clock) -> AsyncIterator[Open]:
    """
    Opens renditions as a process does, with what it is given instead of the usual. All of them have one
    origin and one cache, which are closed after them.
    """
    origin = router_to(server)
    cache = TieredCache([MemoryCache[Rendition](10**7, clock=clock)], clock=clock)
    usual: dict[str, Any] = {
        "origin": origin,
        "cache": cache,
        "renderers": RendererClient(renderers),
        "limits": Limits(),
        "clock": clock,
    }
    opened: list[Renditions] = []

    def open(**given: Any) -> Renditions:
        opened.append(Renditions(**(usual | given)))
        return opened[-1]

    yield open
    for each in opened:
        await each.close()
    await cache.close()
    await origin.close()
