"""What a supervisor tells the processes of its deployment of its renderers: a file beside their socket."""

from __future__ import annotations

import json
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Any

from proxy.renderers.sandbox import Lock


def write_state(
    socket_path: str, *, locks: Collection[frozenset[Lock]], deaths: int, fingerprint: str = ""
) -> None:
    """
    Tell of renderers that take jobs, each with its `locks`, of how many ended badly, and of the
    `fingerprint` of the youngest.
    """
    state = {
        "fingerprint": fingerprint,
        "alive": len(locks),
        "deaths": deaths,
        "locks": {lock.value: all(lock in each for each in locks) for lock in Lock if locks},
    }
    path = _file(socket_path)
    with suppress(OSError):  # the folder is gone, or the disk is full: the renderers run all the same
        new = path.with_suffix(".new")
        new.write_text(json.dumps(state))
        new.replace(path)


def counts(socket_path: str) -> tuple[int, int] | None:
    """How many renderers take jobs there, and how many ended badly. `None` when nothing is told of them."""
    state = _read(socket_path)
    return None if state is None else (state["alive"], state["deaths"])


def sandbox_state(socket_path: str) -> dict[str, bool] | None:
    """
    Whether all renderers that take jobs there are locked in by `landlock`, by `seccomp`, and by a `uid` of
    their own (see `proxy.renderers.sandbox`). `None` when nothing is told of them, empty while none is there.
    """
    state = _read(socket_path)
    return None if state is None else state["locks"]


def current_fingerprint(socket_path: str) -> str:
    """
    Name all that the renderers there work with: libraries, fonts, detectors. When an installation changes
    under them, it is what the youngest has, as all will have. Empty when nothing is told of them.
    """
    state = _read(socket_path)
    return "" if state is None else str(state["fingerprint"])


def _read(socket_path: str) -> dict[str, Any] | None:
    try:
        state: dict[str, Any] = json.loads(_file(socket_path).read_text())
    except OSError:
        return None
    return state


def _file(socket_path: str) -> Path:
    return Path(socket_path).with_name("counts")
