"""Which origin a key belongs to."""

from __future__ import annotations

from proxy.errors import SourceNotAllowed
from proxy.media import Original
from proxy.origins import Origin


class RoutedOrigin:
    """Keys that are URLs go to `remote`, or nowhere when there is none; all others go to `default`."""

    def __init__(self, default: Origin, remote: Origin | None = None) -> None:
        self._default = default
        self._remote = remote

    async def fetch(self, key: str, known: Original | None = None) -> Original:
        if not _is_url(key):
            return await self._default.fetch(key, known)
        if self._remote is None:
            raise SourceNotAllowed(
                "keys that are URLs are not allowed here: the setting remote_hosts lists no host"
            )
        return await self._remote.fetch(key, known)

    def version(self, key: str) -> str | None:
        if not _is_url(key):
            return self._default.version(key)
        return self._remote.version(key) if self._remote else None

    async def close(self) -> None:
        try:
            await self._default.close()
        finally:
            if self._remote is not None:
                await self._remote.close()


def _is_url(key: str) -> bool:
    return key[:8].lower().startswith(("http://", "https://"))
