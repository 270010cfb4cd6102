"""The purges of renditions in a bucket, which outlives Redis and every disk: written to the same bucket."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import TypeVar

import obstore
import structlog
from obstore.store import ObjectStore

from proxy.clients.address import TierAddress
from proxy.clients.object_store import open_tier_store
from proxy.clients.store_errors import STORE_ERRORS, STORE_NOT_FOUND
from proxy.purges.file_ledger import lines_of, marks_in
from proxy.purges.marks import PurgeMark

log = structlog.get_logger()
_T = TypeVar("_T")

LEDGER_PREFIX = "purges/"

_CALL_TIMEOUT = 10.0  # s: no client waits for it
_TRIES = 5
_WRITE = 30.0  # s


class BucketLedger:
    """
    Each object holds all marks that its writer knew. It is written once, and removed by a process that has
    read it and has written all of it in an object of its own: no mark is lost between two writers, and there
    are never many objects. `call_timeout` is in seconds.
    """

    def __init__(self, store: ObjectStore, *, call_timeout: float = _CALL_TIMEOUT) -> None:
        self._store = store
        self._call_timeout = call_timeout
        self._covered: set[str] = set()
        """Objects of which every mark is known here."""

    async def read(self) -> list[PurgeMark] | None:
        """All marks in the bucket. `None` when it does not answer."""
        return await self._call(self._read)

    async def keep(self, marks: Iterable[PurgeMark]) -> bool:
        """
        Write `marks`: all that are known, those that were read too. False when the bucket did not take them.
        """
        path, known, covered = f"{LEDGER_PREFIX}{uuid.uuid4().hex}", lines_of(marks), tuple(self._covered)
        written = await self._call(partial(obstore.put_async, self._store, path, known, use_multipart=False))
        if written is None:
            return False
        self._covered.add(path)
        await self._call(partial(self._remove, covered))
        return True

    async def _read(self) -> list[PurgeMark] | None:
        for _ in range(_TRIES):
            paths = []
            async for page in obstore.list(self._store, LEDGER_PREFIX):
                paths += [found["path"] for found in page]
            found = [
                marks for marks in await asyncio.gather(*map(self._marks_of, paths)) if marks is not None
            ]
            if len(found) == len(paths):
                self._covered.update(paths)
                return [mark for marks in found for mark in marks]
        return None

    async def _marks_of(self, path: str) -> list[PurgeMark] | None:
        """`None` for what was removed since it was listed: its marks are in an object that is newer."""
        try:
            answer = await obstore.get_async(self._store, path)
            return list(marks_in(bytes(await answer.bytes_async())))
        except STORE_NOT_FOUND:
            return None

    async def _remove(self, paths: Iterable[str]) -> None:
        for path in paths:
            with suppress(*STORE_NOT_FOUND):
                await obstore.delete_async(self._store, path)
            self._covered.discard(path)

    async def _call(self, work: Callable[[], Awaitable[_T]]) -> _T | None:
        try:
            async with asyncio.timeout(self._call_timeout):
                return await work()
        except STORE_ERRORS as error:
            log.warning("purges_not_in_bucket", error=type(error).__name__)
            return None


def open_bucket_ledger(address: TierAddress) -> BucketLedger:
    """The ledger in the bucket of a cache tier. Raises ValueError."""
    return BucketLedger(open_tier_store(address, _WRITE))
