"""Which versions the files of a folder have, as they were seen last, without waiting for one that hangs."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from proxy.clients.file_threads import FileThreads, NoThreadFree
from proxy.model.errors import Overloaded
from proxy.origins.protocol import Refresh

VERSION_LIFETIME = 1.0
"""Seconds for which a version counts as the present one."""

LOOK_TIMEOUT = 0.05
"""Seconds that a file may take to say its version, where another is known that will do."""

_MAX_VERSIONS = 10_000
_LOOK_THREADS = 4
_MAX_QUEUED_LOOKS = 64


class _Seen(NamedTuple):
    version: str | None
    at: float


class _Looking(NamedTuple):
    future: asyncio.Future[str | None]
    started: float


class FileVersions:
    """
    The versions of up to 10,000 files, each looked at by `look` at most once a second, in threads of its own.

    `look` may hang, and takes a key. Of a file that does not answer, the last known version counts. `clock`
    gives monotonic seconds.
    """

    def __init__(self, look: Callable[[str], str | None], clock: Callable[[], float]) -> None:
        self._look = look
        self._clock = clock
        self._threads = FileThreads("versions", _LOOK_THREADS, _MAX_QUEUED_LOOKS)
        self._seen: OrderedDict[str, _Seen] = OrderedDict()
        self._looking: dict[str, _Looking] = {}

    def get(self, key: str) -> str | None:
        """Return the version that was seen last; `None` if there is no such file, or it was not looked at."""
        seen = self._seen.get(key)
        return None if seen is None else seen.version

    def put(self, key: str, version: str | None) -> None:
        """Remember what was seen just now."""
        self._seen[key] = _Seen(version, self._clock())
        self._seen.move_to_end(key)
        if len(self._seen) > _MAX_VERSIONS:
            self._seen.popitem(last=False)

    def refresh(self, key: str) -> Refresh | None:
        """
        Return what makes `get` return the present version, `None` if it does. It raises Overloaded where no
        version is known and too many files do not answer.
        """
        seen = self._seen.get(key)
        if seen is not None and self._clock() - seen.at < VERSION_LIFETIME:
            return None
        return partial(self._refresh, key, seen)

    def close(self) -> None:
        self._seen.clear()
        self._threads.close()

    async def _refresh(self, key: str, seen: _Seen | None) -> None:
        try:
            looking = self._looking.get(key) or self._start(key)
        except NoThreadFree as failure:
            if seen is None:
                raise Overloaded("the folder of originals does not answer now", retry_after=5) from failure
            return
        time_left = None
        if seen is not None:
            # One that has hung for longer than this delays no other request.
            time_left = looking.started + LOOK_TIMEOUT - asyncio.get_running_loop().time()
        if time_left is None or time_left > 0:
            await asyncio.wait({looking.future}, timeout=time_left)

    def _start(self, key: str) -> _Looking:
        future = self._threads.start(partial(self._look, key))
        looking = _Looking(future, asyncio.get_running_loop().time())
        self._looking[key] = looking
        future.add_done_callback(partial(self._done, key))
        return looking

    def _done(self, key: str, future: asyncio.Future[str | None]) -> None:
        self._looking.pop(key, None)
        if not future.cancelled():
            self.put(key, future.result() if future.exception() is None else None)
