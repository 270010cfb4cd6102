"""Tables as text, for a terminal and in Markdown."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

from proxy.options.catalogue import options_table

WIDEST_TERM = 24  # characters; a longer term stands on a line of its own


def listing(entries: Iterable[tuple[str, Sequence[str]]], width: int = 100) -> str:
    """Return each term with its paragraphs beside it, wrapped to `width` characters; no word is ever cut."""
    entries = list(entries)
    column = 2 + max((len(term) for term, _ in entries if len(term) <= WIDEST_TERM), default=WIDEST_TERM)
    indent = " " * column
    lines: list[str] = []
    for term, paragraphs in entries:
        beside = [
            line
            for paragraph in paragraphs
            for line in textwrap.wrap(
                paragraph, width - column, break_long_words=False, break_on_hyphens=False
            )
        ]
        first = term.ljust(column) if len(term) <= WIDEST_TERM else f"{term}\n{indent}"
        lines.append((first + f"\n{indent}".join(beside)).rstrip())
    return "\n".join(lines)


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of GitHub's Markdown. https://github.github.com/gfm/#tables-extension-"""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def code(text: str) -> str:
    """Return `text` as code in Markdown."""
    return f"`{text}`"


def options_listing() -> str:
    """Return the option table as text for a terminal."""
    return listing(
        (
            ", ".join(row["names"]),
            (row["doc"], f"Takes {row['takes']}.", f"Example: {row['example']}"),
        )
        for row in options_table()
    )


def options_markdown() -> str:
    """Return the option table as a table of Markdown."""
    return markdown(
        ("option", "takes", "means", "example"),
        (
            (
                " ".join(map(code, row["names"])),
                row["takes"],
                row["doc"],
                code(row["example"]),
            )
            for row in options_table()
        ),
    )
