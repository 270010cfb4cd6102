"""An origin in trouble is left alone, and costs nobody else anything."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from proxy.fairness.demand import Demand
from proxy.model.errors import (
    ClientLeft,
    OriginalNotFound,
    OriginFailed,
    OriginTimedOut,
    Overloaded,
    SourceNotAllowed,
)
from proxy.model.limits import Limits
from proxy.model.media import Original
from proxy.origins import Origins
from proxy.origins.breaker import FAILURE_THRESHOLD, RESET_TIMEOUT, WINDOW, origin_answered
from proxy.origins.file import FileOrigin
from proxy.origins.limited import MAX_QUEUED, LimitedHosts, LimitedOrigin
from proxy.origins.router import OriginRouter
from proxy.origins.sources import Source, Sources
from tests.caches.clocks import Clock
from tests.timing import waiting


class Told:
    """An origin that does as it is told, and counts."""

    def __init__(self) -> None:
        self.fetched: list[str] = []
        self.now = self.most = 0
        self.closed = False
        self.act: Callable[[], None] = lambda: None
        self.go = asyncio.Event()
        self.go.set()

    async def fetch(self, key: str, known: Original | None = None) -> Original:
        self.fetched.append(key)
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await self.go.wait()
        finally:
            self.now -= 1
        self.act()
        return Original(body=key.encode(), version="1")

    def version(self, key: str) -> str | None:
        return f"version of {key}"

    def refresh(self, key: str) -> None:
        return None

    def host(self, key: str) -> str:
        if "evil" in key:
            raise SourceNotAllowed("no")
        return key.split("/")[2].lower()

    async def close(self) -> None:
        self.closed = True


def failing(kind: type[Exception]) -> Callable[[], None]:
    def act() -> None:
        raise kind("no")

    return act


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def told() -> Told:
    return Told()


def limited(told: Told, clock: Clock, **terms: object) -> LimitedOrigin:
    return LimitedOrigin(told, Source(url="/x", **terms), timeout=0.5, clock=clock)  # type: ignore[arg-type]


async def test_no_more_wait_for_their_turn_than_can_have_it_soon(told: Told, clock: Clock) -> None:
    told.go.clear()
    origin = limited(told, clock, concurrency=3)
    waiting = [asyncio.create_task(origin.fetch(f"{n}.jpg")) for n in range(3 + MAX_QUEUED)]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded) as refused:
        await origin.fetch("one-more.jpg")
    assert refused.value.facts["retry_after"] == 1
    told.go.set()
    assert len(await asyncio.gather(*waiting)) == 3 + MAX_QUEUED
    assert (await origin.fetch("again.jpg")).body == b"again.jpg"
    assert "one-more.jpg" not in told.fetched


async def test_no_more_are_fetched_at_a_time_than_it_takes(told: Told, clock: Clock) -> None:
    told.go.clear()
    origin = limited(told, clock, concurrency=3)
    fetches = [asyncio.create_task(origin.fetch(f"{n}.jpg")) for n in range(10)]
    await asyncio.sleep(0.05)
    assert told.now == 3
    told.go.set()
    assert len(await asyncio.gather(*fetches)) == 10
    assert told.most == 3


async def test_the_wait_for_a_turn_is_part_of_the_time_there_is(told: Told, clock: Clock) -> None:
    told.go.clear()
    origin = limited(told, clock, concurrency=1)
    async with waiting() as waited:
        answers = await asyncio.gather(*(origin.fetch(f"{n}.jpg") for n in range(4)), return_exceptions=True)
    assert all(isinstance(answer, OriginTimedOut) for answer in answers)
    assert waited.seconds < 2 * 0.5
    told.go.set()
    assert (await origin.fetch("c.jpg")).body == b"c.jpg"


async def test_an_origin_that_hangs_without_a_deadline_of_its_own_is_left_alone_too(
    told: Told, clock: Clock
) -> None:
    told.go.clear()
    origin = LimitedOrigin(told, Source(url="/x"), timeout=0.05, clock=clock)
    await asyncio.gather(
        *(origin.fetch(f"{n}.jpg") for n in range(FAILURE_THRESHOLD)), return_exceptions=True
    )
    with pytest.raises(OriginFailed, match="left alone"):
        await origin.fetch("a.jpg")


async def test_whoever_waits_while_it_fails_does_not_try_too(told: Told, clock: Clock) -> None:
    told.go.clear()
    told.act = failing(OriginFailed)
    origin = LimitedOrigin(told, Source(url="/x", concurrency=FAILURE_THRESHOLD), timeout=30, clock=clock)
    fetches = [asyncio.create_task(origin.fetch(f"{n}.jpg")) for n in range(50)]
    await asyncio.sleep(0.05)
    told.go.set()
    answers = await asyncio.gather(*fetches, return_exceptions=True)
    assert all(isinstance(answer, OriginFailed) for answer in answers)
    assert len(told.fetched) < 2 * FAILURE_THRESHOLD


async def test_a_host_of_whole_urls_that_fails_is_left_alone_and_no_other(told: Told, clock: Clock) -> None:
    hosts = LimitedHosts(told, timeout=0.5, clock=clock)
    told.act = failing(OriginFailed)
    for _ in range(FAILURE_THRESHOLD):
        with pytest.raises(OriginFailed):
            await hosts.fetch("https://Broken.example/a.jpg")
    told.act = lambda: None
    with pytest.raises(OriginFailed, match="left alone"):
        await hosts.fetch("https://broken.example/b.jpg?c")
    assert (await hosts.fetch("https://well.example/a.jpg")).version == "1"
    assert (await hosts.fetch("https://broken.example:8443/a.jpg")).version == "1"
    await hosts.close()
    assert told.closed


async def test_hosts_that_are_not_allowed_do_not_make_a_failing_one_forgotten(
    told: Told, clock: Clock
) -> None:
    hosts = LimitedHosts(told, timeout=0.5, clock=clock)
    told.act = failing(OriginFailed)
    for _ in range(FAILURE_THRESHOLD):
        with pytest.raises(OriginFailed):
            await hosts.fetch("https://broken.example/a.jpg")
    for n in range(1500):
        with pytest.raises(SourceNotAllowed):
            await hosts.fetch(f"https://{n}.evil.example/a.jpg")
    with pytest.raises(OriginFailed, match="left alone"):
        await hosts.fetch("https://broken.example/a.jpg")


async def test_after_failures_in_a_row_it_is_left_alone_and_tried_again(told: Told, clock: Clock) -> None:
    origin = limited(told, clock)
    told.act = failing(OriginFailed)
    for _ in range(FAILURE_THRESHOLD):
        with pytest.raises(OriginFailed):
            await origin.fetch("a.jpg")
    asked = len(told.fetched)
    with pytest.raises(OriginFailed, match="left alone") as failure:
        await origin.fetch("a.jpg")
    assert failure.value.facts["retry_after"] == RESET_TIMEOUT
    assert len(told.fetched) == asked
    clock.now += RESET_TIMEOUT + 0.1
    told.act = lambda: None
    assert (await origin.fetch("a.jpg")).body == b"a.jpg"
    assert (await origin.fetch("b.jpg")).body == b"b.jpg"


async def test_one_probe_at_a_time_is_let_through(told: Told, clock: Clock) -> None:
    origin = limited(told, clock)
    told.act = failing(OriginTimedOut)
    for n in range(FAILURE_THRESHOLD):
        with pytest.raises(OriginTimedOut):
            await origin.fetch(f"{n}.jpg")
    clock.now += RESET_TIMEOUT + 0.1
    asked = len(told.fetched)
    answers = await asyncio.gather(*(origin.fetch("a.jpg") for _ in range(20)), return_exceptions=True)
    assert all(isinstance(answer, OriginFailed) for answer in answers)
    assert len(told.fetched) == asked + 1


async def test_what_is_absent_is_no_failure(told: Told, clock: Clock) -> None:
    origin = limited(told, clock)
    for kind in (OriginFailed, OriginalNotFound) * FAILURE_THRESHOLD:
        told.act = failing(kind)
        with pytest.raises(kind, match="no"):
            await origin.fetch("a.jpg")


@pytest.mark.parametrize(
    "status, alone", [(302, 0), (400, 0), (401, 0), (200, 0), (429, 0), (500, 0), (503, 0), (None, 1)]
)
async def test_an_answer_that_is_of_no_use_is_no_trouble(
    told: Told, clock: Clock, status: int | None, alone: bool
) -> None:
    """One picture behind a loop of redirects, asked for again and again, must not take all others away."""

    def act() -> None:
        raise OriginFailed("no", **({} if status is None else {"origin_status": status}))

    told.act = act
    origin = limited(told, clock)
    for _ in range(FAILURE_THRESHOLD):
        with pytest.raises(OriginFailed):
            await origin.fetch("a.jpg")
    told.act = lambda: None
    if alone:
        with pytest.raises(OriginFailed, match="left alone"):
            await origin.fetch("b.jpg")
    else:
        assert (await origin.fetch("b.jpg")).body == b"b.jpg"


async def test_the_operator_says_how_long_it_is_fresh(told: Told, clock: Clock) -> None:
    assert (await limited(told, clock, max_age=60).fetch("a.jpg")).cache_policy.fresh_for == 60
    assert (await limited(told, clock).fetch("a.jpg")).cache_policy.fresh_for is None


async def test_a_key_goes_to_the_origin_that_it_names() -> None:
    sources = Sources(default=Source(url="/x"), named={"shop": Source(url="/s")})
    default, shop, remote = Told(), Told(), Told()
    origin = OriginRouter(default, remote, {"shop": shop})
    assert (await origin.fetch(sources.locate("shop/a/b.jpg"))).body == b"a/b.jpg"
    assert (await origin.fetch(sources.locate("a/shop/b.jpg"))).body == b"a/shop/b.jpg"
    assert (await origin.fetch(sources.locate("https://shop/b.jpg"))).body == b"https://shop/b.jpg"
    assert shop.fetched == ["a/b.jpg"]
    assert origin.version(sources.locate("shop/a.jpg")) == "version of a.jpg"
    await origin.close()
    assert all(each.closed for each in (default, shop, remote))


async def test_a_key_that_leads_nowhere_is_not_found() -> None:
    sources = Sources(default=None, named={"shop": Source(url="/s")})
    origin: Origins = OriginRouter(None, None, {"shop": Told()})
    for key in ("shop", "a.jpg", "other/a.jpg"):
        with pytest.raises(OriginalNotFound, match=f"no original '{key}'"):
            await origin.fetch(sources.locate(key))
        assert origin.version(sources.locate("a.jpg")) is None
    with pytest.raises(SourceNotAllowed):
        await origin.fetch(sources.locate("https://shop/a.jpg"))


async def test_one_client_does_not_take_all_fetches_from_another() -> None:
    origin = Told()
    origin.go.clear()
    limited = LimitedOrigin(origin, Source(url="//a", concurrency=4), timeout=10)

    def fetch(client: str, key: str) -> asyncio.Task[Original]:
        with Demand(client).as_current():
            return asyncio.create_task(limited.fetch(key))

    greedy = [fetch("greedy", f"greedy {number}") for number in range(4 + MAX_QUEUED)]
    await asyncio.sleep(0.05)
    assert origin.now == 3
    victim = [fetch("victim", f"victim {number}") for number in range(3)]
    await asyncio.sleep(0.05)
    assert "victim 0" in origin.fetched
    for task in greedy[-3:]:
        with pytest.raises(Overloaded):
            await task
    origin.go.set()
    await asyncio.gather(*victim, *greedy[:-3])
    assert {"victim 1", "victim 2"} <= set(origin.fetched[:10])


async def test_an_original_that_no_client_waits_for_any_more_is_not_fetched() -> None:
    origin = Told()
    origin.go.clear()
    limited = LimitedOrigin(origin, Source(url="//a", concurrency=1), timeout=10)
    demand = Demand("a")
    first = asyncio.create_task(limited.fetch("first"))
    await asyncio.sleep(0.05)
    with demand.as_current():
        second = asyncio.create_task(limited.fetch("second"))
    await asyncio.sleep(0.05)
    demand.leave()
    with pytest.raises(ClientLeft):
        await second
    origin.go.set()
    await first
    assert origin.fetched == ["first"]


async def test_one_slow_key_leaves_all_others_alone(told: Told, clock: Clock) -> None:
    origin = limited(told, clock)
    told.act = failing(OriginTimedOut)
    for _ in range(10 * FAILURE_THRESHOLD):
        with pytest.raises(OriginTimedOut):
            await origin.fetch("slow.jpg")
    told.act = lambda: None
    assert (await origin.fetch("b.jpg")).body == b"b.jpg"


async def test_one_key_that_never_answers_leaves_all_others_alone(told: Told, clock: Clock) -> None:
    told.go.clear()
    origin = LimitedOrigin(told, Source(url="/x"), timeout=0.02, clock=clock)
    for _ in range(2 * FAILURE_THRESHOLD):
        with pytest.raises(OriginTimedOut):
            await origin.fetch("slow.jpg")
    told.go.set()
    assert (await origin.fetch("b.jpg")).body == b"b.jpg"


@pytest.mark.parametrize("kind", [OriginFailed, OriginTimedOut])
async def test_a_body_that_breaks_off_or_takes_too_long_is_no_silence(
    told: Told, clock: Clock, kind: type[Exception]
) -> None:
    def act() -> None:
        origin_answered()
        raise kind("no")

    origin = limited(told, clock)
    told.act = act
    for n in range(4 * FAILURE_THRESHOLD):
        with pytest.raises(kind, match="no"):
            await origin.fetch(f"{n}.jpg")
    told.act = lambda: None
    assert (await origin.fetch("b.jpg")).body == b"b.jpg"


async def test_failures_count_for_a_while_and_only_where_most_fail(told: Told, clock: Clock) -> None:
    origin = limited(told, clock)
    for n in range(4 * FAILURE_THRESHOLD):
        told.act = failing(OriginFailed)
        with pytest.raises(OriginFailed, match="no"):
            await origin.fetch(f"{n}.jpg")
        clock.now += WINDOW / (FAILURE_THRESHOLD - 1)
    clock.now += WINDOW
    for n in range(20 * FAILURE_THRESHOLD):
        told.act = failing(OriginFailed) if n % 3 == 0 else lambda: None
        with suppress(OriginFailed):
            await origin.fetch(f"{n}.jpg")
    told.act = lambda: None
    assert (await origin.fetch("b.jpg")).body == b"b.jpg"


async def test_one_unreadable_file_leaves_the_folder_alone(tmp_path: Path, clock: Clock) -> None:
    class Unreadable(FileOrigin):
        def _read(self, key: str) -> Original:
            if key == "bad.jpg":
                raise OriginFailed("'bad.jpg' could not be read from disk")
            return super()._read(key)

    (tmp_path / "b.jpg").write_bytes(b"b")
    origin = LimitedOrigin(Unreadable(tmp_path, Limits()), Source(url="/x"), timeout=5, clock=clock)
    for _ in range(4 * FAILURE_THRESHOLD):
        with pytest.raises(OriginFailed, match="from disk"):
            await origin.fetch("bad.jpg")
    assert (await origin.fetch("b.jpg")).body == b"b"
    await origin.close()
