"""TLS to a Cluster and to a master under Sentinel: verified, as to a single Redis."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import trustme
from redis import Redis

from proxy.caches.redis import RedisCache, open_redis
from proxy.clients.address import parse_tier_address
from proxy.model.media import Rendition
from tests.redundant import SERVICE, Sentinel, ask, until
from tests.services import RedisServer, find_redis, free_port, redis_server


@pytest.fixture
def certificate(tmp_path: Path) -> dict[str, str]:
    """For 127.0.0.1, as redis-server's options."""
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    paths = {name: str(tmp_path / name) for name in ("cert", "key", "ca")}
    certificate.cert_chain_pems[0].write_to_path(paths["cert"])
    certificate.private_key_pem.write_to_path(paths["key"])
    authority.cert_pem.write_to_path(paths["ca"])
    return {
        "tls-port": str(free_port()),
        "tls-cert-file": paths["cert"],
        "tls-key-file": paths["key"],
        "tls-ca-cert-file": paths["ca"],
        "tls-auth-clients": "no",
    }


def options(certificate: dict[str, str], **more: str) -> list[str]:
    named = certificate | {name.replace("_", "-"): value for name, value in more.items()}
    return [part for name, value in named.items() for part in (f"--{name}", value)]


@contextmanager
def sentinel(master: int, certificate: dict[str, str]) -> Iterator[RedisServer]:
    with TemporaryDirectory(prefix="sentinel-") as folder:
        server = Sentinel(binary=find_redis(), folder=folder, port=free_port())
        tls = "".join(f"{name} {value}\n" for name, value in certificate.items())
        Path(folder, "sentinel.conf").write_text(
            f"bind 127.0.0.1\nport {server.port}\ndir {folder}\n{tls}tls-replication yes\n"
            f"sentinel monitor {SERVICE} 127.0.0.1 {master} 1\n"
        )
        server.start()
        try:
            yield server
        finally:
            server.stop()


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[RedisCache]:
    cache = open_redis(parse_tier_address(url))
    yield cache
    await cache.close()


async def holds(url: str, tom: Rendition, authority: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(url) as cache:
        await cache.put("tom", tom, 60)
        assert await cache.get("tom") is None, "nobody vouches for the certificate"
        assert cache.failures == 2
    monkeypatch.setenv(ssl.get_default_verify_paths().openssl_cafile_env, authority)
    async with opened(url) as cache:
        await cache.put("tom", tom, 60)
        assert await cache.get("tom") == tom
        assert cache.failures == 0


async def test_tls_to_a_cluster_is_verified(
    certificate: dict[str, str], tom: Rendition, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = options(certificate, cluster_enabled="yes", tls_cluster="yes", cluster_port=str(free_port()))
    with redis_server(*given) as server, Redis(port=server.port) as node:
        ask(node, "CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        until(lambda: ask(node, "CLUSTER INFO")["cluster_state"] == "ok", "the cluster to be whole")
        url = f"rediss+cluster://127.0.0.1:{certificate['tls-port']}"
        await holds(url, tom, certificate["tls-ca-cert-file"], monkeypatch)


async def test_tls_to_sentinels_and_to_their_master_is_verified(
    certificate: dict[str, str], tom: Rendition, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    with redis_server(*options(certificate, requirepass="mouse")) as master:
        assert master.process is not None
        own = certificate | {"tls-port": str(port)}
        with sentinel(int(certificate["tls-port"]), own) as watcher, Redis(port=watcher.port) as client:
            client.sentinel_set(SERVICE, "auth-pass", "mouse")
            until(lambda: ask(client, "SENTINEL CKQUORUM", SERVICE) is not None, "the Sentinel to see it")
            url = f"rediss+sentinel://:mouse@127.0.0.1:{port}/{SERVICE}"
            await holds(url, tom, certificate["tls-ca-cert-file"], monkeypatch)
