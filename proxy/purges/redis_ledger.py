"""The purges of a cluster: a sorted set in Redis, and a channel on which each is announced."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

import structlog
from redis.exceptions import RedisClusterException, RedisError

from proxy.clients.redis_link import RedisLink
from proxy.purges.marks import EVERYTHING, PurgeMark

log = structlog.get_logger()

_RESYNC_INTERVAL = 5.0  # s without a message after which Redis is asked all the same: one may be lost
_RECONNECT_DELAY = 1.0  # s
_TRIES = 3
_RETRY_DELAY = 0.1  # s
_CAP = 100_000  # marks
_CHUNK = 1_000

# One number for all tags of a purge: the time, or one more than the last. What is too much goes, oldest
# first, and takes all that was there before it along.
_ADD = f"""
local function top() return tonumber(redis.call('ZREVRANGE', KEYS[1], 0, 0, 'WITHSCORES')[2] or 0) end
local time = redis.call('TIME')
local number = math.max(time[1] * 1000 + math.floor(time[2] / 1000), top() + 1, tonumber(ARGV[1]))
local written = string.format('%.0f', number)
for i = 2, #ARGV do redis.call('ZADD', KEYS[1], written, ARGV[i]) end
local excess = redis.call('ZCARD', KEYS[1]) - {_CAP}
if excess > 0 then
  local last = redis.call('ZRANGE', KEYS[1], excess + {_CAP // 10}, excess + {_CAP // 10}, 'WITHSCORES')[2]
  redis.call('ZREMRANGEBYRANK', KEYS[1], 0, excess + {_CAP // 10})
  redis.call('ZADD', KEYS[1], last, 'h{EVERYTHING}')
end
redis.call('PUBLISH', KEYS[2], written)
return written
"""


class RedisLedger:
    """Owns `link` and closes it."""

    def __init__(self, link: RedisLink, *, prefix: str = "image-proxy:") -> None:
        self._link = link
        # The braces keep both on one node of a Redis Cluster.
        self._marks = f"{prefix}{{purges}}"
        self._channel = f"{prefix}{{purges}}:news"
        self._read_to = 0

    async def add(self, tags: Iterable[str], *, soft: bool, least: int) -> list[PurgeMark] | None:
        """Add one purge of `tags`, whose number is `least` or more. `None` when Redis did not take it."""
        tags = list(tags)
        members = [_member(soft, tag) for tag in tags]
        number = 0
        for start in range(0, len(members), _CHUNK):
            chunk = members[start : start + _CHUNK]
            answer = await self._ask("EVAL", _ADD, 2, self._marks, self._channel, max(least, number), *chunk)
            if not isinstance(answer, bytes):
                return None
            number = int(answer)
        return [PurgeMark(number, soft, tag) for tag in tags]

    async def restore(self, marks: Iterable[PurgeMark]) -> None:
        """Write `marks` to a Redis that has lost them, or was not there when they were made."""
        marks = list(marks)
        for start in range(0, len(marks), _CHUNK):
            pairs = [(mark.number, _member(mark.soft, mark.tag)) for mark in marks[start : start + _CHUNK]]
            await self._ask("ZADD", self._marks, "GT", *(each for pair in pairs for each in pair))
        await self._ask("PUBLISH", self._channel, "restored")

    async def latest(self) -> int | None:
        """The number of the last purge, 0 without one. `None` when Redis does not answer."""
        answer = await self._ask("ZREVRANGE", self._marks, 0, 0, "WITHSCORES")
        if not isinstance(answer, list):
            return None
        return int(float(answer[1])) if answer else 0

    async def news(self) -> list[PurgeMark]:
        """The marks that were added since the last call. None when Redis does not answer."""
        answer = await self._ask("ZRANGEBYSCORE", self._marks, self._read_to or "-inf", "+inf", "WITHSCORES")
        if not isinstance(answer, list):
            return []
        found = [
            PurgeMark(int(float(score)), member[:1] == b"s", member[1:].decode("utf-8", "surrogatepass"))
            for member, score in zip(answer[::2], answer[1::2], strict=True)
        ]
        self._read_to = max([self._read_to, *(mark.number for mark in found)])
        return found

    async def listen(self, on_change: Callable[[], Awaitable[None]]) -> None:
        """
        Call `on_change` when there may be new marks, and after each reconnection. Runs until it is
        cancelled.
        """
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
                    await connection.read_response(timeout=_RESYNC_INTERVAL, disconnect_on_error=False)
            except (RedisError, RedisClusterException, OSError) as error:
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


def _member(soft: bool, tag: str) -> bytes:
    return (b"s" if soft else b"h") + tag.encode("utf-8", "surrogatepass")
