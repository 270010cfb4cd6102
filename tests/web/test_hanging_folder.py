"""A folder whose file system hangs, as NFS does without its server, stops only what must be read from it."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from proxy.clients.file_threads import FileThreads, NoThreadFree
from proxy.model.errors import OriginTimedOut, Overloaded
from proxy.model.limits import Limits
from proxy.model.media import Format
from proxy.origins.file import FileOrigin
from proxy.origins.file_versions import LOOK_TIMEOUT, VERSION_LIFETIME
from proxy.origins.limited import LimitedOrigin
from proxy.origins.sources import Source
from tests.origins.versions import present_version
from tests.pictures import plain, saved
from tests.web.serving import client

PICTURE = saved(plain(40, 30, 200, 10, 10), Format.PNG)


class Hanging:
    """While `on`, calls that open, look at or list something in the folder do not return."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.on = False
        self.calls = 0
        self.on_loop = 0
        self.released = threading.Event()
        self._folder = os.fsencode(folder)
        self._descriptors: set[int] = set()
        loop_thread = threading.get_ident()

        def replaced(name: str) -> None:
            real = getattr(os, name)

            def call(path: Any, *args: Any, **more: Any) -> Any:
                inside = more.get("dir_fd") in self._descriptors or self._is_inside(path)
                if inside and self.on:
                    self.calls += 1
                    self.on_loop += threading.get_ident() == loop_thread
                    assert self.released.wait(60)
                answer = real(path, *args, **more)
                if inside and name == "open":
                    self._descriptors.add(answer)
                return answer

            monkeypatch.setattr(os, name, call)

        real_close = os.close

        def close(descriptor: int) -> None:
            self._descriptors.discard(descriptor)
            real_close(descriptor)

        monkeypatch.setattr(os, "close", close)
        for name in ("open", "stat", "scandir", "listdir", "lstat", "fstat"):
            replaced(name)

    def _is_inside(self, path: Any) -> bool:
        return not isinstance(path, int) and os.fsencode(path).startswith(self._folder)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "originals"
    folder.mkdir()
    for n in range(20):
        (folder / f"{n}.png").write_bytes(PICTURE)
    return folder


@pytest.fixture
def hanging(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hanging]:
    hanging = Hanging(folder, monkeypatch)
    yield hanging
    hanging.released.set()


async def longest_block(seconds: float) -> float:
    longest, ends = 0.0, time.monotonic() + seconds
    while time.monotonic() < ends:
        before = time.monotonic()
        await asyncio.sleep(0.005)
        longest = max(longest, time.monotonic() - before - 0.005)
    return longest


async def hits(http: httpx.AsyncClient, seconds: float) -> int:
    count, ends = 0, time.monotonic() + seconds
    while time.monotonic() < ends:
        answer = await http.get(f"/w_20/{count % 10}.png")
        assert (answer.status_code, answer.headers["cache-status"]) == (200, "image-proxy; hit")
        count += 1
        await asyncio.sleep(0)  # without a socket a hit waits for nothing
    return count


async def test_hits_go_on_at_their_pace_while_every_file_call_hangs(
    renderers: str, folder: Path, hanging: Hanging, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "a.png").write_bytes(PICTURE)
    (other / "b.png").write_bytes(PICTURE)
    origins = tmp_path / "origins.yaml"
    origins.write_text(f"origins:\n  other:\n    url: {other}\n")
    flags = {"origin": str(folder), "origins": str(origins), "fetch_timeout": "1s", "max_age": "1000s"}
    cache = f"memory://64MB,disk://{tmp_path}/cache"
    async with client(renderers, cache=cache, **flags) as http:
        for n in range(10):
            assert (await http.get(f"/w_20/{n}.png")).status_code == 200
        usual = asyncio.create_task(longest_block(2))
        normal = await hits(http, 2)
        hanging.on = True
        try:
            misses = [
                asyncio.create_task(http.get(f"/w_{w}/{n}.png")) for n in range(20) for w in range(30, 40)
            ]
            blocked = asyncio.create_task(longest_block(3))
            hung = await hits(http, 3)
            elsewhere = await http.get("/w_20/other/a.png")
            assert (await http.get("/w_21/other/b.png")).status_code == 200
            statuses = {answer.status_code for answer in await asyncio.gather(*misses)}
        finally:
            hanging.on = False
            hanging.released.set()
        assert elsewhere.status_code == 200
        assert hanging.calls > 0
        assert hanging.on_loop == 0
        # Hundreds of requests begin at once; a file call would block it until all is over.
        assert await blocked < 20 * max(0.1, await usual)
        assert statuses <= {502, 503, 504}
        assert hung / 3 > normal / 2 / 4


async def test_a_version_that_is_known_counts_while_the_file_does_not_answer(
    folder: Path, hanging: Hanging
) -> None:
    now = 0.0
    origin = FileOrigin(folder, Limits(), clock=lambda: now)
    version = await present_version(origin, "1.png")
    now, hanging.on = VERSION_LIFETIME + 1, True
    started = time.monotonic()
    for _ in range(50):
        assert await present_version(origin, "1.png") == version
    assert time.monotonic() - started < LOOK_TIMEOUT + 1
    (folder / "1.png").write_bytes(b"another")
    hanging.on = False
    hanging.released.set()
    await asyncio.sleep(0.1)
    assert await present_version(origin, "1.png") not in (None, version)
    await origin.close()


async def test_one_that_is_not_known_is_waited_for_until_the_deadline(folder: Path, hanging: Hanging) -> None:
    origin = LimitedOrigin(FileOrigin(folder, Limits()), Source(url=str(folder)), timeout=0.2)
    hanging.on = True
    with pytest.raises(OriginTimedOut):
        await present_version(origin, "1.png")
    with pytest.raises(OriginTimedOut):
        await origin.fetch("1.png")


async def test_a_folder_that_hangs_for_too_many_is_refused_at_once(folder: Path, hanging: Hanging) -> None:
    origin = FileOrigin(folder, Limits())
    hanging.on = True
    reads = [asyncio.create_task(origin.fetch(f"{n}.png")) for n in range(1500)]
    looks = [asyncio.create_task(present_version(origin, f"{n}.png")) for n in range(200)]
    await asyncio.sleep(0.1)
    for tasks in (reads, looks):
        refused = [task for task in tasks if task.done()]
        assert len(refused) > 100
        assert all(isinstance(task.exception(), Overloaded) for task in refused)
    hanging.on = False
    hanging.released.set()
    await asyncio.gather(*reads, *looks, return_exceptions=True)
    assert (await origin.fetch("1.png")).body == PICTURE
    await origin.close()


async def test_threads_are_bounded_and_take_what_waits_in_turn() -> None:
    threads, released = FileThreads("test", 2, 3), threading.Event()
    started: list[int] = []

    def call(n: int) -> int:
        started.append(n)
        released.wait(30)
        return n

    futures = [threads.start(lambda n=n: call(n)) for n in range(5)]  # type: ignore[misc]
    with pytest.raises(NoThreadFree):
        threads.start(lambda: call(9))
    futures[3].cancel()
    await asyncio.sleep(0.05)
    assert sorted(started) == [0, 1]
    released.set()
    assert await asyncio.gather(*futures[:3], futures[4]) == [0, 1, 2, 4]
    assert 3 not in started

    def fail() -> int:
        raise OSError("no")

    with pytest.raises(OSError, match="no"):
        await threads.run(fail)
    threads.close()


async def test_one_file_that_hangs_keeps_one_thread_however_often_it_is_asked_for() -> None:
    threads, released = FileThreads("test", 2, 10), threading.Event()
    made: list[str] = []

    def hang() -> str:
        made.append("bad")
        released.wait(30)
        return "new"

    for _ in range(20):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await threads.run(hang, "bad.png")
    assert made == ["bad"]
    async with asyncio.timeout(5):
        assert await threads.run(lambda: "good", "good.png") == "good"
    waiting = asyncio.create_task(threads.run(hang, "bad.png"))
    await asyncio.sleep(0.02)
    released.set()
    assert await waiting == "new"
    assert made == ["bad", "bad"]  # made anew: the earlier one may have found what has changed since
    threads.close()


async def test_other_files_are_read_while_one_that_hangs_is_asked_for_again_and_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    released, real = threading.Event(), os.stat
    calls = 0

    def stat(path: Any, *args: Any, **more: Any) -> Any:
        nonlocal calls
        if path == b"1.png":
            calls += 1
            assert released.wait(60)
        return real(path, *args, **more)

    monkeypatch.setattr(os, "stat", stat)
    origin = LimitedOrigin(FileOrigin(folder, Limits()), Source(url=str(folder)), timeout=0.05)
    try:
        for _ in range(20):
            with pytest.raises(OriginTimedOut):
                await origin.fetch("1.png")
        assert calls == 1
        assert (await origin.fetch("2.png")).body == PICTURE
    finally:
        released.set()
    await asyncio.sleep(0.1)
    assert (await origin.fetch("1.png")).body == PICTURE
    await origin.close()
