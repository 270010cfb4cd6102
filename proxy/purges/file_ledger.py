"""The purges of one machine: a file to which every process appends, and in which each reads on."""

from __future__ import annotations

import errno
import fcntl
import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import time

import structlog

from proxy.purges.marks import MAX_NUMBER_AHEAD, PurgeMark, PurgeMarks

log = structlog.get_logger()

_MAX_BYTES = 8_000_000  # after which the file is written anew with one mark for each tag


class FileLedger:
    """
    `path` is made with the first purge, and its folder too. A mark is a line. `clock` gives unix seconds.
    """

    def __init__(self, path: Path, *, clock: Callable[[], float] = time) -> None:
        self._path = path
        self._clock = clock
        self._inode = self._read_to = 0

    def news(self) -> list[PurgeMark] | None:
        """The marks that any process has added since the last call. `None` when the file cannot be read."""
        try:
            found = os.stat(self._path)
            if (found.st_ino, found.st_size) == (self._inode, self._read_to):
                return []
            with self._path.open("rb") as file:
                found = os.fstat(file.fileno())
                if found.st_ino != self._inode or found.st_size < self._read_to:
                    self._inode, self._read_to = found.st_ino, 0
                file.seek(self._read_to)
                whole, _, _ = file.read().rpartition(b"\n")
        except (FileNotFoundError, NotADirectoryError):
            return []  # no process can have written it
        except OSError as error:
            log.warning("purges_not_read", error=type(error).__name__)
            return None
        self._read_to += len(whole) + 1 if whole else 0
        return list(marks_in(whole))

    def add(self, tags: Iterable[str], *, soft: bool, least: int) -> list[PurgeMark]:
        """Write marks whose number is above all in the file, and `least` or more. Raises OSError."""
        with self._alone():
            known = self._known()
            number = max(int(self._clock() * 1000), known.latest + 1, least)
            marks = [PurgeMark(number, soft, tag) for tag in tags]
            self._append(marks)
        return marks

    def write(self, marks: Iterable[PurgeMark]) -> None:
        """Write marks that have their number already. Raises OSError."""
        with self._alone():
            self._append(marks)

    def _append(self, marks: Iterable[PurgeMark]) -> None:
        with self._path.open("ab", buffering=0) as file:
            lines, before = lines_of(marks), file.tell()
            if file.write(lines) < len(lines):
                file.truncate(before)  # half a line would take the next one along
                raise OSError(errno.ENOSPC, "the disk is full")
            size = before + len(lines)
        if size > _MAX_BYTES:
            unfinished = self._path.with_name(".unfinished-purges")
            unfinished.write_bytes(lines_of(self._known().marks()))
            os.replace(unfinished, self._path)

    def _known(self) -> PurgeMarks:
        known = PurgeMarks()
        known.learn(FileLedger(self._path).news() or [])
        return known

    @contextmanager
    def _alone(self) -> Iterator[None]:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.with_name("purging").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def lines_of(marks: Iterable[PurgeMark]) -> bytes:
    """Serialise marks, a JSON list a line: number, soft, tag."""
    return b"".join(json.dumps([mark.number, mark.soft, mark.tag]).encode() + b"\n" for mark in marks)


def marks_in(lines: bytes) -> Iterator[PurgeMark]:
    """Read what `lines_of` wrote; lines that cannot be read are logged and skipped."""
    latest = time() * 1000 + 2 * MAX_NUMBER_AHEAD
    for line in lines.splitlines():
        try:
            number, soft, tag = json.loads(line)
            mark = PurgeMark(int(number), bool(soft), str(tag))
        except (ValueError, TypeError, ArithmeticError, RecursionError):
            log.warning("purge_not_understood")
            continue
        if mark.number <= latest:
            yield mark
        else:
            log.warning("purge_not_understood")
