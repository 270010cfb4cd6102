"""Bytes out: one saver a format, each with the settings that were measured to be worth their time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pyvips

from proxy.model.media import FORMATS, Format
from proxy.options.spec import Chroma, Keep, Spec
from proxy.pipeline.decode.colour import needs_profile
from proxy.pipeline.encode.exif_insert import replace_placeholder, with_placeholder
from proxy.pipeline.encode.metadata import EXIF, ICC, KEEP_FLAGS, allowed_exif, with_allowed_metadata
from proxy.pipeline.encode.png_filter import png_settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Saver:
    """`quality` is for those who ask for none; it means something else in every format."""

    operation: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    quality: int | None = None


SAVERS: Mapping[Format, Saver] = {
    Format.JPEG: Saver(
        operation="jpegsave_buffer",
        settings={"optimize_coding": True, "subsample_mode": "auto"},
        quality=80,
    ),
    # The filter, and the compression with it, is by content: `png_settings`.
    Format.PNG: Saver(operation="pngsave_buffer", settings={"compression": 6}),
    # Twice the effort buys 6 % of the bytes for twice the time.
    Format.WEBP: Saver(operation="webpsave_buffer", settings={"effort": 2}, quality=80),
    # libvips' effort: 0 is the encoder's speed 9. From 1 on every step costs twice the time for 3 % of bytes.
    Format.AVIF: Saver(operation="heifsave_buffer", settings={"compression": "av1", "effort": 1}, quality=60),
    # From 3 on the palette costs twice the time and is no better.
    Format.GIF: Saver(operation="gifsave_buffer", settings={"effort": 1}),
    Format.TIFF: Saver(
        operation="tiffsave_buffer", settings={"compression": "deflate", "predictor": "horizontal"}
    ),
    # From 5 on a megapixel takes four times as long, and is no smaller.
    Format.JXL: Saver(operation="jxlsave_buffer", settings={"effort": 4}, quality=75),
}
"""
The qualities were set where SSIMULACRA2 of photographs is between 71 and 76 in every format (jpeg 80: 75.7,
webp 78: 70.8, avif 60: 72.9); that of JPEG XL by our own measure.
"""

HOLDING_EXIF = frozenset({Format.JPEG, Format.PNG, Format.WEBP, Format.AVIF, Format.JXL})
"""libvips writes no EXIF into TIFF, and a GIF has no place for any."""

EFFORT_RANGES: Mapping[Format, tuple[str, int, int]] = {
    Format.PNG: ("compression", 0, 9),
    Format.WEBP: ("effort", 0, 6),
    # From 5 on a megapixel takes more than any request may.
    Format.AVIF: ("effort", 0, 4),
    Format.GIF: ("effort", 1, 10),
    Format.JXL: ("effort", 1, 7),
}
"""The setting that the URL's 0..9 of effort become, and its range."""

SUBSAMPLING: Mapping[Chroma, str] = {Chroma.AUTO: "auto", Chroma.QUARTER: "on", Chroma.FULL: "off"}


def encoder_settings(spec: Spec, format: Format) -> dict[str, Any]:
    """
    Translate what a URL says of the encoder to the settings of this format's saver, as far as it has any.
    """
    has = FORMATS[format].encoder
    found: dict[str, Any] = {}
    if spec.lossless and format in (Format.WEBP, Format.AVIF, Format.JXL):
        found["lossless"] = True
    if spec.progressive and "progressive" in has:
        found["interlace"] = True
    if spec.effort is not None and format in EFFORT_RANGES:
        name, low, high = EFFORT_RANGES[format]
        found[name] = low + round(spec.effort * (high - low) / 9)
    if spec.chroma is not Chroma.AUTO and "chroma" in has:
        found["subsample_mode"] = SUBSAMPLING[spec.chroma]
    return found


@cache
def savable() -> frozenset[Format]:
    """
    Return the formats that the linked libvips saves, found by saving: a saver may be there and its codec not.
    """
    picture = pyvips.Image.black(16, 16, bands=3).copy(interpretation="srgb")
    return frozenset(format for format in SAVERS if _saves(picture, format))


def _saves(picture: pyvips.Image, format: Format) -> bool:
    try:
        return bool(encode_image(picture, format))
    except (pyvips.Error, AttributeError):
        return False


def encode_image(
    image: pyvips.Image,
    format: Format,
    quality: int | None = None,
    keep: Keep = Keep.NONE,
    **more: Any,
) -> bytes:
    """
    Encode `image` once. Without `quality` it is the saver's own; `more` are settings of the format's saver.
    """
    saver = SAVERS[format]
    settings = {**saver.settings, **more}
    if format is Format.PNG and not settings.get("palette") and "filter" not in settings:
        image = image.copy_memory()
        settings = {**png_settings(image), **more}
    if saver.quality is not None:
        settings["Q"] = quality or saver.quality
    flags = KEEP_FLAGS[keep] | (ICC if needs_profile(image) else 0)
    exif = allowed_exif(image, keep) if format in HOLDING_EXIF else b""
    shown = with_allowed_metadata(image, keep)
    if exif:
        shown, mark = with_placeholder(shown, exif)
    else:
        flags &= ~EXIF
    written: bytes = getattr(shown, saver.operation)(keep=flags, **settings)
    if exif:
        written = replace_placeholder(written, format, exif, mark)
    return flag_webp_alpha(written) if format is Format.WEBP and image.hasalpha() else written


_WEBP_ALPHA = 0x10


def flag_webp_alpha(webp: bytes) -> bytes:
    """
    Set a WebP's flag for transparency (RFC 9649, 2.7).

    libwebp sets it where a frame has some, and not where frames leave some of the canvas alone: programs that
    trust the flag show black there.
    """
    if webp[12:16] != b"VP8X":
        return webp
    return webp[:20] + bytes((webp[20] | _WEBP_ALPHA,)) + webp[21:]
