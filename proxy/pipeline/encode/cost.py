"""Whether an AVIF can be had while somebody waits, and what to write for now when it cannot."""

from __future__ import annotations

from dataclasses import replace

from proxy.geometry.boxes import Size
from proxy.model.media import FORMATS, Format
from proxy.model.negotiation import Bucket, choose
from proxy.pipeline.encode.order import Order
from proxy.pipeline.encode.quality_search import SAMPLED, TILE, TILES
from proxy.pipeline.encode.savers import savable

SECONDS = 0.16
"""For a megapixel of AVIF on one core: the mean of photographs."""

SEARCH_SECONDS = 0.65
"""For a megapixel in which similarity is searched for: encodings, decodings and comparisons."""

EFFORT = (0.3, 1, 1.8, 5, 14)
"""How much longer both are with each effort of libvips; the default is 1."""

LOSSLESS = 2.4
"""How much longer it takes to keep every pixel."""

TRIES_FOR_BYTES = 4
"""Encodings of a search for bytes, on average."""


def avif_seconds(size: Size, order: Order) -> float:
    """What writing it as AVIF will take, from its pixels alone, so that it is always the same."""
    own = order.settings.get(Format.AVIF, {})
    once = SECONDS * size.pixels / 1_000_000
    seconds = once
    if own.get("lossless"):
        seconds = once * LOSSLESS
    elif order.by_looks and size.pixels > SAMPLED:
        seconds = once + SEARCH_SECONDS * (TILE * TILES) ** 2 / 1_000_000
    elif order.by_looks:
        seconds = SEARCH_SECONDS * size.pixels / 1_000_000
    seconds += 0 if order.max_bytes is None else TRIES_FOR_BYTES * once
    return seconds * EFFORT[own.get("effort", 1)]


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
