"""
YAML as nodes with their lines and columns: a file is read value by value, by the kinds that read values in
URLs, and every error says where it is.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any, Protocol

from ruamel.yaml import YAML
from ruamel.yaml.composer import MaxDepthExceededError
from ruamel.yaml.error import FileMark, MarkedYAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from proxy.model.errors import InvalidRequest
from proxy.options.suggestions import did_you_mean, shorten
from proxy.options.values.kinds import PresetNamesKind

MAX_DEPTH = 8  # levels of nesting; our files have four
MAX_FILE_BYTES = 256 * 1024


class InvalidYaml(Exception):
    """
    A file is wrong: `presets.yaml:12:5: ` (line and column, from 1), what was given and what is allowed.
    """


@contextmanager
def raised_as(kind: type[Exception]) -> Iterator[None]:
    """Raise InvalidYaml as another exception with the same message."""
    try:
        yield
    except InvalidYaml as error:
        raise kind(str(error)) from error.__cause__


def read_text(path: Path) -> str:
    """
    The text of a file, at most as much as `compose_nodes` takes. Raises InvalidYaml, also when there is no
    such file.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise InvalidYaml(f"{path}: cannot be read: {error.strerror}") from error
    return raw.decode(errors="surrogateescape")


class _File(StringIO):
    """YAML asks a stream for its name, and gives it to every mark."""

    def __init__(self, text: str, name: str) -> None:
        super().__init__(text)
        self.name = name


def compose_nodes(text: str, name: str) -> Node | None:
    """
    The nodes of a YAML 1.2 document: texts with their places, nothing constructed from them. An alias is the
    node that it stands for, not a copy, so a bomb of them stays as small as it is written.
    """
    if len(text.encode(errors="surrogatepass")) > MAX_FILE_BYTES:
        raise InvalidYaml(f"{name}: such a file has at most {MAX_FILE_BYTES} bytes")
    yaml = YAML(typ="safe", pure=True)
    yaml.max_depth = MAX_DEPTH
    yaml.composer.warn_double_anchors = False  # YAML 1.2 section 7.1 allows them
    try:
        node: Node | None = yaml.compose(_File(text, name))
    except MaxDepthExceededError as error:
        raise fault_at(error.problem_mark, f"nested more than {MAX_DEPTH} levels deep") from None
    except MarkedYAMLError as error:
        said = ", ".join(part for part in (error.context, error.problem) if part)
        raise fault_at(error.problem_mark or error.context_mark, said) from None
    except ReaderError as error:
        lines = text[: error.position].split("\n")
        mark = FileMark(name, error.position, len(lines) - 1, len(lines[-1]))
        what = "a byte that is not UTF-8" if 0xDC80 <= error.character <= 0xDCFF else "a control character"
        raise fault_at(mark, f"{what}: {text[error.position]!r}") from None
    except (OverflowError, ValueError, KeyError, AssertionError) as error:
        # ruamel.yaml lets these out, placeless: an escape beyond Unicode, a %YAML version without a resolver.
        raise fault_at(FileMark(name, 0, 0, 0), f"no YAML 1.2: {error}") from None
    return node


@contextmanager
def errors_at(node: Node, name: str) -> Iterator[None]:
    """Raise an InvalidRequest about a value as an error at `node`, in the field `name`."""
    try:
        yield
    except InvalidRequest as error:
        raise fault(node, f"{name!r}: {error.message}") from None


def fault(node: Node, what: str) -> InvalidYaml:
    """The error `what` at the place of `node`, to be raised."""
    return fault_at(node.start_mark, what)


def fault_at(mark: FileMark, what: str) -> InvalidYaml:
    return InvalidYaml(f"{mark.name}:{mark.line + 1}:{mark.column + 1}: {what}")


class ValueReader(Protocol):
    """The half of a `kinds.Kind` that is needed where nothing is written back."""

    @property
    def hint(self) -> str: ...
    def parse(self, text: str | None) -> Any: ...


def read_values(nodes: Mapping[str, Node], kinds: Mapping[str, ValueReader]) -> dict[str, Any]:
    return {name: read_value(name, node, kinds[name]) for name, node in nodes.items()}


def read_value(name: str, node: Node, kind: ValueReader) -> Any:
    """Read the value of the field `name`. Raises InvalidYaml, which quotes it and says what is allowed."""
    if not isinstance(node, ScalarNode):
        raise fault(node, f"{name!r} takes {kind.hint}, not {describe_node(node)}")
    try:
        with errors_at(node, name):
            return kind.parse(None if is_null(node) else node.value)
    except ValueError:
        raise fault(node, f"{name!r} takes {kind.hint}, not {describe_node(node)}") from None


def read_list(name: str, node: Node, kind: ValueReader) -> frozenset[Any]:
    if not isinstance(node, SequenceNode):
        raise fault(node, f"{name!r} takes a list, in it {kind.hint}, not {describe_node(node)}")
    return frozenset(read_value(name, inner, kind) for inner in node.value)


def read_mapping(node: Node, what: str, names: Collection[str] = ()) -> dict[str, Node]:
    """The values of a mapping whose keys are among `names`, or, when there are none, any names at all."""
    if not isinstance(node, MappingNode):
        raise fault(node, f"{what} must be a mapping, not {describe_node(node)}")
    found: dict[str, Node] = {}
    for key, value in node.value:
        name = key.value if isinstance(key, ScalarNode) else describe_node(key)
        if names and name not in names:
            near = did_you_mean(name, names)
            raise fault(key, f"{what} takes {', '.join(names)}, not {shorten(name)!r}{near}")
        if not re.fullmatch(PresetNamesKind.pattern, name, re.ASCII):
            allowed = "1 to 64 letters, digits, '.', '_' or '-', the first a letter or a digit"
            raise fault(key, f"a name in {what} has {allowed}, not {shorten(name)!r}")
        if name in found:
            raise fault(key, f"{name!r} stands twice in {what}; give one of them")
        found[name] = value
    return found


def is_null(node: Node) -> bool:
    return bool(node.tag == "tag:yaml.org,2002:null")


def describe_node(node: Node) -> str:
    if isinstance(node, ScalarNode):
        return "nothing" if is_null(node) else repr(shorten(node.value))
    return "a mapping" if isinstance(node, MappingNode) else "a list"
