"""
Keys of pictures, from the lists that origins have of theirs: all of them to warm, and a few as examples.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import PurePosixPath

from proxy.clients.address import masked, scheme_of
from proxy.config.deployment import deployed_sources
from proxy.config.settings import Settings
from proxy.model.media import SUFFIXES
from proxy.origins.listing import CannotList, Listing, ListingFailed, all_keys
from proxy.origins.open import open_listing
from proxy.origins.sources import Source, Sources

LISTING_TIMEOUT = 30.0
"""Seconds for one answer with keys of a bucket."""

WARM_PAGE_KEYS = 100_000
"""Keys of a page: a folder is read anew for each page of its own files."""

EXAMPLES = 3
EXAMPLE_SEARCH = 10_000
"""Keys of each folder, its subfolders included, among which there may be an example."""


def list_pictures(settings: Settings) -> list[str]:
    """
    The keys of all pictures in the origins that can be listed. Raises ValueError when none can, or when one
    that can does not answer.
    """
    return asyncio.run(_all_pictures(deployed_sources(settings)))


class NoExamples(Exception):
    """There is no URL to show as an example. The message says why, and what to do for one."""


def example_keys(sources: Sources, otherwise: str) -> list[str]:
    """
    One to three keys to show: of the first pictures in local folders, the default origin's or a named one's.

    Raises NoExamples, which says why there are none and that the command `otherwise` writes one's own.
    """
    found = asyncio.run(_first_local_pictures(_by_prefix(sources)))
    if not found:
        reason = "; ".join(dict.fromkeys(_no_keys(each) for each in _by_prefix(sources).values()))
        raise NoExamples(f"{reason or 'there is no origin'}. Write the URL of a picture: {otherwise}")
    return found


def _no_keys(source: Source) -> str:
    """Why this origin has no key for an example, as the beginning of a sentence."""
    if source.rewrite:
        return "keys are rewritten, so names of files are not the keys"
    match scheme_of(source.url):
        case "" | "file":
            return f"no picture is in the folder {source.url!r}"
        case "http" | "https":
            return "an HTTP server does not list its originals"
        case _:
            return "a bucket is not searched for the sake of an example"


async def _all_pictures(sources: Sources) -> list[str]:
    listings: dict[str, tuple[Source, Listing]] = {}
    found: list[str] = []
    try:
        for prefix, source in _by_prefix(sources).items():
            try:
                listings[prefix] = source, open_listing(source, timeout=LISTING_TIMEOUT)
            except CannotList:
                continue
        if not listings:
            raise ValueError(
                "no origin is a folder or a bucket that could be listed: name a file with --keys"
            )
        for prefix, (source, listing) in listings.items():
            try:
                found += [
                    prefix + key
                    async for key in all_keys(listing, page_keys=WARM_PAGE_KEYS)
                    if _is_picture(key)
                ]
            except ListingFailed as failure:
                raise ValueError(f"the origin {masked(source.url)!r} cannot be listed: {failure}") from None
    finally:
        for _, listing in listings.values():
            await listing.close()
    return found


async def _first_local_pictures(origins: Mapping[str, Source]) -> list[str]:
    found: list[str] = []
    for prefix, source in origins.items():
        if scheme_of(source.url) not in ("", "file"):
            continue  # no network for the sake of an example
        try:
            listing = open_listing(source, timeout=LISTING_TIMEOUT)
        except CannotList:
            continue
        try:
            keys = (await listing.list_keys(limit=EXAMPLE_SEARCH)).keys
        finally:
            await listing.close()
        pictures = [key for key in keys if _is_picture(key)]
        # Of subfolders only where the folder itself has none.
        found += [prefix + key for key in [key for key in pictures if "/" not in key] or pictures]
        if len(found) >= EXAMPLES:
            break
    return found[:EXAMPLES]


def _by_prefix(sources: Sources) -> dict[str, Source]:
    """The origins by what their keys begin with."""
    default = {} if sources.default is None else {"": sources.default}
    return default | {f"{name}/": source for name, source in sources.named.items()}


def _is_picture(key: str) -> bool:
    return PurePosixPath(key).suffix[1:].lower() in SUFFIXES
