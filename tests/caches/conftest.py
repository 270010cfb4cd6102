from __future__ import annotations

from collections.abc import Iterator

import pytest

from proxy.model.media import Format, Rendition
from tests.services import redis_server


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """A real Redis that all tests of the session share: each takes a prefix of its own."""
    with redis_server() as server:
        yield server.url


@pytest.fixture
def tom() -> Rendition:
    return Rendition(
        body=b"\x00\r\n\xffcat" * 300,
        format=Format.WEBP,
        width=300,
        height=200,
        etag="5f1c",
        last_modified=1_700_000_000.25,
        made_at=1_700_000_001.5,
    )
