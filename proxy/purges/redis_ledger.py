"""The purges of a cluster: a sorted set in Redis, and a channel on which each is announced."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

import structlog
from redis.exceptions import RedisClusterException, RedisError

from proxy.clients.redis_link import RedisLink
from proxy.purges.lease import PurgeLease
from proxy.purges.marks import EVERYTHING, PurgeMark
from proxy.purges.redis_registry import LIVE, LiveProcesses, RedisRegistry, read_live

log = structlog.get_logger()

_NOT_UNDERSTOOD = (ValueError, TypeError, LookupError, ArithmeticError)
"""Errors in reading what is in Redis: no answer there, however odd, may end the subscription."""

_RECONNECT_DELAY = 1.0  # s
_RENEWALS_PER_LEASE = 4
_TRIES = 3
_RETRY_DELAY = 0.1  # s
_CAP = 100_000  # marks
_CHUNK = 1_000
_MAX_MEMBER_BYTES = 100_000  # of a tag, which may be a key

# One number for all tags of a purge: the time, or one more than the last. What is too much goes, oldest
# first, and takes all that was there before it along. With the number it returns who is live: a process that
# is not, and registers later, reads the marks first.
_ADD = f"""{LIVE}
local now = now_ms()
clean(KEYS[3], 'hash')
clean(KEYS[4], 'string')
local number = math.max(now, top(KEYS[1]) + 1, tonumber(ARGV[1]))
local written = string.format('%.0f', number)
if ARGV[3] == '1' and redis.call('HEXISTS', KEYS[3], ARGV[2]) == 0 then
  redis.call('SET', KEYS[4], string.format('%.0f', now), 'PX', 600000)
end
for i = 4, #ARGV do redis.call('ZADD', KEYS[1], written, ARGV[i]) end
local excess = redis.call('ZCARD', KEYS[1]) - {_CAP}
if excess > 0 then
  local last = redis.call('ZRANGE', KEYS[1], excess + {_CAP // 10}, excess + {_CAP // 10}, 'WITHSCORES')[2]
  redis.call('ZREMRANGEBYRANK', KEYS[1], 0, excess + {_CAP // 10})
  redis.call('ZADD', KEYS[1], last, 'h{EVERYTHING}')
end
redis.call('PUBLISH', KEYS[2], written)
local lost = redis.call('GETRANGE', KEYS[4], 0, 31)
return {{written, string.format('%.0f', now), lost, unpack(live(KEYS[3], now))}}
"""

# The marks from a number on. What is no mark is removed, and counted first: it would be read each time.
_NEWS = f"""{LIVE}
local found, garbage = {{0}}, {{}}
top(KEYS[1])
local pairs = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', '(1', 'WITHSCORES')
for i = 1, #pairs, 2 do garbage[#garbage + 1] = pairs[i] end
pairs = redis.call('ZRANGEBYSCORE', KEYS[1], math.max(tonumber(ARGV[1]), 1), '+inf', 'WITHSCORES')
for i = 1, #pairs, 2 do
  if #pairs[i] <= {_MAX_MEMBER_BYTES} and string.match(pairs[i], '^[hs].') then
    found[#found + 1] = pairs[i]
    found[#found + 1] = string.format('%.0f', math.floor(tonumber(pairs[i + 1])))
  else
    garbage[#garbage + 1] = pairs[i]
  end
end
for _, member in ipairs(garbage) do redis.call('ZREM', KEYS[1], member) end
found[1] = #garbage
return found
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class AddedMarks:
    """The marks of one purge, and who was live when they were written."""

    marks: list[PurgeMark]
    live: LiveProcesses


class RedisLedger:
    """
    Owns `link` and closes it. `registry` is that of the processes which share the marks, and `lease` this
    process's own. `read_to` is the number up to which it has read them.
    """

    def __init__(
        self, link: RedisLink, *, prefix: str = "image-proxy:", lease: PurgeLease | None = None
    ) -> None:
        self._link = link
        self.lease = lease or PurgeLease()
        # The braces keep both on one node of a Redis Cluster.
        self._marks = f"{prefix}{{purges}}"
        self._channel = f"{prefix}{{purges}}:news"
        self.registry = RedisRegistry(link, self._marks)
        self.read_to = 0

    async def add(self, tags: Iterable[str], *, soft: bool, least: int) -> AddedMarks | None:
        """Add one purge of `tags`, whose number is `least` or more. `None` when Redis did not take it."""
        tags = list(tags)
        members = [_member(soft, tag) for tag in tags]
        keys = (self._marks, self._channel, self.registry.key, self.registry.lost_key)
        number, live = 0, LiveProcesses()
        for start in range(0, len(members), _CHUNK):
            chunk = members[start : start + _CHUNK]
            valid = "1" if self.lease.valid else ""
            answer = await self._ask(
                "EVAL", _ADD, 4, *keys, max(least, number), self.registry.name, valid, *chunk
            )
            if not isinstance(answer, list):
                return None
            number = int(answer[0])
            live = read_live(answer[3:], answer[2], int(answer[1]), self.lease.duration)
        return AddedMarks(marks=[PurgeMark(number, soft, tag) for tag in tags], live=live)

    async def restore(self, marks: Iterable[PurgeMark]) -> None:
        """Write `marks` to a Redis that has lost them, or was not there when they were made."""
        marks = list(marks)
        for start in range(0, len(marks), _CHUNK):
            pairs = [(mark.number, _member(mark.soft, mark.tag)) for mark in marks[start : start + _CHUNK]]
            await self._ask("ZADD", self._marks, "GT", *(each for pair in pairs for each in pair))
        await self._ask("PUBLISH", self._channel, "restored")

    async def news(self) -> list[PurgeMark] | None:
        """The marks that were added since the last call. `None` when Redis does not answer."""
        answer = await self._ask("EVAL", _NEWS, 1, self._marks, self.read_to)
        if not isinstance(answer, list):
            return None
        garbage, *pairs = answer
        numbers = [int(number) for number in pairs[1::2]]
        read = [_read_mark(*pair) for pair in zip(numbers, pairs[::2], strict=True)]
        if garbage or None in read:
            log.warning("purge_not_understood", count=garbage + read.count(None))
        self.read_to = max([self.read_to, *numbers])
        return [mark for mark in read if mark is not None]

    async def listen(self, on_change: Callable[[], Awaitable[None]]) -> None:
        """
        Call `on_change` when there may be new marks, after each reconnection, and four times in the duration
        of the lease, which it is to renew. Runs until it is cancelled.
        """
        interval = self.lease.duration / _RENEWALS_PER_LEASE
        disconnected = False
        while True:
            connection = None
            try:
                connection = self._link.client.subscriber_connection()
                await connection.connect()  # type: ignore[no-untyped-call]  # redis-py's
                await connection.send_command("SUBSCRIBE", self._channel)
                if disconnected:
                    log.info("purges_heard_again")
                disconnected = False
                while True:
                    await on_change()
                    await connection.read_response(timeout=interval, disconnect_on_error=False)
            except (RedisError, RedisClusterException, OSError, *_NOT_UNDERSTOOD) as error:
                if not disconnected:
                    log.warning("purges_not_heard", error=type(error).__name__)
                disconnected = True
            finally:
                if connection is not None:
                    await connection.disconnect(nowait=True)
            await asyncio.sleep(_RECONNECT_DELAY)

    async def _ask(self, *command: str | bytes | int) -> object:
        """With retries, unlike a cache: no client waits, and every command here is idempotent."""
        for _ in range(_TRIES - 1):
            if (answer := await self._link.call(*command)) is not None:
                return answer
            await asyncio.sleep(_RETRY_DELAY)
        return await self._link.call(*command)

    async def close(self) -> None:
        await self._link.close()


def _read_mark(number: int, member: bytes) -> PurgeMark | None:
    try:
        return PurgeMark(number, member[:1] == b"s", member[1:].decode("utf-8", "surrogatepass"))
    except UnicodeDecodeError:
        return None


def _member(soft: bool, tag: str) -> bytes:
    return (b"s" if soft else b"h") + tag.encode("utf-8", "surrogatepass")
