"""The rows of the option table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from proxy.options.values.kinds import Kind


@dataclass(frozen=True, kw_only=True)
class Option:
    """
    One row of the option table.

    `name` is the field of `Spec`; `names` are those of URLs, the canonical one first. `expand` converts a
    value to the fields that it sets. `about` groups options: a `delivery` option changes headers, not pixels,
    and is not part of the canonical form. `listed_as` is the name in options.json if it is not `name`.
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
    """Declare a field of `Spec` as an option; `more` are the other fields of `Option`."""
    return field(default=default, metadata={"names": names, "kind": kind, **more})
