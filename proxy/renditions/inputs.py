"""What one rendition is made from: the original of the picture, and that of what lies over it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from proxy.model.errors import OriginalNotFound, OriginalTooLarge, ProxyError, UnusableOverlay
from proxy.model.media import Original


@dataclass(frozen=True, slots=True)
class Inputs:
    original: Original
    overlay: Original | None = None

    @property
    def version(self) -> str:
        if self.overlay is None:
            return self.original.version
        return f"{self.original.version}\0{self.overlay.version}"

    @property
    def last_modified(self) -> float | None:
        """When any of the two was modified last; not known unless both are."""
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

    @property
    def body(self) -> bytes:
        """As it goes to a renderer: the overlay after the picture, `overlay_bytes` of it."""
        return self.original.body if self.overlay is None else self.original.body + self.overlay.body

    @property
    def overlay_bytes(self) -> int | None:
        return None if self.overlay is None else len(self.overlay.body)


async def fetch_inputs(
    fetch: Callable[[str], Awaitable[Original]], key: str, overlay_key: str | None
) -> Inputs:
    """Both at once. When neither can be had it is the picture's error that is raised."""
    if overlay_key is None:
        return Inputs(await fetch(key))
    original, overlay = await asyncio.gather(fetch(key), fetch(overlay_key), return_exceptions=True)
    if isinstance(original, BaseException):
        raise original
    if isinstance(overlay, ProxyError):
        raise of_overlay(overlay_key, overlay) from None
    if isinstance(overlay, BaseException):
        raise overlay
    return Inputs(original, overlay)


def of_overlay(key: str, error: ProxyError) -> ProxyError:
    """
    An origin's answer about an overlay, which must not read as one about the picture. That it is not there
    is UnusableOverlay; an origin that fails stays one that fails, and what is not allowed stays so.
    """
    message = f"the overlay {key!r}: {error.message}"
    if isinstance(error, OriginalNotFound | OriginalTooLarge):
        return UnusableOverlay(message, option="overlay", value=key)
    return type(error)(message, **error.facts)
