"""From the settings of origins to origins."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import unquote

from proxy.clients.address import BUCKET_SCHEMES, scheme_of
from proxy.clients.object_store import open_store
from proxy.model.limits import Limits
from proxy.origins.bucket import BucketOrigin
from proxy.origins.file import FileOrigin
from proxy.origins.http import NO_HTTP_LISTING, HTTPOrigin, base_url, make_client
from proxy.origins.limited import LimitedHosts, LimitedOrigin
from proxy.origins.listing import CannotList, Listing
from proxy.origins.protocol import Origin
from proxy.origins.remote import RemoteOrigin
from proxy.origins.remote_hosts import RemoteHosts
from proxy.origins.router import OriginRouter
from proxy.origins.sources import Source, Sources


@dataclass(frozen=True, slots=True, kw_only=True)
class OriginTerms:
    """Limits of all origins of a deployment that have none of their own. `timeout` is in seconds."""

    limits: Limits
    timeout: float


def open_origins(
    sources: Sources,
    *,
    limits: Limits,
    fetch_timeout: float = 10.0,
) -> OriginRouter:
    """
    Open all origins of a deployment, each with a client of its own where it needs one; `close` closes those
    too. To be called where an event loop runs.

    `sources.remote_private` covers the hosts that `sources.remote` spells out, not subdomains of a listed
    name: a client who controls one name below it would decide where it points.

    Raises ValueError, which says what is wrong with a source, and quotes no credentials.
    """
    terms = OriginTerms(limits=limits, timeout=fetch_timeout)
    named = {name: _named(name, source, terms) for name, source in sources.named.items()}
    if sources.chosen is not None:
        default: Origin | None = named[sources.chosen]
    else:
        default = None if sources.default is None else _limited(sources.default, terms)
    return OriginRouter(default, _remote(sources.remote, terms, private=sources.remote_private), named)


def _named(name: str, source: Source, terms: OriginTerms) -> Origin:
    try:
        return _limited(source, terms)
    except ValueError as error:
        raise ValueError(f"origin '{name}': {error}") from None


def _limited(source: Source, terms: OriginTerms) -> Origin:
    """One origin, under its own limits where it has some."""
    most = min(source.max_bytes or terms.limits.max_source_bytes, terms.limits.max_source_bytes)
    terms = replace(
        terms,
        limits=replace(terms.limits, max_source_bytes=most),
        timeout=source.timeout or terms.timeout,
    )
    scheme = scheme_of(source.url)
    if scheme not in ORIGIN_SCHEMES:
        raise ValueError(f"no origin of the kind '{scheme}://'; there are a folder's path, {_supported()}")
    return LimitedOrigin(ORIGIN_SCHEMES[scheme](source, terms), source, timeout=terms.timeout)


def open_listing(source: Source, *, timeout: float) -> Listing:
    """
    Open an origin for the list of its keys, which the caller closes. `timeout` is in seconds, for one answer.

    Raises CannotList, with the reason, and ValueError for a store that cannot be opened.
    """
    if source.rewrite:
        raise CannotList("its keys are rewritten, so names of files are not the keys")
    terms = OriginTerms(limits=Limits(), timeout=timeout)
    match scheme_of(source.url):
        case "" | "file":
            try:
                return _folder(source, terms)
            except ValueError as error:
                raise CannotList(str(error)) from None
        case "http" | "https":
            raise CannotList(NO_HTTP_LISTING)
        case scheme if scheme in BUCKET_SCHEMES:
            return _bucket(source, terms)
        case scheme:
            raise CannotList(f"there is no origin of the kind '{scheme}://'")


def _supported() -> str:
    return ", ".join(f"{scheme}://" for scheme in ORIGIN_SCHEMES if scheme)


def _folder(source: Source, terms: OriginTerms) -> FileOrigin:
    path = _path(source.url)
    folder = Path(path).expanduser()
    if not folder.is_dir():
        raise ValueError(f"the origin '{path}' is not a folder: {folder.absolute()}")
    return FileOrigin(folder, terms.limits, rewrite=source.rewritten)


def _path(url: str) -> str:
    if scheme_of(url) != "file":
        return url
    host, slash, path = url[len("file://") :].partition("/")
    if host not in ("", "localhost") or not slash:
        raise ValueError(
            f"the origin '{url}' takes three slashes and an absolute path: file:///srv/originals"
        )
    return slash + unquote(path)


def _http(source: Source, terms: OriginTerms) -> Origin:
    host = base_url(source.url).raw_host.decode()
    client = make_client(private_hosts=[host] if source.private else [])
    return HTTPOrigin(
        client,
        source.url,
        terms.limits,
        headers=source.headers,
        rewrite=source.rewritten,
    )


def _bucket(source: Source, terms: OriginTerms) -> BucketOrigin:
    store = open_store(source.url, {**source.options, **source.secrets}, terms.timeout)
    return BucketOrigin(store, terms.limits, rewrite=source.rewritten)


def _remote(hosts: RemoteHosts, terms: OriginTerms, *, private: bool) -> Origin | None:
    if not hosts.names and not hosts.suffixes:
        return None
    client = make_client(private_hosts=[name for name, _ in hosts.names] if private else [])
    origin = RemoteOrigin(client, hosts, terms.limits)
    return LimitedHosts(origin, timeout=terms.timeout)


ORIGIN_SCHEMES: Mapping[str, Callable[[Source, OriginTerms], Origin]] = {
    "": _folder,
    "file": _folder,
    "http": _http,
    "https": _http,
    "s3": _bucket,
    "gs": _bucket,
    "az": _bucket,
}
"""The empty scheme is a plain path."""
