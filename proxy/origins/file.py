"""
Originals in a folder.

No name is ever resolved by the kernel in one go: each segment of a key is opened relative to the folder
that holds it, and no link is followed by an `open`. So neither `..` nor a link that changes between a check
and its use leads out of the root.
"""

from __future__ import annotations

import errno
import heapq
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import TypeVar

import structlog

from proxy.clients.file_threads import FileThreads, NoThreadFree
from proxy.model.errors import OriginalUnreadable, OriginFailed, Overloaded, ProxyError
from proxy.model.limits import Limits
from proxy.model.media import Original
from proxy.origins.breaker import origin_answered
from proxy.origins.file_versions import FileVersions
from proxy.origins.keys import KeyRewrite, not_found, segments, too_large, unchanged
from proxy.origins.listing import PAGE_KEYS, KeyPage, folder_names, is_hidden
from proxy.origins.protocol import Refresh
from proxy.origins.retry import raise_when_exhausted

log = structlog.get_logger()
_T = TypeVar("_T")

# O_PATH (Linux) enters folders that may be searched but not listed, as a path lookup does.
_ENTER = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC
_LIST = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# O_NONBLOCK: should a file become a fifo between the look and the open, the open does not wait for a writer.
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC

_LINKS = 8
_NOT_FOUND_ERRORS = {
    errno.ENOENT,
    errno.ENOTDIR,
    errno.ENAMETOOLONG,
    errno.ELOOP,
    errno.ENXIO,
    # Names that the file system cannot hold.
    errno.EINVAL,
    errno.EILSEQ,
}

_UNREADABLE_ERRORS = {errno.EACCES, errno.EPERM}

_READ_THREADS = 8
_MAX_QUEUED_READS = 1024  # as many as `concurrency` may be


class _Link(Exception):
    """A name turned out to be a symbolic link."""


class FileOrigin:
    """
    The files below the folder `root`.

    A link whose target is inside the root is followed, one that leads out of it is as good as no file. A root
    that is itself a link may be swapped for another while this runs.

    No key reaches a name that begins with a dot: what tools and editors leave in a folder (`.git`, `.env`) is
    not meant to be shown. A link may lead through one, as the volumes of Kubernetes do (`..data`).

    Names on disk are UTF-8, whatever the locale says.

    No call to the file system is made on the event loop, and none waits in threads that others need: one
    that hangs (a network file system whose server is gone) holds up what has to be read from it, and no more.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        limits: Limits,
        *,
        rewrite: KeyRewrite = unchanged,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rewrite = rewrite
        self._root = os.fsencode(os.path.abspath(root))
        self._max_bytes = limits.max_source_bytes
        self._threads = FileThreads("originals", _READ_THREADS, _MAX_QUEUED_READS)
        self._versions = FileVersions(self._look, clock)

    async def fetch(self, key: str, known: Original | None = None) -> Original:
        try:
            original = await self._in_thread(partial(self._read, key), name=key)
        except OriginFailed:
            origin_answered()  # the file system did, and said no for this one
            raise
        self._versions.put(key, original.version)
        return original

    async def list_keys(self, prefix: str = "", cursor: str | None = None, limit: int = PAGE_KEYS) -> KeyPage:
        """
        Files by their names, then those of each subfolder. A folder that cannot be read has none; links to
        folders are not followed. A page reads the folders that it has keys of and those above them.
        """
        return await self._in_thread(partial(self._list, prefix, cursor, limit))

    def version(self, key: str) -> str | None:
        return self._versions.get(key)

    def refresh(self, key: str) -> Refresh | None:
        return self._versions.refresh(key)

    async def close(self) -> None:
        self._versions.close()
        self._threads.close()

    async def _in_thread(self, call: Callable[[], _T], name: str | None = None) -> _T:
        try:
            return await self._threads.run(call, name)
        except NoThreadFree as failure:
            raise Overloaded("the folder of originals does not answer right now", retry_after=5) from failure

    def _list(self, prefix: str, cursor: str | None, limit: int) -> KeyPage:
        if is_hidden(prefix):
            return KeyPage((), None)
        below = [] if cursor is None else cursor.removeprefix(prefix).split("/")
        keys = tuple(islice(self._walk(folder_names(prefix), below, limit), limit))
        return KeyPage(keys, keys[-1] if len(keys) == limit else None)

    def _walk(self, folder: list[str], after: list[str], limit: int) -> Iterator[str]:
        """
        The keys in `folder` and below, those past the names `after`; of any one folder `limit` are enough.
        """
        files, folders = self._scan(folder, after, limit)
        for name in files:
            yield "/".join((*folder, name))
        for name in folders:
            yield from self._walk([*folder, name], after[1:] if after[:1] == [name] else [], limit)

    def _scan(self, folder: list[str], after: list[str], limit: int) -> tuple[list[str], list[str]]:
        """The first files and all folders that come past `after`: a file there, or one in a folder there."""
        folders: list[str] = []

        def files() -> Iterator[str]:
            with self._scanned(folder) as entries:
                for entry in entries:
                    name = _decoded(entry.name)
                    if name is None or name.startswith("."):
                        continue
                    if not entry.is_dir():
                        if not after or (len(after) == 1 and name > after[0]):
                            yield name
                    elif not entry.is_symlink() and (len(after) < 2 or name >= after[0]):
                        folders.append(name)

        try:
            found = heapq.nsmallest(limit, files())
        except (OSError, ValueError):  # ValueError: no file system holds such a name
            return [], []
        return found, sorted(folders)

    @contextmanager
    def _scanned(self, folder: list[str]) -> Iterator[Iterator[os.DirEntry[str]]]:
        here = os.open(self._root, _LIST)
        try:
            for name in folder:
                below = os.open(name.encode(), _LIST | os.O_NOFOLLOW, dir_fd=here)
                os.close(here)
                here = below
            with os.scandir(here) as entries:
                yield entries
        finally:
            os.close(here)

    def _names(self, key: str) -> list[str]:
        names = segments(key, self._rewrite)
        if any(name.startswith(".") for name in names):
            raise not_found(key)
        return names

    def _look(self, key: str) -> str | None:
        try:
            file = self._open(self._names(key))
        except (OSError, ProxyError):
            return None
        try:
            return _version(_regular(file))
        except OSError:
            return None
        finally:
            os.close(file)

    def _read(self, key: str) -> Original:
        names = self._names(key)
        try:
            file = self._open(names)
            try:
                return self._original(key, file)
            finally:
                os.close(file)
        except OSError as failure:
            if failure.errno in _NOT_FOUND_ERRORS:
                raise not_found(key) from failure
            if failure.errno in _UNREADABLE_ERRORS:
                log.warning("original_unreadable", path=os.path.join(os.fsdecode(self._root), *names))
                raise OriginalUnreadable("the original is there, and may not be read") from failure
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


def _decoded(name: str) -> str | None:
    """A name on disk as part of a key; `None` when it is not UTF-8, and no key is that."""
    try:
        return os.fsencode(name).decode()
    except UnicodeDecodeError:
        return None


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
