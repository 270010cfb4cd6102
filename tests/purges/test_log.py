"""Which purge concerns which entry: rules over numbers and tags, and the ledgers that carry them."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.clients.address import parse_tier_address
from proxy.clients.redis import redis_client
from proxy.clients.redis_link import RedisLink
from proxy.purges.file_ledger import FileLedger
from proxy.purges.log import CHECK_INTERVAL, DISK_UNAVAILABLE, REDIS_UNAVAILABLE, PurgeLog
from proxy.purges.marks import (
    EVERYTHING,
    PREFIX_TAG,
    PurgeMark,
    PurgeMarks,
    PurgeVerdict,
    key_tag,
    preset_tag,
    purge_subject,
)
from proxy.purges.redis_ledger import RedisLedger
from tests.redundant import redis_cluster
from tests.services import RedisServer, redis_server

TOM = purge_subject(["cats/tom.jpg"], ["default"], ["thumb"])
TAGS = st.sampled_from(
    [key_tag("cats/tom.jpg"), preset_tag("thumb"), f"{PREFIX_TAG}cats/", f"{PREFIX_TAG}dogs/", "else"]
)
MARKS = st.lists(st.builds(PurgeMark, st.integers(1, 50), st.booleans(), TAGS), max_size=12)


def learned(*marks: PurgeMark) -> PurgeMarks:
    purges = PurgeMarks()
    purges.learn(marks)
    return purges


@pytest.mark.parametrize(
    "tag",
    ["origin-default", "preset-thumb", key_tag("cats/tom.jpg"), EVERYTHING, f"{PREFIX_TAG}c",
     f"{PREFIX_TAG}cats/", f"{PREFIX_TAG}cats/tom.jpg"],
)  # fmt: skip
def test_an_entry_is_purged_by_each_of_its_tags_and_by_what_its_key_begins_with(tag: str) -> None:
    assert learned(PurgeMark(5000, False, tag)).verdict(TOM, 4999) == PurgeVerdict(hard=True, at=5.0)
    assert learned(PurgeMark(5000, True, tag)).verdict(TOM, 4999) == PurgeVerdict(hard=False, at=5.0)
    assert learned(PurgeMark(5000, False, tag)).verdict(TOM, 5000) is None


@pytest.mark.parametrize(
    "tag", ["preset-card", key_tag("cats/tim.jpg"), f"{PREFIX_TAG}cats/tom.jpg2", f"{PREFIX_TAG}at"]
)
def test_an_entry_is_not_purged_by_what_is_not_about_it(tag: str) -> None:
    assert learned(PurgeMark(5, False, tag)).verdict(TOM, 0) is None


@given(MARKS, st.integers(0, 60))
def test_any_mark_that_came_later_decides_and_a_hard_one_first(marks: list[PurgeMark], after: int) -> None:
    about = [mark for mark in marks if mark.tag not in (f"{PREFIX_TAG}dogs/", "else") and mark.number > after]
    found = learned(*marks).verdict(TOM, after)
    assert (found is not None) == bool(about)
    assert found is None or found.hard == any(not mark.soft for mark in about)


@given(st.data(), MARKS)
def test_in_which_order_they_are_heard_of_does_not_matter(
    data: st.DataObject, marks: list[PurgeMark]
) -> None:
    assert learned(*data.draw(st.permutations(marks))).marks() == learned(*marks).marks()


@given(MARKS)
def test_news_are_news_once(marks: list[PurgeMark]) -> None:
    purges = learned(*marks)
    assert purges.learn(marks) == []
    assert purges.latest == max([0, *(mark.number for mark in marks)])


@given(MARKS.filter(lambda marks: len(marks) > 4), st.integers(0, 60))
def test_what_is_forgotten_purges_too_much_and_never_too_little(marks: list[PurgeMark], after: int) -> None:
    forgetful = PurgeMarks(max_marks=4)
    forgetful.learn(marks)
    assert len(forgetful.marks()) <= 5
    exact = learned(*marks).verdict(TOM, after)
    assert exact is None or forgetful.verdict(TOM, after) is not None


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "purges"


def test_what_one_process_adds_another_reads_once(path: Path) -> None:
    one, other = FileLedger(path), FileLedger(path)
    assert other.news() == []
    first = one.add(["a", "b"], soft=False, least=0)
    assert other.news() == first
    assert other.news() == []
    second = one.add(["\ud800 ü"], soft=True, least=0)
    assert other.news() == second
    assert FileLedger(path).news() == first + second
    assert second[0].number > first[0].number


def test_numbers_grow_even_when_the_clock_does_not(path: Path) -> None:
    stopped = FileLedger(path, clock=lambda: 1.0)
    numbers = [stopped.add(["a"], soft=False, least=least)[0].number for least in (0, 0, 7000, 0)]
    assert numbers == [1000, 1001, 7000, 7001]


def test_many_processes_lose_none_of_their_purges(path: Path) -> None:
    script = f"""
from pathlib import Path
import sys
from proxy.purges.file_ledger import FileLedger
for i in range(50):
    FileLedger(Path({str(path)!r})).add([f"{{sys.argv[1]}}-{{i}}"], soft=False, least=0)
"""
    started = [subprocess.Popen([sys.executable, "-c", script, str(i)]) for i in range(4)]
    assert [each.wait(60) for each in started] == [0] * 4
    found = FileLedger(path).news() or []
    assert {mark.tag for mark in found} == {f"{i}-{j}" for i in range(4) for j in range(50)}
    assert len({mark.number for mark in found}) == 200


def test_a_file_that_grew_too_large_is_written_anew_and_read_from_the_start(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.purges.file_ledger._MAX_BYTES", 2_000)
    ledger, reader = FileLedger(path), PurgeMarks()
    other = FileLedger(path)
    for i in range(200):
        ledger.add([f"tag-{i % 10}"], soft=False, least=0)
        reader.learn(other.news() or [])
    assert path.stat().st_size < 2_100
    assert len(reader.marks()) == 10
    assert reader.marks() == learned(*(FileLedger(path).news() or [])).marks()


def test_lines_that_nobody_wrote_are_passed_over(path: Path) -> None:
    ledger = FileLedger(path)
    marks = ledger.add(["a"], soft=False, least=0)
    path.write_bytes(b"\xff\nnull\n[1]\n" + path.read_bytes() + b'[17, false, "half')
    assert FileLedger(path).news() == marks


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


@asynccontextmanager
async def purging(redis: RedisServer, prefix: str, path: Path) -> AsyncIterator[PurgeLog]:
    link = RedisLink(redis_client(parse_tier_address(redis.url)), tier="purges")
    made = PurgeLog(FileLedger(path), RedisLedger(link, prefix=prefix))
    await made.open()
    try:
        yield made
    finally:
        await made.close()


async def heard(purging: PurgeLog, number: int) -> None:
    async with asyncio.timeout(20):
        while purging.latest < number:  # noqa: ASYNC110 - nobody is told when a purge is heard of
            await asyncio.sleep(CHECK_INTERVAL)


async def test_every_machine_hears_of_a_purge_and_one_that_was_away_catches_up(
    redis: RedisServer, tmp_path: Path
) -> None:
    prefix = f"{uuid.uuid4()}:"
    async with purging(redis, prefix, tmp_path / "a") as one, purging(redis, prefix, tmp_path / "b") as other:
        assert not await one.purge([key_tag("cats/tom.jpg")], soft=False)
        await heard(other, one.latest)
        assert other.verdict(TOM, 0) == one.verdict(TOM, 0)
        assert other.latest == one.latest
        assert not await other.purge([preset_tag("thumb")], soft=True)
        await heard(one, other.latest)
        async with purging(redis, prefix, tmp_path / "c") as away:
            assert away.latest == one.latest
            assert away.verdict(TOM, 0) == one.verdict(TOM, 0)
    # And on a day when Redis is away, what was heard of is on disk.
    alone = PurgeLog(FileLedger(tmp_path / "c"))
    assert alone.latest > 0
    assert alone.verdict(TOM, 0) is not None


async def test_a_redis_that_lost_its_memory_is_told_again(tmp_path: Path) -> None:
    with redis_server() as redis:
        async with purging(redis, "p:", tmp_path / "a") as one:
            await one.purge([key_tag("cats/tom.jpg")], soft=False)
            redis.stop()
            assert await one.purge([preset_tag("thumb")], soft=True) == [REDIS_UNAVAILABLE]
            assert one.verdict(TOM, 0) is not None
            redis.start()
            async with purging(redis, "p:", tmp_path / "b") as late:
                await heard(late, one.latest)
                assert late.latest == one.latest
                assert late.verdict(TOM, 0) == one.verdict(TOM, 0)


async def test_where_the_disk_takes_nothing_redis_does(redis: RedisServer, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    nowhere, prefix = tmp_path / "file" / "purges", f"{uuid.uuid4()}:"
    async with purging(redis, prefix, nowhere) as one:
        assert await one.purge([key_tag("cats/tom.jpg")], soft=False) == []
        assert one.verdict(TOM, 0) is not None
        async with purging(redis, prefix, nowhere) as late:
            assert late.latest == one.latest
            assert late.verdict(TOM, 0) == one.verdict(TOM, 0)


async def test_where_nothing_can_be_told_it_is_said_and_this_process_has_forgotten(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    alone = PurgeLog(FileLedger(tmp_path / "file" / "purges"))
    assert await alone.purge([key_tag("cats/tom.jpg")], soft=False) == [DISK_UNAVAILABLE]
    first = alone.latest
    assert alone.verdict(TOM, first - 1) is not None
    await alone.purge([key_tag("cats/tom.jpg")], soft=False)
    assert alone.latest > first


def test_a_purge_that_did_not_fit_leaves_no_half_line(path: Path) -> None:
    FileLedger(path).add(["a"], soft=False, least=0)
    script = f"""
import resource
from pathlib import Path
from proxy.purges.file_ledger import FileLedger
resource.setrlimit(resource.RLIMIT_FSIZE, ({path.stat().st_size + 10},) * 2)
try:
    FileLedger(Path({str(path)!r})).add(["b"], soft=False, least=0)
except OSError:
    print("refused")
"""
    assert subprocess.check_output([sys.executable, "-c", script], text=True) == "refused\n"
    FileLedger(path).add(["c"], soft=False, least=0)
    assert [mark.tag for mark in FileLedger(path).news() or []] == ["a", "c"]


async def test_two_purges_at_once_get_two_numbers(redis: RedisServer) -> None:
    link = RedisLink(redis_client(parse_tier_address(redis.url)), tier="purges")
    ledger = RedisLedger(link, prefix=f"{uuid.uuid4()}:")

    async def number(tag: str) -> int:
        async with asyncio.timeout(20):
            while (added := await ledger.add([tag], soft=False, least=0)) is None:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        return added.marks[0].number

    numbers = await asyncio.gather(*(number(f"tag-{i}") for i in range(8)))
    assert len(set(numbers)) == 8
    assert {mark.tag for mark in await ledger.news() or []} == {f"tag-{i}" for i in range(8)}
    await ledger.close()


@pytest.mark.slow
async def test_the_nodes_of_a_redis_cluster_carry_purges_too(tmp_path: Path) -> None:
    with redis_cluster() as cluster:
        links = [RedisLink(redis_client(parse_tier_address(cluster.url)), tier="purges") for _ in range(2)]
        one, other = (
            PurgeLog(FileLedger(tmp_path / str(i)), RedisLedger(link)) for i, link in enumerate(links)
        )
        try:
            await one.open()
            await other.open()
            assert not await one.purge([key_tag("cats/tom.jpg")], soft=False)
            await heard(other, one.latest)
            assert other.verdict(TOM, 0) == one.verdict(TOM, 0)
        finally:
            await one.close()
            await other.close()
