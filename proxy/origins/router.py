"""All origins of a deployment as one: each key is fetched from the origin that it was located at."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from proxy.model.errors import SourceNotAllowed
from proxy.model.media import Original
from proxy.origins.keys import not_found
from proxy.origins.protocol import Origin, Refresh
from proxy.origins.sources import LocatedKey, Route


class OriginRouter:
    """
    The origins that `Sources.locate` tells of: `default`, those that are `named`, and `remote` for keys that
    are whole URLs. Owns them all and closes them. A key that leads to none is not found, or not allowed when
    it is a URL.
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

    async def fetch(self, located: LocatedKey, known: Original | None = None) -> Original:
        origin = self._origin(located)
        if origin is None and located.route is Route.REMOTE:
            raise SourceNotAllowed(
                "keys that are URLs are not allowed here: the setting remote_hosts lists no host"
            )
        if origin is None or not located.origin_key:
            raise not_found(located.key)
        return await origin.fetch(located.origin_key, known)

    def version(self, located: LocatedKey) -> str | None:
        origin = self._origin(located)
        return None if origin is None else origin.version(located.origin_key)

    def refresh(self, located: LocatedKey) -> Refresh | None:
        origin = self._origin(located)
        return None if origin is None else origin.refresh(located.origin_key)

    async def close(self) -> None:
        # One may be both, the default origin and a named one.
        origins = {id(each): each for each in (self._default, self._remote, *self._named.values())}
        await asyncio.gather(*(origin.close() for origin in origins.values() if origin is not None))

    def _origin(self, located: LocatedKey) -> Origin | None:
        match located.route:
            case Route.NAMED:
                return self._named[located.origin]
            case Route.REMOTE:
                return self._remote
            case Route.DEFAULT:
                return self._default
