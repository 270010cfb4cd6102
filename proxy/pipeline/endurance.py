"""How hard an encoder may try at a picture of some size, so that no file takes longer than a request may."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from proxy.geometry.boxes import Size
from proxy.model.media import Format
from proxy.pipeline.encode.cost import TRIES_FOR_BYTES, avif_seconds
from proxy.pipeline.encode.order import Order
from proxy.pipeline.encode.savers import EFFORT, MOST_SECONDS, SAVERS

LOSSLESS: Mapping[Format, Sequence[float]] = {
    Format.WEBP: (0.23, 0.58, 0.65, 0.65, 0.65, 1.2, 1.2),
    Format.JXL: (0.01, 0.01, 0.1, 0.25, 0.65, 1.1, 1.8, 2.0),
}
SECONDS: Mapping[Format, Sequence[float]] = {
    Format.WEBP: (0.03, 0.03, 0.04, 0.06, 0.09, 0.15, 0.2),
    Format.GIF: (0.35, 0.35, 0.35, 0.45, 0.55, 0.65, 0.75, 0.8, 0.9, 1.05, 1.25),
    Format.JXL: (0.05, 0.05, 0.05, 0.05, 0.05, 0.2, 0.4, 0.45),
    Format.PNG: (0.01, 0.02, 0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.1, 0.12),
}
"""For a megapixel of a photograph on one core, with each effort of libvips."""


def bearable(order: Order, size: Size) -> Order:
    """The same with the greatest effort up to the one asked for that is done in time; at worst the least."""
    return replace(order, settings={format: _settings(order, format, size) for format in order.formats})


def _settings(order: Order, format: Format, size: Size) -> Mapping[str, object]:
    own = order.settings.get(format, {})
    if format not in EFFORT:
        return own
    name, low, _ = EFFORT[format]
    effort = asked = own.get(name, SAVERS[format].settings[name])
    while effort > low and _seconds(order, format, size, {**own, name: effort}) > MOST_SECONDS:
        effort -= 1
    return own if effort == asked else {**own, name: effort}


def _seconds(order: Order, format: Format, size: Size, own: Mapping[str, object]) -> float:
    if format is Format.AVIF:
        return avif_seconds(size, replace(order, settings={format: own}))
    # JPEG XL's best quality is no loss at all.
    perfect = format is Format.JXL and order.quality == 100
    lossless = format in LOSSLESS and (own.get("lossless") or perfect)
    of_each = LOSSLESS[format] if lossless else SECONDS[format]
    once = of_each[int(str(own[EFFORT[format][0]]))] * size.pixels / 1_000_000
    searches = not lossless and (order.by_looks or order.max_bytes is not None)
    return once * TRIES_FOR_BYTES if searches else once
