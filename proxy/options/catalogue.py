"""The option table as plain values, for options.json and the documentation."""

from __future__ import annotations

from typing import Any

from proxy.options.spec import OPTIONS, SHORTHANDS


def options_table() -> list[dict[str, Any]]:
    """
    List every option in the order of the table, as values that JSON has.

    `names` are those of URLs, the canonical one first. `kind` describes the bounds to programs, `takes` to
    people.
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
