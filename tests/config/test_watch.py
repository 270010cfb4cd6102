# ruff: noqa: ASYNC110, ASYNC240  tests may wait, and write files
"""Edits of presets.yaml arrive, however they are made, and bad ones change nothing."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from proxy.config.presets import Presets
from proxy.config.watch import watch_presets

NEVER = 60.0  # seconds; only what folder_changes is seen


def some(width: int) -> str:
    return f"presets: {{a: w_{width}}}\n"


class Kept(list[Presets]):
    """What was kept so far, and a way to wait for what comes."""

    @property
    def width(self) -> int | None:
        return self[-1].presets["a"].options["width"] if self else None

    async def becomes(self, width: int) -> None:
        await until(lambda: self.width == width)


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not true():
            await asyncio.sleep(0.01)


@asynccontextmanager
async def watching(path: Path, rescan_interval: float = NEVER) -> AsyncIterator[Kept]:
    kept = Kept()
    task = asyncio.create_task(watch_presets(path, kept.append, settle=0.05, rescan_interval=rescan_interval))
    await asyncio.sleep(0.1)
    try:
        yield kept
        assert not task.done()
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "presets.yaml"
    path.write_text(some(1))
    return path


async def test_what_is_there_at_the_start_is_kept(path: Path) -> None:
    with capture_logs() as logs:
        async with watching(path) as kept:
            await kept.becomes(1)
    assert logs == [{"event": "presets_loaded", "log_level": "info", "path": str(path), "count": 1}]


async def test_a_file_written_in_place_is_read_again(path: Path) -> None:
    async with watching(path) as kept:
        await kept.becomes(1)
        path.write_text(some(2))
        await kept.becomes(2)


async def test_a_file_moved_into_place_is_read(path: Path) -> None:
    """As editors do it, and deployments."""
    async with watching(path) as kept:
        await kept.becomes(1)
        fresh = path.with_suffix(".new")
        fresh.write_text(some(2))
        fresh.replace(path)
        await kept.becomes(2)


async def test_a_file_that_appears_later_is_read(tmp_path: Path) -> None:
    path = tmp_path / "presets.yaml"
    with capture_logs() as logs:
        async with watching(path) as kept:
            assert kept == []
            path.write_text(some(3))
            await kept.becomes(3)
    assert [entry["event"] for entry in logs] == ["presets_loaded"]


async def test_a_swapped_link_is_followed(tmp_path: Path) -> None:
    """How Kubernetes updates a mounted ConfigMap: presets.yaml -> ..data/presets.yaml, ..data -> ..one."""
    for name, width in (("..one", 1), ("..two", 2)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "presets.yaml").write_text(some(width))
    (tmp_path / "..data").symlink_to("..one")
    (tmp_path / "presets.yaml").symlink_to("..data/presets.yaml")
    async with watching(tmp_path / "presets.yaml") as kept:
        await kept.becomes(1)
        (tmp_path / "..data_tmp").symlink_to("..two")
        (tmp_path / "..data_tmp").rename(tmp_path / "..data")
        await kept.becomes(2)


async def test_what_stirs_nothing_is_seen_when_it_is_looked_for(tmp_path: Path) -> None:
    """The link that is turned is above the watched folder."""
    for name, width in (("one", 1), ("two", 2)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "presets.yaml").write_text(some(width))
    (tmp_path / "current").symlink_to("one")
    async with watching(tmp_path / "current" / "presets.yaml", rescan_interval=0.1) as kept:
        await kept.becomes(1)
        (tmp_path / "next").symlink_to("two")
        (tmp_path / "next").rename(tmp_path / "current")
        await kept.becomes(2)


@pytest.mark.parametrize(
    "bad, said",
    [
        ("presets: {a: wide_1}", ":1:14: 'a': no option 'wide'"),
        ("presets: {", "while parsing"),
        ("", "is empty now"),
    ],
)
async def test_a_bad_edit_is_logged_and_changes_nothing(path: Path, bad: str, said: str) -> None:
    with capture_logs() as logs:
        async with watching(path) as kept:
            await kept.becomes(1)
            path.write_text(bad)
            await until(lambda: len(logs) == 2)
            assert len(kept) == 1
            path.write_text(some(2))
            await kept.becomes(2)
    assert (logs[1]["event"], logs[1]["log_level"]) == ("presets_rejected", "error")
    assert str(path) in logs[1]["problem"]
    assert said in logs[1]["problem"]


async def test_a_file_that_goes_away_changes_nothing(path: Path) -> None:
    with capture_logs() as logs:
        async with watching(path) as kept:
            await kept.becomes(1)
            path.unlink()
            await until(lambda: len(logs) == 2)
            assert len(kept) == 1
            path.write_text(some(2))
            await kept.becomes(2)
    assert "cannot be read" in logs[1]["problem"]


async def test_half_a_write_is_never_served_as_the_last_word(path: Path) -> None:
    async with watching(path) as kept:
        await kept.becomes(1)
        with path.open("w") as file:
            for part in (some(9)[:8], some(9)[8:15], some(9)[15:]):
                file.write(part)
                file.flush()
                await asyncio.sleep(0.03)
        await kept.becomes(9)
    assert {presets.presets["a"].options["width"] for presets in kept if presets.presets} == {1, 9}


async def test_many_edits_end_with_the_last(path: Path) -> None:
    async with watching(path) as kept:
        for width in range(2, 300):
            fresh = path.with_suffix(f".{width % 2}")
            fresh.write_text(some(width))
            os.replace(fresh, path)
            if not width % 20:
                await asyncio.sleep(0.01)
        await kept.becomes(299)


async def test_a_neighbour_that_changes_is_nothing_to_us(path: Path) -> None:
    with capture_logs() as logs:
        async with watching(path) as kept:
            await kept.becomes(1)
            for number in range(10):
                (path.parent / f"neighbour{number}").write_text("x")
                await asyncio.sleep(0.02)
            await asyncio.sleep(0.2)
    assert len(kept) == len(logs) == 1


async def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await watch_presets(tmp_path / "nowhere" / "presets.yaml", lambda presets: None)
