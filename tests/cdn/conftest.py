from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from proxy.model.media import Format
from tests.cdn.caches import nginx, varnish
from tests.deployments import Deployed, deployed
from tests.origins.server import Server, reply, running
from tests.pictures import photo, saved

ADMIN_TOKEN = "an-admin-token-of-more-than-thirty-two-bytes"
TOM = saved(photo(320, 240), Format.PNG)

# `brief` is over after a second, and may stand in for a new one for an hour.
PRESETS = """
presets:
  card: "w_100,f_webp"
  auto: "w_100,f_auto"
  brief: {options: "w_90,f_webp", max_age: 1, s_maxage: 1, stale_while_revalidate: 1, stale_if_error: 3600}
"""


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def all_origin() -> AsyncIterator[Server]:
    async with running() as server:
        yield server


@pytest.fixture
def origin(all_origin: Server) -> Server:
    """Has a picture at every path."""
    all_origin.asked.clear()
    all_origin.answers.clear()
    all_origin.put("*", reply(TOM, etag='"1"', last_modified="Wed, 21 Oct 2015 07:28:00 GMT"))
    return all_origin


@pytest.fixture(scope="module")
def server(all_origin: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """It keeps nothing itself: what a CDN does not keep shows at once."""
    presets = Path(tmp_path_factory.mktemp("presets"), "presets.yaml")
    presets.write_text(PRESETS)
    token = {"admin_token": ADMIN_TOKEN}
    with deployed(origin=all_origin.url, cache="none", presets=str(presets), **token) as server:
        yield server


@pytest_asyncio.fixture(loop_scope="module", scope="module", params=["varnish", "nginx"])
async def either(request: pytest.FixtureRequest, server: Deployed) -> AsyncIterator[httpx.AsyncClient]:
    """A client of Varnish, and one of nginx: what holds for both."""
    with {"varnish": varnish, "nginx": nginx}[request.param](server.port) as url:
        async with httpx.AsyncClient(base_url=url, timeout=30, headers={"accept": "*/*"}) as client:
            yield client


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def by_varnish(server: Deployed) -> AsyncIterator[httpx.AsyncClient]:
    with varnish(server.port) as url:
        async with httpx.AsyncClient(base_url=url, timeout=30) as client:
            yield client


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def by_nginx(server: Deployed) -> AsyncIterator[httpx.AsyncClient]:
    with nginx(server.port) as url:
        async with httpx.AsyncClient(base_url=url, timeout=30) as client:
            yield client
