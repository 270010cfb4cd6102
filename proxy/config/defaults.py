"""What settings are when nothing is said: of this machine, this user, this terminal."""

from __future__ import annotations

import ipaddress
import os
import socket
import sys
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote


def available_cores() -> int:
    """Return how many cores this process may use, where the system tells."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def default_cache() -> str:
    """Return the tiers of renditions: memory, and a folder of the user if there is a home."""
    return _tiers("memory://256MB", "image-proxy", "2GB")


def default_originals_cache() -> str:
    """Return the tiers of fetched originals, made like those of renditions."""
    return _tiers("memory://128MB", "image-proxy/originals", "4GB")


def _tiers(memory: str, name: str, size: str) -> str:
    home = os.environ.get("XDG_CACHE_HOME", "")
    folder = Path(home if os.path.isabs(home) else os.path.expanduser("~/.cache"), name)
    if not folder.is_absolute():  # a user without a home, as in many containers
        return memory
    return f"{memory},disk://{quote(str(folder))}?size={size}"


def unsigned_policy(earlier: dict[str, Any]) -> Literal["allow", "deny"]:
    """
    Return what unsigned URLs may ask for: all, if no secret could sign and, as far as is known, only this
    machine asks. Proxies that are trusted bring others to loopback too.
    """
    others = earlier["secrets"] is not None or bool(earlier["trusted_proxies"])
    return "allow" if is_loopback(earlier["host"]) and not others else "deny"


def default_log_format() -> Literal["human", "json"]:
    """Return lines for people where stderr is a terminal."""
    return "human" if sys.stderr.isatty() else "json"


def url_host(host: str) -> str:
    """
    Return the host under which this machine reaches a listener at `host`, as it stands in a URL: 127.0.0.1
    for 0.0.0.0, [::1] for `::`.
    """
    address = _address(host)
    if address is None:
        return host
    if address.is_unspecified:
        address = ipaddress.ip_address("127.0.0.1" if address.version == 4 else "::1")
    return f"[{address}]" if address.version == 6 else str(address)


def is_unspecified(host: str) -> bool:
    """Whether a listener at `host` is at every address of this machine."""
    address = _address(host)
    return address is not None and address.is_unspecified


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Of what is no name. The system takes more spellings of IPv4 than one: `0` is 0.0.0.0."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        try:
            return ipaddress.IPv4Address(socket.inet_aton(host))
        except OSError:
            return None


def is_loopback(host: str) -> bool:
    """Whether only this machine can connect to `host`, an address or a name."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
