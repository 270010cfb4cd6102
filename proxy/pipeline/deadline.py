"""Whether an AVIF can be had while somebody waits, and what to write for now when it cannot."""

from __future__ import annotations

from dataclasses import replace

from proxy.boxes import Size
from proxy.media import FORMATS, Format
from proxy.negotiation import Bucket, choose
from proxy.pipeline.encode import savable
from proxy.pipeline.search import SAMPLED, TILE, TILES
from proxy.pipeline.smallest import Order

SECONDS = 0.16
"""For a megapixel of AVIF on one core: photographs at 1200x800, and the longest of them."""

TRIES = 2.4
"""Encodings of a search for similarity, on average."""

TRIES_FOR_BYTES = 4
"""And of one for bytes."""


def avif_seconds(size: Size, order: Order) -> float:
    """What writing it as AVIF will take, from its pixels alone, so that it is always the same."""
    pixels = size.pixels
    encoded = float(pixels)
    if order.by_looks and order.still:
        encoded = pixels + TRIES * (TILE * TILES) ** 2 if pixels > SAMPLED else TRIES * pixels
    if order.max_bytes is not None:
        encoded += TRIES_FOR_BYTES * pixels
    return SECONDS * encoded / 1_000_000


def in_time(order: Order, size: Size, accepted: Bucket, budget: float, *, alpha: bool) -> Order:
    """
    `order` itself where its AVIF takes at most `budget` seconds or is no part of it; else without the AVIF,
    where there is another format that the client accepts and that holds the picture.
    """
    if Format.AVIF not in order.formats or avif_seconds(size, order) <= budget:
        return order
    others = tuple(format for format in order.formats if format is not Format.AVIF) or (
        choose(replace(accepted, avif=False), savable(), alpha=alpha, animated=False),
    )
    if any(FORMATS[format].max_side < max(size.width, size.height) for format in others):
        return order
    return replace(order, formats=others)
