"""Who an HTTPS server must be."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import trustme

from proxy.model.errors import OriginFailed
from proxy.model.limits import Limits
from proxy.origins.http import HTTPOrigin, make_client
from tests.origins.server import (
    Server,
    reply,
    running,
)

LIMITS = Limits(max_source_bytes=100_000)
TOM = reply(b"tom")


@pytest.fixture
async def secure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[Server]:
    """A server whose certificate is good for `localhost` alone."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    async with running(context) as server:
        server.put("*", TOM)
        yield server


async def fetched(client: httpx.AsyncClient, base: str) -> bytes:
    async with client:
        return (await HTTPOrigin(client, base, LIMITS).fetch("tom.jpg")).body


async def test_an_authority_of_the_operator_is_trusted(secure: Server) -> None:
    client = make_client(private_hosts=["localhost"])
    assert await fetched(client, f"https://localhost:{secure.port}") == b"tom"


async def test_the_certificate_must_be_for_the_name_and_not_for_the_address(secure: Server) -> None:
    """The guard connects to an address; what is verified is still the name of the URL."""

    async def anywhere(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    client = make_client(private_hosts=["photos.test"], resolve=anywhere)
    with pytest.raises(OriginFailed):
        await fetched(client, f"https://photos.test:{secure.port}")
    assert secure.asked == []


async def test_an_unknown_authority_is_a_failure(secure: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(OriginFailed):
        await fetched(make_client(private_hosts=["localhost"]), f"https://localhost:{secure.port}")
