from __future__ import annotations

import asyncio
import os
import socket
import ssl
import subprocess
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from proxy.caches.envelope import entry_name, pack_rendition
from proxy.caches.redis import RedisCache, open_redis
from proxy.caches.tiers import open_cache
from proxy.clients.address import parse_tier_address
from proxy.clients.breaker import CircuitBreaker
from proxy.clients.redis import redis_client
from proxy.clients.redis_link import RedisLink
from proxy.model.media import Rendition
from tests.caches.clocks import Clock
from tests.services import RedisServer, free_port, redis_server
from tests.timing import at_once, waiting


@pytest.fixture
def prefix() -> str:
    return f"{uuid.uuid4()}:"


@pytest.fixture
async def cache(redis_url: str, prefix: str) -> AsyncIterator[RedisCache]:
    """With time enough for an answer on a busy machine."""
    link = RedisLink(redis_client(parse_tier_address(redis_url), step=60.0), call_timeout=60.0)
    cache = RedisCache(link, prefix=prefix, max_value=100_000)
    yield cache
    await cache.close()


@pytest.fixture
async def plain(redis_url: str) -> AsyncIterator[Redis]:
    """Redis as somebody else uses it."""
    client = Redis.from_url(redis_url)
    yield client
    await client.aclose()


@pytest.fixture
def server() -> Iterator[RedisServer]:
    """A Redis of one's own, to be stopped and started."""
    with redis_server() as server:
        yield server


@asynccontextmanager
async def opened(url: str, *, clock: Clock | None = None) -> AsyncIterator[RedisCache]:
    breaker = CircuitBreaker() if clock is None else CircuitBreaker(clock=clock)
    cache = RedisCache(RedisLink(redis_client(parse_tier_address(url)), breaker=breaker))
    yield cache
    await cache.close()


@contextmanager
def silent_server() -> Iterator[str]:
    """Accepts every connection and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}/0"


async def slowest_of(cache: RedisCache, calls: int) -> float:
    slowest = 0.0
    for _ in range(calls):
        async with waiting() as waited:
            assert await cache.get("tom") is None
        slowest = max(slowest, waited.seconds)
    return slowest


async def test_every_entry_has_a_time_to_live(
    cache: RedisCache, plain: Redis, prefix: str, tom: Rendition
) -> None:
    await cache.put("tom", tom, 60)
    await cache.put("felix", tom, float("inf"))
    assert 59_000 < await plain.pttl(prefix + entry_name("tom")) <= 60_000
    assert await plain.pttl(prefix + entry_name("felix")) > 1e11


async def test_redis_forgets_by_itself(cache: RedisCache, plain: Redis, prefix: str, tom: Rendition) -> None:
    await cache.put("tom", tom, 0.05)
    await asyncio.sleep(0.1)
    assert await plain.exists(prefix + entry_name("tom")) == 0


async def test_a_key_in_redis_tells_nothing_of_the_url(redis_url: str, plain: Redis, tom: Rendition) -> None:
    cache = open_redis(parse_tier_address(redis_url))
    await cache.put("clients/secret.jpg", tom, 60)
    await cache.close()
    keys = await plain.keys("image-proxy:*")
    assert keys == [f"image-proxy:{entry_name('clients/secret.jpg')}".encode()]


@pytest.mark.parametrize("planted", [b"garbage", b"IPR\x01" + bytes(300), bytes(200_000), "another's", "cut"])
async def test_a_poisoned_value_is_a_logged_miss_and_is_deleted(
    cache: RedisCache, plain: Redis, prefix: str, tom: Rendition, planted: bytes | str
) -> None:
    if planted == "another's":
        planted = pack_rendition(tom, "felix", time.time() + 60)
    elif planted == "cut":
        planted = pack_rendition(tom, "tom", time.time() + 60)[:-1]
    await plain.set(prefix + entry_name("tom"), planted)
    with capture_logs() as logs:
        assert await cache.get("tom") is None
    assert [(each["event"], each["tier"], each["error"]) for each in logs] == [
        ("cache_failed", "redis", "Unverified")
    ]
    assert await plain.exists(prefix + entry_name("tom")) == 0
    assert (cache.misses, cache.failures) == (1, 1)


async def test_a_list_in_the_place_of_a_value_is_a_miss_and_can_be_overwritten(
    cache: RedisCache, plain: Redis, prefix: str, tom: Rendition
) -> None:
    await plain.rpush(prefix + entry_name("tom"), "x")
    assert await cache.get("tom") is None
    await cache.put("tom", tom, 60)
    assert await cache.get("tom") == tom


async def test_of_half_a_gigabyte_only_the_cap_is_read(plain: Redis, cache: RedisCache, prefix: str) -> None:
    await plain.setrange(prefix + entry_name("tom"), 100_000_000, b"x")
    async with waiting() as waited:
        assert await cache.get("tom") is None
    assert waited.seconds < 0.6
    assert cache.failures == 1


async def test_the_cap_is_about_the_whole_value(
    cache: RedisCache, plain: Redis, prefix: str, tom: Rendition
) -> None:
    await cache.put("tom", replace(tom, body=bytes(99_900)), 60)
    assert await cache.get("tom") is not None
    await cache.put("tom", replace(tom, body=bytes(99_990)), 60)
    assert await plain.exists(prefix + entry_name("tom")) == 0


async def test_an_idle_connection_that_redis_closed_is_no_failure(
    cache: RedisCache, plain: Redis, tom: Rendition
) -> None:
    await cache.put("tom", tom, 60)
    await plain.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")  # type: ignore[no-untyped-call]
    await asyncio.sleep(0.02)
    assert await cache.get("tom") == tom
    assert cache.failures == 0


async def test_many_lookups_at_once_share_a_few_connections(
    cache: RedisCache, plain: Redis, tom: Rendition
) -> None:
    await cache.put("tom", tom, 60)
    await asyncio.gather(*(cache.get("tom") for _ in range(40)))  # connecting takes its time
    assert await asyncio.gather(*(cache.get("tom") for _ in range(150))) == [tom] * 150
    assert (await plain.info("clients"))["connected_clients"] < 50


async def test_a_lookup_that_is_cancelled_leaves_the_next_one_its_own_answer(
    cache: RedisCache, tom: Rendition
) -> None:
    many = {f"cat {i}": replace(tom, etag=str(i)) for i in range(40)}
    for key, rendition in many.items():
        await cache.put(key, rendition, 60)
    for _ in range(20):
        tasks = [asyncio.create_task(cache.get(key)) for key in many]
        await asyncio.sleep(0.001)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    assert [await cache.get(key) for key in many] == list(many.values())


async def test_a_redis_that_is_killed_is_a_row_of_misses_and_comes_back(
    server: RedisServer, tom: Rendition
) -> None:
    clock = Clock()
    async with opened(server.url, clock=clock) as cache:
        await cache.put("tom", tom, 60)
        assert await cache.get("tom") == tom
        server.stop()
        with capture_logs() as logs:
            assert await slowest_of(cache, 20) < 0.6
            await cache.put("tom", tom, 60)
        assert cache.failures == 5
        assert [each["rests"] for each in logs] == [False, False, False, False, True]
        server.start()
        assert await cache.get("tom") is None, "it rests"
        clock.forward(5)
        with capture_logs() as logs:
            assert await cache.get("tom") is None, "the probe finds an empty Redis"
        assert [each["event"] for each in logs] == ["cache_recovered"]
        await cache.put("tom", tom, 60)
        assert await cache.get("tom") == tom


async def test_while_it_rests_a_lookup_costs_nothing(tom: Rendition) -> None:
    async with opened(f"redis://127.0.0.1:{free_port()}/0") as cache:
        await slowest_of(cache, 5)
        for _ in range(1_000):
            assert at_once(cache.get("tom")) is None


async def test_a_redis_that_never_answers_costs_a_quarter_of_a_second_a_few_times() -> None:
    with silent_server() as url:
        async with opened(url) as cache:
            assert await slowest_of(cache, 5) < 0.6
            async with waiting() as waited:
                await slowest_of(cache, 100)
            assert waited.seconds < 1
            assert cache.failures == 5


async def test_many_lookups_in_a_silent_redis_end_together(tom: Rendition) -> None:
    with silent_server() as url:
        async with opened(url) as cache:
            async with waiting() as waited:
                assert set(await asyncio.gather(*(cache.get(f"cat {i}") for i in range(200)))) == {None}
            assert waited.seconds < 1


async def test_a_redis_that_is_stopped_in_the_middle_is_a_silent_one(
    server: RedisServer, tom: Rendition
) -> None:
    async with opened(server.url) as cache:
        await cache.put("tom", tom, 60)
        assert server.process is not None
        os.kill(server.process.pid, 19)
        try:
            assert await slowest_of(cache, 8) < 0.6
        finally:
            os.kill(server.process.pid, 18)
        assert cache.failures == 5


@pytest.mark.parametrize(
    "said", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\xff\x00\r\n" * 50, b"$999999999999\r\n", b"$-7\r\n", b""]
)
async def test_what_is_no_redis_is_a_miss(said: bytes) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(said)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as listener:
        port = listener.sockets[0].getsockname()[1]
        async with opened(f"redis://127.0.0.1:{port}/0") as cache:
            assert await slowest_of(cache, 3) < 0.6
            assert cache.failures == 3


async def test_a_host_that_does_not_exist_is_a_miss() -> None:
    async with opened("redis://nowhere.invalid/0") as cache:
        assert await slowest_of(cache, 6) < 0.6
        assert cache.failures == 5


async def test_a_full_redis_keeps_nothing_and_still_answers(tom: Rendition) -> None:
    """`noeviction`: writes fail for as long as it is full, reads must not suffer."""
    with redis_server("--maxmemory", "3mb", "--maxmemory-policy", "noeviction") as server:
        async with opened(server.url) as cache:
            await cache.put("tom", tom, 60)
            for i in range(40):
                await cache.put(f"cat {i}", replace(tom, body=os.urandom(100_000)), 60)
            assert cache.failures > 5
            assert await cache.get("tom") == tom


async def test_a_redis_that_evicts_stays_within_its_memory(tom: Rendition) -> None:
    with redis_server("--maxmemory", "3mb", "--maxmemory-policy", "allkeys-lru") as server:
        async with opened(server.url) as cache:
            for i in range(40):
                await cache.put(f"cat {i}", replace(tom, body=os.urandom(100_000)), 60)
            assert await cache.get("cat 39") is not None
            assert cache.failures == 0


async def test_a_read_only_replica_is_read(tom: Rendition) -> None:
    with redis_server("--repl-diskless-sync-delay", "0") as server, redis_server() as replica:
        async with opened(server.url) as cache:
            await cache.put("tom", tom, 60)
        async with opened(replica.url) as cache:
            admin = redis_client(parse_tier_address(replica.url))
            await admin.execute_command("REPLICAOF", "127.0.0.1", server.port)
            await admin.aclose()
            deadline = time.monotonic() + 10
            while (found := await cache.get("tom")) is None and time.monotonic() < deadline:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            assert found == tom
            failures = cache.failures
            for _ in range(6):
                await cache.put("felix", tom, 60)
            assert cache.failures == failures + 6
            assert await cache.get("tom") == tom


async def test_a_password_is_used_and_never_logged_nor_shown(
    tom: Rendition, capsys: pytest.CaptureFixture[str]
) -> None:
    with redis_server("--requirepass", "p@ss/w:rd,1") as server:
        for password, failures in (("p%40ss%2Fw%3Ard,1", 0), ("canary%40wrong", 2), ("", 2)):
            url = server.url.replace("//", f"//:{password}@")
            cache = open_cache(url)
            await cache.put("tom", tom, 60)
            await cache.close()
            cache = open_cache(url)
            assert (await cache.get("tom") == tom) == (failures == 0)
            print(cache, cache.stats())
            await cache.close()
    out, err = capsys.readouterr()
    assert "cache_failed" in err
    assert "AuthenticationError" in err
    for secret in ("p@ss", "p%40ss", "canary"):
        assert secret not in out + err


async def test_a_user_and_a_database_are_taken_from_the_url(tom: Rendition) -> None:
    with redis_server(*["--user", "tom", "on", ">mouse", "~*", "+@all"], "--requirepass", "x") as server:
        url = server.url.replace("//", "//tom:mouse@").replace("/0", "/3")
        async with opened(url) as cache:
            await cache.put("tom", tom, 60)
            assert await cache.get("tom") == tom
        client = Redis.from_url(url)
        assert (await client.info("keyspace"))["db3"]["keys"] == 1
        await client.aclose()


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """For `localhost`, signed by itself."""
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
    )
    extension = ("-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(certificate))
    subprocess.run([*command.split(), *extension], check=True, capture_output=True)
    return certificate, key


async def test_tls_is_verified(
    certificate: tuple[Path, Path], tom: Rendition, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    options = f"--tls-port {port} --tls-cert-file {certificate[0]} --tls-key-file {certificate[1]}"
    with redis_server(*options.split(), "--tls-auth-clients", "no") as server:
        assert server.process is not None
        async with opened(f"rediss://localhost:{port}/0") as cache:
            await cache.put("tom", tom, 60)
            assert await cache.get("tom") is None
            assert cache.failures == 2
        monkeypatch.setenv(ssl.get_default_verify_paths().openssl_cafile_env, str(certificate[0]))
        async with opened(f"rediss://localhost:{port}/0") as cache:
            await cache.put("tom", tom, 60)
            assert await cache.get("tom") == tom
        async with opened(f"rediss://127.0.0.1:{port}/0") as cache:
            assert await cache.get("tom") is None, "the certificate is for another name"
