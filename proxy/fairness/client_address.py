"""
Who a request comes from: the address of the peer, or, where that is a trusted proxy, what it says of its own.

`Forwarded` is read as in RFC 7239, `X-Forwarded-For` as the list of addresses that proxies have made of it.
Both are a stranger's text but for what trusted proxies have appended, at their right end. So they are read
from there, only as far as those wrote, and what is long or malformed is not read at all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any

IpAddress = IPv4Address | IPv6Address
IpNetwork = IPv4Network | IPv6Network
_ReadNodes = Callable[[str], Iterable[str | None]]

MAX_FORWARDED_BYTES = 2_048
"""Of all lines of one of the two headers together."""

MAX_HOPS = 32
"""Trusted proxies in a row that are skipped."""

UNKNOWN_CLIENT = "-"
"""A client without an address: of a Unix socket, or of a request that has not come."""

_FORWARDED, _X_FORWARDED_FOR = b"forwarded", b"x-forwarded-for"

_COMMA = "\0"  # stands for one in quotes
_PAIR = re.compile(r"""[ \t]*([!#$%&'*+.^_`|~0-9A-Za-z-]+)=([!#$%&'*+.^_`|~0-9A-Za-z-]+|"[^"]*")[ \t]*""")
_NODE = re.compile(
    r"(?:([0-9.]{7,15})|\[([0-9A-Fa-f:.]{2,45})\])(?::(?:[0-9]{1,5}|_[0-9A-Za-z._-]{1,64}))?|([0-9A-Fa-f:.]{2,45})"
)
"""An address with or without a port; IPv6 in brackets, or bare as X-Forwarded-For often has it."""


class ClientAddresses:
    """Tells the address of a request's client, believing the proxies of `trusted` networks."""

    def __init__(self, trusted: Sequence[IpNetwork] = ()) -> None:
        self._trusted = tuple(trusted)
        self._is_trusted = lru_cache(1_024)(self._in_networks)

    def client_of(self, peer: str | None, headers: Iterable[tuple[bytes, bytes]]) -> str:
        """
        Return the client's address, as text.

        `peer` is the address that the connection comes from, `headers` are those of the request with names in
        lower case. What cannot be told from them, the peer is taken for: where a header is malformed or too
        long, where the last hop has no address, and where the two headers name different clients, since a
        proxy that writes one passes on the other as a stranger sent it.
        """
        if peer is None:
            return UNKNOWN_CLIENT
        if not self._trusted or not self._is_trusted(peer):
            return peer
        told = []
        for name, read in ((_FORWARDED, _forwarded_nodes), (_X_FORWARDED_FOR, _x_forwarded_for_nodes)):
            lines = [value for each, value in headers if each == name]
            if lines:
                told.append(self._last_untrusted(read, lines))
        clients = set(told)
        return clients.pop() or peer if len(clients) == 1 else peer

    def client_of_scope(self, scope: Mapping[str, Any]) -> str:
        """Return the address of the client of an ASGI scope."""
        client = scope.get("client")
        return self.client_of(client[0] if client else None, scope.get("headers", ()))

    def _last_untrusted(self, read: _ReadNodes, lines: list[bytes]) -> str | None:
        """The rightmost address of no trusted proxy, else the leftmost; `None` if it is unreadable."""
        if sum(map(len, lines)) > MAX_FORWARDED_BYTES:
            return None
        address = None
        for hops, node in enumerate(read(b",".join(lines).decode("latin-1"))):
            address = None if node is None else _address_of(node)
            if address is None or hops >= MAX_HOPS:
                return None
            if not self._is_trusted(address):
                break
        return address

    def _in_networks(self, address: str) -> bool:
        try:
            parsed = _unmapped(ip_address(address))
        except ValueError:
            return False
        return any(parsed in network for network in self._trusted)


def client_group(address: str) -> str:
    """
    Return what an address is counted as: an IPv4 address as itself, an IPv6 one as its network of 64 bits.

    One subscriber has at least that much of IPv6 (RFC 6177), and so as many addresses as they like.
    """
    if ":" not in address:
        return address
    try:
        parsed = _unmapped(ip_address(address))
    except ValueError:
        return address
    if isinstance(parsed, IPv4Address):
        return str(parsed)
    return f"{IPv6Address(int(parsed) >> 64 << 64)}/64"


def _x_forwarded_for_nodes(text: str) -> Iterable[str | None]:
    """Nodes from the right."""
    return (node.strip(" \t") for node in reversed(text.split(",")) if node.strip(" \t"))


def _forwarded_nodes(text: str) -> Iterable[str | None]:
    """The `for` of each element from the right; `None` for an element that has none, or is malformed."""
    if text.count('"') % 2 or "\\" in text:  # an escape in a quoted string is legal, and of no use in a node
        return [None]
    # What is in quotes may hold commas: every other part is.
    quoted = text.split('"')
    quoted[1::2] = (part.replace(",", _COMMA) for part in quoted[1::2])
    elements = '"'.join(quoted).split(",")
    return (_for_of(element) for element in reversed(elements) if element.strip(" \t"))


def _for_of(element: str) -> str | None:
    found, at = None, 0
    while True:
        pair = _PAIR.match(element, at)
        if pair is None:
            return None
        if pair[1].lower() == "for":
            if found is not None:
                return None
            found = pair[2].strip('"')
        at = pair.end()
        if at == len(element):
            return found
        if element[at] != ";":
            return None
        at += 1


def _address_of(node: str) -> str | None:
    """The address of a node without its port, in its one spelling; `None` if it has none."""
    found = _NODE.fullmatch(node)
    if found is None:
        return None
    try:
        return str(_unmapped(ip_address(found[1] or found[2] or found[3])))
    except ValueError:
        return None


def _unmapped(address: IpAddress) -> IpAddress:
    """The IPv4 address that an IPv6 one stands for (RFC 4291 section 2.5.5.2), else itself."""
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address
