"""From the text of a setting to an origin."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import unquote

from proxy.clients.address import scheme_of
from proxy.clients.object_store import open_store
from proxy.model.limits import Limits
from proxy.origins import Origin
from proxy.origins.bucket import BucketOrigin
from proxy.origins.file import FileOrigin
from proxy.origins.http import HTTPOrigin, base_url, make_client
from proxy.origins.limited import HeldHosts, HeldOrigin
from proxy.origins.remote import RemoteOrigin, remote_hosts
from proxy.origins.router import OriginRouter
from proxy.origins.sources import Source, Sources


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What all origins of a deployment are held to unless their own terms differ. `timeout` is in seconds."""

    limits: Limits
    timeout: float


def open_origins(
    sources: Sources,
    *,
    limits: Limits,
    remote_hosts: Iterable[str] = (),
    private_networks: bool = False,
    fetch_timeout: float = 10.0,
) -> OriginRouter:
    """
    All origins, each with a client of its own where it needs one; `close` closes those too. To be called
    where an event loop runs.

    `private_networks` covers the hosts that `remote_hosts` spells out, not subdomains of a listed name:
    whoever may write one name below it would decide where it points.

    ValueError says what is wrong with a source or with an entry of `remote_hosts`, and quotes no credentials.
    """
    terms = Terms(limits=limits, timeout=fetch_timeout)
    named = {name: _named(name, source, terms) for name, source in sources.named.items()}
    if sources.chosen is not None:
        default: Origin | None = named[sources.chosen]
    else:
        default = None if sources.default is None else _held(sources.default, terms)
    return OriginRouter(default, _remote(remote_hosts, terms, private_networks), named)


def _named(name: str, source: Source, terms: Terms) -> Origin:
    try:
        return _held(source, terms)
    except ValueError as error:
        raise ValueError(f"origin '{name}': {error}") from None


def _held(source: Source, terms: Terms) -> Origin:
    """An origin of its own, held to its own terms where it has some."""
    most = min(source.max_bytes or terms.limits.max_source_bytes, terms.limits.max_source_bytes)
    terms = replace(
        terms,
        limits=replace(terms.limits, max_source_bytes=most),
        timeout=source.timeout or terms.timeout,
    )
    scheme = scheme_of(source.url)
    if scheme not in SCHEMES:
        raise ValueError(f"no origin of the kind '{scheme}://'; there are a folder's path, {_supported()}")
    return HeldOrigin(SCHEMES[scheme](source, terms), source, timeout=terms.timeout)


def _supported() -> str:
    return ", ".join(f"{scheme}://" for scheme in SCHEMES if scheme)


def _folder(source: Source, terms: Terms) -> Origin:
    return _in_folder(source.url, terms)


def _file(source: Source, terms: Terms) -> Origin:
    host, slash, path = source.url[len("file://") :].partition("/")
    if host not in ("", "localhost") or not slash:
        raise ValueError(
            f"the origin '{source.url}' takes three slashes and an absolute path: file:///srv/originals"
        )
    return _in_folder(slash + unquote(path), terms)


def _in_folder(path: str, terms: Terms) -> Origin:
    folder = Path(path).expanduser()
    if not folder.is_dir():
        raise ValueError(f"the origin '{path}' is not a folder: {folder.absolute()}")
    return FileOrigin(folder, terms.limits)


def _http(source: Source, terms: Terms) -> Origin:
    host = base_url(source.url).raw_host.decode()
    client = make_client(private_hosts=[host] if source.private else [])
    return HTTPOrigin(client, source.url, terms.limits, fetch_timeout=terms.timeout, headers=source.headers)


def _bucket(source: Source, terms: Terms) -> Origin:
    store = open_store(source.url, {**source.options, **source.secrets}, terms.timeout)
    return BucketOrigin(store, terms.limits, fetch_timeout=terms.timeout)


def _remote(entries: Iterable[str], terms: Terms, private_networks: bool) -> Origin | None:
    hosts = remote_hosts(entries)
    if not hosts.names and not hosts.suffixes:
        return None
    client = make_client(private_hosts=[name for name, _ in hosts.names] if private_networks else [])
    origin = RemoteOrigin(client, hosts, terms.limits, fetch_timeout=terms.timeout)
    return HeldHosts(origin, timeout=terms.timeout)


SCHEMES: Mapping[str, Callable[[Source, Terms], Origin]] = {
    "": _folder,
    "file": _file,
    "http": _http,
    "https": _http,
    "s3": _bucket,
    "gs": _bucket,
    "az": _bucket,
}
"""The empty scheme is a plain path."""
