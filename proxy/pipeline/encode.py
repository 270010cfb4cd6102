"""Bytes out: one saver a format, each with the settings that were measured to be worth their time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pyvips

from proxy.kinds import AutoQuality
from proxy.media import Format
from proxy.pipeline.colour import is_named
from proxy.pipeline.metadata import FLAGS, ICC, kept
from proxy.spec import Keep


@dataclass(frozen=True, slots=True, kw_only=True)
class Saver:
    """`levels` are encoder qualities, which mean something else in every format."""

    operation: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    levels: Mapping[AutoQuality, int] | None = None


def _levels(best: int, good: int, eco: int, low: int) -> Mapping[AutoQuality, int]:
    return dict(zip(AutoQuality, (best, good, eco, low), strict=True))


SAVERS: Mapping[Format, Saver] = {
    Format.JPEG: Saver(
        operation="jpegsave_buffer",
        settings={"optimize_coding": True, "subsample_mode": "auto"},
        levels=_levels(90, 80, 70, 55),
    ),
    Format.PNG: Saver(operation="pngsave_buffer", settings={"compression": 6}),
    # Twice the effort buys 6 % of the bytes for twice the time.
    Format.WEBP: Saver(operation="webpsave_buffer", settings={"effort": 2}, levels=_levels(90, 80, 70, 55)),
    # libvips' effort: 0 is the encoder's speed 9. From 1 on every step costs twice the time for 3 % of bytes.
    Format.AVIF: Saver(
        operation="heifsave_buffer",
        settings={"compression": "av1", "effort": 1},
        levels=_levels(75, 60, 50, 40),
    ),
    # From 3 on the palette costs twice the time and is no better.
    Format.GIF: Saver(operation="gifsave_buffer", settings={"effort": 1}),
    Format.TIFF: Saver(
        operation="tiffsave_buffer", settings={"compression": "deflate", "predictor": "horizontal"}
    ),
}
"""
`good`, the default, was set where SSIMULACRA2 of photographs is between 71 and 76 in every format (jpeg 80:
75.7, webp 78: 70.8, avif 60: 72.9).
"""


@cache
def savable() -> frozenset[Format]:
    """What the linked libvips can save, found by saving: a saver may be there and its codec not."""
    picture = pyvips.Image.black(16, 16, bands=3).copy(interpretation="srgb")
    return frozenset(format for format in SAVERS if _saves(picture, format))


def _saves(picture: pyvips.Image, format: Format) -> bool:
    try:
        return bool(encoded(picture, format))
    except pyvips.Error:
        return False


def encoded(
    image: pyvips.Image, format: Format, quality: int | AutoQuality | None = None, keep: Keep = Keep.NONE
) -> bytes:
    saver = SAVERS[format]
    settings = dict(saver.settings)
    if saver.levels is not None:
        settings["Q"] = quality if isinstance(quality, int) else saver.levels[quality or AutoQuality.GOOD]
    save = getattr(kept(image, keep), saver.operation)
    flags = FLAGS[keep] | (ICC if is_named(image) else 0)
    written: bytes = save(keep=flags, **settings)
    return written
