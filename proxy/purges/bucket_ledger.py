"""The purges of whatever outlives Redis and every disk: kept in the bucket whose pictures they are about."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import TypeVar

import obstore
import structlog
from obstore import exceptions
from obstore.store import ObjectStore

from proxy.clients.address import Address
from proxy.clients.object_store import store_of
from proxy.purges.file_ledger import lines_of, marks_in
from proxy.purges.marks import Mark

log = structlog.get_logger()
_T = TypeVar("_T")

FOLDER = "purges/"

_PATIENCE = 10.0  # s: who waits is no reader
_TRIES = 5
_WRITE = 30.0  # s


class BucketLedger:
    """
    An object is all that its writer knew, is written once, and is removed by somebody who has read it and has
    written all of it elsewhere: nothing is ever lost between two writers, and there are never many.
    """

    def __init__(self, store: ObjectStore, *, patience: float = _PATIENCE) -> None:
        self._store = store
        self._patience = patience
        self._covered: set[str] = set()
        """Objects of which every mark is known here."""

    async def read(self) -> list[Mark] | None:
        """All that is known. `None` when the bucket does not say."""
        return await self._call(self._read)

    async def keep(self, marks: Iterable[Mark]) -> bool:
        """`marks` are all that are known, those that were read too. False when the bucket took no note."""
        path, known, covered = f"{FOLDER}{uuid.uuid4().hex}", lines_of(marks), tuple(self._covered)
        written = await self._call(partial(obstore.put_async, self._store, path, known, use_multipart=False))
        if written is None:
            return False
        self._covered.add(path)
        await self._call(partial(self._remove, covered))
        return True

    async def _read(self) -> list[Mark] | None:
        for _ in range(_TRIES):
            paths = []
            async for page in obstore.list(self._store, FOLDER):
                paths += [found["path"] for found in page]
            found = [
                marks for marks in await asyncio.gather(*map(self._marks_of, paths)) if marks is not None
            ]
            if len(found) == len(paths):
                self._covered.update(paths)
                return [mark for marks in found for mark in marks]
        return None

    async def _marks_of(self, path: str) -> list[Mark] | None:
        """`None` for what was removed since it was listed: its marks are in an object that is newer."""
        try:
            answer = await obstore.get_async(self._store, path)
            return list(marks_in(bytes(await answer.bytes_async())))
        except (FileNotFoundError, exceptions.NotFoundError):
            return None

    async def _remove(self, paths: Iterable[str]) -> None:
        for path in paths:
            with suppress(FileNotFoundError, exceptions.NotFoundError):
                await obstore.delete_async(self._store, path)
            self._covered.discard(path)

    async def _call(self, work: Callable[[], Awaitable[_T]]) -> _T | None:
        try:
            async with asyncio.timeout(self._patience):
                return await work()
        except (exceptions.BaseError, OSError, TimeoutError) as error:
            log.warning("purges_not_in_bucket", error=type(error).__name__)
            return None


def open_bucket_ledger(address: Address) -> BucketLedger:
    """Raises ValueError."""
    return BucketLedger(store_of(address, _WRITE))
