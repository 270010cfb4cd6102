"""What an origin can do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from proxy.model.media import Original
from proxy.origins.sources import LocatedKey

Refresh = Callable[[], Awaitable[None]]
"""Brings the known version of an original up to date."""


class Origin(Protocol):
    """
    A place where originals are, each under a key.

    `fetch` raises OriginalNotFound, OriginalTooLarge, SourceNotAllowed, OriginFailed (or OriginTimedOut),
    and nothing else. `known` is what was fetched before: an origin that can tell that it still has that one
    returns it, with what it says now about caching, and sends no bytes (RFC 9110 section 13, a conditional
    request).

    `version` identifies the original without a request over a network, if that can be had, else it is `None`:
    a folder knows the times and sizes of its files. It is what was seen last, and `None` for a key that does
    not exist or was not looked at. It waits for nothing and never raises.

    `refresh` returns what brings `version` up to date, or `None` if it is: cheap enough
    for every request. It takes no longer than a moment where a version is known, though it may be
    older then; where none is it raises OriginFailed and Overloaded.
    """

    async def fetch(self, key: str, known: Original | None = None) -> Original: ...

    def version(self, key: str) -> str | None: ...

    def refresh(self, key: str) -> Refresh | None: ...

    async def close(self) -> None: ...


class Origins(Protocol):
    """All origins of a deployment: as an `Origin`, asked by keys that were located among them."""

    async def fetch(self, located: LocatedKey, known: Original | None = None) -> Original: ...

    def version(self, located: LocatedKey) -> str | None: ...

    def refresh(self, located: LocatedKey) -> Refresh | None: ...

    async def close(self) -> None: ...
