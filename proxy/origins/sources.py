"""Where originals come from: the default origin, named ones, and what each of them is held to."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache

DEFAULT = "default"
REMOTE = "remote"
"""The names, in tags, of the origin without a name and of keys that are whole URLs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewrite:
    """`to` may say `\\1` for a group of `match`, which has to match all of a key."""

    match: re.Pattern[str]
    to: str


_WHERE = ("endpoint", "account_name")
"""The options that say which of several stores has a bucket of that name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """
    One origin. `private` lets its host resolve to private addresses. `timeout` is seconds for one answer,
    `max_bytes` bytes of one original, `max_age` seconds for which an original is fresh whatever the origin
    says, `concurrency` how many are fetched at a time. `headers` are sent along by HTTP; `secrets` and
    `options` are what an object store wants to be told, by obstore's names.
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

    @property
    def place(self) -> str:
        """
        What tells its originals from another origin's under the same keys. Without the credentials, which may
        change while the place stays the same.
        """
        rules = tuple((rule.match.pattern, rule.to) for rule in self.rewrite)
        return _place(self.url, tuple(self.options.get(name, "") for name in _WHERE), rules)

    def rewritten(self, key: str) -> str:
        """The key under which the origin has it: by the first rule that matches."""
        for rule in self.rewrite:
            if found := rule.match.fullmatch(key):
                return found.expand(rule.to)
        return key


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """
    `default` is for keys whose first segment is no name of `named`; without one there are none such. It may
    be one of `named`: `chosen` says which, and the two are one origin.
    """

    default: Source | None
    named: Mapping[str, Source] = field(default_factory=dict)
    chosen: str | None = None

    @property
    def private(self) -> Sources:
        """The same, and all of them may be on private networks."""
        return self.each(lambda source: replace(source, private=True))

    def each(self, change: Callable[[Source], Source]) -> Sources:
        """The same, and all of them changed."""
        named = {name: change(source) for name, source in self.named.items()}
        return replace(self, default=self.default and change(self.default), named=named)

    def of(self, key: str) -> tuple[str, Source | None]:
        """The name of a key's origin, and the origin; that of a whole URL has no settings of its own."""
        name = key.partition("/")[0]
        if name in self.named:
            return name, self.named[name]
        if is_url(key):
            return REMOTE, None
        return self.chosen or DEFAULT, self.default

    def place(self, key: str) -> str:
        """Where a key leads to; nowhere in particular for a whole URL, which says it itself."""
        source = self.of(key)[1]
        return "" if source is None else source.place

    def formats(self, key: str) -> tuple[str, ...] | None:
        """What a key's origin may have; `None` for all."""
        source = self.of(key)[1]
        return None if source is None or source.formats is None else tuple(sorted(source.formats))


NOWHERE = Sources(default=None)


@cache
def _place(url: str, where: tuple[str, ...], rules: tuple[tuple[str, str], ...]) -> str:
    place = re.sub(r"(://)[^/@]*@", r"\1", url)
    rewritten = f"\n{rules}" if rules else ""
    return hashlib.sha256(f"{where}\n{place}{rewritten}".encode()).hexdigest()[:16]


def is_url(key: str) -> bool:
    return key[:8].lower().startswith(("http://", "https://"))
