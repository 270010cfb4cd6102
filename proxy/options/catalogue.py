"""The option table as values that any client can read: options.json, the documentation, the playground."""

from __future__ import annotations

from typing import Any

from proxy.options.spec import OPTIONS, SHORTHANDS


def options_table() -> list[dict[str, Any]]:
    """
    Every option in the order of the table: JSON as it is. `names` are what URLs may say, the canonical one
    first; `kind` says the bounds to a program and `takes` to a person.
    """
    return [
        {
            "name": option.listed_as or option.name,
            "names": list(option.names),
            "kind": option.kind.describe(),
            "takes": option.kind.hint,
            "default": list(option.default) if isinstance(option.default, tuple) else option.default,
            "doc": option.doc,
            "example": option.example,
            "about": option.about,
        }
        for option in (*OPTIONS.values(), *SHORTHANDS)
    ]
