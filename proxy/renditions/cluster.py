"""
One rendition is made once in the whole cluster: whoever asks first makes it, the others wait for that.

Redis is a help here too. Without it, or when it goes silent in the middle, each process makes its own.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeVar

import structlog

from proxy.caches.envelope import entry_name, pack_rendition, unpack_rendition
from proxy.clients.address import first_redis
from proxy.clients.redis import redis_client
from proxy.clients.redis_link import COORDINATION_STEP, COORDINATION_TIMEOUT, KEY_PREFIX, RedisLink
from proxy.model.errors import OriginFailed, Overloaded, ProxyError, errors_by_code
from proxy.model.media import Document, Rendition
from proxy.renditions.leases import LANDED, LARGEST, Hold, Landed, Lead, Leases
from proxy.renditions.singleflight import SingleFlight

log = structlog.get_logger()
_T = TypeVar("_T")

_RENDITION = "rendition"
_BRIDGED = "bridged"
_ERROR = "error"
_UNTOLD = "untold"  # made, and not to be passed on: each makes its own
_OFFLOADED = 1_000_000  # bytes: hashing this much holds up the event loop for a millisecond


@dataclass(frozen=True, slots=True)
class Made:
    """
    A rendition that was made now, and what that took, in seconds. What is not `kept` is not passed on
    either: its origin said so. `bridged`: from an original that may not be what the origin has now.
    `elsewhere`: by another process, which also is the one to put it where all can find it.
    """

    rendition: Rendition
    timings: Mapping[str, float] = field(default_factory=dict)
    kept: bool = True
    bridged: bool = False
    elsewhere: bool = False


Make = Callable[[], Awaitable[Made]]


class Flights(Protocol):
    """`SingleFlight[Made]` for one process, `ClusterFlights` for many."""

    async def join(self, key: str, take_off: Make) -> Made: ...

    async def close(self) -> None: ...


class ClusterFlights:
    """
    Owns `leases` and `within`, the flights of this process, and closes them. Of each process only one asks
    the cluster, and everybody in it gets what that one gets.
    """

    def __init__(self, within: Flights, leases: Leases) -> None:
        self._within = within
        self._leases = leases

    async def join(self, key: str, take_off: Make) -> Made:
        """
        What `take_off` made, here or elsewhere, or its ProxyError. Overloaded is about the machine it was
        raised on: it is not passed on, and somebody else tries.
        """
        return await self._within.join(key, lambda: self._join(entry_name(f"flight\n{key}"), take_off))

    async def close(self) -> None:
        await self._within.close()
        await self._leases.close()

    async def _join(self, name: str, take_off: Make) -> Made:
        started = time.perf_counter()
        past = ""
        async with AsyncExitStack() as stack:
            changed: asyncio.Event | None = None
            while True:
                if changed is not None:
                    changed.clear()
                asked = time.monotonic()
                said = await self._leases.ask(name, past=past)
                if said is None:
                    return await take_off()
                if isinstance(said, Lead):
                    # Whoever leads has nothing to wait for.
                    await stack.aclose()
                    return await self._lead(name, Hold(self._leases, name, said.token, asked), take_off)
                if isinstance(said, Landed) and said.kind == _UNTOLD:
                    return await take_off()
                if isinstance(said, Landed):
                    if (made := await self._collect(name, said, waited=changed is not None)) is not None:
                        return replace(made, timings={"wait": time.perf_counter() - started})
                    past = said.token
                elif changed is None:
                    # What happened before we listened is asked for once more.
                    changed = await stack.enter_async_context(self._leases.listening(name))
                else:
                    await self._leases.wait(changed, said.left)

    async def _lead(self, name: str, hold: Hold, take_off: Make) -> Made:
        keeping = asyncio.create_task(hold.keep())
        passed_on = False
        try:
            made = await take_off()
            kind, packed = await _offloaded(len(made.rendition.body), lambda: _pack_made(name, made))
            passed_on = True
            if not await hold.land(kind, packed):
                # Somebody may have made it since, of something newer, and that is what is to be found.
                log.warning("flight_overtaken")
                return replace(made, elsewhere=True, kept=False)
        except Overloaded:
            raise
        except ProxyError as error:
            passed_on = True
            await hold.land(_ERROR, _pack_error(name, error))
            raise
        finally:
            keeping.cancel()
            if not passed_on:
                await hold.abandon()
        return made

    async def _collect(self, name: str, landed: Landed, *, waited: bool) -> Made | None:
        """What the leader made, or its error raised; `None` when that is of no use here."""
        packed = await self._leases.collect(name, landed)
        if packed is None:
            return None
        if landed.kind == _ERROR:
            error = _unpack_error(name, packed)
            # Who comes after the fact tries again what may have been a passing failure.
            if error is None or (isinstance(error, OriginFailed) and not waited):
                return None
            raise error
        entry = await _offloaded(len(packed), lambda: unpack_rendition(packed, f"{landed.kind}\n{name}"))
        return entry and Made(entry.value, bridged=landed.kind == _BRIDGED, elsewhere=True)


def _pack_made(name: str, made: Made) -> tuple[str, bytes]:
    if not made.kept or len(made.rendition.body) > LARGEST:
        return _UNTOLD, b""
    kind = _BRIDGED if made.bridged else _RENDITION
    return kind, pack_rendition(made.rendition, f"{kind}\n{name}", time.time() + LANDED)


def _pack_error(name: str, error: ProxyError) -> bytes:
    said = json.dumps({"code": error.code, "message": error.message, "facts": error.facts}, default=str)
    # In the envelope of a rendition, which is what proves that nobody else wrote it.
    document = Rendition(body=said.encode(), format=Document.JSON, width=0, height=0, etag="")
    return pack_rendition(document, f"{_ERROR}\n{name}", time.time() + LANDED)


def _unpack_error(name: str, packed: bytes) -> ProxyError | None:
    if (entry := unpack_rendition(packed, f"{_ERROR}\n{name}")) is None:
        return None
    try:
        said = json.loads(entry.value.body)
        return errors_by_code()[said["code"]](str(said["message"]), **said["facts"])
    except (ValueError, KeyError, TypeError):
        return None


async def _offloaded(size: int, work: Callable[[], _T]) -> _T:
    return await asyncio.to_thread(work) if size > _OFFLOADED else work()


def open_flights(cache: str) -> Flights:
    """Those of the Redis among the tiers of `cache`, or of this process alone. Raises ValueError."""
    within: SingleFlight[Made] = SingleFlight()
    if (address := first_redis(cache)) is None:
        return within
    link = RedisLink(
        redis_client(address, step=COORDINATION_STEP), tier="leases", call_timeout=COORDINATION_TIMEOUT
    )
    return ClusterFlights(within, Leases(link, address.options.get("prefix", KEY_PREFIX)))
