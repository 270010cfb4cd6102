"""A client has no more renditions made than it may, over all processes that share a Redis, or in one."""

from __future__ import annotations

import asyncio
import itertools
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from proxy.clients.address import parse_tier_address
from proxy.clients.breaker import CircuitBreaker
from proxy.clients.redis import redis_client
from proxy.clients.redis_link import RedisLink
from proxy.fairness.demand import Demand
from proxy.model.errors import RateLimited
from proxy.model.media import Format
from proxy.renditions import render_rate
from proxy.renditions.render_rate import MemoryCounts, RedisCounts, RenderRate, open_render_rate
from tests.caches.clocks import Clock
from tests.pictures import photo, saved
from tests.services import RedisServer, redis_server
from tests.web.serving import client as serving


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def spend(rate: RenderRate, client: str, times: int = 1) -> int:
    """How many of so many may be made."""
    allowed = 0
    with Demand(client).as_current():
        for _ in range(times):
            try:
                await rate.spend()
            except RateLimited:
                continue
            allowed += 1
    return allowed


async def test_each_client_has_its_own_rate_in_each_window(clock: Clock) -> None:
    rate = RenderRate("3/minute", clock=clock)
    assert await spend(rate, "a", 5) == 3
    assert await spend(rate, "b", 5) == 3
    clock.forward(30)
    with Demand("a").as_current(), pytest.raises(RateLimited) as caught:
        await rate.spend()
    assert caught.value.facts == {"client": "a", "rate": 3, "window": 60, "retry_after": 30}
    clock.forward(31)
    assert await spend(rate, "a", 5) == 3


async def test_what_no_client_waits_for_is_not_limited(clock: Clock) -> None:
    rate = RenderRate("1/minute", clock=clock)
    for _ in range(5):
        await rate.spend()


async def test_a_stream_of_new_clients_is_not_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render_rate, "MAX_CLIENTS", 10)
    counts = MemoryCounts(60)
    for number in range(100):
        await counts.incr(str(number), 60)
    assert sum([await counts.get(str(number)) for number in range(100)]) == 10


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


@pytest.fixture
async def processes(server: RedisServer) -> AsyncIterator[list[RenderRate]]:
    """Two that share a Redis, and give it time enough for an answer on a busy machine."""
    prefix, made = f"{uuid.uuid4()}:", []
    for _ in range(2):
        client = redis_client(parse_tier_address(server.url), step=60.0)
        link = RedisLink(client, call_timeout=60.0, breaker=CircuitBreaker(threshold=1, reset_timeout=0.1))
        made.append(RenderRate("10/hour", RedisCounts(link, prefix)))
    yield made
    for each in made:
        await each.close()


async def test_processes_that_share_a_redis_count_together(processes: list[RenderRate]) -> None:
    one, other = processes
    assert sum(await asyncio.gather(spend(one, "a", 8), spend(other, "a", 8))) == 10
    with Demand("a").as_current(), pytest.raises(RateLimited) as caught:
        await other.spend()
    assert 3_500 < caught.value.facts["retry_after"] <= 3_600
    assert await spend(other, "b", 3) == 3


async def test_without_its_redis_each_process_counts_for_itself_and_none_waits(server: RedisServer) -> None:
    rate = open_render_rate("2/hour", f"memory://1MB,{server.url}?prefix={uuid.uuid4()}:")
    try:
        assert await spend(rate, "a") == 1
        server.stop()
        started = time.monotonic()
        assert await spend(rate, "a", 20) == 2
        assert time.monotonic() - started < 10
        server.start()
    finally:
        await rate.close()


async def test_what_others_wrote_under_the_name_is_not_believed(
    server: RedisServer, processes: list[RenderRate]
) -> None:
    one, _ = processes
    assert await spend(one, "a") == 1
    plain = redis_client(parse_tier_address(server.url), step=60.0)
    for name in await plain.execute_command("KEYS", "*rate:*"):
        await plain.execute_command("SET", name, "garbage")
    await plain.aclose()
    assert await spend(one, "a", 20) == 10


async def test_what_is_too_much_is_a_429_and_hits_are_not_counted(tmp_path: Path, renderers: str) -> None:
    (tmp_path / "a.jpg").write_bytes(saved(photo(60, 40), Format.JPEG))
    widths = itertools.count(10)

    def headers(client: str) -> dict[str, str]:
        return {"x-forwarded-for": client}

    async with serving(
        renderers, origin=str(tmp_path), render_rate="2/h", trusted_proxies="127.0.0.0/8"
    ) as session:

        async def get(client: str, path: str = "") -> httpx.Response:
            return await session.get(path or f"/w_{next(widths)}/a.jpg", headers=headers(client))

        first = await get("2001:db8::1", "/w_9/a.jpg")
        assert [first.status_code, (await get("2001:db8::2")).status_code] == [200, 200]
        refused = await get("2001:db8::3")
        assert refused.status_code == 429
        assert refused.json()["code"] == "rate_limited"
        assert refused.headers["cache-control"] == "no-store"
        assert 3_500 < int(refused.headers["retry-after"]) <= 3_600
        assert refused.headers["ratelimit-policy"] == '"renders";q=2;w=3600'
        assert refused.headers["ratelimit"] == f'"renders";r=0;t={refused.headers["retry-after"]}'
        for _ in range(5):
            assert (await get("2001:db8::1", "/w_9/a.jpg")).status_code == 200
        assert (await get("2001:db8:0:1::1")).status_code == 200


async def test_one_client_is_not_refused_for_another_that_asked_for_the_same_before(
    tmp_path: Path, renderers: str
) -> None:
    (tmp_path / "a.jpg").write_bytes(saved(photo(60, 40), Format.JPEG))
    async with serving(
        renderers, origin=str(tmp_path), render_rate="1/h", trusted_proxies="127.0.0.0/8"
    ) as session:
        assert (await session.get("/w_9/a.jpg", headers={"x-forwarded-for": "1.1.1.1"})).status_code == 200
        answers = await asyncio.gather(
            *(
                session.get("/w_10/a.jpg", headers={"x-forwarded-for": each})
                for each in ("1.1.1.1", "2.2.2.2")
            )
        )
        assert [answer.status_code for answer in answers] in ([429, 200], [200, 200])
