"""When this machine has nothing more to give, no origin is to blame."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from proxy.model.errors import Overloaded
from proxy.model.limits import Limits
from proxy.origins.file import FileOrigin
from tests.origins.conftest import Opened
from tests.origins.server import Server, reply


@contextmanager
def no_more_files() -> Iterator[None]:
    few, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    next_one = os.dup(0)
    os.close(next_one)
    resource.setrlimit(resource.RLIMIT_NOFILE, (next_one, most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (few, most))


async def test_a_connection_that_cannot_be_opened_is_our_trouble(server: Server, opened: Opened) -> None:
    server.put("*", reply(b"tom"))
    origin = opened()
    with no_more_files(), pytest.raises(Overloaded) as refusal:
        await origin.fetch("tom.jpg")
    assert refusal.value.facts["retry_after"] == 1
    assert (await origin.fetch("tom.jpg")).body == b"tom"


async def test_a_file_that_cannot_be_opened_is_our_trouble(tmp_path: Path) -> None:
    (tmp_path / "tom.jpg").write_bytes(b"tom")
    origin = FileOrigin(tmp_path, Limits())
    with no_more_files(), pytest.raises(Overloaded):
        await origin.fetch("tom.jpg")
    assert (await origin.fetch("tom.jpg")).body == b"tom"
