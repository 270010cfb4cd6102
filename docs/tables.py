"""
The tables of the documentation that come from the code: `make docs` writes them, a test compares them.

A table stands between a comment with its name and the next `<!-- end -->`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from proxy.cli.flags import settings_markdown
from proxy.cli.tables import options_markdown

DOCS = Path(__file__).parent

TABLES: Mapping[str, Callable[[], str]] = {"options": options_markdown, "settings": settings_markdown}
"""By the name of the table, which is that of its page too."""


def filled(name: str) -> str:
    """Return the text of the page `name` with its table as it should be."""
    text, found = re.subn(
        rf"(<!-- {name} -->\n).*?(<!-- end -->)",
        lambda place: f"{place[1]}{TABLES[name]()}\n{place[2]}",
        page(name).read_text(),
        flags=re.DOTALL,
    )
    if found != 1:
        raise ValueError(f"{page(name).name} has {found} places for the table '{name}'")
    return text


def page(name: str) -> Path:
    return DOCS / f"{name}.md"


if __name__ == "__main__":
    for each in TABLES:
        page(each).write_text(filled(each))
