"""What callers of one process share, and what becomes of it when they leave."""

from __future__ import annotations

import asyncio

import pytest

from proxy.renditions.singleflight import SingleFlight


class Work:
    """Done when it is told to, and counted."""

    def __init__(self) -> None:
        self.times = 0
        self.done = asyncio.Event()

    async def __call__(self) -> int:
        self.times += 1
        await self.done.wait()
        return self.times


async def test_a_thousand_callers_share_one_run() -> None:
    flights, work = SingleFlight[int](), Work()
    callers = [asyncio.ensure_future(flights.join("tom", work)) for _ in range(1000)]
    await asyncio.sleep(0)
    assert "tom" in flights
    work.done.set()
    assert await asyncio.gather(*callers) == [1] * 1000
    assert "tom" not in flights
    assert await flights.join("tom", work) == 2


async def test_different_keys_do_not_wait_for_each_other() -> None:
    flights, slow, quick = SingleFlight[int](), Work(), Work()
    waiting = flights.start("slow", slow)
    quick.done.set()
    assert await flights.join("quick", quick) == 1
    assert not waiting.done()
    await flights.close()


async def test_a_flight_goes_on_when_all_its_callers_leave() -> None:
    flights, work = SingleFlight[int](), Work()
    callers = [asyncio.ensure_future(flights.join("tom", work)) for _ in range(3)]
    await asyncio.sleep(0)
    for caller in callers:
        caller.cancel()
    await asyncio.gather(*callers, return_exceptions=True)
    work.done.set()
    assert await flights.join("tom", work) == 1


async def test_a_flight_in_the_background_is_joined() -> None:
    flights, work = SingleFlight[int](), Work()
    flight = flights.start("tom", work)
    assert flights.start("tom", work) is flight
    joined = asyncio.ensure_future(flights.join("tom", work))
    work.done.set()
    assert (await joined, work.times) == (1, 1)


async def test_an_error_is_raised_in_every_caller_and_not_remembered() -> None:
    flights, work = SingleFlight[int](), Work()

    async def fail() -> int:
        raise ValueError("no")

    found = await asyncio.gather(*(flights.join("tom", fail) for _ in range(3)), return_exceptions=True)
    assert [type(each) for each in found] == [ValueError] * 3
    work.done.set()
    assert await flights.join("tom", work) == 1


async def test_closing_cancels_what_is_under_way() -> None:
    flights, work = SingleFlight[int](), Work()
    caller = asyncio.ensure_future(flights.join("tom", work))
    await asyncio.sleep(0)
    await flights.close()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert "tom" not in flights
