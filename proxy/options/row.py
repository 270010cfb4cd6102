"""One row of the option table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from proxy.options.values.kinds import Kind


@dataclass(frozen=True, kw_only=True)
class Option:
    """
    `names` are what URLs may say, the canonical one first. `expand` rewrites a value to the fields that it
    stands for. `about` tells what the option is about: a `delivery` option changes headers and not pixels,
    and is no part of the canonical form. `listed_as` is the name in options.json where clients know an
    option by another one than its field's.
    """

    name: str
    names: tuple[str, ...]
    kind: Kind[Any]
    default: Any
    doc: str
    example: str
    about: str = "size"
    expand: Callable[[Any], Mapping[str, Any]] | None = None
    listed_as: str | None = None


def option(*names: str, kind: Kind[Any], default: Any = None, **more: Any) -> Any:
    return field(default=default, metadata={"names": names, "kind": kind, **more})
