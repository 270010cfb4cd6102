"""The version of an original, as it is now."""

from __future__ import annotations

from typing import Any, Protocol

from proxy.origins.protocol import Refresh


class Versioned(Protocol):
    """An origin, or several of them."""

    def version(self, key: Any) -> str | None: ...

    def refresh(self, key: Any) -> Refresh | None: ...


async def present_version(origin: Versioned, key: Any) -> str | None:
    if (refreshing := origin.refresh(key)) is not None:
        await refreshing()
    return origin.version(key)
