"""The purge log: purges, shared among all processes that have a disk, a Redis or a bucket in common."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

import structlog

from proxy.clients.address import first_bucket, first_folder, first_redis
from proxy.clients.breaker import CircuitBreaker
from proxy.clients.redis import redis_client
from proxy.clients.redis_link import COORDINATION_STEP, COORDINATION_TIMEOUT, KEY_PREFIX, RedisLink
from proxy.purges.bucket_ledger import BucketLedger, open_bucket_ledger
from proxy.purges.file_ledger import FileLedger
from proxy.purges.lease import LEASE_DURATION, PurgeLease, boot_clock
from proxy.purges.marks import PurgeMark, PurgeMarks, PurgeState, PurgeSubject, PurgeVerdict
from proxy.purges.redis_ledger import RedisLedger

BUCKET_RETRY_DELAY = 5.0
"""Seconds until a bucket that did not answer at the start is read again."""

CHECK_INTERVAL = 0.01
"""Seconds after which a purge by another process of this machine is known here; no purge takes less."""

_SLOT = CHECK_INTERVAL / 2
"""
Seconds within which requests of a process without a lease share one validation. Flights are joined at two
places on the way, at each less than this after they began: so none that a request joins began before a purge
did that was confirmed before the request.
"""

_RENEWAL_TRIES = 5
_PROBE_INTERVAL = 1.0  # s until a Redis that failed is asked again

REDIS_UNAVAILABLE = "Redis did not answer, and hears of it when it is back"
BUCKET_UNAVAILABLE = (
    "the bucket took no note, so who starts without a disk or a Redis that remembers knows nothing of it"
)
DISK_UNAVAILABLE = (
    "the disk took no note, so the other processes of this machine and those of later know nothing of it"
)

log = structlog.get_logger()


class PurgeLog:
    """
    What was purged, as this process knows it, and the way to tell the others: through a file on this machine,
    Redis in a cluster, and a bucket that outlives both. Owns its ledgers.
    """

    def __init__(
        self, file: FileLedger, cluster: RedisLedger | None = None, bucket: BucketLedger | None = None
    ) -> None:
        self._purges = PurgeMarks()
        self._file = file
        self._cluster = cluster
        self._bucket = bucket
        self._checked_at = 0.0
        self._file_readable = True
        self._unshared: list[PurgeMark] = []
        self._peers: tuple[str, ...] = ()
        self._was_leased = False
        self._subscription: asyncio.Task[None] | None = None
        self._bucket_retry: asyncio.Task[None] | None = None

    @property
    def latest(self) -> int:
        now = time.monotonic()
        if now - self._checked_at >= CHECK_INTERVAL:
            self._checked_at = now
            self._check_file()
        return self._purges.latest

    @property
    def leased(self) -> bool:
        if self._cluster is not None:
            return self._cluster.lease.valid
        # On one machine, to have read the file of late is the lease.
        return self._file_readable

    @property
    def state(self) -> PurgeState:
        number = self.latest
        if self.leased:
            return PurgeState(number)
        return PurgeState(number, leased=False, slot=int(boot_clock() / _SLOT))

    def _check_file(self) -> None:
        news = self._file.news()
        self._file_readable = news is not None
        if news:
            self._purges.learn(news)

    def verdict(self, about: PurgeSubject, after: int) -> PurgeVerdict | None:
        return self._purges.verdict(about, after)

    async def purge(self, tags: Iterable[str], *, soft: bool) -> Sequence[str]:
        """
        Purge what has one of `tags`: `soft` makes it stale, otherwise it is a miss. Returns when all
        processes know, or validate what they have cached because their lease has run out, with sentences
        about those of which that is not certain: Redis is told when it is back, and without it a disk that
        cannot be written to leaves the others here without the purge.
        """
        tags, least = list(tags), self.latest + 1
        added = await self._cluster.add(tags, soft=soft, least=least) if self._cluster else None
        wrong = [self._unconfirmed()] if added is None and self._cluster else []
        if added is not None and self._cluster is not None:
            # The very number of the cluster, whatever the clock here says.
            marks = added.marks
            self._purges.learn(marks)
            confirmed = self._cluster.registry.confirm(marks[0].number, added.live)
            await asyncio.gather(self._write_to_file(marks), confirmed, asyncio.sleep(CHECK_INTERVAL))
        else:
            try:
                marks = await asyncio.to_thread(self._file.add, tags, soft=soft, least=least)
            except OSError as error:
                log.warning("purges_not_kept", error=type(error).__name__)
                now = self._cluster.registry.clock() if self._cluster else time.time()
                marks = [PurgeMark(max(int(now * 1000), least), soft, tag) for tag in tags]
                wrong.append(DISK_UNAVAILABLE)
            self._purges.learn(marks)
            if self._cluster is not None:
                self._unshared += marks
            await asyncio.sleep(CHECK_INTERVAL)
        if self._bucket and not await self._bucket.keep(self._purges.marks()):
            wrong.append(BUCKET_UNAVAILABLE)
        return wrong

    async def open(self) -> None:
        """Learn what was purged while this process was not running, and subscribe to what will be."""
        if self._bucket and not await self._recall(self._bucket):
            self._bucket_retry = asyncio.create_task(self._retry_recall(self._bucket))
        if self._cluster:
            await self._synchronise(self._cluster)
            self._subscription = asyncio.create_task(
                self._cluster.listen(partial(self._synchronise, self._cluster))
            )

    async def close(self) -> None:
        if self._bucket_retry is not None:
            self._bucket_retry.cancel()
            await asyncio.gather(self._bucket_retry, return_exceptions=True)
        if self._cluster is None:
            return
        if self._subscription is not None:
            # More than once: a cancellation that meets a connection just being lost may be swallowed there.
            while not self._subscription.done():
                self._subscription.cancel()
                await asyncio.wait([self._subscription], timeout=1)
            await asyncio.gather(self._subscription, return_exceptions=True)
        self._cluster.lease.give_up()
        await self._cluster.registry.leave()
        await self._cluster.close()

    async def _recall(self, bucket: BucketLedger) -> bool:
        marks = await bucket.read()
        if marks is None:
            return False
        self._purges.learn(
            self._file.news() or []
        )  # so that only what the disk does not have is written to it
        if news := self._purges.learn(marks):
            await self._write_to_file(news)
        return True

    async def _retry_recall(self, bucket: BucketLedger) -> None:
        recalled = False
        while not recalled:
            await asyncio.sleep(BUCKET_RETRY_DELAY)
            recalled = await self._recall(bucket)

    async def _synchronise(self, cluster: RedisLedger) -> None:
        news: list[PurgeMark] = []
        for _ in range(_RENEWAL_TRIES):
            read = await cluster.news()
            if read is None:
                break
            news += self._purges.learn(read)
            latest, asked = self.latest, cluster.lease.now()
            renewal = await cluster.registry.renew(
                cluster.read_to, cluster.lease.duration, valid=cluster.lease.valid
            )
            if renewal is None:
                break
            if not renewal.granted:
                continue  # there are newer marks
            cluster.lease.renew(asked)
            self._peers = tuple(name for name in renewal.processes if name != cluster.registry.name)
            if renewal.latest < latest:
                await cluster.restore(self._purges.marks())
            await self._share(cluster)
            break
        self._log_lease(cluster.lease.valid)
        if news:
            # For a start without Redis.
            await self._write_to_file(news)

    async def _share(self, cluster: RedisLedger) -> None:
        """Purge in the cluster what was purged here without it, by numbers that are above all there are."""
        for soft in (False, True):
            tags = dict.fromkeys(mark.tag for mark in self._unshared if mark.soft == soft)
            if not tags:
                continue
            added = await cluster.add(tags, soft=soft, least=self.latest + 1)
            if added is None:
                return
            self._purges.learn(added.marks)
            self._unshared = [mark for mark in self._unshared if mark.soft != soft or mark.tag not in tags]

    def _log_lease(self, valid: bool) -> None:
        if valid != self._was_leased:
            self._was_leased = valid
            (log.info if valid else log.warning)("purge_lease_renewed" if valid else "purge_lease_lost")

    def _unconfirmed(self) -> str:
        return f"{REDIS_UNAVAILABLE}: {', '.join(self._peers)}" if self._peers else REDIS_UNAVAILABLE

    async def _write_to_file(self, marks: Iterable[PurgeMark]) -> None:
        """Without a disk that can be written to, Redis alone must do."""
        try:
            await asyncio.to_thread(self._file.write, marks)
        except OSError as error:
            log.warning("purges_not_kept", error=type(error).__name__)


def open_purge_log(
    cache: str, originals_cache: str, folder: Path, *, lease_duration: float = LEASE_DURATION
) -> PurgeLog:
    """
    Make a purge log with its ledgers beside the first tier on disk, in the first Redis and in the first
    bucket. Without a disk they are in `folder`, which all processes of this deployment share. For
    `lease_duration` seconds a process may serve what it has cached without an answer of Redis. Raises
    ValueError.
    """
    disk = first_folder(cache) or first_folder(originals_cache) or folder
    address = first_redis(cache)
    cluster = None
    if address is not None:
        # No client waits for this, and a missed purge leaves old pictures: more time than a cache has.
        link = RedisLink(
            redis_client(address, step=COORDINATION_STEP),
            tier="purges",
            call_timeout=COORDINATION_TIMEOUT,
            breaker=CircuitBreaker(reset_timeout=_PROBE_INTERVAL),
        )
        prefix = address.options.get("prefix", KEY_PREFIX)
        cluster = RedisLedger(link, prefix=prefix, lease=PurgeLease(lease_duration))
    store = first_bucket(cache)
    bucket = open_bucket_ledger(store) if store else None
    clock = cluster.registry.clock if cluster else time.time
    return PurgeLog(FileLedger(disk / "purges", clock=clock), cluster, bucket)
