"""
The origins file: what an operator writes down of the places where originals come from. Read like the presets,
so that whatever is wrong is told with its line and column; what may be a secret is never told at all.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

from ruamel.yaml.nodes import MappingNode, Node, ScalarNode

from proxy import media
from proxy.kinds import Flag, Integer, Names, Text
from proxy.media import Format
from proxy.nodes import (
    Misplaced,
    Reads,
    compose,
    entries,
    fault,
    is_null,
    read_list,
    read_value,
    read_values,
)
from proxy.sources import Rewrite, Source, Sources
from proxy.units import BYTES, SECONDS, Units

LARGEST = 256 * 1024  # bytes


class InvalidSources(Exception):
    """Says `origins.yaml:12:5:` (line and column), what was wrong, what was given and what is allowed."""


@dataclass(frozen=True)
class _Quantity:
    units: Units
    most: float

    @property
    def hint(self) -> str:
        return self.units.example

    def parse(self, text: str | None) -> float:
        number = self.units.parse(text)
        if not isinstance(number, int | float) or not 0 < number <= self.most:
            raise ValueError(text)
        return number


@dataclass(frozen=True)
class _Given:
    """A value, or where to find one. A secret one is never written down itself."""

    secret: bool

    @property
    def hint(self) -> str:
        places = "env:NAME or file:/path, where it is to be found"
        return places if self.secret else f"a text, or {places}"

    def parse(self, text: str | None) -> str:
        scheme, colon, rest = (text or "").partition(":")
        if colon and scheme == "env" and rest:
            if not (found := os.environ.get(rest, "")):
                raise ValueError(text)
            return found
        if colon and scheme == "file" and rest:
            try:
                return Path(rest).read_text(encoding="utf-8").strip() or _nothing(rest)
            except (OSError, UnicodeDecodeError) as error:
                raise ValueError(text) from error
        if self.secret or not text:
            raise ValueError(text)
        return text


def _nothing(path: str) -> str:
    raise ValueError(path)


class _Url:
    hint: ClassVar[str] = (
        "a folder, file://, http(s)://host/, s3://bucket/prefix, gs:// or az://, without user and password"
    )

    def parse(self, text: str | None) -> str:
        if not text or "@" in urlsplit(text).netloc:
            raise ValueError(text)
        return text


class _FormatName:
    names: ClassVar[tuple[str, ...]] = (*Format, *media.Source)
    hint: ClassVar[str] = "one of " + ", ".join(names)

    def parse(self, text: str | None) -> str:
        if text not in self.names:
            raise ValueError(text)
        return text


class _Pattern:
    hint: ClassVar[str] = "a regular expression for a whole key"

    def parse(self, text: str | None) -> re.Pattern[str]:
        try:
            _optional(text or "")
            return re.compile(text or "")
        except re.error as error:
            raise ValueError(text) from error


TEXT = Text(1024)
URL, SECRET, OPEN = _Url(), _Given(secret=True), _Given(secret=False)
SIMPLE: Mapping[str, Reads] = {
    "private": Flag(),
    "timeout": _Quantity(SECONDS, 3600),
    "max_bytes": _Quantity(BYTES, 10**12),
    "max_age": Integer(0, 2**31 - 1),
    "concurrency": Integer(1, 1024),
}
OPTIONS: Mapping[str, Reads] = {
    "region": TEXT,
    "endpoint": TEXT,
    "virtual_hosted_style_request": Flag(),
    "skip_signature": Flag(),
    "access_key_id": OPEN,
    "account_name": OPEN,
}
SECRETS = ("secret_access_key", "session_token", "service_account_key", "account_key", "sas_key")
"""Of object stores, by obstore's names for them."""

OURS = frozenset(
    {
        "host", "connection", "transfer-encoding", "content-length", "accept-encoding", "cdn-loop", "via",
        "range", "if-none-match", "if-modified-since",
    }
)  # fmt: skip

NAMES = ("url", *SIMPLE, "formats", "rewrite", "headers", *OPTIONS, *SECRETS)
SECTIONS = ("default", "origins")


def load_sources(path: Path) -> Sources:
    """Raises InvalidSources, also when there is no such file."""
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST + 1)
    except OSError as error:
        raise InvalidSources(f"{path}: cannot be read: {error.strerror}") from error
    return read_sources(raw.decode(errors="surrogateescape"), str(path))


def read_sources(text: str, name: str) -> Sources:
    """Read the text of an origins file; `name` is the file's, for messages. Raises InvalidSources."""
    if len(text.encode(errors="surrogatepass")) > LARGEST:
        raise InvalidSources(f"{name}: an origins file has at most {LARGEST} bytes")
    try:
        root = compose(text, name)
        if root is None or is_null(root):
            return Sources(default=None)
        top = entries(root, "the file", SECTIONS)
        origins = entries(top["origins"], "'origins'") if "origins" in top else {}
        named = {each: read_source(each, node) for each, node in origins.items()}
        default = top.get("default")
        return Sources(default=None if default is None else _chosen(default, named), named=named)
    except Misplaced as error:
        raise InvalidSources(str(error)) from None


PAIR = re.compile(rf"{Names.pattern}=")
"""What pairs begin with, and no path does that anybody has."""


def read_pairs(text: str) -> Sources:
    """Read `photos=s3://bucket/prefix,shop=https://cdn.shop.example/`. Raises InvalidSources."""
    named = {}
    for pair in text.split(","):
        name, equals, url = pair.strip().partition("=")
        if not equals or not re.fullmatch(Names.pattern, name, re.ASCII) or name in named:
            raise InvalidSources(f"named origins are written as name=url, each name once, not {name!r}")
        try:
            named[name] = Source(url=URL.parse(url))
        except ValueError:
            raise InvalidSources(f"the origin {name!r} takes {URL.hint}") from None
    return Sources(default=None, named=named)


def _chosen(node: Node, named: Mapping[str, Source]) -> Source:
    name = read_value("default", node, TEXT)
    if name not in named:
        raise fault(node, f"'default' is one of {', '.join(named) or 'no origins'}, not {name!r}")
    return named[name]


def read_source(name: str, node: Node) -> Source:
    if not isinstance(node, MappingNode):
        return Source(url=_confided(name, node, URL))
    what = f"origin {name!r}"
    nodes = entries(node, what, NAMES)
    if "url" not in nodes:
        raise fault(node, f"{what} has no 'url'")
    source = Source(url=_confided("url", nodes["url"], URL), **read_values(_among(nodes, SIMPLE), SIMPLE))
    if "formats" in nodes:
        source = replace(source, formats=read_list("formats", nodes["formats"], _FormatName()))
    if "headers" in nodes:
        source = replace(source, headers=_headers(nodes["headers"]))
    if "rewrite" in nodes:
        source = replace(source, rewrite=_rewrites(nodes["rewrite"]))
    return replace(
        source,
        options={each: _text(value) for each, value in read_values(_among(nodes, OPTIONS), OPTIONS).items()},
        secrets={each: _confided(each, nodes[each], SECRET) for each in _among(nodes, SECRETS)},
    )


def _confided(name: str, node: Node, kind: Reads) -> str:
    """A value that is not shown again, whatever is wrong with it."""
    try:
        given = node.value if isinstance(node, ScalarNode) else None
        value: str = kind.parse(given)
    except ValueError:
        raise fault(node, f"{name!r} takes {kind.hint}; what stands there is not shown") from None
    return value


def _headers(node: Node) -> dict[str, str]:
    found = {}
    for name, value in entries(node, "'headers'").items():
        if name.lower() in OURS:
            raise fault(value, f"the header {name!r} is ours to send")
        found[name] = _confided(name, value, OPEN)
        if not re.fullmatch(r"[!-~](?:[ -~]*[!-~])?", found[name]):
            raise fault(value, f"the header {name!r} takes visible ASCII; what stands there is not shown")
    return found


def _among(nodes: Mapping[str, Node], kinds: Collection[str]) -> dict[str, Node]:
    return {name: node for name, node in nodes.items() if name in kinds}


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _rewrites(node: Node) -> tuple[Rewrite, ...]:
    """A mapping of patterns to what keys become, in its order."""
    if not isinstance(node, MappingNode):
        raise fault(node, "'rewrite' must be a mapping of patterns to what a key becomes")
    rules = []
    for key, value in node.value:
        pattern = read_value("rewrite", key, _Pattern())
        to = read_value("rewrite", value, TEXT)
        try:
            # Matches nothing with none of its groups, and knows all of them.
            _optional(pattern.pattern).fullmatch("").expand(to)  # type: ignore[union-attr]  # always matches
        except (re.error, IndexError):
            raise fault(value, f"'rewrite' names a group that its pattern does not have: {to!r}") from None
        rules.append(Rewrite(match=pattern, to=to))
    return tuple(rules)


def _optional(pattern: str) -> re.Pattern[str]:
    return re.compile(f"(?:{pattern})|")
