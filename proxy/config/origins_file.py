"""
The origins file: the places where originals come from, as an operator writes them. Read like the presets
file: an error has its line and column, and never quotes what may be a secret.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

from ruamel.yaml.nodes import MappingNode, Node, ScalarNode

from proxy.clients.address import scheme_of
from proxy.config.origin_fields import (
    COMMON_FIELDS,
    FIELDS_BY_SCHEME,
    ORIGIN_FIELDS,
    RESERVED_HEADERS,
    SCALAR_FIELDS,
    SECRET_KIND,
    STORE_OPTIONS,
    STORE_SECRETS,
    TEXT_KIND,
    URL_KIND,
    VALUE_KIND,
    FormatName,
    Pattern,
    UnresolvedReference,
    or_empty,
)
from proxy.config.yaml import (
    ValueReader,
    compose_nodes,
    fault,
    is_null,
    raised_as,
    read_list,
    read_mapping,
    read_text,
    read_value,
    read_values,
)
from proxy.options.values.kinds import PresetNamesKind
from proxy.origins.sources import Rewrite, Source, Sources


class InvalidSources(Exception):
    """Says `origins.yaml:12:5:` (line and column), what was wrong, what was given and what is allowed."""


ORIGINS_SECTIONS = ("default", "origins")


def load_sources(path: Path) -> Sources:
    """Read an origins file. Raises InvalidSources, also when there is no such file."""
    with raised_as(InvalidSources):
        text = read_text(path)
    return read_sources(text, str(path))


def read_sources(text: str, name: str) -> Sources:
    """Read the text of an origins file; `name` is the file's, for messages. Raises InvalidSources."""
    with raised_as(InvalidSources):
        root = compose_nodes(text, name)
        return Sources(default=None) if root is None or is_null(root) else read_sources_node(root)


def read_sources_node(root: Node) -> Sources:
    top = read_mapping(root, "the file", ORIGINS_SECTIONS)
    origins = read_mapping(top["origins"], "'origins'") if "origins" in top else {}
    named = {each: read_source(each, node) for each, node in origins.items()}
    if "default" not in top:
        return Sources(default=None, named=named)
    chosen = _chosen(top["default"], named)
    return Sources(default=named[chosen], named=named, chosen=chosen)


PAIRS_START = re.compile(rf"\s*{PresetNamesKind.pattern}=")
"""How name=url pairs begin; paths of files hardly do."""

DOCUMENT_START = re.compile(r"\s*(?:#|---|\{|['\"]?(?:default|origins)['\"]?\s*:)|.*\n", re.ASCII)
"""What the text of an origins file begins with, or has after its first line."""


def read_origins(text: str) -> Sources:
    """
    Named origins as a setting has them: pairs, a file's path, or the text of such a file, which is what
    IMAGE_PROXY_ORIGINS_FILE gives. Raises InvalidSources.
    """
    if PAIRS_START.match(text):
        return read_pairs(text)
    if DOCUMENT_START.match(text):
        return read_sources(text, "origins")
    return load_sources(Path(text).expanduser())


def read_pairs(text: str) -> Sources:
    """Read `photos=s3://bucket/prefix,shop=https://cdn.shop.example/`. Raises InvalidSources."""
    named = {}
    for pair in re.split(r",\s*|\n\s*", text.strip()):
        name, equals, url = pair.strip().partition("=")
        if not equals or not re.fullmatch(PresetNamesKind.pattern, name, re.ASCII) or name in named:
            raise InvalidSources(f"named origins are written as name=url, each name once, not {name!r}")
        try:
            named[name] = Source(url=URL_KIND.parse(url))
        except ValueError:
            raise InvalidSources(f"the origin {name!r} takes {URL_KIND.hint}") from None
    return Sources(default=None, named=named)


def _chosen(node: Node, named: Mapping[str, Source]) -> str:
    name: str = read_value("default", node, TEXT_KIND)
    if name not in named:
        raise fault(node, f"'default' is one of {', '.join(named) or 'no origins'}, not {name!r}")
    return name


def read_source(name: str, node: Node) -> Source:
    """Read one origin: its URL alone, or a mapping of its fields. Raises InvalidYaml."""
    if not isinstance(node, MappingNode):
        return Source(url=_confided(name, node, URL_KIND))
    what = f"origin {name!r}"
    nodes = read_mapping(node, what, ORIGIN_FIELDS)
    if "url" not in nodes:
        raise fault(node, f"{what} has no 'url'")
    url = _confided("url", nodes["url"], URL_KIND)
    _refuse_meaningless(what, url, node, nodes)
    source = Source(url=url, **read_values(_among(nodes, SCALAR_FIELDS), SCALAR_FIELDS))
    if "formats" in nodes:
        source = replace(source, formats=read_list("formats", nodes["formats"], FormatName()))
    if "headers" in nodes:
        source = replace(source, headers=_headers(nodes["headers"]))
    if "rewrite" in nodes:
        source = replace(source, rewrite=_rewrites(nodes["rewrite"]))
    return replace(
        source,
        options={
            each: _text(value)
            for each, value in read_values(_among(nodes, STORE_OPTIONS), STORE_OPTIONS).items()
        },
        secrets={each: _confided(each, nodes[each], SECRET_KIND) for each in _among(nodes, STORE_SECRETS)},
    )


def _refuse_meaningless(what: str, url: str, node: MappingNode, nodes: Mapping[str, Node]) -> None:
    scheme = scheme_of(url)
    if scheme not in FIELDS_BY_SCHEME:
        return
    taken = (*COMMON_FIELDS, *FIELDS_BY_SCHEME[scheme])
    for key, _ in node.value:
        if key.value in nodes and key.value not in taken:
            kind = f"{scheme}://" if scheme else "a folder"
            raise fault(key, f"{what} is {kind} and takes {', '.join(taken)}, not {key.value!r}")


def _confided(name: str, node: Node, kind: ValueReader) -> str:
    """Read a value that no message may quote."""
    try:
        given = node.value if isinstance(node, ScalarNode) else None
        value: str = kind.parse(given)
    except UnresolvedReference as error:
        raise fault(node, f"{name!r}: {error}") from None
    except ValueError:
        raise fault(node, f"{name!r} takes {kind.hint}; what stands there is not shown") from None
    return value


def _headers(node: Node) -> dict[str, str]:
    found = {}
    for name, value in read_mapping(node, "'headers'").items():
        if name.lower() in RESERVED_HEADERS:
            raise fault(value, f"the header {name!r} is ours to send")
        found[name] = _confided(name, value, VALUE_KIND)
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
        pattern = read_value("rewrite", key, Pattern())
        to = read_value("rewrite", value, TEXT_KIND)
        try:
            # Matches nothing with none of its groups, and knows all of them.
            or_empty(pattern.pattern).fullmatch("").expand(to)  # type: ignore[union-attr]  # always matches
        except (re.error, IndexError):
            raise fault(value, f"'rewrite' names a group that its pattern does not have: {to!r}") from None
        rules.append(Rewrite(match=pattern, to=to))
    return tuple(rules)
