"""Leases: what a process may answer unasked, whom a purge waits for, and for how long."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from proxy.clients.address import parse_tier_address
from proxy.clients.redis import redis_client
from proxy.clients.redis_link import RedisLink
from proxy.purges.file_ledger import FileLedger
from proxy.purges.lease import PurgeLease
from proxy.purges.log import CHECK_INTERVAL, REDIS_UNAVAILABLE, PurgeLog
from proxy.purges.redis_ledger import RedisLedger
from proxy.purges.redis_registry import RedisRegistry
from tests.services import RedisServer, redis_server

DURATION = 1.0  # s


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


def opened(redis: RedisServer, prefix: str, path: Path) -> tuple[PurgeLog, RedisLedger]:
    link = RedisLink(redis_client(parse_tier_address(redis.url), step=1.0), tier="purges", call_timeout=1.0)
    ledger = RedisLedger(link, prefix=prefix, lease=PurgeLease(DURATION))
    return PurgeLog(FileLedger(path), ledger), ledger


@asynccontextmanager
async def logs(redis: RedisServer, tmp_path: Path, count: int = 2) -> AsyncIterator[list[PurgeLog]]:
    prefix = f"{uuid.uuid4()}:"
    made = [opened(redis, prefix, tmp_path / str(each))[0] for each in range(count)]
    for each in made:
        await each.open()
    try:
        yield made
    finally:
        for each in made:
            await each.close()


@pytest.fixture
async def link(redis: RedisServer) -> AsyncIterator[RedisLink]:
    link = RedisLink(redis_client(parse_tier_address(redis.url), step=1.0), call_timeout=1.0)
    yield link
    await link.close()


def test_a_lease_ends_by_its_own_clock_counted_from_when_it_was_asked_for() -> None:
    times = iter([100.0, 100.0, 101.8, 102.0, 102.0, 102.0])
    lease = PurgeLease(5.0, clock=lambda: next(times))
    valid = [lease.valid]
    lease.renew(97.0)
    valid += [lease.valid, lease.valid, lease.valid]
    lease.renew(102.0)
    valid.append(lease.valid)
    lease.give_up()
    valid.append(lease.valid)
    assert valid == [False, True, True, False, True, False]


async def test_a_purge_is_known_everywhere_when_it_is_answered(redis: RedisServer, tmp_path: Path) -> None:
    async with logs(redis, tmp_path, 4) as [one, *others]:
        for _ in range(20):
            assert await one.purge(["key-a"], soft=False) == []
            # Not `latest`, which would read files: these are machines with nothing but Redis in common.
            assert {each.state for each in others} == {one.state}
            assert one.state.leased


async def test_a_lease_is_renewed_only_by_who_knows_all_marks(link: RedisLink) -> None:
    ledger = RedisLedger(link, prefix=f"{uuid.uuid4()}:", lease=PurgeLease(DURATION))
    added = await ledger.add(["a"], soft=False, least=0)
    assert added is not None
    number = added.marks[0].number
    behind = await ledger.registry.renew(number - 1, DURATION, valid=False)
    assert behind is not None
    assert (behind.granted, behind.latest) == (False, number)
    ahead = await ledger.registry.renew(number, DURATION, valid=False)
    assert ahead is not None
    assert ahead.granted
    assert ahead.processes == (ledger.registry.name,)


async def test_a_purge_waits_for_a_silent_process_until_its_lease_ends(link: RedisLink) -> None:
    prefix = f"{uuid.uuid4()}:"
    ledger = RedisLedger(link, prefix=prefix, lease=PurgeLease(DURATION))
    silent = RedisRegistry(link, f"{prefix}{{purges}}", name="silent")
    await silent.renew(0, DURATION, valid=False)
    started = time.monotonic()
    added = await ledger.add(["a"], soft=False, least=0)
    assert added is not None
    assert added.live.leases.keys() == {"silent"}
    await ledger.registry.confirm(added.marks[0].number, added.live)
    assert DURATION - 0.1 < time.monotonic() - started < DURATION + 1
    # One that takes leave is not waited for.
    await silent.renew(added.marks[0].number, 60.0, valid=False)
    leaving = await ledger.add(["a"], soft=False, least=0)
    assert leaving is not None
    await silent.leave()
    async with asyncio.timeout(10):
        await ledger.registry.confirm(leaving.marks[0].number, leaving.live)


async def test_leases_that_redis_has_forgotten_are_waited_for(link: RedisLink) -> None:
    prefix = f"{uuid.uuid4()}:"
    ledger = RedisLedger(link, prefix=prefix, lease=PurgeLease(DURATION))
    assert await ledger.registry.renew(0, DURATION, valid=False)
    ledger.lease.renew(ledger.lease.now())
    await link.call("DEL", ledger.registry.key)
    added = await ledger.add(["a"], soft=False, least=0)
    assert added is not None
    assert added.live.forgotten == pytest.approx(DURATION, abs=0.1)
    started = time.monotonic()
    await ledger.registry.confirm(added.marks[0].number, added.live)
    assert time.monotonic() - started > DURATION - 0.2


async def test_without_redis_the_lease_runs_out_and_what_was_purged_meanwhile_is_shared_later(
    tmp_path: Path,
) -> None:
    with redis_server() as redis:
        async with logs(redis, tmp_path) as [one, other]:
            assert one.state.leased
            await asyncio.sleep(DURATION / 2)  # each has renewed, and knows of the other
            redis.stop()
            [said] = await one.purge(["key-a"], soft=False)
            assert said.startswith(f"{REDIS_UNAVAILABLE}: ")
            await asyncio.sleep(DURATION)
            first, second = one.state, other.state
            assert not first.leased
            await asyncio.sleep(CHECK_INTERVAL)
            assert other.state.scope != second.scope
            assert other.latest < one.latest
            redis.start()
            async with asyncio.timeout(20):
                while not (one.leased and other.leased and other.latest >= first.number):  # noqa: ASYNC110
                    await asyncio.sleep(0.01)


def test_a_process_that_cannot_read_the_purges_of_its_machine_has_no_lease(tmp_path: Path) -> None:
    log = PurgeLog(FileLedger(tmp_path / "purges"))
    assert log.state.leased
    (tmp_path / "purges").mkdir()  # EISDIR, for root as well
    time.sleep(CHECK_INTERVAL)
    assert not log.state.leased
