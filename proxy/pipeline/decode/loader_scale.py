"""How much of the scaling a loader does, and what is left to the resampler."""

from __future__ import annotations

from typing import Any

from proxy.geometry.boxes import Box, Size
from proxy.model.media import Format
from proxy.pipeline.decode.header import Header
from proxy.pipeline.decode.loaders import PAGED_FORMATS
from proxy.pipeline.decode.orientation import ORIENTATIONS

MIN_RESAMPLER_FACTOR = 1.5
"""
libvips' own thumbnails leave 2, sharp and imgproxy 1. Of a 12-megapixel JPEG to 300 px 1.5 takes 0.78 times
the CPU of 2, and loses 0 to 2 points of SSIMULACRA2 once it is saved with quality 80; 1 loses up to 28.
"""


def stored_size(header: Header, size: Size) -> Size:
    """Return `size`, px of the upright picture, as px of the stored one."""
    return size.swapped if ORIENTATIONS[header.orientation].transposed else size


def page_option(header: Header) -> dict[str, Any]:
    """Return the loader's option for the page that is shown."""
    return {"page": header.page} if header.format in PAGED_FORMATS else {}


def load_options(header: Header, target: Size) -> dict[str, Any]:
    """
    How much of the scaling the loader does: JPEG leaves at least MIN_RESAMPLER_FACTOR to the resampler; a
    WebP goes to its size at once. WebP's own scaler knows nothing of premultiplied alpha, so it gets opaque
    stills only.
    """
    shrink = min(header.width / target.width, header.height / target.height)
    if header.format is Format.JPEG:
        return {
            "shrink": next((factor for factor in (8, 4, 2) if shrink >= MIN_RESAMPLER_FACTOR * factor), 1)
        }
    if header.format is Format.WEBP and not header.alpha and header.pages == 1:
        return {"scale": min(1.0, 1 / shrink)}
    return page_option(header)


def shrink_of_part(part: Box, header: Header, target: Size) -> int:
    """
    How much of the scaling of a part the JPEG loader does. Where the edges of the part fall between the
    pixels of what it makes of them, it leaves a factor of four, and what is lost is an eighth of a pixel.
    """
    if header.format is not Format.JPEG:
        return 1
    shrink = min(part.width / target.width, part.height / target.height)
    ends = (part.left + part.width) % header.width, (part.top + part.height) % header.height
    for factor in (8, 4, 2):
        exact = not any(edge % factor for edge in (part.left, part.top, *ends))
        if shrink >= factor * (MIN_RESAMPLER_FACTOR if exact else 4):
            return factor
    return 1


def shrunk_box(part: Box, factor: int, size: Size) -> Box:
    """Return where `part` lies in the picture that was shrunk by `factor` to `size`."""
    left, top = round(part.left / factor), round(part.top / factor)
    right, bottom = round((part.left + part.width) / factor), round((part.top + part.height) / factor)
    if part.left + part.width > size.width * factor - factor:
        right = size.width
    if part.top + part.height > size.height * factor - factor:
        bottom = size.height
    return Box(left, top, right - left, bottom - top)
