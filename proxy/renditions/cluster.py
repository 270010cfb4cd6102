"""
One process of a cluster makes a rendition, the others wait for it and get it from Redis: a flight that holds
a lease.

Redis is a help here, never a need. Without it, or when it goes silent, each process makes its own.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Protocol, TypeVar

import structlog

from proxy.caches.envelope import entry_name, pack_rendition, unpack_rendition
from proxy.clients.address import first_redis
from proxy.clients.redis import redis_client
from proxy.clients.redis_link import COORDINATION_STEP, COORDINATION_TIMEOUT, KEY_PREFIX, RedisLink
from proxy.model.errors import ClientLeft, OriginFailed, Overloaded, ProxyError, errors_by_code
from proxy.model.media import Document, Rendition
from proxy.renditions.leases import (
    MAX_RESULT_BYTES,
    RESULT_LIFETIME,
    LeaderLease,
    LeaseAcquired,
    LeaseCompleted,
    Leases,
)
from proxy.renditions.served import NewRendition

log = structlog.get_logger()
_T = TypeVar("_T")

# What a result in Redis is. The last one says that each process has to make its own.
_RENDITION = "rendition"
_STALE_ORIGINAL = "bridged"
_ERROR = "error"
_NOT_SHARED = "untold"

_THREAD_BYTES = 1_000_000  # hashing this much would block the event loop for a millisecond

Make = Callable[[], Awaitable[NewRendition]]


class Leadership(Protocol):
    """
    Which process makes a rendition that several are asked for at the same time.

    `lead_or_follow` returns what `make` makes for `key`, here or in the process that leads, or raises its
    ProxyError. Of each process one flight asks at a time.
    """

    async def lead_or_follow(self, key: str, make: Make) -> NewRendition: ...

    async def close(self) -> None: ...


class SoleProcess:
    """The leadership of a process that shares no Redis with others: it makes all itself."""

    async def lead_or_follow(self, key: str, make: Make) -> NewRendition:
        return await make()

    async def close(self) -> None:
        pass


class ClusterLeadership:
    """The leadership of processes that share `leases`, which it owns and closes."""

    def __init__(self, leases: Leases) -> None:
        self._leases = leases

    async def lead_or_follow(self, key: str, make: Make) -> NewRendition:
        """
        Return what the leader made, and how long that was waited for if it was a peer, or raise its
        ProxyError. Overloaded is about the leader's machine: it is not shared, and another process leads.
        """
        name = entry_name(f"flight\n{key}")
        started = time.perf_counter()
        rejected = ""
        async with AsyncExitStack() as stack:
            changed: asyncio.Event | None = None
            while True:
                if changed is not None:
                    changed.clear()
                asked = time.monotonic()
                lease = await self._leases.acquire(name, rejected=rejected)
                if lease is None:
                    return await make()
                if isinstance(lease, LeaseAcquired):
                    await stack.aclose()  # a leader waits for no message
                    return await self._lead(name, LeaderLease(self._leases, name, lease.token, asked), make)
                if isinstance(lease, LeaseCompleted) and lease.kind == _NOT_SHARED:
                    return await make()
                if isinstance(lease, LeaseCompleted):
                    new = await self._result(name, lease, waited=changed is not None)
                    if new is not None:
                        return replace(new, timings={"wait": time.perf_counter() - started})
                    rejected = lease.token
                elif changed is None:
                    # Messages from before the subscription are lost, so the lease is asked for once more.
                    changed = await stack.enter_async_context(self._leases.subscribe(name))
                else:
                    await self._leases.wait(changed, lease.seconds_left)

    async def close(self) -> None:
        await self._leases.close()

    async def _lead(self, name: str, lease: LeaderLease, make: Make) -> NewRendition:
        heartbeat = asyncio.create_task(lease.keep_renewed())
        completed = False
        try:
            new = await make()
            kind, packed = await _off_loop(len(new.rendition.body), lambda: _pack_new(name, new))
            completed = True
            if not await lease.complete(kind, packed):
                # The lease ran out, and a successor may have made it from a newer original: that one counts.
                log.warning("flight_overtaken")
                return replace(new, by_peer=True, storable=False)
        except (Overloaded, ClientLeft):
            raise
        except ProxyError as error:
            completed = True
            await lease.complete(_ERROR, _pack_error(name, error))
            raise
        finally:
            heartbeat.cancel()
            if not completed:
                await lease.release()
        return new

    async def _result(self, name: str, lease: LeaseCompleted, *, waited: bool) -> NewRendition | None:
        """Return what the leader made, or raise its error; `None` when it cannot be used here."""
        packed = await self._leases.result(name, lease)
        if packed is None:
            return None
        if lease.kind == _ERROR:
            error = _unpack_error(name, packed)
            # A caller that comes after a transient failure tries again.
            if error is None or (isinstance(error, OriginFailed) and not waited):
                return None
            raise error
        entry = await _off_loop(len(packed), lambda: unpack_rendition(packed, f"{lease.kind}\n{name}"))
        if entry is None:
            return None
        return NewRendition(entry.value, stale_original=lease.kind == _STALE_ORIGINAL, by_peer=True)


def _pack_new(name: str, new: NewRendition) -> tuple[str, bytes]:
    if not new.storable or new.misnamed or len(new.rendition.body) > MAX_RESULT_BYTES:
        return _NOT_SHARED, b""
    kind = _STALE_ORIGINAL if new.stale_original else _RENDITION
    return kind, pack_rendition(new.rendition, f"{kind}\n{name}", time.time() + RESULT_LIFETIME)


def _pack_error(name: str, error: ProxyError) -> bytes:
    text = json.dumps({"code": error.code, "message": error.message, "facts": error.facts}, default=str)
    # In the envelope of a rendition, which proves that it was not written by others.
    document = Rendition(body=text.encode(), format=Document.JSON, width=0, height=0, etag="")
    return pack_rendition(document, f"{_ERROR}\n{name}", time.time() + RESULT_LIFETIME)


def _unpack_error(name: str, packed: bytes) -> ProxyError | None:
    if (entry := unpack_rendition(packed, f"{_ERROR}\n{name}")) is None:
        return None
    try:
        error = json.loads(entry.value.body)
        facts = {name: fact for name, fact in error["facts"].items() if _is_fact(name, fact)}
        return errors_by_code()[error["code"]](str(error["message"]), **facts)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None


def _is_fact(name: str, fact: object) -> bool:
    """Whether a fact of an error is what it should be, for others can write to Redis."""
    match name:
        case "retry_after":
            return type(fact) in (int, float) and 0 <= fact < 1e6  # type: ignore[operator]
        case "origin_status":
            return type(fact) is int and 100 <= fact < 600
        case "allowed":
            return isinstance(fact, list) and all(isinstance(each, str) for each in fact)
    return name != "message" and isinstance(fact, str | int | float | bool | None)


async def _off_loop(size: int, work: Callable[[], _T]) -> _T:
    return await asyncio.to_thread(work) if size > _THREAD_BYTES else work()


def open_leadership(cache: str) -> Leadership:
    """
    Return the leadership that the setting `cache` allows.

    It is shared by all processes that have the same Redis among the tiers of their cache; without one, it is
    that of this process alone. Raises ValueError.
    """
    if (address := first_redis(cache)) is None:
        return SoleProcess()
    client = redis_client(address, step=COORDINATION_STEP)
    link = RedisLink(client, tier="leases", call_timeout=COORDINATION_TIMEOUT)
    return ClusterLeadership(Leases(link, address.options.get("prefix", KEY_PREFIX)))
