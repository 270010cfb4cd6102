"""What one rendition is made from: the original of the picture, and that of its overlay."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Protocol

from proxy.model.errors import ProxyError
from proxy.model.media import Original
from proxy.origins.protocol import Refresh
from proxy.origins.sources import LocatedKey
from proxy.renditions.request import RenditionRequest, about_overlay


class OriginalSource(Protocol):
    """
    Whatever originals come from: origins, or a cache of originals.

    `fetch` raises ProxyError. `version` and `refresh` are those of an `Origin`.
    """

    async def fetch(self, located: LocatedKey) -> Original: ...

    def version(self, located: LocatedKey) -> str | None: ...

    def refresh(self, located: LocatedKey) -> Refresh | None: ...


@dataclass(frozen=True, slots=True)
class Inputs:
    """The originals of one rendition."""

    original: Original
    overlay: Original | None = None

    @property
    def sizes(self) -> tuple[int, ...]:
        """The bytes of each."""
        return tuple(len(each.body) for each in (self.original, self.overlay) if each is not None)

    @property
    def version(self) -> str:
        """Names the very bytes of both."""
        if self.overlay is None:
            return self.original.version
        return f"{self.original.version}\0{self.overlay.version}"

    @property
    def last_modified(self) -> float | None:
        """When one of them was last modified, in unix seconds; `None` unless it is known of both."""
        first = self.original.last_modified
        if self.overlay is None or first is None:
            return first
        second = self.overlay.last_modified
        return None if second is None else max(first, second)

    @property
    def is_stale(self) -> bool:
        """Whether one of them may not be what its origin has now."""
        return any(each.is_stale for each in (self.original, self.overlay) if each is not None)

    @property
    def storable(self) -> bool:
        """Whether the origins of both allow caches to store them."""
        return all(each.cache_policy.storable for each in (self.original, self.overlay) if each is not None)


async def fetch_inputs(origin: OriginalSource, request: RenditionRequest) -> Inputs:
    """Fetch both at once. When neither can be had it is the picture's error that is raised."""
    if request.overlay is None:
        return Inputs(await origin.fetch(request.original))
    located = (request.original, request.overlay)
    original, overlay = await asyncio.gather(*map(origin.fetch, located), return_exceptions=True)
    if isinstance(original, BaseException):
        raise original
    if isinstance(overlay, ProxyError):
        raise about_overlay(request.overlay.key, overlay) from None
    if isinstance(overlay, BaseException):
        raise overlay
    return Inputs(original, overlay)
