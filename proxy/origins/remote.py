"""Originals whose key is a whole URL, on hosts that the operator has listed."""

from __future__ import annotations

import httpx

from proxy.model.limits import Limits
from proxy.model.media import Original
from proxy.origins.download import Downloader
from proxy.origins.listing import PAGE_KEYS, CannotList, KeyPage
from proxy.origins.remote_hosts import DEFAULT_PORTS, RemoteHosts


class RemoteOrigin:
    """Originals whose keys are whole URLs, on `hosts` only. Owns `client` and closes it."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        hosts: RemoteHosts,
        limits: Limits,
        *,
        fetch_timeout: float | None = None,
    ) -> None:
        self._client = client
        self._hosts = hosts
        self._downloader = Downloader(
            client, max_bytes=limits.max_source_bytes, timeout=fetch_timeout, allows=hosts.allows
        )

    async def fetch(self, key: str, known: Original | None = None) -> Original:
        return await self._downloader.original(key, self._url(key), known)

    def host(self, key: str) -> str:
        """Host and port: the same however a key writes them. Raises SourceNotAllowed."""
        url = self._url(key)
        return f"{url.raw_host.decode()}:{url.port or DEFAULT_PORTS[url.scheme]}"

    async def list_keys(self, prefix: str = "", cursor: str | None = None, limit: int = PAGE_KEYS) -> KeyPage:
        raise CannotList("hosts of the internet have no list of their URLs")

    def version(self, key: str) -> str | None:
        return None

    def refresh(self, key: str) -> None:
        return None

    async def close(self) -> None:
        await self._client.aclose()

    def _url(self, key: str) -> httpx.URL:
        return self._hosts.url(key)
