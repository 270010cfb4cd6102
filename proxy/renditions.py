"""The road of a request: cache, origin, renderer, cache."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from cachetools import TTLCache

from proxy.errors import OriginalTooLarge, ProxyError, ResultTooLarge, UnusableOriginal
from proxy.grammar import canonical
from proxy.limits import Limits
from proxy.media import RECIPE, Original, Rendition, written_as
from proxy.negotiation import Bucket, format_bucket
from proxy.origins import Origin
from proxy.singleflight import SingleFlight
from proxy.spec import Output, Spec

REMEMBERED = (UnusableOriginal, OriginalTooLarge, ResultTooLarge)
"""Refusals that are the same the next time, and cost a download or a renderer's time to find out."""


class Keeper(Protocol):
    """A cache that also tells at once what it has at hand."""

    def peek(self, key: str) -> Rendition | None: ...
    async def get(self, key: str) -> Rendition | None: ...
    async def put(self, key: str, rendition: Rendition, lifetime: float) -> None: ...


class Reply(Protocol):
    @property
    def header(self) -> Mapping[str, Any]: ...
    @property
    def body(self) -> bytes: ...
    @property
    def queue_seconds(self) -> float: ...


class Renderers(Protocol):
    async def run(self, task: str, header: dict[str, Any], body: bytes, seconds: float, /) -> Reply: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """
    One rendition that somebody wants. `options` are the canonical ones. `lifetime` is how long caches may
    keep it, in seconds. `task` is what a renderer does for it: `render` the picture, or `describe` it.
    """

    options: str
    key: str
    accepted: Bucket
    open_format: bool
    lifetime: float
    task: str = "render"

    @property
    def name(self) -> str:
        """The wish without the original's version. What a client accepts counts only where it decides."""
        accepted = f";{format_bucket(self.accepted)}" if self.open_format else ""
        return f"{RECIPE}\n{self.task}\n{self.options}{accepted}\n{self.key}"


def wish_for(spec: Spec, key: str, accepted: Bucket, lifetime: float, task: str = "render") -> Wish:
    return Wish(
        options=canonical(spec),
        key=key,
        accepted=accepted,
        open_format=spec.format is Output.AUTO,
        lifetime=lifetime,
        task=task,
    )


@dataclass(frozen=True, slots=True)
class Answer:
    """A rendition and how it was come by; `timings` in seconds, empty when it was at hand."""

    rendition: Rendition
    hit: bool
    collapsed: bool = False
    timings: Mapping[str, float] = field(default_factory=dict)


class Renditions:
    def __init__(
        self,
        *,
        origin: Origin,
        cache: Keeper,
        renderers: Renderers,
        limits: Limits,
        refusals_for: float = 60.0,
    ) -> None:
        self._origin = origin
        self._cache = cache
        self._renderers = renderers
        self._limits = limits
        self._flights: SingleFlight[Answer] = SingleFlight()
        self._fetches: SingleFlight[Original] = SingleFlight()
        self._refusals: TTLCache[str, ProxyError] = TTLCache(maxsize=10_000, ttl=refusals_for)

    def name(self, wish_name: str, key: str) -> str:
        """What caches know a wish by: with the original's present version, where that costs nothing."""
        return f"{wish_name}\n{self._origin.version(key) or ''}"

    def peek(self, name: str) -> Rendition | None:
        """The rendition of that name, when this process holds it in memory."""
        return self._cache.peek(name)

    async def get(self, wish: Wish) -> Answer:
        """Raises every ProxyError that is not about the URL's own text."""
        name = self.name(wish.name, wish.key)
        if (refusal := self._refusals.get(name)) is not None:
            raise type(refusal)(refusal.message, **refusal.facts)
        collapsed = name in self._flights
        answer = await self._flights.join(name, lambda: self._find_or_make(wish, name))
        return Answer(answer.rendition, answer.hit, True, answer.timings) if collapsed else answer

    async def close(self) -> None:
        await self._flights.close()
        await self._fetches.close()

    async def _find_or_make(self, wish: Wish, name: str) -> Answer:
        started = time.perf_counter()
        if (kept := await self._cache.get(name)) is not None:
            return Answer(kept, hit=True, timings={"cache": time.perf_counter() - started})
        looked = time.perf_counter()
        try:
            original = await self._fetches.join(wish.key, lambda: self._origin.fetch(wish.key))
            fetched = time.perf_counter()
            rendition, timings = await self._render(wish, original)
        except REMEMBERED as refusal:
            self._refusals[name] = refusal.with_traceback(None)
            raise
        await self._cache.put(name, rendition, wish.lifetime)
        timings = {"cache": looked - started, "fetch": fetched - looked, **timings}
        return Answer(rendition, hit=False, timings=timings)

    async def _render(self, wish: Wish, original: Original) -> tuple[Rendition, dict[str, float]]:
        header = {
            "options": wish.options,
            "accepted": format_bucket(wish.accepted),
            "limits": asdict(self._limits),
        }
        reply = await self._renderers.run(wish.task, header, original.body, self._limits.render_timeout)
        rendition = Rendition(
            body=reply.body,
            format=written_as(reply.header["format"]),
            width=reply.header["width"],
            height=reply.header["height"],
            etag=identity(wish, reply.header["format"], original.version),
            last_modified=original.last_modified,
            made_at=time.time(),
        )
        return rendition, {"queue": reply.queue_seconds, **reply.header["timings"]}


def identity(wish: Wish, format: str, version: str) -> str:
    """
    A strong ETag (RFC 9110 section 8.8.1): the same for the same bytes over restarts and machines, another
    for another format, spec, original or recipe.
    """
    parts = (RECIPE, wish.options, format, wish.key, version)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
