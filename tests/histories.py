"""
Histories: who read and who purged what, from when to when by one monotonic clock, and whether a deployment
kept its promises.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import accumulate


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """One GET; `version` is the one that the picture shows, `wall` the start by the server's unix seconds."""

    start: float
    end: float
    wall: float
    server: int
    path: str
    key: str
    status: int
    version: int | None = None
    etag: str = ""
    digest: str = ""
    max_age: int | None = None
    exp: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Purged:
    """One purge, sent after the origin had `version` of `key`."""

    start: float
    end: float
    server: int
    key: str
    version: int
    status: int
    detail: str = ""

    @property
    def seconds(self) -> float:
        return self.end - self.start


@dataclass(slots=True)
class History:
    reads: list[Read] = field(default_factory=list)
    purges: list[Purged] = field(default_factory=list)

    @property
    def confirmed(self) -> list[Purged]:
        return [each for each in self.purges if each.status == 200]

    def stale_reads(self) -> list[tuple[Read, float]]:
        """Reads that began after the answer 200 to a purge, so many seconds, and got an older version."""
        ended, newest = {}, {}
        by_key = defaultdict[str, list[Purged]](list)
        for each in sorted(self.confirmed, key=lambda purged: purged.end):
            by_key[each.key].append(each)
        for key, purges in by_key.items():
            ended[key] = [each.end for each in purges]
            newest[key] = list(accumulate((each.version for each in purges), max))
        found = []
        for read in self.reads:
            if read.version is None or read.key not in ended:
                continue
            before = bisect_left(ended[read.key], read.start)
            if before and read.version < newest[read.key][before - 1]:
                at = next(i for i, version in enumerate(newest[read.key]) if version > read.version)
                found.append((read, read.start - ended[read.key][at]))
        return found

    def torn_etags(self) -> list[str]:
        """ETags that more than one body had, over all URLs."""
        bodies = defaultdict[str, set[str]](set)
        for read in self.reads:
            if read.status == 200:
                bodies[read.etag].add(read.digest)
        return [etag for etag, digests in bodies.items() if len(digests) > 1]

    def reads_past_exp(self) -> list[Read]:
        """Reads that began after their URL had ended, or may be cached longer, by the clock of the server."""
        return [
            read
            for read in self.reads
            if read.exp is not None
            and read.status == 200
            and (read.wall >= read.exp or (read.max_age or 0) > read.exp - read.wall + 1)
        ]

    def purge_seconds(self, share: float) -> float:
        """The quantile of how long confirmed purges took."""
        seconds = sorted(each.seconds for each in self.confirmed)
        return seconds[min(len(seconds) - 1, int(share * len(seconds)))]


def digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()
