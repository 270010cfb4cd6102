"""The version of an original, as it is now."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Protocol


class Versioned(Protocol):
    """An origin, or several of them."""

    def version(self, key: Any) -> str | None: ...

    def refresh(self, key: Any) -> Awaitable[None] | None: ...


async def present_version(origin: Versioned, key: Any) -> str | None:
    if (refreshing := origin.refresh(key)) is not None:
        await refreshing
    return origin.version(key)
