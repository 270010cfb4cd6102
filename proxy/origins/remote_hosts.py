"""The hosts that keys which are whole URLs may lead to: an allow-list, and how keys are read against it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from proxy.model.errors import SourceNotAllowed

if TYPE_CHECKING:
    import httpx

DEFAULT_PORTS = {"http": 80, "https": 443}
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
        if url.scheme not in DEFAULT_PORTS or url.userinfo:
            return False
        ports: set[int | None] = {url.port} if url.port is not None else {None, DEFAULT_PORTS[url.scheme]}
        if host in _LOOPBACK:
            ports.add(None)
        if any((host, port) in self.names for port in ports):
            return True
        return bool(_NAME.fullmatch(host)) and any(
            host.endswith(suffix) and port in ports for suffix, port in self.suffixes
        )

    def __iter__(self) -> Iterator[tuple[str, int | None]]:
        """Yield all names and suffixes, each with its port, in an order that is always the same."""
        yield from sorted(self.names | self.suffixes, key=lambda each: (each[0], each[1] or 0))

    def url(self, key: str) -> httpx.URL:
        """Read a key that is a whole URL. Raises SourceNotAllowed if it is not on one of the hosts."""
        if not self.names and not self.suffixes:
            raise SourceNotAllowed(
                "keys that are URLs are not allowed here: the setting remote_hosts lists no host"
            )
        url = remote_url(key)
        if not self.allows(url):
            raise SourceNotAllowed(f"originals from '{url.raw_host.decode()}' are not allowed here")
        return url

    def refusal(self, key: str) -> str | None:
        """Return why a key that is a whole URL is not served here, `None` if it is."""
        try:
            self.url(key)
        except SourceNotAllowed as error:
            return error.message
        return None


NO_REMOTE_HOSTS = RemoteHosts()


def remote_hosts(entries: Iterable[str]) -> RemoteHosts:
    """
    Read a list of hosts: `cdn.example.com`, `cdn.example.com:8443`, `[2001:db8::1]`, `bücher.example`; with
    a leading dot the subdomains of a name, not the name itself. Raises ValueError, which quotes an entry
    that is none of these.
    """
    names, suffixes = set(), set()
    for entry in entries:
        import httpx  # a third of a second, which commands without remote hosts do not need

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


def remote_url(key: str) -> httpx.URL:
    """
    Read a key as the URL that it is. The key was decoded once: escapes that are left in it are meant for the
    other server and stay, what no URL can hold is escaped, and a fragment, which no server ever sees, is
    dropped.
    """
    import httpx

    try:
        return httpx.URL(_LONE_PERCENT.sub("%25", key)).copy_with(fragment=None)
    except (httpx.InvalidURL, UnicodeError) as failure:
        raise SourceNotAllowed("the key begins like a URL and is not one") from failure
