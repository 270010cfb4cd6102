"""
What a renderer does before its first job: make one tiny picture by every way there is.

That loads what decoders, encoders, fonts and Python load late. Then a renderer is locked in, and nothing
can load a library any more; the first requests are faster for it, too.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import suppress

import pyvips

from proxy.model.errors import ProxyError
from proxy.model.limits import Limits
from proxy.model.media import Format, InputOnly
from proxy.model.negotiation import parse_bucket
from proxy.options.spec import Spec
from proxy.pipeline.decode.loaders import LOADER_SAMPLES, loadable
from proxy.pipeline.describe.facts import describe
from proxy.pipeline.encode.savers import savable
from proxy.pipeline.render import render
from proxy.url.grammar import parse_options

SIDE = 24
"""px: more than the block of any encoder, and nothing to speak of in time."""

SVG_WITH_TEXT = (
    b"<svg xmlns='http://www.w3.org/2000/svg' width='48' height='24'>"
    b"<text x='2' y='20' font-family='sans-serif' font-size='16'>Ag</text></svg>"
)
EFFECTS = (
    "width_12,height_8,position_attention",
    "width_12,height_8,position_face",
    "width_12,blur_2,sharpen_1,saturation_20",
    "text_Ag,text-size_12,text-outline_1_black",
)
"""Options that use a part of libvips, or another library, that no format does."""


def warm_up() -> None:
    """
    Render every format that can be read and every one that can be written, effects, a text, and an SVG with
    text. What cannot be rendered here is no reason not to start: the request for it will say so.
    """
    originals = dict(_originals())
    for original in originals.values():
        _render(original, "width_12,format_png")
    sample = originals.get(Format.PNG) or SVG_WITH_TEXT
    for format in savable():
        _render(sample, f"width_12,format_{format.value}")
    for options in EFFECTS:
        _render(sample, f"{options},format_png")
    with suppress(ProxyError, pyvips.Error):
        describe(sample, Spec(), Limits(), parse_bucket("-"))


def _originals() -> Iterator[tuple[Format | InputOnly, bytes]]:
    """A small picture in each format that can be read here, and made."""
    image = pyvips.Image.xyz(SIDE, SIDE).bandjoin(60).cast("uchar").copy(interpretation="srgb")
    for format in savable():
        with suppress(ProxyError, pyvips.Error):
            yield (
                format,
                render(image.pngsave_buffer(), parse_options(f"format_{format.value}"), Limits()).body,
            )
    for other, body in LOADER_SAMPLES.items():
        if other in loadable():
            yield other, body
    yield InputOnly.SVG, SVG_WITH_TEXT
    # BITMAPFILEHEADER and BITMAPINFOHEADER, then black pixels of 24 bits.
    pixels = bytes(SIDE * SIDE * 3)
    sizes = struct.pack("<IiiHHIIiiII", 40, SIDE, SIDE, 1, 24, 0, len(pixels), 0, 0, 0, 0)
    yield InputOnly.BMP, struct.pack("<2sIHHI", b"BM", 54 + len(pixels), 0, 0, 54) + sizes + pixels


def _render(original: bytes, options: str) -> None:
    with suppress(ProxyError, pyvips.Error):
        render(original, parse_options(options), Limits())
