"""
Who is live in a cluster, and which purges each process has applied: a hash in Redis, with a lease for each.

A lease is renewed only by a process that has applied every mark there is. So one that was live when a mark
was written either confirms that mark or loses its lease, at the latest one duration later. All times are
those of Redis's clock: how far apart the machines' own are does not matter.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from proxy.clients.redis_link import RedisLink
from proxy.purges.lease import boot_clock
from proxy.purges.marks import MAX_NUMBER_AHEAD

_POLL_INTERVALS = (0.001, 0.002, 0.003, 0.005, 0.01, 0.02)
"""Seconds between two looks at who has confirmed a mark; the last one goes on."""

MAX_LEASE = 86_400_000
"""Milliseconds that a lease may have left: an entry that says more is none."""

_MAX_DIGITS = 16
"""Of a number in Redis: what has more was not written by us."""

# `registry` is a hash from process to `applied:ends`, both in ms; `lost` is when a process found itself gone
# from it before its lease had ended: Redis had forgotten the others, too, whose leases go on until then.
LIVE = f"""
local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
-- What is no key of ours (another type, numbers from nowhere) is removed: it would stop purges for good.
local function clean(key, kind)
  local found = redis.call('TYPE', key).ok
  if found ~= kind and found ~= 'none' then redis.call('DEL', key) end
end
local function top(marks)
  clean(marks, 'zset')
  redis.call('ZREMRANGEBYSCORE', marks, string.format('(%.0f', now_ms() + {MAX_NUMBER_AHEAD}), '+inf')
  return math.floor(tonumber(redis.call('ZREVRANGE', marks, 0, 0, 'WITHSCORES')[2] or 0))
end
"""
"""Lua for all scripts over marks: the time, and the number of the last mark."""

LIVE += """
local function live(registry, now)
  clean(registry, 'hash')
  local found, entries = {}, redis.call('HGETALL', registry)
  for i = 1, #entries, 2 do
    local ends = tonumber(string.match(entries[i + 1], '^%d+:(%d+)$') or 0)
    if ends > now + MAX_LEASE then
      redis.call('HDEL', registry, entries[i])
    elseif ends > now then
      found[#found + 1] = entries[i]
      found[#found + 1] = string.format('%.0f', ends - now)
    elseif ends < now - 60000 then
      redis.call('HDEL', registry, entries[i])
    end
  end
  return found
end
""".replace("MAX_LEASE", f"{MAX_LEASE}")

_LEAVE = f"""{LIVE}
clean(KEYS[1], 'hash')
return redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f:%.0f', 2^52, now_ms()))
"""

_RENEW = f"""{LIVE}
local now, last = now_ms(), top(KEYS[1])
clean(KEYS[2], 'hash')
if ARGV[4] == '1' and redis.call('HEXISTS', KEYS[2], ARGV[1]) == 0 then
  redis.call('SET', KEYS[3], string.format('%.0f', now), 'PX', 600000)
end
local applied = tonumber(ARGV[2])
if applied < last then return {{0, string.format('%.0f', last), string.format('%.0f', now)}} end
redis.call('HSET', KEYS[2], ARGV[1], string.format('%.0f:%.0f', applied, now + ARGV[3]))
return {{1, string.format('%.0f', last), string.format('%.0f', now), unpack(live(KEYS[2], now))}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewal:
    """
    What Redis said to a renewal: whether it was `granted`, the number of the `latest` mark there, its own
    clock in unix seconds (`now`), and the names of all live `processes`.
    """

    granted: bool
    latest: int
    now: float
    processes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveProcesses:
    """
    The processes that were live when a mark was written, each with the seconds that its lease had left, and
    the seconds for which processes may be live that Redis has forgotten.
    """

    leases: Mapping[str, float] = field(default_factory=dict)
    forgotten: float = 0.0


class RedisRegistry:
    """
    The registry of the processes that share the `marks` of `link`, which it does not own.

    `name` is what others call this process: unique, and for people.
    """

    def __init__(self, link: RedisLink, marks: str, *, name: str | None = None) -> None:
        self._link = link
        self._marks = marks
        self._received: tuple[float, float] | None = None
        self.name = name or f"{socket.gethostname()}/{os.getpid()}/{secrets.token_hex(3)}"
        self.key = f"{marks}:live"
        self.lost_key = f"{marks}:lost"

    async def renew(self, applied: int, duration: float, *, valid: bool) -> Renewal | None:
        """
        Ask for the lease for `duration` seconds, as a process that knows the marks up to `applied`, and
        with a `valid` lease until now. `None` without an answer.
        """
        answer = await self._link.call(
            "EVAL", _RENEW, 3, self._marks, self.key, self.lost_key, self.name, applied,
            round(duration * 1000), "1" if valid else "",
        )  # fmt: skip
        if not isinstance(answer, list):
            return None
        granted, latest, now, *live = answer
        self._received = int(now) / 1000, boot_clock()
        names = tuple(name.decode("utf-8", "replace") for name in live[::2])
        return Renewal(granted=bool(granted), latest=int(latest), now=int(now) / 1000, processes=names)

    def clock(self) -> float:
        """Return unix seconds by Redis's clock, or a little less; by this machine's before it answered."""
        if self._received is None:
            return time.time()
        redis_time, at = self._received
        return redis_time - 0.001 + boot_clock() - at

    async def leave(self) -> None:
        """Be live no more, so that no purge waits for this process."""
        # Not deleted: an entry that is gone may have been forgotten, and its process live.
        await self._link.call("EVAL", _LEAVE, 1, self.key, self.name)

    async def confirm(self, number: int, live: LiveProcesses) -> None:
        """
        Return when each process of `live` but this one has applied the mark `number`, or has no lease.

        It takes no longer than the longest of those leases, counted from now by this process's own clock.
        """
        asked = time.monotonic()
        ends = {name: asked + left for name, left in live.leases.items() if name != self.name}
        forgotten_end = asked + live.forgotten
        looks = 0
        while True:
            now = time.monotonic()
            ends = {name: end for name, end in ends.items() if end > now}
            if ends:
                ends = {name: ends[name] for name in await self._unconfirmed(number, ends)}
            if not ends and time.monotonic() >= forgotten_end:
                return
            await asyncio.sleep(_POLL_INTERVALS[min(looks, len(_POLL_INTERVALS) - 1)])
            looks += 1

    async def _unconfirmed(self, number: int, names: Iterable[str]) -> list[str]:
        names = list(names)
        answer = await self._link.call("HMGET", self.key, *names)
        if not isinstance(answer, list):
            return names
        return [name for name, entry in zip(names, answer, strict=True) if not _has_applied(entry, number)]


def _has_applied(entry: object, number: int) -> bool:
    """Whether an entry of the registry is of a process that knows the mark, or has left."""
    if not isinstance(entry, bytes):
        return False
    applied = read_number(entry.partition(b":")[0])
    return applied is not None and applied >= number


def read_number(text: bytes) -> int | None:
    """Read a number in decimal digits; `None` for everything else, such as garbage of a megabyte."""
    return int(text) if text.isdigit() and len(text) <= _MAX_DIGITS else None


def read_live(answer: list[bytes], lost: bytes, now: int, duration: float) -> LiveProcesses:
    """
    Read what a script returns of `live`, and of `lost`: until a lease of `duration` seconds after that,
    processes may be live that are not in it.
    """
    leases = {
        name.decode("utf-8", "replace"): int(left) / 1000
        for name, left in zip(answer[::2], answer[1::2], strict=True)
    }
    at = read_number(lost)
    forgotten = 0.0 if at is None else at / 1000 + duration - now / 1000
    return LiveProcesses(leases=leases, forgotten=min(max(0.0, forgotten), duration))
