"""
The guard against server-side request forgery (SSRF): no request leads into the network that the proxy is in.

An address is judged after the name was resolved and at the moment of connecting, and the very address that
was judged is connected to (DNS pinning). So spellings of addresses, names that point inside, and names that
resolve differently the second time (DNS rebinding) are all refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from concurrent.futures import Future, ThreadPoolExecutor
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from itertools import chain, zip_longest
from socket import IPPROTO_TCP, SOCK_STREAM, getaddrinfo

import structlog

from proxy.model.errors import SourceNotAllowed

log = structlog.get_logger()

Resolve = Callable[[str, int], Awaitable[list[str]]]
"""Host and port to addresses, best first. Raises OSError, or UnicodeError for what is no name."""

# The IANA special-purpose registries, multicast, and what is reserved. `ipaddress.is_global` is no
# substitute: it is true of multicast and of most addresses that carry another in them, and changes between
# Pythons.
_NOT_PUBLIC_4 = [
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
]
_UNICAST_6 = IPv6Network("2000::/3")
_NOT_PUBLIC_6 = [
    IPv6Network(text)
    for text in (
        "2001::/23",  # IETF protocols: Teredo, ORCHID, benchmarking, ...
        "2001:db8::/32",
        "2002::/16",  # 6to4
        "3ffe::/16",  # 6bone, given back
        "3fff::/20",  # documentation, RFC 9637
    )
]
_NAT64 = IPv6Network("64:ff9b::/96")
_ISATAP = 0x5EFE

_MAX_LOOKUPS = 64  # at a time
_MAX_ADDRESSES = 4


def is_public(address: str | IPv4Address | IPv6Address) -> bool:
    """
    Whether an address is one of the public internet. Raises ValueError for a text that is no address.

    IPv4 inside IPv6 is judged as the IPv4 address where it is in use today: mapped (`::ffff:0:0/96`) and
    NAT64 (RFC 6052). The tunnels of old (6to4, Teredo, ISATAP, compatible, translated) are not public
    whatever they carry: no image is served over one, and each is a way around this function.
    """
    ip = ip_address(address) if isinstance(address, str) else address
    if isinstance(ip, IPv4Address):
        return not any(ip in network for network in _NOT_PUBLIC_4)
    if ip.ipv4_mapped is not None:
        return is_public(ip.ipv4_mapped)
    if ip in _NAT64:
        return is_public(IPv4Address(int(ip) & 0xFFFF_FFFF))
    # RFC 5214, 6.1: the interface identifier is 00-00-5E-FE or 02-00-5E-FE and the IPv4 address.
    if (int(ip) >> 32) & 0xFDFF_FFFF == _ISATAP:
        return False
    return ip in _UNICAST_6 and not any(ip in network for network in _NOT_PUBLIC_6)


class SystemResolver:
    """
    Resolves names with the system's resolver: hosts file, search list, and the order of RFC 6724 included.
    One lookup at a time for each name, in threads of its own: a name whose servers do not answer takes one
    of them, and none of the event loop's, with which files are read.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_MAX_LOOKUPS, thread_name_prefix="lookup")
        self._lookups: dict[tuple[str, int], Future[list[str]]] = {}

    async def resolve(self, host: str, port: int) -> list[str]:
        """The addresses of `host`, best first. Raises OSError, or UnicodeError for what is no name."""
        # One caller that is cancelled does not end a lookup for the others.
        return await asyncio.shield(asyncio.wrap_future(self._lookup(host, port)))

    def close(self) -> None:
        """Start no more lookups. Does not wait for those that have no answer yet."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _lookup(self, host: str, port: int) -> Future[list[str]]:
        name = (host, port)
        if (lookup := self._lookups.get(name)) is None:
            lookup = self._lookups[name] = self._threads.submit(_addresses, host, port)
            lookup.add_done_callback(lambda _: self._lookups.pop(name, None))
        return lookup


def _addresses(host: str, port: int) -> list[str]:
    found = getaddrinfo(host, port, type=SOCK_STREAM, proto=IPPROTO_TCP)
    return [str(sockaddr[0]) for *_, sockaddr in found]


class Guard:
    """
    The addresses at which a host may be connected to: public ones only, and for `private_hosts` (lower-case
    names or addresses) any. A host with one address that is not public is refused as a whole.
    """

    def __init__(self, private_hosts: Collection[str], resolve: Resolve) -> None:
        self._private_hosts = frozenset(private_hosts)
        self._resolve = resolve

    async def addresses(self, host: str, port: int) -> list[str]:
        """
        Resolve `host` to at most four addresses, in the order to try them. Raises SourceNotAllowed, and
        OSError for a name that does not resolve.
        """
        try:
            addresses = await self._resolve(host, port)
        except UnicodeError as failure:
            raise OSError("the name is none") from failure
        if not addresses:
            raise OSError("the name has no address")
        if host not in self._private_hosts and not all(map(is_public, addresses)):
            # Without the host: clients are not told a configured origin's name, or where one redirects to.
            log.warning("address_refused", host=host)
            raise SourceNotAllowed(
                "the origin is not on the public internet; where it is meant to be, set private_networks"
            )
        return _alternating(addresses)[:_MAX_ADDRESSES]


def _alternating(addresses: list[str]) -> list[str]:
    """The resolver's order, but the families take turns (RFC 8305, 4), so a dead one costs one try."""
    first = ":" in addresses[0]
    same = [address for address in addresses if (":" in address) is first]
    other = [address for address in addresses if (":" in address) is not first]
    return [address for address in chain(*zip_longest(same, other)) if address is not None]
