"""Flights of several processes, each with its own connections to one real Redis."""

from __future__ import annotations

import asyncio
import os
import signal
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

import pytest
from redis import Redis

from proxy.caches.envelope import entry_name
from proxy.clients.address import parse_tier_address
from proxy.clients.redis import redis_client
from proxy.clients.redis_link import RedisLink
from proxy.model.errors import BrokenImage, OriginFailed, Overloaded, ProxyError
from proxy.model.media import Format, Rendition
from proxy.renditions.cluster import ClusterLeadership, Leadership, Make, open_leadership
from proxy.renditions.leases import LEASE_DURATION, MAX_RESULT_BYTES, RESULT_LIFETIME, Leases
from proxy.renditions.served import NewRendition
from proxy.renditions.singleflight import SingleFlight
from tests.redundant import redis_cluster
from tests.services import RedisServer, redis_server
from tests.timing import waiting

TOM = Rendition(body=b"tom" * 1000, format=Format.WEBP, width=30, height=20, etag="5f1c", made_at=1.5)


class Maker:
    """Makes one rendition, slowly, and counts how often."""

    def __init__(self, *, seconds: float = 0.1, rendition: Rendition = TOM) -> None:
        self.times = 0
        self._seconds = seconds
        self._rendition = rendition

    async def __call__(self) -> NewRendition:
        self.times += 1
        await asyncio.sleep(self._seconds)
        return NewRendition(self._rendition, {"decode": 0.1})


class Failing(Maker):
    def __init__(self, *errors: ProxyError) -> None:
        super().__init__()
        self._errors = list(errors)

    async def __call__(self) -> NewRendition:
        made = await super().__call__()
        if self._errors:
            raise self._errors.pop(0)
        return made


class Process:
    """What a process has of all this: its own flights, whose work leads or follows in the cluster."""

    def __init__(self, leadership: Leadership) -> None:
        self._flights: SingleFlight[NewRendition] = SingleFlight()
        self._leadership = leadership

    async def join(self, key: str, make: Make) -> NewRendition:
        return await self._flights.join(key, lambda: self._leadership.lead_or_follow(key, make))

    async def close(self) -> None:
        await self._flights.close()
        await self._leadership.close()


def opened(cache: str) -> Process:
    return Process(open_leadership(cache))


@pytest.fixture(scope="module")
def shared() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


@pytest.fixture
def server() -> Iterator[RedisServer]:
    """A Redis of one's own, to be killed."""
    with redis_server() as server:
        yield server


@asynccontextmanager
async def processes(url: str, count: int = 4, *, connected: bool = True) -> AsyncIterator[list[Process]]:
    """`connected`: on a busy machine making connections takes longer than a call may."""
    cache = f"memory://1MB,{url}?prefix={uuid.uuid4()}:"
    async with AsyncExitStack() as stack:
        flights = [opened(cache) for _ in range(count)]
        for each in flights:
            stack.push_async_callback(each.close)
        for keys in (("a", "b", "c"), range(20), range(20)) if connected else ():
            await asyncio.gather(*(each.join(f"{key}", Maker(seconds=0)) for each in flights for key in keys))
        yield flights


async def timed(
    flight: asyncio.Future[NewRendition] | asyncio.Task[NewRendition],
) -> tuple[NewRendition, float]:
    started = time.monotonic()
    return await flight, time.monotonic() - started


async def until(happened: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not happened():  # noqa: ASYNC110 - what happens, happens elsewhere
            await asyncio.sleep(0.005)


async def test_a_thousand_callers_in_four_processes_have_it_made_once(shared: RedisServer) -> None:
    make = Maker()
    async with processes(shared.url) as flights:
        found = await asyncio.gather(*(flights[each % 4].join("tom", make) for each in range(1000)))
    assert make.times == 1
    assert {made.rendition for made in found} == {TOM}
    assert sorted({made.by_peer for made in found}) == [False, True]
    assert {tuple(made.timings) for made in found} == {("decode",), ("wait",)}


async def test_different_things_are_made_side_by_side(shared: RedisServer) -> None:
    make = Maker(seconds=0.3)
    async with processes(shared.url) as flights:
        started = time.monotonic()
        await asyncio.gather(*(flight.join(f"cat {each}", make) for flight in flights for each in range(20)))
    assert make.times == 20
    assert time.monotonic() - started < 3


async def test_without_redis_among_the_tiers_each_process_is_alone() -> None:
    make = Maker()
    flights = [opened("memory://1MB"), opened("none")]
    await asyncio.gather(*(flight.join("tom", make) for flight in flights * 10))
    assert make.times == 2


async def test_an_error_travels_with_all_it_says(shared: RedisServer) -> None:
    make = Failing(BrokenImage("it is cut off", option="w", allowed=["a", "b"], origin_status=418))
    async with processes(shared.url) as flights:
        found = await asyncio.gather(*(each.join("tom", make) for each in flights), return_exceptions=True)
    assert make.times == 1
    for error in found:
        assert type(error) is BrokenImage
        assert error.message == "it is cut off"
        assert error.facts == {"option": "w", "allowed": ["a", "b"], "origin_status": 418}


async def test_a_caller_after_a_transient_failure_tries_again(shared: RedisServer) -> None:
    make = Failing(OriginFailed("the origin is down"))
    async with processes(shared.url) as flights:
        with pytest.raises(OriginFailed):
            await flights[0].join("tom", make)
        assert (await flights[1].join("tom", make)).rendition == TOM
        assert (await flights[2].join("tom", make)).by_peer
    assert make.times == 2


async def test_a_machine_that_is_overloaded_leaves_it_to_another(shared: RedisServer) -> None:
    make = Failing(Overloaded("too much", retry_after=3))
    async with processes(shared.url) as flights:
        found = await asyncio.gather(*(each.join("tom", make) for each in flights), return_exceptions=True)
    assert make.times == 2
    assert [type(each) for each in found].count(Overloaded) == 1


@pytest.mark.parametrize("size", [1_000_000, 3_500_000, 20_000_000])
async def test_what_is_too_large_for_one_value_travels_in_parts(shared: RedisServer, size: int) -> None:
    big = replace(TOM, body=os.urandom(size))
    make = Maker(rendition=big)
    async with processes(shared.url, 3) as flights:
        found = await asyncio.gather(*(flight.join("tom", make) for flight in flights))
    assert make.times == 1
    assert all(made.rendition == big for made in found)


async def test_what_is_too_large_to_travel_is_made_by_each(shared: RedisServer) -> None:
    make = Maker(rendition=replace(TOM, body=bytes(MAX_RESULT_BYTES + 1)))
    async with processes(shared.url, 2) as flights:
        found = await asyncio.gather(*(flight.join("tom", make) for flight in flights))
    assert make.times == 2
    assert [made.by_peer for made in found] == [False, False]


async def test_what_its_origin_lets_no_cache_store_is_not_in_redis(server: RedisServer) -> None:
    class Private(Maker):
        async def __call__(self) -> NewRendition:
            return replace(await super().__call__(), storable=False)

    make = Private(seconds=0.3)
    async with processes(server.url, connected=False) as flights:
        found = await asyncio.gather(*(flight.join("tom", make) for flight in flights))
    assert make.times == 4
    assert not any(made.by_peer for made in found)
    with Redis(port=server.port) as client:
        assert not client.keys("*:landed:*")


async def test_a_process_that_asks_a_moment_late_gets_what_was_made(shared: RedisServer) -> None:
    make = Maker()
    async with processes(shared.url) as flights:
        await flights[0].join("tom", make)
        assert (await flights[1].join("tom", make)).by_peer
        await asyncio.sleep(RESULT_LIFETIME + 0.3)
        assert not (await flights[2].join("tom", make)).by_peer
    assert make.times == 2


async def test_followers_are_woken_by_the_completion_and_hardly_ask_meanwhile(server: RedisServer) -> None:
    make = Maker(seconds=1.0)
    async with processes(server.url, connected=False) as flights:
        joined = [asyncio.ensure_future(flight.join("tom", make)) for flight in flights]
        await asyncio.wait(joined, return_when=asyncio.FIRST_COMPLETED)
        async with waiting() as waited:
            await asyncio.gather(*joined)
    assert waited.seconds < 0.5
    with Redis(port=server.port) as client:
        calls = client.info("commandstats")["cmdstat_eval"]["calls"]
    # Each asks, subscribes and asks again, and again where the lease might have run out; then the completion.
    assert calls <= 4 * 4 + 5


async def test_a_process_that_may_not_subscribe_asks_ten_times_a_second(server: RedisServer) -> None:
    with Redis(port=server.port) as client:
        client.acl_setuser("deaf", enabled=True, nopass=True, keys=["*"], commands=["+@all", "-subscribe"])
    make = Maker(seconds=1.0)
    async with processes(server.url.replace("//", "//deaf:x@"), 2, connected=False) as flights:
        found = await asyncio.gather(*(flight.join("tom", make) for flight in flights))
    assert make.times == 1
    assert [made.rendition for made in found] == [TOM, TOM]
    with Redis(port=server.port) as client:
        assert client.info("commandstats")["cmdstat_eval"]["calls"] < 20


async def test_a_leader_that_died_is_replaced_within_two_seconds(shared: RedisServer) -> None:
    prefix = f"{uuid.uuid4()}:"
    dead = Leases(RedisLink(redis_client(parse_tier_address(shared.url))), prefix)
    flights = opened(f"{shared.url}?prefix={prefix}")
    await dead.acquire(entry_name("flight\ntom"))
    make = Maker(seconds=0)
    made, seconds = await timed(asyncio.ensure_future(flights.join("tom", make)))
    assert (make.times, made.by_peer) == (1, False)
    assert LEASE_DURATION - 0.2 < seconds < 2
    await flights.close()
    await dead.close()


async def test_a_slow_leader_that_lives_is_waited_for(shared: RedisServer) -> None:
    make = Maker(seconds=2 * LEASE_DURATION)
    async with processes(shared.url, 2) as flights:
        await asyncio.gather(*(flight.join("tom", make) for flight in flights))
    assert make.times == 1


async def test_a_leader_that_was_overtaken_completes_nothing(shared: RedisServer) -> None:
    """What it made is for its own callers only, and is not cached."""
    old, new = replace(TOM, etag="old"), replace(TOM, etag="new")
    async with processes(shared.url, 3) as flights:
        sleeping = asyncio.ensure_future(flights[0].join("tom", Maker(seconds=0.3, rendition=old)))
        await asyncio.sleep(0.1)
        with Redis(port=shared.port) as client:
            client.flushall()
        made = await flights[1].join("tom", Maker(seconds=0, rendition=new))
        assert (made.rendition.etag, made.by_peer) == ("new", False)
        overtaken = await sleeping
        assert (overtaken.rendition.etag, overtaken.by_peer, overtaken.storable) == ("old", True, False)
        assert (await flights[2].join("tom", Maker())).rendition.etag == "new"


async def test_a_leader_that_was_stopped_beyond_its_lease_completes_nothing(shared: RedisServer) -> None:
    """A successor may have come and gone meanwhile: what it made is newer."""

    async def make() -> NewRendition:
        time.sleep(LEASE_DURATION + 0.3)  # noqa: ASYNC251 - as when a process is stopped: its heart does not beat
        return NewRendition(TOM)

    async with processes(shared.url, 2) as flights:
        overtaken = await flights[0].join("tom", make)
        assert (overtaken.by_peer, overtaken.storable) == (True, False)
        after = await flights[1].join("tom", Maker(seconds=0))
        assert (after.by_peer, after.storable) == (False, True)


async def test_a_redis_that_loses_its_memory_in_the_middle_learns_of_the_leader(shared: RedisServer) -> None:
    make = Maker(seconds=2.5)
    async with processes(shared.url, 2) as flights:
        leading = asyncio.ensure_future(flights[0].join("tom", make))
        await asyncio.sleep(0.1)
        with Redis(port=shared.port) as client:
            client.flushall()
        await asyncio.sleep(1.0)
        waiting = asyncio.ensure_future(flights[1].join("tom", make))
        made, waited = await leading, await waiting
        assert (made.by_peer, made.storable, waited.by_peer) == (False, True, True)
    assert make.times == 1


async def test_a_leader_that_leaves_hands_over_at_once(shared: RedisServer) -> None:
    async with processes(shared.url, 2) as flights:
        first = asyncio.ensure_future(flights[0].join("tom", Maker(seconds=60)))
        await asyncio.sleep(0.1)
        second = asyncio.ensure_future(flights[1].join("tom", Maker(seconds=0)))
        await asyncio.sleep(0.1)
        await flights[0].close()
        async with waiting() as waited:
            made = await second
        assert not made.by_peer
        assert waited.seconds < 1
        with pytest.raises(asyncio.CancelledError):
            await first


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGSTOP])
async def test_redis_that_dies_in_the_middle_leaves_each_to_itself(server: RedisServer, sent: int) -> None:
    make = Maker(seconds=0.5)
    assert server.process is not None
    async with processes(server.url) as flights:
        asked = [asyncio.ensure_future(flight.join("tom", make)) for flight in flights]
        await until(lambda: make.times == 1)
        await asyncio.sleep(0.1)
        os.kill(server.process.pid, sent)
        started = time.monotonic()
        found = await asyncio.gather(*asked)
        assert [made.rendition for made in found] == [TOM] * 4
        assert make.times == 4
        # Half a second to make it; silence is noticed when the lease ought to have run out.
        assert time.monotonic() - started < (6 if sent == signal.SIGSTOP else 2)
        os.kill(server.process.pid, signal.SIGCONT)


async def test_without_an_answering_redis_a_flight_costs_nothing_more(server: RedisServer) -> None:
    server.stop()
    async with processes(server.url, 1, connected=False) as [flights]:
        for each in range(6):
            await flights.join(f"cat {each}", Maker(seconds=0))
        async with waiting() as waited:
            for each in range(200):
                await flights.join(f"cat {each}", Maker(seconds=0))
        assert waited.seconds < 1


async def test_what_others_wrote_is_not_taken_for_a_result(shared: RedisServer) -> None:
    make = Maker(seconds=0)
    async with processes(shared.url) as flights:
        await flights[0].join("tom", make)
        with Redis(port=shared.port) as client:
            for key in client.keys("*:landed:*"):
                client.set(key, b"IPR\x01" + bytes(300))
        assert not (await flights[1].join("tom", make)).by_peer
        assert (await flights[2].join("tom", make)).rendition == TOM
    assert make.times == 2


async def test_a_redis_cluster_carries_leases_as_well() -> None:
    with redis_cluster() as cluster:
        make = Maker(seconds=0.3)
        async with processes(cluster.url) as flights:
            await asyncio.gather(*(flight.join("warm", Maker(seconds=0)) for flight in flights))
            await asyncio.sleep(0.5)
            keys = [f"cat {each}" for each in range(10)]
            await asyncio.gather(*(flight.join(key, make) for flight in flights for key in keys))
    assert make.times == len(keys)


async def test_flights_of_one_process_ask_the_cluster_once(server: RedisServer) -> None:
    leases = Leases(RedisLink(redis_client(parse_tier_address(server.url))), "one:")
    flights = Process(ClusterLeadership(leases))
    await asyncio.gather(*(flights.join("tom", Maker()) for _ in range(100)))
    await flights.close()
    with Redis(port=server.port) as client:
        assert client.info("commandstats")["cmdstat_eval"]["calls"] == 2
