"""Drawings as pixels, at the size at which they are shown."""

from __future__ import annotations

import pyvips

from proxy.geometry.boxes import Box, Size
from proxy.model.media import Body, InputOnly
from proxy.pipeline.decode.header import Header
from proxy.pipeline.decode.loaders import open_image

MAX_RASTERISED_PIXELS = 50_000_000
"""px of a drawing that is made larger than it is shown, since it is shown stretched."""


def rasterised(body: Body, header: Header, region: Box, target: Size) -> pyvips.Image:
    """A drawing has no pixels of its own: it gets those that are shown."""
    scale = max(target.width / region.width, target.height / region.height)
    scale = min(scale, (MAX_RASTERISED_PIXELS / region.size.pixels) ** 0.5)
    drawn = _drawn_whole(header, target) if region.size == header.stored else None
    drawing = drawn or _drawn(body, header, scale)
    across, down = drawing.width / header.width, drawing.height / header.height
    left = min(round(region.left * across), drawing.width - 1)
    top = min(round(region.top * down), drawing.height - 1)
    width = min(max(1, round(region.width * across)), drawing.width - left)
    height = min(max(1, round(region.height * down)), drawing.height - top)
    return drawing.crop(left, top, width, height)


def _drawn(body: Body, header: Header, scale: float) -> pyvips.Image:
    if header.drawing is None or header.exact is None:
        text = header.drawing.text if header.drawing else body
        return open_image(text, InputOnly.SVG, scale=scale)
    width, height = (max(1.0, scale * side) for side in (header.exact.width, header.exact.height))
    return open_image(header.drawing.at(width, height), InputOnly.SVG)


def _drawn_whole(header: Header, target: Size) -> pyvips.Image | None:
    """The whole drawing at exactly `target`, up to its edges, where that has its ratio but for rounding."""
    if header.drawing is None or header.exact is None or target.pixels > MAX_RASTERISED_PIXELS:
        return None
    exact = header.exact
    scale = max(target.width / exact.width, target.height / exact.height)
    if max(abs(scale * exact.width - target.width), abs(scale * exact.height - target.height)) > 1:
        return None
    return open_image(header.drawing.at(target.width, target.height, fills=True), InputOnly.SVG)
