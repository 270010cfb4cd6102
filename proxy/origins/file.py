"""
Originals in a folder.

No name is ever resolved by the kernel in one go: each segment of a key is opened relative to the folder
that holds it, and no link is followed by an `open`. So neither `..` nor a link that changes between a check
and its use leads out of the root.
"""

from __future__ import annotations

import asyncio
import errno
import os
import stat
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from cachetools import TTLCache

from proxy.model.errors import OriginFailed, ProxyError
from proxy.model.limits import Limits
from proxy.model.media import Original
from proxy.origins.keys import not_found, segments, too_large
from proxy.origins.retry import raise_when_exhausted

# O_PATH (Linux) enters folders that may be searched but not listed, as a path lookup does.
_ENTER = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC
# O_NONBLOCK: should a file become a fifo between the look and the open, the open does not wait for a writer.
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC

_LINKS = 8
_ABSENT = {
    errno.ENOENT,
    errno.ENOTDIR,
    errno.ENAMETOOLONG,
    errno.ELOOP,
    errno.EACCES,
    errno.EPERM,
    errno.ENXIO,
    # Names that the file system cannot hold.
    errno.EINVAL,
    errno.EILSEQ,
}

_READERS = 8
_REMEMBERED_VERSIONS = 10_000
_REMEMBERED_FOR = 1.0


class _Link(Exception):
    """A name turned out to be a symbolic link."""


class FileOrigin:
    """
    A link whose target is inside the root is followed, one that leads out of it is as good as no file. A root
    that is itself a link may be swapped for another while this runs.

    Names on disk are UTF-8, whatever the locale says.

    `version` asks the disk at most once a second for each key, so that a slow disk is not asked on every
    request. It is called from the event loop's thread only.
    """

    def __init__(
        self, root: str | os.PathLike[str], limits: Limits, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._root = os.fsencode(os.path.abspath(root))
        self._max_bytes = limits.max_source_bytes
        # Its own: a disk that hangs holds up nobody who reads from another.
        self._threads = ThreadPoolExecutor(_READERS, thread_name_prefix="originals")
        self._versions: TTLCache[str, str | None] = TTLCache(
            _REMEMBERED_VERSIONS, _REMEMBERED_FOR, timer=clock
        )

    async def fetch(self, key: str, known: Original | None = None) -> Original:
        original = await asyncio.get_running_loop().run_in_executor(self._threads, self._read, key)
        self._versions[key] = original.version
        return original

    def version(self, key: str) -> str | None:
        try:
            return self._versions[key]
        except KeyError:
            return self._versions.setdefault(key, self._look(key))

    async def close(self) -> None:
        self._versions.clear()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _look(self, key: str) -> str | None:
        try:
            file = self._open(segments(key))
        except (OSError, ProxyError):
            return None
        try:
            return _version(_regular(file))
        except OSError:
            return None
        finally:
            os.close(file)

    def _read(self, key: str) -> Original:
        names = segments(key)
        try:
            file = self._open(names)
            try:
                return self._original(key, file)
            finally:
                os.close(file)
        except OSError as failure:
            if failure.errno in _ABSENT:
                raise not_found(key) from failure
            raise_when_exhausted(failure)
            raise OriginFailed(f"'{key}' could not be read from disk") from failure

    def _original(self, key: str, file: int) -> Original:
        before = _regular(file)
        if before.st_size > self._max_bytes:
            raise too_large(key, self._max_bytes)
        body = _body(file, before.st_size)
        after = os.fstat(file)
        if after.st_size > self._max_bytes:
            raise too_large(key, self._max_bytes)
        if len(body) != before.st_size or _version(before) != _version(after):
            raise OriginFailed(f"'{key}' was written to while it was read")
        return Original(body=body, version=_version(before), last_modified=before.st_mtime)

    def _open(self, names: list[str]) -> int:
        """
        A descriptor of the file. At a link its target is looked up by name, and the way there is walked from
        the root again: what the lookup said is never trusted, only tried.
        """
        path = [name.encode() for name in names]
        for _ in range(_LINKS + 1):
            here = self._enter()
            for depth, name in enumerate(path, 1):
                try:
                    here = _step(here, name, last=depth == len(path))
                except _Link:
                    path = self._resolve(path[:depth]) + path[depth:]
                    break
            else:
                return here
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))

    def _enter(self) -> int:
        try:
            return os.open(self._root, _ENTER)
        except OSError as failure:
            raise_when_exhausted(failure)
            raise OriginFailed("the folder of originals cannot be opened") from failure

    def _resolve(self, path: list[bytes]) -> list[bytes]:
        root = os.path.realpath(self._root)
        target = os.path.realpath(os.path.join(root, *path))
        if os.path.commonpath((root, target)) != root:
            raise FileNotFoundError(errno.ENOENT, "leads out of the root")
        return os.path.relpath(target, root).split(b"/")


def _step(folder: int, name: bytes, *, last: bool) -> int:
    """One name further down. Closes `folder`, whatever happens."""
    try:
        mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
        if stat.S_ISLNK(mode):
            raise _Link
        if last and not stat.S_ISREG(mode):
            raise FileNotFoundError(errno.ENOENT, "not a regular file")
        return os.open(name, _READ if last else _ENTER | os.O_NOFOLLOW, dir_fd=folder)
    finally:
        os.close(folder)


def _regular(file: int) -> os.stat_result:
    found = os.fstat(file)
    if not stat.S_ISREG(found.st_mode):
        raise FileNotFoundError(errno.ENOENT, "not a regular file")
    return found


def _body(file: int, size: int) -> bytes:
    """What the file holds, or at most one byte more than `size`: a file that grows is not followed."""
    parts = []
    wanted = size + 1
    while wanted and (part := os.read(file, wanted)):
        parts.append(part)
        wanted -= len(part)
    return b"".join(parts)


def _version(found: os.stat_result) -> str:
    # No inode: copies of one folder on several machines must give one ETag.
    return f"{found.st_mtime_ns:x}-{found.st_size:x}"
