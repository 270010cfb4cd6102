"""What every origin holds a key to, and says of one: none is laxer or more talkative than another."""

from __future__ import annotations

import re

from proxy.model.errors import OriginalForbidden, OriginalNotFound, OriginalTooLarge

_UNNAMEABLE = re.compile(r"[\x00-\x1f\x7f\\\ud800-\udfff]")


def segments(key: str) -> list[str]:
    """
    The names between the slashes. OriginalNotFound when one of them could mean anything else than the name
    of something below: empty, `.`, `..`, a backslash, a control character, half a surrogate pair.

    The grammar refuses such keys with a 400 before they come here. This is the second lock on that door.
    """
    names = key.split("/")
    if _UNNAMEABLE.search(key) or any(name in ("", ".", "..") for name in names):
        raise not_found(key)
    return names


def not_found(key: str, **facts: int) -> OriginalNotFound:
    """The same words for what is absent and for what is refused, so that neither tells of the other."""
    return OriginalNotFound(f"no original '{key}'", **facts)


def forbidden(key: str, **facts: int) -> OriginalForbidden:
    return OriginalForbidden(f"the origin does not give us '{key}'", **facts)


def too_large(key: str, max_bytes: int) -> OriginalTooLarge:
    return OriginalTooLarge(f"'{key}' has more than {max_bytes} bytes, the most that is read here")
