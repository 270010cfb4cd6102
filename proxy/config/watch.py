"""Reload presets.yaml when it changes; a file that is wrong leaves the last good presets in use."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import NamedTuple

import structlog
from watchfiles import awatch

from proxy.config.presets import InvalidPresets, Presets, load_presets

log = structlog.get_logger()

RESCAN_INTERVAL = 5.0  # seconds without a notification after which the file is looked at all the same


async def watch_presets(
    path: Path,
    apply: Callable[[Presets], None],
    *,
    reject: Callable[[str], None] = lambda problem: None,
    settle: float = 0.2,
    rescan_interval: float = RESCAN_INTERVAL,
) -> None:
    """
    Give `apply` the presets at `path` now, when there are any, and after each change, until cancelled. A
    file that is gone, emptied or wrong is logged, `reject` is told why, and the last good presets stay. A
    change is read when nothing in the folder has changed for `settle` seconds.

    Raises FileNotFoundError when there is no such folder.
    """
    seen: FileIdentity | None = None
    async for _ in folder_changes(path.parent, settle, rescan_interval):
        before, seen = seen, await asyncio.to_thread(file_identity, path)
        if seen == before:
            continue
        if before and seen and not seen.size:
            # An editor that writes in place truncates the file first: an empty one is not meant.
            problem = f"{path}: is empty now"
            log.error("presets_rejected", problem=problem)
            reject(problem)
            continue
        try:
            presets = await asyncio.to_thread(load_presets, path)
        except InvalidPresets as error:
            log.error("presets_rejected", problem=str(error))  # noqa: TRY400  the traceback says nothing more
            reject(str(error))
        else:
            apply(presets)
            log.info("presets_loaded", path=str(path), count=len(presets.presets))


async def folder_changes(folder: Path, settle: float, rescan_interval: float) -> AsyncIterator[None]:
    """
    Yield now, whenever something in `folder` changed, and at least every `rescan_interval` seconds: a link
    further up may have changed its target, and a network file system sends no notifications.
    """
    yield
    async for _ in awatch(
        folder,
        watch_filter=None,
        recursive=False,
        step=int(settle * 1000),
        rust_timeout=int(rescan_interval * 1000),
        yield_on_timeout=True,
    ):
        yield


class FileIdentity(NamedTuple):
    """What changes when a file is written or replaced; `modified` is in ns."""

    device: int
    inode: int
    modified: int
    size: int


def file_identity(path: Path) -> FileIdentity | None:
    """Of the file that `path` leads to, links followed. None when there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return FileIdentity(found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size)
