from __future__ import annotations

import asyncio
import fcntl
import os
import subprocess
import sys
import textwrap
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from proxy.caches.disk import DiskCache
from proxy.caches.envelope import RENDITION_CODEC, entry_name
from proxy.caches.original_envelope import ORIGINAL_CODEC
from proxy.model.media import CachePolicy, Original, Rendition
from tests.caches.clocks import Clock
from tests.paths import ROOT


def path_of(folder: Path, key: str) -> Path:
    return folder / entry_name(key)[:2] / entry_name(key)[2:]


def entries(folder: Path) -> list[Path]:
    return [path for path in folder.glob("??/*") if not path.name.startswith(".")]


def unfinished(folder: Path) -> list[Path]:
    return list(folder.glob("??/.*"))


def held_bytes(folder: Path) -> int:
    return sum(-(-path.stat().st_size // 4096) * 4096 for path in entries(folder))


async def test_entries_survive_a_restart(tmp_path: Path, tom: Rendition) -> None:
    before = DiskCache(RENDITION_CODEC, tmp_path, 10_000_000)
    await before.put("tom", tom, 60)
    await before.close()
    assert await DiskCache(RENDITION_CODEC, tmp_path, 10_000_000).get("tom") == tom


@pytest.mark.parametrize("size", [0, 1, 3_900, 65_000, 65_536, 70_000, 600_000])
async def test_bodies_of_any_size_come_back_and_only_whole(tmp_path: Path, tom: Rendition, size: int) -> None:
    cache = DiskCache(RENDITION_CODEC, tmp_path, 100_000_000)
    large = replace(tom, body=os.urandom(size))
    await cache.put("tom", large, 60)
    assert await cache.get("tom") == large
    packed = path_of(tmp_path, "tom").read_bytes()
    for place in (0, 5, 30, 60, len(packed) // 2, len(packed) - 1):
        flipped = packed[:place] + bytes([packed[place] ^ 1]) + packed[place + 1 :]
        for wrong in (flipped, packed[:place], packed + b"x"):
            path_of(tmp_path, "tom").write_bytes(wrong)
            assert await cache.get("tom") is None
            assert not path_of(tmp_path, "tom").exists()
            path_of(tmp_path, "tom").write_bytes(packed)
    path_of(tmp_path, "tim").parent.mkdir(exist_ok=True)
    path_of(tmp_path, "tim").write_bytes(packed)
    assert await cache.get("tim") is None


@pytest.mark.parametrize("length", [0, 40, 3_900, 4_100, 30_000])
async def test_originals_come_back_however_long_their_etag_is(tmp_path: Path, length: int) -> None:
    cache = DiskCache(ORIGINAL_CODEC, tmp_path, 100_000_000)
    policy = CachePolicy(received_at=1.0, fresh_for=None, stale_while_revalidate=0.0, stale_if_error=None)
    for size in (1_000, 200_000):
        original = Original(
            body=os.urandom(size), version="v" * length, etag="e" * length, cache_policy=policy
        )
        await cache.put("tom", original, 60)
        assert await cache.get("tom") == original


async def test_a_large_body_is_in_memory_once(tmp_path: Path, tom: Rendition) -> None:
    cache = DiskCache(RENDITION_CODEC, tmp_path, 100_000_000)
    await cache.put("tom", replace(tom, body=bytes(8_000_000)), 60)
    tracemalloc.start()
    try:
        found = await cache.get("tom")
        assert found is not None
        assert len(found.body) == 8_000_000
        assert tracemalloc.get_traced_memory()[1] < 9_000_000
    finally:
        tracemalloc.stop()


async def test_a_folder_is_made_when_it_is_needed(tmp_path: Path, tom: Rendition) -> None:
    folder = tmp_path / "not" / "yet"
    cache = DiskCache(RENDITION_CODEC, folder, 10_000_000)
    assert await cache.get("tom") is None
    assert not folder.exists()
    await cache.put("tom", tom, 60)
    assert await cache.get("tom") == tom


async def test_the_bound_holds_under_many_puts(tmp_path: Path, tom: Rendition) -> None:
    cache = DiskCache(RENDITION_CODEC, tmp_path, 1_000_000)
    for i in range(400):
        await cache.put(f"cat {i}", replace(tom, body=bytes(9_000)), 60)
        if i % 20 == 0:
            assert held_bytes(tmp_path) <= 1_000_000 + 3 * 4096
    assert held_bytes(tmp_path) > 800_000
    assert cache.failures == 0


async def test_the_bound_holds_over_restarts(tmp_path: Path, tom: Rendition) -> None:
    for i in range(200):
        await DiskCache(RENDITION_CODEC, tmp_path, 500_000).put(
            f"cat {i}", replace(tom, body=bytes(9_000)), 60
        )
    assert held_bytes(tmp_path) <= 500_000 + 3 * 4096


async def test_a_lower_bound_takes_effect_with_the_next_put(tmp_path: Path, tom: Rendition) -> None:
    for i in range(100):
        await DiskCache(RENDITION_CODEC, tmp_path, 10_000_000).put(
            f"cat {i}", replace(tom, body=bytes(9_000)), 60
        )
    await DiskCache(RENDITION_CODEC, tmp_path, 200_000).put("tom", tom, 60)
    assert held_bytes(tmp_path) <= 200_000


async def test_what_was_not_used_for_longest_goes_first(tmp_path: Path, tom: Rendition) -> None:
    clock = Clock()
    cache = DiskCache(RENDITION_CODEC, tmp_path, 50 * 4096, clock=clock)
    for i in range(50):
        await cache.put(f"cat {i}", tom, 1e6)
        clock.forward(61)
    assert await cache.get("cat 0") == tom
    for i in range(50, 52):
        await cache.put(f"cat {i}", tom, 1e6)
    assert await cache.get("cat 0") == tom
    assert await cache.get("cat 1") is None
    assert await cache.get("cat 49") == tom


async def test_expired_entries_go_when_they_are_read(tmp_path: Path, tom: Rendition) -> None:
    clock = Clock()
    cache = DiskCache(RENDITION_CODEC, tmp_path, 10_000_000, clock=clock)
    await cache.put("tom", tom, 60)
    clock.forward(60)
    assert await cache.get("tom") is None
    assert entries(tmp_path) == []


async def test_expired_entries_go_within_an_hour_when_nobody_reads_them(
    tmp_path: Path, tom: Rendition
) -> None:
    clock = Clock()
    cache = DiskCache(RENDITION_CODEC, tmp_path, 10_000_000, clock=clock)
    for i in range(10):
        await cache.put(f"cat {i}", tom, 60)
    await cache.put("tom", tom, 1e6)
    clock.forward(3601)
    await cache.put("tom", tom, 1e6)
    assert entries(tmp_path) == [path_of(tmp_path, "tom")]


async def test_what_a_crash_left_unfinished_is_swept(tmp_path: Path, tom: Rendition) -> None:
    clock = Clock()
    cache = DiskCache(RENDITION_CODEC, tmp_path, 10_000_000, clock=clock)
    await cache.put("tom", tom, 1e6)
    half = path_of(tmp_path, "tom").with_name(".unfinished-x1")
    half.write_bytes(b"half")
    os.utime(half, (clock.now, clock.now + 1e6))
    await cache.put("tom", tom, 1e6)
    assert unfinished(tmp_path) == [half]
    clock.forward(3601)
    await cache.put("tom", tom, 1e6)
    assert unfinished(tmp_path) == []


async def test_files_that_are_not_a_caches_are_left_alone(tmp_path: Path, tom: Rendition) -> None:
    """Somebody will point it at a home directory."""
    theirs = [tmp_path / "thesis.txt", tmp_path / "ab" / "photo.jpg", tmp_path / "music" / ("0" * 62)]
    for path in theirs:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(bytes(100_000))
        os.utime(path, (0, 0))
    cache = DiskCache(RENDITION_CODEC, tmp_path, 100_000)
    for i in range(100):
        await cache.put(f"cat {i}", tom, 60)
    assert all(path.exists() for path in theirs)


@pytest.mark.parametrize("planted", [b"", b"garbage", b"IPR\x01" + bytes(300)])
async def test_what_does_not_verify_is_a_logged_miss_and_is_removed(
    tmp_path: Path, tom: Rendition, planted: bytes
) -> None:
    cache = DiskCache(RENDITION_CODEC, tmp_path, 10_000_000)
    await cache.put("tom", tom, 60)
    path_of(tmp_path, "tom").write_bytes(planted)
    with capture_logs() as logs:
        assert await cache.get("tom") is None
    assert [(each["event"], each["tier"], each["error"]) for each in logs] == [
        ("cache_failed", "disk", "Unverified")
    ]
    assert not path_of(tmp_path, "tom").exists()
    assert (cache.misses, cache.failures) == (1, 1)


async def test_an_entry_moved_to_another_key_is_a_miss(tmp_path: Path, tom: Rendition) -> None:
    cache = DiskCache(RENDITION_CODEC, tmp_path, 10_000_000)
    await cache.put("tom", tom, 60)
    await cache.put("felix", replace(tom, etag="felix"), 60)
    path_of(tmp_path, "tom").replace(path_of(tmp_path, "felix"))
    assert await cache.get("felix") is None


async def test_a_folder_that_cannot_be_one_is_a_miss(tmp_path: Path, tom: Rendition) -> None:
    (tmp_path / "file").write_bytes(b"")
    cache = DiskCache(RENDITION_CODEC, tmp_path / "file", 10_000_000)
    with capture_logs() as logs:
        await cache.put("tom", tom, 60)
        assert await cache.get("tom") is None
    assert [each["event"] for each in logs] == ["cache_failed"]
    assert cache.failures == 1


async def test_a_directory_in_the_place_of_an_entry_is_a_miss(tmp_path: Path, tom: Rendition) -> None:
    cache = DiskCache(RENDITION_CODEC, tmp_path, 10_000_000)
    path_of(tmp_path, "tom").mkdir(parents=True)
    await cache.put("tom", tom, 60)
    assert await cache.get("tom") is None
    assert cache.failures == 2


async def test_a_folder_that_vanishes_is_a_miss_and_comes_back(tmp_path: Path, tom: Rendition) -> None:
    cache = DiskCache(RENDITION_CODEC, tmp_path / "cache", 10_000_000)
    await cache.put("tom", tom, 60)
    (tmp_path / "cache").rename(tmp_path / "gone")
    assert await cache.get("tom") is None
    await cache.put("tom", tom, 60)
    assert await cache.get("tom") == tom
    assert cache.failures == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MB, when this user may make one."""
    mount = tmp_path / "small"
    mount.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m,mode=0777", "tmpfs", str(mount)],
        check=False,
        capture_output=True,
    )
    if made.returncode:
        pytest.skip("only root may mount a file system")
    yield mount
    subprocess.run(["umount", str(mount)], check=True)


async def test_a_full_disk_is_a_miss(small_disk: Path, tom: Rendition) -> None:
    cache = DiskCache(RENDITION_CODEC, small_disk / "cache", 100_000_000)
    with capture_logs() as logs:
        for i in range(20):
            await cache.put(f"cat {i}", replace(tom, body=bytes(100_000)), 60)
    assert {each["error"] for each in logs} == {"OSError"}
    assert 5 <= len(entries(small_disk / "cache")) <= 10
    assert unfinished(small_disk / "cache") == []
    assert await cache.get("cat 0") is not None
    assert await cache.get("cat 19") is None


async def test_a_file_size_limit_is_a_miss(tmp_path: Path) -> None:
    """EFBIG stands for every error that comes in the middle of a write; it needs no root."""
    script = """
        import asyncio, resource, signal, sys
        from pathlib import Path
        from proxy.caches.disk import DiskCache
        from proxy.caches.envelope import RENDITION_CODEC
        from proxy.model.media import Format, Rendition

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
        tom = Rendition(body=bytes(100_000), format=Format.PNG, width=1, height=1, etag="x")

        async def main():
            cache = DiskCache(RENDITION_CODEC, Path(sys.argv[1]), 100_000_000)
            await cache.put("tom", tom, 60)
            assert await cache.get("tom") is None
            assert cache.failures == 1

        asyncio.run(main())
    """
    await run(script, tmp_path)
    assert entries(tmp_path) + unfinished(tmp_path) == []


async def test_somebody_elses_folder_is_a_miss(tmp_path: Path, tom: Rendition) -> None:
    """Run as nobody, for root may do everything."""
    folder = tmp_path / "theirs"
    await DiskCache(RENDITION_CODEC, folder, 10_000_000).put("tom", tom, 60)
    os.chmod(folder, 0o700 if os.geteuid() == 0 else 0o000)
    script = """
        import asyncio, concurrent.futures.thread, os, sys
        from pathlib import Path
        from proxy.caches.disk import DiskCache
        from proxy.caches.envelope import RENDITION_CODEC
        from proxy.model.media import Format, Rendition

        if os.geteuid() == 0:
            os.setuid(65534)
        tom = Rendition(body=bytes(100), format=Format.PNG, width=1, height=1, etag="x")

        async def main():
            cache = DiskCache(RENDITION_CODEC, Path(sys.argv[1]), 10_000_000)
            assert await cache.get("tom") is None
            await cache.put("tom", tom, 60)
            assert cache.failures == 2, cache.failures

        asyncio.run(main())
    """
    try:
        await run(script, folder)
    finally:
        os.chmod(folder, 0o700)


async def test_growth_stops_when_whoever_should_make_room_hangs(tmp_path: Path, tom: Rendition) -> None:
    """A process that is stopped in the middle of its scan keeps its lock."""
    cache = DiskCache(RENDITION_CODEC, tmp_path, 80 * 4096)
    await cache.put("tom", tom, 60)
    with (tmp_path / "scanned").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for i in range(200):
            await cache.put(f"cat {i}", tom, 60)
        assert held_bytes(tmp_path) <= 101 * 4096
        assert cache.failures == 100
    await cache.put("tom", tom, 60)
    assert await cache.get("tom") == tom
    assert held_bytes(tmp_path) <= 80 * 4096


async def test_processes_share_one_folder_and_one_bound(tmp_path: Path, tom: Rendition) -> None:
    """Each reads what the others write, under constant eviction, and nobody sees half an entry."""
    script = """
        import asyncio, random, sys
        from pathlib import Path
        from proxy.caches.disk import DiskCache
        from proxy.caches.envelope import RENDITION_CODEC
        from structlog.testing import capture_logs
        from proxy.model.media import Format, Rendition

        def tom(i):
            return Rendition(body=bytes([i % 251]) * (i * 97 % 30_000), format=Format.PNG,
                             width=i, height=1, etag=str(i))

        async def main():
            cache = DiskCache(RENDITION_CODEC, Path(sys.argv[1]), 2_000_000)
            for _ in range(60):
                some = random.sample(range(300), 8)
                await asyncio.gather(*(cache.put(f"cat {i}", tom(i), 60) for i in some))
                some = random.sample(range(300), 8)
                for i, found in zip(some, await asyncio.gather(*(cache.get(f"cat {i}") for i in some))):
                    assert found is None or found == tom(i)
            assert cache.hits > 50

        with capture_logs() as logs:
            asyncio.run(main())
        # Writes may be refused while another process makes room; entries never fail to verify.
        assert {each["error"] for each in logs} <= {"OSError"}, logs
    """
    await asyncio.gather(*(run(script, tmp_path) for _ in range(4)))
    assert held_bytes(tmp_path) <= 2_500_000
    assert unfinished(tmp_path) == []
    await DiskCache(RENDITION_CODEC, tmp_path, 100_000).put("tom", tom, 60)
    assert held_bytes(tmp_path) <= 100_000


async def run(script: str, folder: Path) -> None:
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(script), str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ran = await asyncio.to_thread(
        subprocess.run, command, env=environment, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
