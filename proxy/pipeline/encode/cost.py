"""
How many seconds an encoding takes, and what effort and which formats that allows.

`benchmarks/fit_cost.py` measures the seconds and factors again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from proxy.geometry.boxes import Size
from proxy.model.media import FORMATS, Format
from proxy.model.negotiation import Bucket, choose
from proxy.pipeline.encode.order import Order, SaverSettings
from proxy.pipeline.encode.quality_search import MAX_WHOLE_SEARCH_PIXELS, TILE_SIDE, TILES_PER_SIDE
from proxy.pipeline.encode.savers import EFFORT_RANGES, SAVERS, savable

MAX_ENCODE_SECONDS = 4.0
"""Of one format on one core: less than half of what a rendition has, for busy machines and for the rest."""

SECONDS_PER_MEGAPIXEL: Mapping[Format, Sequence[float]] = {
    Format.WEBP: (0.03, 0.03, 0.04, 0.06, 0.09, 0.15, 0.2),
    Format.GIF: (0.35, 0.35, 0.35, 0.45, 0.55, 0.65, 0.75, 0.8, 0.9, 1.05, 1.25),
    Format.JXL: (0.05, 0.05, 0.05, 0.05, 0.05, 0.2, 0.4, 0.45),
    Format.PNG: (0.01, 0.02, 0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.1, 0.12),
}
"""Of a photograph on one core, with each effort of libvips from 0 on."""

LOSSLESS_SECONDS_PER_MEGAPIXEL: Mapping[Format, Sequence[float]] = {
    Format.WEBP: (0.23, 0.58, 0.65, 0.65, 0.65, 1.2, 1.2),
    Format.JXL: (0.01, 0.01, 0.1, 0.25, 0.65, 1.1, 1.8, 2.0),
}

AVIF_SECONDS_PER_MEGAPIXEL = 0.16
"""On one core: the mean of photographs."""

AVIF_SEARCH_SECONDS_PER_MEGAPIXEL = 0.65
"""When a quality is searched for by similarity: encodings, decodings and comparisons."""

AVIF_EFFORT_FACTORS = (0.3, 1, 1.8, 5, 14)
"""How much longer both are with each effort of libvips; the default is 1."""

AVIF_LOSSLESS_FACTOR = 2.4

ENCODINGS_TO_FIT_BYTES = 4
"""Of a search for the quality that gives at most so many bytes, on average."""


def limit_effort(order: Order, size: Size) -> Order:
    """
    Lower the encoders' effort until each format of `order` is written within MAX_ENCODE_SECONDS.

    `size` is in px. It is the greatest effort up to the one asked for; at worst the least that there is.
    """
    return replace(order, settings={format: _limited(order, format, size) for format in order.formats})


def _limited(order: Order, format: Format, size: Size) -> SaverSettings:
    own = order.settings.get(format, {})
    if format not in EFFORT_RANGES:
        return own
    name, low, _ = EFFORT_RANGES[format]
    effort = asked = own.get(name, SAVERS[format].settings[name])
    while effort > low and _seconds(order, format, size, {**own, name: effort}) > MAX_ENCODE_SECONDS:
        effort -= 1
    return own if effort == asked else {**own, name: effort}


def _seconds(order: Order, format: Format, size: Size, own: SaverSettings) -> float:
    if format is Format.AVIF:
        return avif_seconds(size, replace(order, settings={format: own}))
    # JPEG XL's best quality is no loss at all.
    perfect = format is Format.JXL and order.quality == 100
    lossless = format in LOSSLESS_SECONDS_PER_MEGAPIXEL and (own.get("lossless") or perfect)
    by_effort = (LOSSLESS_SECONDS_PER_MEGAPIXEL if lossless else SECONDS_PER_MEGAPIXEL)[format]
    once = by_effort[int(str(own[EFFORT_RANGES[format][0]]))] * size.pixels / 1_000_000
    searches = not lossless and (order.by_looks or order.max_bytes is not None)
    return once * ENCODINGS_TO_FIT_BYTES if searches else once


def avif_seconds(size: Size, order: Order) -> float:
    """Return the seconds that an AVIF of `size` px takes, told from its pixels alone: always the same."""
    own = order.settings.get(Format.AVIF, {})
    once = AVIF_SECONDS_PER_MEGAPIXEL * size.pixels / 1_000_000
    seconds = once
    if own.get("lossless"):
        seconds = once * AVIF_LOSSLESS_FACTOR
    elif order.by_looks and size.pixels > MAX_WHOLE_SEARCH_PIXELS:
        seconds = once + AVIF_SEARCH_SECONDS_PER_MEGAPIXEL * (TILE_SIDE * TILES_PER_SIDE) ** 2 / 1_000_000
    elif order.by_looks:
        seconds = AVIF_SEARCH_SECONDS_PER_MEGAPIXEL * size.pixels / 1_000_000
    seconds += 0 if order.max_bytes is None else ENCODINGS_TO_FIT_BYTES * once
    return seconds * AVIF_EFFORT_FACTORS[own.get("effort", 1)]


def without_slow_avif(order: Order, size: Size, accepted: Bucket, budget: float, *, alpha: bool) -> Order:
    """
    Return `order` itself where its AVIF takes at most `budget` seconds or is no part of it; else without the
    AVIF, where there is another format that the client accepts and that holds the picture.
    """
    if Format.AVIF not in order.formats or avif_seconds(size, order) <= budget:
        return order
    others = tuple(format for format in order.formats if format is not Format.AVIF) or (
        choose(replace(accepted, avif=False), savable(), alpha=alpha, animated=False),
    )
    if any(FORMATS[format].max_side < size.longest for format in others):
        return order
    return replace(order, formats=others)
