"""The keys that an origin has, page by page. Folders and buckets can tell; HTTP servers cannot."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import NamedTuple, Protocol

PAGE_KEYS = 1000
"""Keys in a page unless the caller says how many."""


class CannotList(Exception):
    """
    This origin has no list of its keys. The message is a sentence that says why, without the origin's name.
    """


class ListingFailed(Exception):
    """An origin that can be listed did not answer. The message is the kind of failure, in a word."""


class KeyPage(NamedTuple):
    """`next_cursor` is `None` after the last key, and may be there without one more key."""

    keys: tuple[str, ...]
    next_cursor: str | None


class Listing(Protocol):
    async def list_keys(self, prefix: str = "", cursor: str | None = None, limit: int = PAGE_KEYS) -> KeyPage:
        """
        The next keys below a folder, at most `limit`, each of them once, in an order that stays the same.

        `prefix` is empty or a folder such as `cats/`; what does not exist has no keys. `cursor` is the
        `next_cursor` of the page before, `None` for the first. Names that begin with a dot are left out, and
        all that is in folders of such names.

        Raises CannotList or ListingFailed.
        """

    async def close(self) -> None: ...


async def all_keys(listing: Listing, prefix: str = "", page_keys: int = PAGE_KEYS) -> AsyncIterator[str]:
    """
    All keys below `prefix`, of which no more than a page are in memory. Raises CannotList or ListingFailed.
    """
    cursor = None
    while True:
        keys, cursor = await listing.list_keys(prefix, cursor, page_keys)
        for key in keys:
            yield key
        if cursor is None:
            return


def folder_names(prefix: str) -> list[str]:
    """
    The names of the folders in `prefix`. Raises ValueError when it is not empty and does not end with a
    slash.
    """
    if prefix and not prefix.endswith("/"):
        raise ValueError(f"a prefix is empty or ends with a slash, not {prefix!r}")
    return prefix.split("/")[:-1]


def is_hidden(key: str) -> bool:
    """Whether a name in `key` begins with a dot."""
    return key.startswith(".") or "/." in key
