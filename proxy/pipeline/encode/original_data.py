"""The original's own compressed data as a rendition, where our encoder cannot beat them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pyvips

from proxy.model.media import Body, Format, Incoming
from proxy.pipeline.decode.colour import needs_profile
from proxy.pipeline.decode.libvips import LIBVIPS_ERRORS
from proxy.pipeline.decode.loaders import open_image
from proxy.pipeline.encode.original_jpeg import NotPlain, last_scan_cut, plain_jpeg
from proxy.pipeline.encode.original_png import palette_of, plain_png

MAX_PALETTE_PIXELS = 10_000_000
"""px of a picture whose colours are looked for in its palette: 0.1 s a megapixel."""

_PLAIN: Mapping[Incoming, Callable[[Body], bytes]] = {Format.JPEG: plain_jpeg, Format.PNG: plain_png}
"""Of a WebP it cannot be told where its last partition ends, nor so what hides behind it."""

_CUT_BYTES = 1
_ACTIVE = (
    b"<script", b"<?php", b"<?=", b"<html", b"<!doctype", b"<svg", b"<iframe", b"<body", b"<img",
    b"javascript:", b"pk\3\4", b"pk\5\6", b"%pdf",
)  # fmt: skip
"""
Lower case. Pixels may be chosen so that their data read as one of these, which encoding again disturbs: the
least that can be done about what an allow-list of parts lets through.
"""


def plain_data(body: Body, format: Incoming) -> bytes | None:
    """
    Return the file of a picture with nothing but its compressed data; `None` where that cannot be told from
    what else the file holds. No pixel is decoded: `shows_the_same` has to be asked as well.
    """
    if format not in _PLAIN:
        return None
    try:
        plain = _PLAIN[format](body)
    except (NotPlain, IndexError):
        return None
    lower = plain.lower()
    return None if any(word in lower for word in _ACTIVE) else plain


def shows_the_same(plain: bytes, format: Format, image: pyvips.Image) -> bool:
    """
    Whether all of `plain` can be decoded, without a warning, to exactly the pixels of `image`, 8-bit sRGB,
    and no byte of it is left over.
    """
    if needs_profile(image):
        return False
    try:
        shown = open_image(plain, format, fail_on="warning").copy_memory()
        if shown.format != "uchar":
            return False
        shown = shown.colourspace("srgb")
        if image.hasalpha() and not shown.hasalpha():
            shown = shown.addalpha()
        if (shown.width, shown.height, shown.bands) != (image.width, image.height, image.bands):
            return False
        if (shown - image).abs().max() != 0:
            return False
        if format is Format.PNG:
            return _uses_palette(plain, shown)
    except LIBVIPS_ERRORS:
        return False
    return not _decodes(last_scan_cut(plain, _CUT_BYTES))


def _decodes(jpeg: bytes) -> bool:
    """Whether a JPEG is whole even so: then what was cut off was no part of the picture."""
    try:
        open_image(jpeg, Format.JPEG, fail_on="warning").copy_memory()
    except LIBVIPS_ERRORS:
        return False
    return True


def _uses_palette(png: bytes, shown: pyvips.Image) -> bool:
    """Whether each colour of a palette is somewhere in the picture: others may be any text."""
    palette = palette_of(png)
    if not palette:
        return True
    if shown.width * shown.height > MAX_PALETTE_PIXELS:
        return False
    if not shown.hasalpha():
        shown = shown.addalpha()
    pixels = memoryview(bytes(shown.cast("uchar").write_to_memory())).cast("I")
    used = {value.to_bytes(4, "little") for value in set(pixels)}
    return all(bytes(colour) in used for colour in palette)
