"""Where originals live: folders, HTTP servers and object stores.

In: a key. Out: an `Original`, or one of the errors that `Origin.fetch` raises.
"""

from __future__ import annotations

from typing import Protocol

from proxy.model.media import Original
from proxy.origins.sources import LocatedKey


class Origin(Protocol):
    """
    `fetch` raises OriginalNotFound, OriginalTooLarge, SourceNotAllowed, OriginFailed (or OriginTimedOut),
    and nothing else. `known` is what was fetched before: an origin that can tell that it still has that one
    gives it back, with what it says now about keeping it, and sends no bytes.

    `version` is what can be told of the present original without asking anybody over a network, else
    `None`: a folder knows its files' time and size. It is cheap enough for every request, it never raises,
    and it is `None` for a key that does not exist.
    """

    async def fetch(self, key: str, known: Original | None = None) -> Original: ...

    def version(self, key: str) -> str | None: ...

    async def close(self) -> None: ...


class Origins(Protocol):
    """All origins of a deployment: as an `Origin`, asked by keys that were located among them."""

    async def fetch(self, located: LocatedKey, known: Original | None = None) -> Original: ...

    def version(self, located: LocatedKey) -> str | None: ...

    async def close(self) -> None: ...
