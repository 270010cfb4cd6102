"""
A folder of renditions, or of originals, that all processes of a machine share and that survives them.

There is no index: a file's name is the hash of its key, its modification time is when the entry expires
(so mostly in the future) and its access time is its last use. One scan with nothing but `stat` thus finds
what has expired and what was not used for longest. The size of the file `written` counts the blocks
written since the last scan: an append is atomic, so no process needs a lock to add to it.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from time import time
from typing import Generic

import structlog

from proxy.caches.disk_files import BLOCK_BYTES, blocks, listed, read_file, remove
from proxy.caches.envelope import MAX_LIFETIME, Unverified, entry_name
from proxy.caches.protocol import CacheEntry, EntryCodec, T
from proxy.clients.address import TierAddress, folder_of
from proxy.clients.breaker import CircuitBreaker
from proxy.clients.file_threads import FileThreads, NoThreadFree
from proxy.telemetry.metrics import Stats

log = structlog.get_logger()

_SHARD = re.compile(r"[0-9a-f]{2}")
_NAME = re.compile(r"[0-9a-f]{62}")
_UNFINISHED = ".unfinished-"
_STEP = 60.0  # s: how exact the time of last use is
_SCAN_EVERY = 3600.0  # s: expired entries and unfinished files lie around for no longer
_LOOKUP_TIMEOUT = 2.0  # s: a client waits
_READ_THREADS, _WRITE_THREADS, _MAX_QUEUED = 6, 2, 1024
_FILE_ERRORS = (OSError, TimeoutError, NoThreadFree)
_WHOLE_BYTES, _HEAD_BYTES = 65_536, 4096  # an entry read at once; the first read of any larger one
_REST = 10.0  # s: until another scan is tried after one that made no room


class DiskCache(Generic[T]):
    """
    `max_bytes` counts whole blocks of 4 KiB, as file systems do. Passing it makes a scan remove what was
    not used for longest until a tenth is free; while it runs others may write a quarter more, no further.
    An entry of more than an eighth of it is not cached.
    `folder` is made when it is needed; files in it that are not a cache's are left alone.
    A lookup that takes longer than `lookup_timeout` seconds is a miss, and after a few of those the disk is
    not asked for a while. `clock` gives unix seconds.
    """

    slow = True

    def __init__(
        self,
        codec: EntryCodec[T],
        folder: Path,
        max_bytes: int,
        *,
        lookup_timeout: float = _LOOKUP_TIMEOUT,
        clock: Callable[[], float] = time,
    ) -> None:
        self.hits = self.misses = self.failures = 0
        self._codec = codec
        self._folder = os.path.abspath(folder)
        self._written = os.path.join(self._folder, "written")
        self._scanned = os.path.join(self._folder, "scanned")
        self._max_blocks = max(max_bytes // BLOCK_BYTES, 1)
        self._clock = clock
        self._full_until = 0.0
        # Threads of its own: a disk that hangs must not delay what others do in theirs.
        self._readers = FileThreads("cache", _READ_THREADS, _MAX_QUEUED)
        self._writers = FileThreads("cache-writer", _WRITE_THREADS, _MAX_QUEUED)
        self._lookup_timeout = lookup_timeout
        self._breaker = CircuitBreaker()

    async def get(self, key: str) -> T | None:
        entry = await self.get_entry(key)
        return None if entry is None else entry.value

    async def get_entry(self, key: str) -> CacheEntry[T] | None:
        try:
            entry = await self._look_up(key)
        except (*_FILE_ERRORS, Unverified) as error:
            self._failed(error)
            entry = None
        if entry is None:
            self.misses += 1
        else:
            self.hits += 1
        return entry

    async def put(self, key: str, value: T, lifetime: float) -> None:
        expires_at = self._clock() + min(lifetime, MAX_LIFETIME)
        try:
            await self._writers.run(partial(self._write, key, value, expires_at))
        except (OSError, NoThreadFree) as error:
            self._failed(error)

    async def close(self) -> None:
        self._readers.close()
        self._writers.close()

    def stats(self) -> Stats:
        return Stats(tier="disk", hits=self.hits, misses=self.misses, failures=self.failures)

    async def _look_up(self, key: str) -> CacheEntry[T] | None:
        """Raises OSError, TimeoutError and NoThreadFree, and Unverified."""
        if not self._breaker.allows():
            return None
        try:
            async with asyncio.timeout(self._lookup_timeout):
                entry = await self._readers.run(partial(self._read, key))
        except (TimeoutError, NoThreadFree):
            self._breaker.failed()
            raise
        self._breaker.succeeded()
        return entry

    def _failed(self, error: Exception) -> None:
        self.failures += 1
        log.warning("cache_failed", tier="disk", error=type(error).__name__)

    def _path(self, key: str) -> str:
        digits = entry_name(key)
        return os.path.join(self._folder, digits[:2], digits[2:])

    def _read(self, key: str) -> CacheEntry[T] | None:
        path = self._path(key)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return None
        try:
            used_at = os.fstat(descriptor).st_atime
            entry = self._unpack(descriptor, os.fstat(descriptor).st_size, key)
        finally:
            os.close(descriptor)
        now = self._clock()
        if entry is None or entry.expires_at <= now:
            remove(path)
            if entry is None:
                raise Unverified
            return None
        if now - used_at > _STEP:
            # Fails when the file was evicted meanwhile or belongs to another user: then it is only older.
            with suppress(OSError):
                os.utime(path, (now, entry.expires_at))
        return entry

    def _unpack(self, descriptor: int, size: int, key: str) -> CacheEntry[T] | None:
        if size <= _WHOLE_BYTES:
            return self._codec.unpack(read_file(descriptor, 0, size), key)
        # Two buffers of a large body cost more than its digest: each time the system gives zeroed ones.
        head = read_file(descriptor, 0, _HEAD_BYTES)
        return self._codec.unpack(head, key, lambda offset: read_file(descriptor, offset, size))

    def _write(self, key: str, value: T, expires_at: float) -> None:
        path = self._path(key)
        packed = self._codec.pack(value, key, expires_at)
        if expires_at <= self._clock() or blocks(len(packed)) > self._max_blocks // 8:
            remove(path)
            return
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            self._make_room()
            self._place(path, packed, expires_at)
            with open(self._written, "ab", buffering=0) as written:
                written.write(bytes(blocks(len(packed))))
        except OSError:
            remove(path)  # better nothing than what was there before
            raise

    def _place(self, path: str, packed: bytes, expires_at: float) -> None:
        """Whole or not at all. No fsync: what a power cut leaves half-written does not verify."""
        descriptor, unfinished = tempfile.mkstemp(prefix=_UNFINISHED, dir=os.path.dirname(path))
        try:
            with open(descriptor, "wb") as file:
                file.write(packed)
                file.flush()
                os.utime(file.fileno(), (self._clock(), expires_at))
            os.replace(unfinished, path)
        except OSError:
            remove(unfinished)
            raise

    def _make_room(self) -> None:
        """
        Raises OSError when there is none to be made: entries cannot be removed, or the process that is
        about to remove them does not get anywhere.
        """
        if self._clock() < self._full_until:
            raise OSError(errno.EDQUOT, "the cache is full")
        if self._scan_is_due():
            scanned = self._scan()
            if self._blocks_written() > self._max_blocks * 5 // 4:
                self._full_until = self._clock() + (_REST if scanned else 0)
                raise OSError(errno.EDQUOT, "the cache is full")

    def _scan_is_due(self) -> bool:
        try:
            scanned_at = os.stat(self._scanned).st_mtime
            written = os.stat(self._written).st_size
        except FileNotFoundError:
            return True
        return written > self._max_blocks or self._clock() - scanned_at > _SCAN_EVERY

    def _blocks_written(self) -> int:
        try:
            return os.stat(self._written).st_size
        except FileNotFoundError:
            return 0

    def _scan(self) -> bool:
        """
        Removes what has expired or was never finished, and then the least recently used. Does nothing when
        another process is scanning.
        """
        with self._alone() as alone:
            if not alone:
                return False
            before = self._blocks_written()
            used = self._sweep()
            occupied = used.total()
            if occupied > self._max_blocks * 9 // 10:
                occupied -= self._evict(used, occupied - self._max_blocks * 9 // 10)
            # What others wrote during the scan counts, seen by it or not: too much is the safe side.
            with open(self._written, "ab") as written:
                written.truncate(occupied + max(self._blocks_written() - before, 0))
            now = self._clock()
            os.utime(self._scanned, (now, now))
            return True

    @contextmanager
    def _alone(self) -> Iterator[bool]:
        """A lock of all threads and processes; it goes with the process that has it."""
        with open(self._scanned, "ab") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True

    def _sweep(self) -> Counter[int]:
        """How many blocks were last used in which minute. So a scan of any size needs little memory."""
        now = self._clock()
        used: Counter[int] = Counter()
        for file, stat in self._files():
            if file.name.startswith(_UNFINISHED):
                # Its modification time may be its expiry already.
                if now - stat.st_ctime > _SCAN_EVERY:
                    remove(file.path)
            elif stat.st_mtime <= now:
                remove(file.path)
            else:
                used[int(stat.st_atime // _STEP)] += blocks(stat.st_size)
        return used

    def _evict(self, used: Counter[int], excess: int) -> int:
        """Removes about `excess` blocks, the oldest minutes first, and tells how many it were."""
        oldest = Counter[int]()
        for minute in sorted(used):
            if excess <= 0:
                break
            oldest[minute] = min(used[minute], excess)
            excess -= used[minute]
        removed = 0
        for file, stat in self._files():
            if oldest[int(stat.st_atime // _STEP)] > 0 and _NAME.fullmatch(file.name):
                oldest[int(stat.st_atime // _STEP)] -= blocks(stat.st_size)
                removed += blocks(stat.st_size) if remove(file.path) else 0
        return removed

    def _files(self) -> Iterator[tuple[os.DirEntry[str], os.stat_result]]:
        for shard in listed(self._folder):
            if not _SHARD.fullmatch(shard.name):
                continue
            for file in listed(shard.path):
                if _NAME.fullmatch(file.name) or file.name.startswith(_UNFINISHED):
                    with suppress(FileNotFoundError):
                        yield file, file.stat(follow_symlinks=False)


def open_disk(address: TierAddress, codec: EntryCodec[T]) -> DiskCache[T]:
    """
    `disk:///var/cache/images?size=2GB` (2 GB when not said); `disk://.cache` and `disk://./cache` are
    relative to the working directory; `%2C` is a comma.
    """
    address.allow({"size"})
    return DiskCache(codec, folder_of(address), address.size(address.options.get("size", "2GB")))
