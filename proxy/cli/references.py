"""What `presets check` says of pictures that presets name: those that their folder does not have."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from proxy.config.presets import Presets
from proxy.model.errors import ProxyError
from proxy.origins.file import FileOrigin
from proxy.origins.listing import CannotList, Listing
from proxy.origins.open import open_listing
from proxy.origins.sources import Sources

LISTING_TIMEOUT = 30.0
"""Seconds; no folder needs them."""


def missing_pictures(presets: Presets, sources: Sources) -> Iterator[str]:
    """
    Yield a sentence for each key of `presets` of which a folder has no picture: of overlays, and of what is
    shown in place of errors. Other origins are not asked: no network, for a look at a file.
    """
    for place, key in _references(presets):
        name, _, below = key.partition("/")
        source = sources.named.get(name) or sources.default
        if source is None:
            yield f"{place}: no origin has the key {key!r}"
            continue
        try:
            folder = open_listing(source, timeout=LISTING_TIMEOUT)
        except (CannotList, ValueError):
            continue
        if not asyncio.run(_has(folder, below if name in sources.named else key)):
            yield f"{place}: there is no {key!r} in the folder {source.url!r}"


async def _has(listing: Listing, key: str) -> bool:
    """Whether a folder has a picture that can be read; true of what is no folder."""
    try:
        if isinstance(listing, FileOrigin):
            await listing.fetch(key)
    except ProxyError:
        return False
    finally:
        await listing.close()
    return True


def _references(presets: Presets) -> Iterator[tuple[str, str]]:
    for name, overlay in presets.overlays.items():
        if overlay.key is not None:
            yield f"overlay {name!r}", overlay.key
    for name, preset in presets.presets.items():
        if preset.on_error is not None:
            yield f"on_error of preset {name!r}", preset.on_error
        key = preset.options.get("overlay")
        if key is not None and key not in presets.overlays:
            yield f"preset {name!r}", key
