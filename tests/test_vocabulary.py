"""One word for one thing: names are defined once, rooms say what they are for, modules stay short."""

from __future__ import annotations

import ast
import importlib
import inspect
import io
import re
import tokenize
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

import proxy

TREE = Path(proxy.__file__).parent
MODULES = sorted(TREE.rglob("*.py"))
ROOMS = sorted(path.parent for path in TREE.rglob("__init__.py") if path.parent != TREE)

MAX_LINES = 300

RETIRED = {
    "bridged", "bring", "course", "deaf", "ear", "grounded", "heard", "held", "ingredients", "keeping",
    "lasting", "laying", "narrowing", "nobody", "orders", "patience", "patient", "portraits", "somebody",
    "spare", "spent", "trying", "whoever", "wish", "wished", "wishes",
}  # fmt: skip
"""Earlier names of what is now called by the field's terms: request, inputs, subscriber, background, ..."""


def name_of(path: Path) -> str:
    return str(path.relative_to(TREE.parent))


def classes_of(path: Path) -> Iterator[str]:
    """Public classes and type aliases at the top of a module; type variables are local to theirs."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ClassDef):
            names = [node.name]
        elif isinstance(node, ast.Assign) and not is_type_variable(node.value):
            names = [target.id for target in node.targets if isinstance(target, ast.Name)]
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names = [node.target.id]
        else:
            continue
        yield from (name for name in names if re.fullmatch(r"[A-Z][A-Za-z0-9]*[a-z][A-Za-z0-9]*", name))


def is_type_variable(value: ast.expr) -> bool:
    called = value.func if isinstance(value, ast.Call) else None
    return isinstance(called, ast.Name) and called.id in ("TypeVar", "ParamSpec", "TypeVarTuple")


def words_of(identifier: str) -> set[str]:
    return {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", identifier)}


def doors() -> Iterator[tuple[str, object]]:
    """What the rooms export, with its name."""
    for room in ROOMS:
        module = importlib.import_module(".".join(room.relative_to(TREE.parent).parts))
        for name in getattr(module, "__all__", ()):
            exported = getattr(module, name)
            if inspect.isclass(exported) or inspect.isfunction(exported):
                yield f"{module.__name__}.{name}", exported


def test_a_public_class_is_defined_once() -> None:
    defined = defaultdict(list)
    for path in MODULES:
        for name in classes_of(path):
            defined[name].append(name_of(path))
    assert {name: places for name, places in defined.items() if len(places) > 1} == {}


@pytest.mark.parametrize("room", ROOMS, ids=name_of)
def test_a_room_says_what_it_is_for_and_what_goes_in_and_out(room: Path) -> None:
    docstring = ast.get_docstring(ast.parse((room / "__init__.py").read_text())) or ""
    purpose, *more = docstring.splitlines()
    assert re.fullmatch(r"[A-Z`].*\.", purpose)
    assert re.search(r"^In: .*\bOut: ", "\n".join(more), re.MULTILINE | re.DOTALL)


def test_a_module_is_short() -> None:
    lengths = {name_of(path): len(path.read_text().splitlines()) for path in MODULES}
    assert {name: lines for name, lines in lengths.items() if lines > MAX_LINES} == {}


def test_what_a_room_exports_is_described_in_a_sentence() -> None:
    first = {name: next(iter((inspect.getdoc(each) or "").splitlines()), "") for name, each in doors()}
    assert first
    assert {name: line for name, line in first.items() if not re.fullmatch(r"[A-Z`].*\.", line)} == {}


def test_retired_words_name_nothing() -> None:
    found = defaultdict(set)
    for path in MODULES:
        for token in tokenize.generate_tokens(io.StringIO(path.read_text()).readline):
            if token.type == tokenize.NAME and words_of(token.string) & RETIRED:
                found[name_of(path)].add(token.string)
    assert dict(found) == {}
