"""From the text of a setting to an origin."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from proxy.limits import Limits
from proxy.origins import Origin
from proxy.origins.file import FileOrigin
from proxy.origins.http import HTTPOrigin, base_url, make_client
from proxy.origins.remote import RemoteOrigin, remote_hosts
from proxy.origins.routed import RoutedOrigin

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What all origins of a deployment are held to. `fetch_timeout` is in seconds."""

    limits: Limits
    fetch_timeout: float
    private_networks: bool


def open_origin(
    text: str,
    *,
    limits: Limits,
    remote_hosts: Iterable[str] = (),
    private_networks: bool = False,
    fetch_timeout: float = 10.0,
) -> Origin:
    """
    The origin that `text` names, with its own client where it needs one; `close` closes that too. To be
    called where an event loop runs.

    `private_networks` covers the host of `text` and the hosts that `remote_hosts` spells out, not subdomains
    of a listed name: whoever may write one name below it would decide where it points.

    ValueError says what is wrong with `text` or with an entry of `remote_hosts`, and quotes no credentials.
    """
    terms = Terms(limits=limits, fetch_timeout=fetch_timeout, private_networks=private_networks)
    found = _SCHEME.match(text)
    scheme = found[1].lower() if found else ""
    if scheme not in SCHEMES:
        raise ValueError(f"no origin of the kind '{scheme}://'; there are a folder's path, {_supported()}")
    return RoutedOrigin(SCHEMES[scheme](text, terms), _remote(remote_hosts, terms))


def _supported() -> str:
    return ", ".join(f"{scheme}://" for scheme in SCHEMES if scheme)


def _folder(text: str, terms: Terms) -> Origin:
    folder = Path(text).expanduser()
    if not folder.is_dir():
        raise ValueError(f"the origin '{text}' is not a folder: {folder.absolute()}")
    return FileOrigin(folder, terms.limits)


def _file(text: str, terms: Terms) -> Origin:
    host, slash, path = text[len("file://") :].partition("/")
    if host not in ("", "localhost") or not slash:
        raise ValueError(
            f"the origin '{text}' takes three slashes and an absolute path: file:///srv/originals"
        )
    return _folder(slash + unquote(path), terms)


def _http(text: str, terms: Terms) -> Origin:
    host = base_url(text).raw_host.decode()
    client = make_client(private_hosts=[host] if terms.private_networks else [])
    return HTTPOrigin(client, text, terms.limits, fetch_timeout=terms.fetch_timeout)


def _remote(entries: Iterable[str], terms: Terms) -> Origin | None:
    hosts = remote_hosts(entries)
    if not hosts.names and not hosts.suffixes:
        return None
    client = make_client(private_hosts=[name for name, _ in hosts.names] if terms.private_networks else [])
    return RemoteOrigin(client, hosts, terms.limits, fetch_timeout=terms.fetch_timeout)


SCHEMES: Mapping[str, Callable[[str, Terms], Origin]] = {
    "": _folder,
    "file": _file,
    "http": _http,
    "https": _http,
}
"""The empty scheme is a plain path."""
