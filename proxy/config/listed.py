"""The section `listed` of the presets file: what URLs may say without a signature."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from ruamel.yaml.nodes import Node

from proxy.config.yaml import ValueReader, read_list, read_mapping
from proxy.options.spec import OPTIONS, OPTIONS_BY_NAME
from proxy.options.values.kinds import IntegerKind, NumberKind
from proxy.options.values.positions import MAX_SIDE


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedValues:
    """
    What the unsigned policies let through; an empty list admits nothing.

    `width`, `height` (px) and `quality` (1 to 100) are for the policy `listed`, and so are `options`, fields
    of the spec that it lets through besides, with any value. `dpr` and `combinations`, presets that one URL
    may name together, in this order, are for `presets` too.
    """

    width: frozenset[int] = frozenset()
    height: frozenset[int] = frozenset()
    quality: frozenset[int] = frozenset()
    dpr: frozenset[float] = frozenset({1.0, 2.0, 3.0})
    options: frozenset[str] = frozenset()
    combinations: frozenset[tuple[str, ...]] = frozenset()


class OptionNameKind:
    """The name of an option, any of them; shorthands such as `s` stand for several, and are none."""

    hint: ClassVar[str] = "names of options, such as rotate or blur"

    def parse(self, text: str | None) -> str:
        option = OPTIONS_BY_NAME.get(text or "")
        if option is None or option.name not in OPTIONS:
            raise ValueError(text)
        return option.name


class CombinationKind:
    hint: ClassVar[str] = "two presets or more with ':' between them, such as card:mono"

    def parse(self, text: str | None) -> tuple[str, ...]:
        names = tuple((text or "").split(":"))
        if len(names) < 2 or not all(names):
            raise ValueError(text)
        return names


LISTED_FIELDS: Mapping[str, ValueReader] = {
    "width": IntegerKind(1, MAX_SIDE),
    "height": IntegerKind(1, MAX_SIDE),
    "quality": IntegerKind(1, 100),
    "dpr": NumberKind(0.1, 4),
    "options": OptionNameKind(),
    "combinations": CombinationKind(),
}


def read_listed(node: Node) -> ListedValues:
    """Read the section. Raises InvalidYaml."""
    nodes = read_mapping(node, "'listed'", LISTED_FIELDS)
    return ListedValues(
        **{name: read_list(name, inner, LISTED_FIELDS[name]) for name, inner in nodes.items()}
    )
