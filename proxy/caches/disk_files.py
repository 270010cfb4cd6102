"""Files of a cache on disk: how much room they take, and how they are listed and removed."""

from __future__ import annotations

import os

BLOCK_BYTES = 4096
"""The unit in which file systems give room, as a rule."""


def blocks(size: int) -> int:
    return -(-size // BLOCK_BYTES)


def remove(path: str) -> bool:
    """Whether it is gone now; another process may have been faster."""
    try:
        os.unlink(path)
    except OSError as error:
        return isinstance(error, FileNotFoundError)
    return True


def listed(path: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(path) as entries:
            return list(entries)
    except (FileNotFoundError, NotADirectoryError):
        return []


def read_file(descriptor: int, start: int, stop: int) -> bytes:
    """The bytes of an open file from `start` up to `stop`, fewer where it ends before."""
    parts = []
    while start < stop and (part := os.pread(descriptor, stop - start, start)):
        parts.append(part)
        start += len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)
