"""Requests as lines of a log for people: status and path first, and no wider than the terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any

DEFAULT_WIDTH = 80
"""Columns where no terminal tells its own."""

MIN_PATH = 20
"""Characters that a path keeps at the least before what comes after it is left out."""

SHORTENING_DETAILS = 2
"""How many of the details may shorten a path: how long it took, and from where it came."""

REQUEST_EVENT = "request"


def terminal_width() -> int:
    """Return the columns of the terminal that standard error is, 80 where it is none."""
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or DEFAULT_WIDTH
    except (OSError, ValueError):  # no terminal, or closed
        return DEFAULT_WIDTH


def request_line(event: Mapping[str, Any], width: int) -> str:
    """
    Return the line of an event `request`, of fewer characters than `width`: its status and path, and as much
    of what took how long, whence it came and for whom as there is room for. A long path loses its middle.
    """
    room = max(width - 1, 1)
    method = event.get("method", "GET")
    start = f"{event.get('status') or '---'} {'' if method == 'GET' else f'{method} '}"
    path = str(event.get("path", ""))
    details = [
        f"{event.get('ms', 0):.0f} ms",
        str(event.get("cache", "hit" if event.get("status") == 200 else "")),
        f"{event.get('bytes', 0)} B",
        str(event.get("timestamp", ""))[11:19],
        str(event.get("client", "")),
        str(event.get("request_id", "")),
    ]
    rest = ""
    for place, detail in enumerate(details):
        kept = min(len(path), MIN_PATH) if place < SHORTENING_DETAILS else len(path)
        if detail and len(start) + kept + len(rest) + 2 + len(detail) > room:
            break
        rest += f"  {detail}" if detail else ""
    return (start + _without_middle(path, room - len(start) - len(rest)) + rest)[:room]


def _without_middle(text: str, room: int) -> str:
    if len(text) <= room:
        return text
    first = max(room - 1, 0) // 2
    last = max(room - 1 - first, 0)
    return text[:first] + "…" + (text[-last:] if last else "")
