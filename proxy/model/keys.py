"""What a key may be, wherever it is written: in a URL's path, in an option, in presets.yaml."""

from __future__ import annotations

import re
from urllib.parse import quote

from proxy.model.errors import InvalidKey


def clean_key(key: str) -> str:
    """The key, decoded; a whole URL gets back the slash that proxies merge. Raises InvalidKey."""
    check_key(key)
    return re.sub(r"^(https?):/+", lambda scheme: scheme[1].lower() + "://", key, flags=re.IGNORECASE)


def check_key(key: str) -> None:
    """For a key before or after it is decoded. Raises InvalidKey."""
    if re.search(r"[\x00-\x1f\x7f-\x9f\\]", key):
        raise InvalidKey("a key has no control characters and no backslashes", value=quote(key[:64]))
    if {"", ".", ".."}.intersection(_path_of(key).split("/")):
        raise InvalidKey("a key has no empty segments, no '.' and no '..'", value=key[:64])


def _path_of(text: str) -> str:
    """What has segments: all of a key, or what follows the host of a URL up to its query."""
    remote = re.match(r"https?:/{1,2}(?=[^/])((?:(?!%3F|%23)[^?#])*)", text, re.IGNORECASE)
    return remote[1].removesuffix("/") or "-" if remote else text
