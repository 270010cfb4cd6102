"""Which origin a key belongs to."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from proxy.model.errors import SourceNotAllowed
from proxy.model.media import Original
from proxy.origins import Origin
from proxy.origins.keys import not_found
from proxy.origins.sources import is_url


class RoutedOrigin:
    """
    A key whose first segment is a name of `named` goes there without it; one that is a whole URL to `remote`,
    or nowhere when there is none; all others go to `default`, and without one they are not found.
    """

    def __init__(
        self,
        default: Origin | None,
        remote: Origin | None = None,
        named: Mapping[str, Origin] | None = None,
    ) -> None:
        self._default = default
        self._remote = remote
        self._named = named or {}

    async def fetch(self, key: str, known: Original | None = None) -> Original:
        origin, below = self._route(key)
        if origin is None and is_url(key):
            raise SourceNotAllowed(
                "keys that are URLs are not allowed here: the setting remote_hosts lists no host"
            )
        if origin is None or not below:
            raise not_found(key)
        return await origin.fetch(below, known)

    def version(self, key: str) -> str | None:
        origin, below = self._route(key)
        return None if origin is None else origin.version(below)

    async def close(self) -> None:
        # One may be both, the default origin and a named one.
        origins = {id(each): each for each in (self._default, self._remote, *self._named.values())}
        await asyncio.gather(*(origin.close() for origin in origins.values() if origin is not None))

    def _route(self, key: str) -> tuple[Origin | None, str]:
        """The origin, and what it knows the key by."""
        name, _, below = key.partition("/")
        if name in self._named:
            return self._named[name], below
        return (self._remote if is_url(key) else self._default), key
