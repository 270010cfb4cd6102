"""
The tables of README.md, made from the code that they tell of: `make docs` writes them, a test compares them.

A table stands between a comment with its name and the next `<!-- end -->`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from proxy.cli.flags import settings_markdown
from proxy.cli.tables import options_markdown

README = Path(__file__).parent.parent / "README.md"

TABLES: Mapping[str, Callable[[], str]] = {"options": options_markdown, "settings": settings_markdown}


def filled(text: str) -> str:
    """`text` with every table as it should be."""
    for name, table in TABLES.items():
        text, found = re.subn(
            rf"(<!-- {name} -->\n).*?(<!-- end -->)",
            lambda place, table=table: f"{place[1]}{table()}\n{place[2]}",
            text,
            flags=re.DOTALL,
        )
        if found != 1:
            raise ValueError(f"{README.name} has {found} places for the table '{name}'")
    return text


if __name__ == "__main__":
    README.write_text(filled(README.read_text()))
