"""What every origin requires of a key, and the messages about one: the same for all kinds of origins."""

from __future__ import annotations

import re
from collections.abc import Callable

from proxy.model.errors import OriginalForbidden, OriginalNotFound, OriginalTooLarge

_UNNAMEABLE = re.compile(r"[\x00-\x1f\x7f\\\ud800-\udfff]")


KeyRewrite = Callable[[str], str]
"""From the key as it was asked for to the one under which an origin has the original."""


def unchanged(key: str) -> str:
    return key


def segments(key: str, rewrite: KeyRewrite) -> list[str]:
    """
    Split what `rewrite` makes of `key` into the names between the slashes.

    Raises OriginalNotFound, about `key` as it was asked for, when one of them could mean anything else than
    the name of something below: empty, `.`, `..`, a backslash, a control character, half a surrogate pair.
    The grammar refuses such keys with a 400 before they come here; this is the second line of defence.
    """
    path = rewrite(key)
    names = path.split("/")
    if _UNNAMEABLE.search(path) or any(name in ("", ".", "..") for name in names):
        raise not_found(key)
    return names


def not_found(key: str, **facts: int) -> OriginalNotFound:
    """The same words for what is absent and for what is refused, so that neither tells of the other."""
    return OriginalNotFound(f"no original '{key}'", **facts)


def forbidden(key: str, **facts: int) -> OriginalForbidden:
    """The origin has it, or not, and does not allow us to have it."""
    return OriginalForbidden(f"the origin does not give us '{key}'", **facts)


def too_large(key: str, max_bytes: int) -> OriginalTooLarge:
    return OriginalTooLarge(f"'{key}' has more than {max_bytes} bytes, the most that is read here")
