"""Purges, told to all processes that share a disk or a Redis with this one, and heard of from them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

import structlog

from proxy.clients.address import bucket_of, disk_of, redis_of
from proxy.clients.redis import connect
from proxy.clients.redis_link import COORDINATION_STEP, COORDINATION_TIMEOUT, PREFIX, Link
from proxy.purges.bucket_ledger import BucketLedger, open_bucket_ledger
from proxy.purges.file_ledger import FileLedger
from proxy.purges.marks import Mark, Purged, Purges, Subject
from proxy.purges.redis_ledger import RedisLedger

PAUSE = 5.0
"""Seconds until a bucket that did not say what was purged is asked again."""

LOOK = 0.01
"""Seconds within which what another process of this machine has purged is heard of."""

DEAF = "Redis did not answer, and hears of it when it is back"
FORGETFUL = (
    "the bucket took no note, so who starts without a disk or a Redis that remembers knows nothing of it"
)
FULL = "the disk took no note, so the other processes of this machine and those of later know nothing of it"

log = structlog.get_logger()


class Purging:
    """Owns its ledgers."""

    def __init__(
        self, file: FileLedger, cluster: RedisLedger | None = None, bucket: BucketLedger | None = None
    ) -> None:
        self._purges = Purges()
        self._file = file
        self._cluster = cluster
        self._bucket = bucket
        self._looked_at = 0.0
        self._ear: asyncio.Task[None] | None = None
        self._asking: asyncio.Task[None] | None = None

    @property
    def latest(self) -> int:
        now = time.monotonic()
        if now - self._looked_at >= LOOK:
            self._looked_at = now
            if news := self._file.news():
                self._purges.learn(news)
        return self._purges.latest

    def verdict(self, about: Subject, after: int) -> Purged | None:
        return self._purges.verdict(about, after)

    async def purge(self, tags: Iterable[str], *, soft: bool) -> Sequence[str]:
        """
        Returns when all processes of this machine know, and what is wrong when not everybody does: Redis is
        told as soon as it answers; without it a disk that takes nothing leaves the others here ignorant.
        """
        tags, least = list(tags), self.latest + 1
        told = await self._cluster.add(tags, soft=soft, least=least) if self._cluster else None
        wrong = [DEAF] if told is None and self._cluster else []
        if told is not None:
            # The very number of the cluster, whatever the clock here says.
            marks = told
            await self._keep(marks)
        else:
            try:
                marks = await asyncio.to_thread(self._file.add, tags, soft=soft, least=least)
            except OSError as error:
                log.warning("purges_not_kept", error=type(error).__name__)
                marks = [Mark(max(int(time.time() * 1000), least), soft, tag) for tag in tags]
                wrong.append(FULL)
        self._purges.learn(marks)
        if self._bucket and not await self._bucket.keep(self._purges.marks()):
            wrong.append(FORGETFUL)
        await asyncio.sleep(LOOK)
        return wrong

    async def open(self) -> None:
        """Hear of what happened while this process was away, and listen from now on."""
        if self._bucket and not await self._recall(self._bucket):
            self._asking = asyncio.create_task(self._keep_asking(self._bucket))
        if self._cluster:
            await self._hear(self._cluster)
            self._ear = asyncio.create_task(self._cluster.listen(partial(self._hear, self._cluster)))

    async def close(self) -> None:
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)
        if self._cluster is None:
            return
        if self._ear is not None:
            # More than once: a cancellation that meets a connection just being lost may be swallowed there.
            while not self._ear.done():
                self._ear.cancel()
                await asyncio.wait([self._ear], timeout=1)
            await asyncio.gather(self._ear, return_exceptions=True)
        await self._cluster.close()

    async def _recall(self, bucket: BucketLedger) -> bool:
        marks = await bucket.read()
        if marks is None:
            return False
        self._purges.learn(self._file.news())  # which is no news to the disk
        if news := self._purges.learn(marks):
            await self._keep(news)
        return True

    async def _keep_asking(self, bucket: BucketLedger) -> None:
        heard = False
        while not heard:
            await asyncio.sleep(PAUSE)
            heard = await self._recall(bucket)

    async def _hear(self, cluster: RedisLedger) -> None:
        top = await cluster.latest()
        if top is not None and top < self.latest:
            await cluster.restore(self._purges.marks())
        if news := self._purges.learn(await cluster.news()):
            # For a start without Redis.
            await self._keep(news)

    async def _keep(self, marks: Iterable[Mark]) -> None:
        """Where the disk is full or not to be written to, Redis alone must do."""
        try:
            await asyncio.to_thread(self._file.write, marks)
        except OSError as error:
            log.warning("purges_not_kept", error=type(error).__name__)


def open_purging(cache: str, originals_cache: str, folder: Path) -> Purging:
    """
    Purges are kept where what they are about is kept: beside the first tier on disk, in the first Redis, in
    the first bucket. Without a disk they are in `folder`, which all processes of this deployment share.
    Raises ValueError.
    """
    disk = disk_of(cache) or disk_of(originals_cache) or folder
    address = redis_of(cache)
    cluster = None
    if address is not None:
        # No reader waits here, and what is not heard is served on: more time than a cache has.
        link = Link(connect(address, step=COORDINATION_STEP), tier="purges", patience=COORDINATION_TIMEOUT)
        cluster = RedisLedger(link, prefix=address.options.get("prefix", PREFIX))
    kept = bucket_of(cache)
    bucket = open_bucket_ledger(kept) if kept else None
    return Purging(FileLedger(disk / "purges"), cluster, bucket)
