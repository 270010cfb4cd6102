"""
Who in the cluster makes what: a lease in Redis for each thing that is being made.

A lease belongs to whoever has its token, and runs out unless it is renewed. Tokens count upwards with
Redis's own clock, and only the newest is obeyed: a leader that slept through the end of its lease can
neither renew it nor land on its successor's (fencing). For a moment after the landing the lease says where
the result is, so that who asks a little late makes nothing either.
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

LEASE = 1.5
"""Seconds without a heartbeat after which a leader counts as dead."""

HEARTBEAT = 0.4

POLL = 0.1
"""Seconds between two questions about one lease where nothing can be heard."""

LANDED = 2.0
"""Seconds for which a result can be had from the lease: by then it is in the cache."""

_GRACE = 0.01  # s after the end of a lease: Redis's clock and ours do not tick together

PART = 1_000_000
"""Bytes of one value: what a slow network carries within the time of one call."""

LARGEST = 64_000_000
"""Bytes of a result that is worth passing on: whoever needs a larger one makes it."""

_MOST_PARTS = LARGEST // PART + 1  # an envelope is a little more than what is in it

_ASK = """
local lease = redis.call('HMGET', KEYS[1], 'token', 'landed')
if lease[1] and not (lease[2] and lease[1] == ARGV[2]) then
  return {lease[1], lease[2] or '', redis.call('PTTL', KEYS[1])}
end
local now = redis.call('TIME')
local token = string.format('%d.%s', now[1] * 1000000 + now[2], ARGV[1])
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'token', token)
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return {token}
"""

# A lease that is not there has run out, unless it cannot have (ARGV[3]): then Redis has lost its memory.
_BEAT = """
local token = redis.call('HGET', KEYS[1], 'token')
if token ~= ARGV[1] and (token or ARGV[3] == '') then return 0 end
redis.call('HSET', KEYS[1], 'token', ARGV[1])
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
"""

_LAND = """
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
class Lead:
    """It is for the asker to make it."""

    token: str


@dataclass(frozen=True, slots=True)
class Aloft:
    """Somebody makes it, and is given up in `left` seconds if nothing is heard of them."""

    token: str
    left: float


@dataclass(frozen=True, slots=True)
class Landed:
    """It is there, in so many parts; `kind` is the leader's word for what it is."""

    token: str
    kind: str
    parts: int


class Leases:
    """Owns `link` and closes it. `name` is any text that is safe and short, such as a digest."""

    def __init__(self, link: RedisLink, prefix: str) -> None:
        self._link = link
        self._prefix = prefix
        self._subscriber = RedisSubscriber(link, f"{prefix}landed")

    async def ask(self, name: str, *, past: str = "") -> Lead | Aloft | Landed | None:
        """`None` without Redis. What landed under the token `past` is of no use to the asker."""
        nonce = secrets.token_hex(4)
        said = await self._script(_ASK, name, nonce, past, _ms(LEASE))
        if not isinstance(said, list):
            return None
        token = _text(said[0])
        if len(said) == 1:
            return Lead(token)
        kind, _, parts = _text(said[1]).partition(":")
        if parts.isdecimal():
            return Landed(token, kind, int(parts))
        return Aloft(token, max(int(said[2]), 0) / 1000)

    async def beat(self, name: str, token: str, *, firm: bool) -> bool | None:
        """
        Renew the lease. False when it has run out, and may have been somebody else's since; `None` without
        Redis. `firm` is whether that cannot be (see `Hold`).
        """
        said = await self._script(_BEAT, name, token, _ms(LEASE), _flag(firm))
        return None if said is None else said != 0

    async def land(self, name: str, token: str, kind: str, result: bytes, *, firm: bool) -> bool:
        """Pass `result` on to all who wait. False when the lease has run out, as for `beat`."""
        parts = -(-len(result) // PART)
        for part in range(parts):
            chunk = result[part * PART : (part + 1) * PART]
            key = self._part(name, token, part)
            if await self._link.call("SET", key, chunk, "PX", _ms(5 * LANDED)) is None:
                break
        landed = (f"{kind}:{parts}", _ms(LANDED), self._subscriber.channel, _flag(firm))
        return await self._script(_LAND, name, token, *landed) != 0

    async def abandon(self, name: str, token: str) -> None:
        """Let somebody else lead, now."""
        await self._script(_LAND, name, token, "", 0, self._subscriber.channel, "")

    async def collect(self, name: str, landed: Landed) -> bytes | None:
        """What the leader passed on, or `None` when it is not there, or not all of it."""
        parts = []
        for number in range(min(landed.parts, _MOST_PARTS)):
            part = await self._link.call("GETRANGE", self._part(name, landed.token, number), 0, PART)
            if not isinstance(part, bytes) or not part:
                return None
            parts.append(part)
        return b"".join(parts) or None

    @asynccontextmanager
    async def listening(self, name: str) -> AsyncIterator[asyncio.Event]:
        """An event that is set when the lease has landed or was abandoned, or when nobody can hear that."""
        async with self._subscriber.subscribe(self._key(name)) as event:
            yield event

    async def wait(self, changed: asyncio.Event, left: float) -> None:
        """Until there is a reason to ask again."""
        if not self._subscriber.connected:
            await asyncio.sleep(POLL)
            await self._subscriber.connect()
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(left + _GRACE):
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


class Hold:
    """
    A lease that one leads under, `asked` for then by this machine's clock, which goes on while a process is
    stopped. `firm` is whether it cannot have run out yet.
    """

    def __init__(self, leases: Leases, name: str, token: str, asked: float) -> None:
        self._leases = leases
        self._name = name
        self._token = token
        self._renewed = asked

    @property
    def firm(self) -> bool:
        return time.monotonic() - self._renewed < LEASE

    async def keep(self) -> None:
        """For as long as it can be kept."""
        while True:
            await asyncio.sleep(HEARTBEAT)
            now = time.monotonic()
            kept = await self._leases.beat(self._name, self._token, firm=self.firm)
            if kept is False:
                return
            if kept:
                self._renewed = now

    async def land(self, kind: str, result: bytes) -> bool:
        return await self._leases.land(self._name, self._token, kind, result, firm=self.firm)

    async def abandon(self) -> None:
        await self._leases.abandon(self._name, self._token)


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _flag(is_so: bool) -> str:
    return "1" if is_so else ""


def _text(said: object) -> str:
    return said.decode("utf-8", "replace") if isinstance(said, bytes) else ""
