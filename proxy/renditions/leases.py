"""
Which process of a cluster makes what: a lease in Redis for each thing that is being made.

A lease belongs to the process that has its fencing token, and runs out unless it is renewed. Tokens count
upwards with Redis's own clock, and only the newest is obeyed: a leader that was stopped beyond the end of its
lease can neither renew it nor complete its successor's. For a moment after completion the lease says where
the result is, so that a process that asks a little late need not make it either.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from proxy.clients.redis_link import RedisLink
from proxy.clients.redis_subscriber import RedisSubscriber

LEASE_DURATION = 1.5
"""Seconds without a heartbeat after which a leader counts as dead."""

HEARTBEAT_INTERVAL = 0.4
"""Seconds between two renewals of a lease."""

POLL_INTERVAL = 0.1
"""Seconds between two questions about a lease while its completion cannot be subscribed to."""

RESULT_LIFETIME = 2.0
"""Seconds for which a result can be had from the lease: by then it is in the cache."""

PART_BYTES = 1_000_000
"""Bytes of one value: what a slow network carries within the time of one call."""

MAX_RESULT_BYTES = 64_000_000
"""Bytes of a result that is worth sharing: a process that needs a larger one makes it."""

_MAX_PARTS = MAX_RESULT_BYTES // PART_BYTES + 1  # an envelope is a little larger than what is in it

_MAX_LEASE = round(4 * max(LEASE_DURATION, RESULT_LIFETIME) * 1000)  # ms
_MAX_DIGITS = 3
_CLOCK_SKEW = 0.01  # s after the end of a lease: Redis's clock and ours do not tick together

_CLEAN = """
local found = redis.call('TYPE', KEYS[1]).ok
if found ~= 'hash' and found ~= 'none' then redis.call('DEL', KEYS[1]) end
"""
"""Lua that removes what is no lease, and would make each process that asks for it render."""

# A lease that never ends, or whose fields were not written by these scripts, counts as none.
_ACQUIRE = f"""{_CLEAN}
local lease = redis.call('HMGET', KEYS[1], 'token', 'landed')
local left = redis.call('PTTL', KEYS[1])
local whole = lease[1] and string.match(lease[1], '^%d+%.%x+$') and left >= 0 and left <= {_MAX_LEASE}
  and (not lease[2] or string.match(lease[2], '^%a+:%d?%d?%d?$'))
if whole and not (lease[2] and lease[1] == ARGV[2]) then
  return {{lease[1], lease[2] or '', left}}
end
local now = redis.call('TIME')
local token = string.format('%d.%s', now[1] * 1000000 + now[2], ARGV[1])
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'token', token)
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return {{token}}
"""

# A lease that is gone has run out, unless it cannot have yet (ARGV[3]): then Redis has lost its memory.
_RENEW = f"""{_CLEAN}
local token = redis.call('HGET', KEYS[1], 'token')
if token ~= ARGV[1] and (token or ARGV[3] == '') then return 0 end
redis.call('HSET', KEYS[1], 'token', ARGV[1])
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
"""

_COMPLETE = f"""{_CLEAN}
local token = redis.call('HGET', KEYS[1], 'token')
if token ~= ARGV[1] and (token or ARGV[5] == '') then return 0 end
if ARGV[2] == '' then
  redis.call('DEL', KEYS[1])
else
  redis.call('HSET', KEYS[1], 'token', ARGV[1], 'landed', ARGV[2])
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
end
redis.call('PUBLISH', ARGV[4], KEYS[1])
return 1
"""


@dataclass(frozen=True, slots=True)
class LeaseAcquired:
    """The caller leads, under the fencing token."""

    token: str


@dataclass(frozen=True, slots=True)
class LeaseTaken:
    """Another process leads; its lease ends in `seconds_left` if it is not renewed."""

    token: str
    seconds_left: float


@dataclass(frozen=True, slots=True)
class LeaseCompleted:
    """The result is in Redis, in so many parts; `kind` is the leader's word for what it is."""

    token: str
    kind: str
    parts: int


class Leases:
    """
    Leases in the Redis of `link`, which it owns and closes; all keys begin with `prefix`. The `name` of a
    lease is any text that is safe and short, such as a digest.
    """

    def __init__(self, link: RedisLink, prefix: str) -> None:
        self._link = link
        self._prefix = prefix
        self._subscriber = RedisSubscriber(link, f"{prefix}landed")

    async def acquire(
        self, name: str, *, rejected: str = ""
    ) -> LeaseAcquired | LeaseTaken | LeaseCompleted | None:
        """
        Take the lease, or return who has it. `None` without Redis. A result under the token `rejected` could
        not be used by the caller, who leads in its place.
        """
        nonce = secrets.token_hex(4)
        reply = await self._script(_ACQUIRE, name, nonce, rejected, _ms(LEASE_DURATION))
        if not isinstance(reply, list):
            return None
        token = _text(reply[0])
        if len(reply) == 1:
            return LeaseAcquired(token)
        kind, _, parts = _text(reply[1]).partition(":")
        if parts.isascii() and parts.isdecimal() and len(parts) <= _MAX_DIGITS:
            return LeaseCompleted(token, kind, int(parts))
        return LeaseTaken(token, max(int(reply[2]), 0) / 1000)

    async def renew(self, name: str, token: str, *, unexpired: bool) -> bool | None:
        """
        Renew the lease. False when it ran out, and may have been another process's since; `None` without
        Redis. `unexpired`: it cannot have run out yet by the caller's own clock.
        """
        reply = await self._script(_RENEW, name, token, _ms(LEASE_DURATION), _flag(unexpired))
        return None if reply is None else reply != 0

    async def complete(self, name: str, token: str, kind: str, result: bytes, *, unexpired: bool) -> bool:
        """Share `result` with all that wait for it. False when the lease ran out, as for `renew`."""
        parts = -(-len(result) // PART_BYTES)
        for part in range(parts):
            chunk = result[part * PART_BYTES : (part + 1) * PART_BYTES]
            key = self._part(name, token, part)
            if await self._link.call("SET", key, chunk, "PX", _ms(5 * RESULT_LIFETIME)) is None:
                break
        completed = (f"{kind}:{parts}", _ms(RESULT_LIFETIME), self._subscriber.channel, _flag(unexpired))
        return await self._script(_COMPLETE, name, token, *completed) != 0

    async def release(self, name: str, token: str) -> None:
        """Give the lease up without a result, so that another process leads at once."""
        await self._script(_COMPLETE, name, token, "", 0, self._subscriber.channel, "")

    async def result(self, name: str, lease: LeaseCompleted) -> bytes | None:
        """Return what the leader shared, or `None` when it is not there, or not all of it."""
        parts = []
        for number in range(min(lease.parts, _MAX_PARTS)):
            part = await self._link.call("GETRANGE", self._part(name, lease.token, number), 0, PART_BYTES)
            if not isinstance(part, bytes) or not part:
                return None
            parts.append(part)
        return b"".join(parts) or None

    @asynccontextmanager
    async def subscribe(self, name: str) -> AsyncIterator[asyncio.Event]:
        """An event that is set when the lease was completed or released, or when the connection breaks."""
        async with self._subscriber.subscribe(self._key(name)) as event:
            yield event

    async def wait(self, changed: asyncio.Event, seconds_left: float) -> None:
        """Wait until there is a reason to ask for the lease again: `changed`, or its end."""
        if not self._subscriber.connected:
            await asyncio.sleep(POLL_INTERVAL)
            await self._subscriber.connect()
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds_left + _CLOCK_SKEW):
                await changed.wait()

    async def close(self) -> None:
        await self._subscriber.close()
        await self._link.close()

    def _key(self, name: str) -> str:
        return f"{self._prefix}lease:{name}"

    def _part(self, name: str, token: str, part: int) -> str:
        return f"{self._prefix}landed:{name}:{token}:{part}"

    async def _script(self, script: str, name: str, *arguments: str | int) -> object:
        return await self._link.call("EVAL", script, 1, self._key(name), *arguments)


class LeaderLease:
    """
    The lease that this process leads under. `asked` is when it was asked for, by this machine's monotonic
    clock, which goes on while the process is stopped.
    """

    def __init__(self, leases: Leases, name: str, token: str, asked: float) -> None:
        self._leases = leases
        self._name = name
        self._token = token
        self._renewed = asked

    @property
    def unexpired(self) -> bool:
        """Whether it cannot have run out yet."""
        return time.monotonic() - self._renewed < LEASE_DURATION

    async def keep_renewed(self) -> None:
        """Send heartbeats until the lease is lost."""
        while True:
            await asyncio.sleep(HEARTBEAT_INTERVAL)
            now = time.monotonic()
            renewed = await self._leases.renew(self._name, self._token, unexpired=self.unexpired)
            if renewed is False:
                return
            if renewed:
                self._renewed = now

    async def complete(self, kind: str, result: bytes) -> bool:
        """Share the result. False when the lease was lost before."""
        return await self._leases.complete(self._name, self._token, kind, result, unexpired=self.unexpired)

    async def release(self) -> None:
        """Let another process lead."""
        await self._leases.release(self._name, self._token)


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _flag(value: bool) -> str:
    return "1" if value else ""


def _text(reply: object) -> str:
    return reply.decode("utf-8", "replace") if isinstance(reply, bytes) else ""
