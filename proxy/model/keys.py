"""Keys of originals, wherever they are written: in a URL's path, in an option, in presets.yaml."""

from __future__ import annotations

import re
from urllib.parse import quote

from proxy.model.errors import InvalidKey


def clean_key(key: str) -> str:
    """
    Return `key`, already decoded, as origins take it. Raises InvalidKey.

    A key that is a whole URL gets back the slash that other proxies merge: `https:/host/` for `https://host/`.
    """
    check_key(key)
    return re.sub(r"^(https?):/+", lambda scheme: scheme[1].lower() + "://", key, flags=re.IGNORECASE)


def check_key(key: str) -> None:
    """
    Raise InvalidKey for control characters, backslashes, and segments that are empty, `.` or `..`.

    `key` may be decoded or not. Of a whole URL only the path is held to that.
    """
    if re.search(r"[\x00-\x1f\x7f-\x9f\\]", key):
        raise InvalidKey("a key has no control characters and no backslashes", value=quote(key[:64]))
    if {"", ".", ".."}.intersection(_path_of(key).split("/")):
        raise InvalidKey("a key has no empty segments, no '.' and no '..'", value=key[:64])


def _path_of(key: str) -> str:
    """The part that has segments: all of a key, or the host and path of a URL."""
    url = re.match(r"https?:/{1,2}(?=[^/])((?:(?!%3F|%23)[^?#])*)", key, re.IGNORECASE)
    return url[1].removesuffix("/") or "-" if url else key
