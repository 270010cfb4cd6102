"""The running service sees an edit of presets.yaml, and is never worse off for a bad one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import NamedTuple

import structlog
from watchfiles import awatch

from proxy.config.presets import InvalidPresets, Presets, load_presets

log = structlog.get_logger()

LOOK_EVERY = 5.0  # seconds; when nothing is seen to stir


async def watch_presets(
    path: Path, keep: Callable[[Presets], None], *, settle: float = 0.2, look_every: float = LOOK_EVERY
) -> None:
    """
    Give `keep` the presets at `path` now, when there are any, and after each change, until cancelled. A file
    that is gone, emptied or wrong is logged, and what was kept last stays. A change is read when nothing has
    stirred in the folder for `settle` seconds.

    Raises FileNotFoundError when there is no such folder.
    """
    seen: Identity | None = None
    async for _ in stirs(path.parent, settle, look_every):
        before, seen = seen, identity(path)
        if seen == before:
            continue
        if before and seen and not seen.size:
            # Whoever writes a file in place cuts it to nothing first: not what anybody meant.
            log.error("presets_rejected", problem=f"{path}: is empty now")
            continue
        try:
            presets = await asyncio.to_thread(load_presets, path)
        except InvalidPresets as error:
            log.error("presets_rejected", problem=str(error))  # noqa: TRY400  the traceback says nothing more
        else:
            keep(presets)
            log.info("presets_loaded", path=str(path), count=len(presets.presets))


async def stirs(folder: Path, settle: float, look_every: float) -> AsyncIterator[None]:
    """
    Now, whenever something in `folder` changed, and at least every `look_every` seconds: a link further up
    may have been turned, and the folder of a network file system tells nobody anything.
    """
    yield
    async for _ in awatch(
        folder,
        watch_filter=None,
        recursive=False,
        step=int(settle * 1000),
        rust_timeout=int(look_every * 1000),
        yield_on_timeout=True,
    ):
        yield


class Identity(NamedTuple):
    """What changes when a file is written or replaced; `modified` is in ns."""

    device: int
    inode: int
    modified: int
    size: int


def identity(path: Path) -> Identity | None:
    """Of the file that `path` leads to, links followed. None when there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return Identity(found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size)
