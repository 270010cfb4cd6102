"""Where originals come from: the default origin and named ones, each with its limits and credentials."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from functools import cache

from proxy.model.errors import SourceNotAllowed
from proxy.origins.remote_hosts import NO_REMOTE_HOSTS, RemoteHosts

DEFAULT_ORIGIN = "default"
"""The name of the default origin, in metrics and purge tags, where it has none of its own."""

REMOTE_ORIGIN = "remote"
"""The name, in metrics and purge tags, of all origins of keys that are whole URLs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewrite:
    """Asks an origin for `to` where `match` matches a whole key; `to` may say `\\1` for a group of it."""

    match: re.Pattern[str]
    to: str


Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """
    One origin, as an operator describes it.

    `private` lets its host resolve to private addresses. `timeout` is in seconds, for one answer; `max_bytes`
    is for one original. An original is fresh for `max_age` seconds, whatever the origin says. `concurrency`
    is how many are fetched at a time. `headers` are sent along by HTTP; `options` and `secrets` are for
    object stores, by obstore's names. `environment` has credentials that the store's client finds by itself.
    """

    url: str = field(repr=False)
    private: bool = False
    timeout: float | None = None
    max_bytes: int | None = None
    max_age: int | None = None
    concurrency: int = 32
    formats: frozenset[str] | None = None
    rewrite: tuple[Rewrite, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    options: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def place(self) -> str:
        """
        A digest of all that decides which originals are had, and who may have them: of two deployments that
        share a cache, one never finds what only the other's credentials, networks or formats allow.
        """
        rules = tuple((rule.match.pattern, rule.to) for rule in self.rewrite)
        formats = "*" if self.formats is None else ",".join(sorted(self.formats))
        private = self.private and self.url[:4].lower() == "http"  # no other kind is held to public addresses
        access = (("private", str(private)), ("formats", formats))
        credentials = (_pairs(self.headers), _pairs(self.secrets), _pairs(self.environment))
        return _place(self.url, access, _pairs(self.options), rules, credentials)

    def rewritten(self, key: str) -> str:
        """Return the key under which the origin has the original: by the first rule that matches."""
        for rule in self.rewrite:
            if found := rule.match.fullmatch(key):
                return found.expand(rule.to)
        return key


class Route(Enum):
    """Which part of `Sources` a key leads to."""

    NAMED = auto()
    REMOTE = auto()
    """The key is a whole URL."""
    DEFAULT = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class LocatedKey:
    """
    A key, and the origin that has its original: decided once for each request, by `Sources.locate`.

    `key` is as the URL has it, `origin_key` as the origin has it, without the origin's name. `origin` is that
    name, in metrics and in purge tags. `place` tells the origin's originals from those of another origin
    under the same keys, and from the same ones under other credentials; it is empty where there is no origin.
    `formats` are those its originals may have, `None` for all. `refusal` is why this deployment does not
    serve the key at all, cached or not.
    """

    key: str
    route: Route
    origin: str
    origin_key: str
    place: str = ""
    formats: tuple[str, ...] | None = None
    refusal: str | None = None

    def require_allowed(self) -> None:
        """Raise SourceNotAllowed if the key leads to where this deployment does not fetch from."""
        if self.refusal is not None:
            raise SourceNotAllowed(self.refusal)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """
    All origins of a deployment.

    A key whose first segment is a name in `named` leads there, every other key to `default`, or nowhere if
    there is none. `chosen` is the name of `default` where it is one of `named`. Keys that are whole URLs lead
    to the hosts of `remote`, whose addresses may be private ones if `remote_private`.
    """

    default: Source | None
    named: Mapping[str, Source] = field(default_factory=dict)
    chosen: str | None = None
    remote: RemoteHosts = NO_REMOTE_HOSTS
    remote_private: bool = False

    @property
    def private(self) -> Sources:
        """The same origins, all of which may be on private networks."""
        return self.each(lambda source: replace(source, private=True))

    def each(self, change: Callable[[Source], Source]) -> Sources:
        """Return the same origins, each changed by `change`."""
        named = {name: change(source) for name, source in self.named.items()}
        return replace(self, default=self.default and change(self.default), named=named)

    def locate(self, key: str) -> LocatedKey:
        """Decide which origin has the original of `key`."""
        name, _, below = key.partition("/")
        if name in self.named:
            return _located(key, Route.NAMED, name, below, self.named[name])
        if is_url(key):
            return self._located_remote(key)
        return _located(key, Route.DEFAULT, self.chosen or DEFAULT_ORIGIN, key, self.default)

    def _located_remote(self, key: str) -> LocatedKey:
        access = (("private", str(self.remote_private)), *((host, str(port)) for host, port in self.remote))
        return LocatedKey(
            key=key,
            route=Route.REMOTE,
            origin=REMOTE_ORIGIN,
            origin_key=key,
            place=_place("", access),
            refusal=self.remote.refusal(key),
        )


NOWHERE = Sources(default=None)
"""No origin at all: keys lead to a default origin of no particular place."""


@cache
def _place(
    url: str,
    access: Pairs,
    options: Pairs = (),
    rules: Pairs = (),
    credentials: tuple[Pairs, ...] = (),
) -> str:
    user, at, host = url.partition("://")[2].partition("/")[0].rpartition("@")
    secret = (user, at, credentials) if at or any(credentials) else ()
    public = repr((url.replace(f"{user}@{host}", host, 1) if at else url, access, options, rules)).encode()
    # A slow hash: what is short enough to be guessed must not be guessable from a name in a shared cache.
    hidden = (
        hashlib.scrypt(repr(secret).encode(), salt=hashlib.sha256(public).digest(), n=2**14, r=8, p=1)
        if secret
        else b""
    )
    return hashlib.sha256(public + hidden).hexdigest()[:32]


def _pairs(mapping: Mapping[str, str]) -> Pairs:
    return tuple(sorted(mapping.items()))


def _located(key: str, route: Route, origin: str, origin_key: str, source: Source | None) -> LocatedKey:
    located = LocatedKey(key=key, route=route, origin=origin, origin_key=origin_key)
    if source is None:
        return located
    formats = None if source.formats is None else tuple(sorted(source.formats))
    return replace(located, place=source.place, formats=formats)


def is_url(key: str) -> bool:
    """Return whether `key` is a whole URL, whose host is its origin."""
    return key[:8].lower().startswith(("http://", "https://"))
