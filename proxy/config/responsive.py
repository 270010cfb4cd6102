"""The widths that pages use of a preset: `responsive` in presets.yaml."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ruamel.yaml.nodes import Node

from proxy.config.yaml import fault, read_list, read_mapping, read_value
from proxy.options.values.kinds import IntegerKind
from proxy.options.values.positions import MAX_SIDE

MAX_WIDTHS = 16
RESPONSIVE_FIELDS = ("widths", "together")


@dataclass(frozen=True, slots=True, kw_only=True)
class Responsive:
    """
    `widths` are px, in ascending order. `together`: when the first of them is asked of a picture, all of them
    are made.
    """

    widths: tuple[int, ...]
    together: bool = False

    def __str__(self) -> str:
        together = ", together: true" if self.together else ""
        return f"{{widths: [{', '.join(map(str, self.widths))}]{together}}}"


class _Switch:
    hint: ClassVar[str] = "true or false"

    def parse(self, text: str | None) -> bool:
        if text not in ("true", "false"):
            raise ValueError(text)
        return text == "true"


def read_responsive(node: Node) -> Responsive:
    """Read what a preset says under `responsive`. Raises InvalidYaml."""
    nodes = read_mapping(node, "'responsive'", RESPONSIVE_FIELDS)
    if "widths" not in nodes:
        raise fault(node, "'responsive' has no 'widths'; give a list of px such as [320, 640, 1280]")
    widths = read_list("widths", nodes["widths"], IntegerKind(1, MAX_SIDE))
    if not 1 <= len(widths) <= MAX_WIDTHS:
        raise fault(nodes["widths"], f"'widths' takes 1 to {MAX_WIDTHS} of them, not {len(widths)}")
    together = "together" in nodes and read_value("together", nodes["together"], _Switch())
    return Responsive(widths=tuple(sorted(widths)), together=together)
