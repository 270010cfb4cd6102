from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from proxy.model.limits import Limits
from proxy.origins.http import HTTPOrigin, make_client
from tests.origins.places import BY_NAME, Place, file_place, http_place, remote_place, s3_place
from tests.origins.server import Server, running

LIMITS = Limits(max_source_bytes=100_000)

Opened = Callable[..., HTTPOrigin]


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running() as server:
        yield server


@pytest.fixture
async def outside() -> AsyncIterator[Server]:
    """A server that nothing may ever be asked of."""
    async with running() as server:
        yield server
        assert server.connections == 0


@pytest.fixture
async def opened(server: Server) -> AsyncIterator[Opened]:
    """Opens origins at the server and closes them."""
    origins: list[HTTPOrigin] = []

    def opened(path: str = "/base/", *, fetch_timeout: float = 5.0, user: str = "") -> HTTPOrigin:
        client = make_client(private_hosts=["127.0.0.1", "localhost"])
        base = f"http://{user}127.0.0.1:{server.port}{path}"
        origins.append(HTTPOrigin(client, base, LIMITS, fetch_timeout=fetch_timeout))
        return origins[-1]

    yield opened
    for origin in origins:
        await origin.close()


@pytest.fixture
async def origin(opened: Opened) -> HTTPOrigin:
    return opened()


@pytest.fixture
async def hasty(opened: Opened) -> HTTPOrigin:
    return opened(fetch_timeout=0.2)


@pytest.fixture(params=[*BY_NAME, "remote"])
async def place(request: pytest.FixtureRequest, tmp_path: Path, server: Server) -> AsyncIterator[Place]:
    """Each kind of origin."""
    match request.param:
        case "file":
            place = file_place(tmp_path / "root")
        case "s3":
            place = s3_place(request.getfixturevalue("s3"), tmp_path.name)
        case "http":
            place = http_place(server)
        case _:
            place = remote_place(server)
    yield place
    await place.origin.close()
