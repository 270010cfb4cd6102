from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.origins.server import Server, running


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running() as server:
        yield server
