"""Originals whose key is a whole URL, on hosts that the operator has listed."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import httpx

from proxy.model.errors import SourceNotAllowed
from proxy.model.limits import Limits
from proxy.model.media import Original
from proxy.origins.download import Downloader
from proxy.origins.listing import PAGE_KEYS, CannotList, KeyPage

_DEFAULT_PORTS = {"http": 80, "https": 443}
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
# Labels and dots, as resolvers take them (so `_` too): nothing that httpx lets pass in a host and that
# another parser might read as the end of one.
_NAME = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*")
# What ends a host in a URL, or was meant as a pattern.
_NOT_IN_AN_ENTRY = re.compile(r"[/?#@\\*\s]")
# A percent sign that starts no escape stands for itself.
_LONE_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteHosts:
    """
    Hosts, each with a port or `None` for the standard port of whatever scheme is used; of a loopback host,
    where servers in development take any port, for all of them. `names` are matched whole, `suffixes` begin
    with a dot and match what ends in them. All lower-case and in IDNA's ASCII.
    """

    names: frozenset[tuple[str, int | None]] = frozenset()
    suffixes: frozenset[tuple[str, int | None]] = frozenset()

    def allows(self, url: httpx.URL) -> bool:
        """Whether `url` is on one of the hosts, at its port, and without credentials."""
        host = url.raw_host.decode()
        if url.scheme not in _DEFAULT_PORTS or url.userinfo:
            return False
        ports: set[int | None] = {url.port} if url.port is not None else {None, _DEFAULT_PORTS[url.scheme]}
        if host in _LOOPBACK:
            ports.add(None)
        if any((host, port) in self.names for port in ports):
            return True
        return bool(_NAME.fullmatch(host)) and any(
            host.endswith(suffix) and port in ports for suffix, port in self.suffixes
        )


def remote_hosts(entries: Iterable[str]) -> RemoteHosts:
    """
    Read a list of hosts: `cdn.example.com`, `cdn.example.com:8443`, `[2001:db8::1]`, `bücher.example`; with
    a leading dot the subdomains of a name, not the name itself. Raises ValueError, which quotes an entry
    that is none of these.
    """
    names, suffixes = set(), set()
    for entry in entries:
        try:
            # A scheme without a standard port, so that no port that was written is dropped.
            url = httpx.URL(f"host://{entry.removeprefix('.')}")
        except (httpx.InvalidURL, UnicodeError):
            raise ValueError(_not_a_host(entry)) from None
        host = url.raw_host.decode()
        if _NOT_IN_AN_ENTRY.search(entry) or not (_NAME.fullmatch(host) or ":" in host):
            raise ValueError(_not_a_host(entry))
        if entry.startswith("."):
            suffixes.add((f".{host}", url.port))
        else:
            names.add((host, url.port))
    return RemoteHosts(names=frozenset(names), suffixes=frozenset(suffixes))


def _not_a_host(entry: str) -> str:
    return (
        f"a remote host is a name like 'cdn.example.com', '.example.com' or 'example.com:8443', not '{entry}'"
    )


class RemoteOrigin:
    """Originals whose keys are whole URLs, on `hosts` only. Owns `client` and closes it."""

    def __init__(
        self, client: httpx.AsyncClient, hosts: RemoteHosts, limits: Limits, *, fetch_timeout: float = 10.0
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
        return f"{url.raw_host.decode()}:{url.port or _DEFAULT_PORTS[url.scheme]}"

    async def list_keys(self, prefix: str = "", cursor: str | None = None, limit: int = PAGE_KEYS) -> KeyPage:
        raise CannotList("hosts of the internet have no list of their URLs")

    def version(self, key: str) -> str | None:
        return None

    async def close(self) -> None:
        await self._client.aclose()

    def _url(self, key: str) -> httpx.URL:
        url = remote_url(key)
        if not self._hosts.allows(url):
            raise SourceNotAllowed(f"originals from '{url.raw_host.decode()}' are not allowed here")
        return url


def remote_url(key: str) -> httpx.URL:
    """
    Read a key as the URL that it is. The key was decoded once: escapes that are left in it are meant for the
    other server and stay, what no URL can hold is escaped, and a fragment, which no server ever sees, is
    dropped.
    """
    try:
        return httpx.URL(_LONE_PERCENT.sub("%25", key)).copy_with(fragment=None)
    except (httpx.InvalidURL, UnicodeError) as failure:
        raise SourceNotAllowed("the key begins like a URL and is not one") from failure
