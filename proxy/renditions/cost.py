"""
How many seconds of a renderer a rendition is expected to take: roughly, for the order in which jobs are done.

What a job has really taken corrects it afterwards, so a factor of two here or there does no client harm.
"""

from __future__ import annotations

from dataclasses import fields

from proxy.model.media import Format
from proxy.model.negotiation import Bucket
from proxy.options.effects import EffectOptions
from proxy.options.spec import Spec
from proxy.options.values.kinds import AutoQuality

SECONDS_PER_MEGABYTE = 0.05
"""To read an original, by the size of its file."""

SECONDS_PER_MEGAPIXEL = {
    Format.AVIF: 0.16, Format.GIF: 0.55, Format.JPEG: 0.02, Format.JXL: 0.2, Format.PNG: 0.04,
    Format.TIFF: 0.02, Format.WEBP: 0.06,
}  # fmt: skip
"""To write a photograph in that format."""

EFFECT_SECONDS_PER_MEGAPIXEL = 0.03
SEARCH_FACTOR = 4.0
"""How much longer it takes to find a quality than to use one."""

BASE_SECONDS = 0.005
DEFAULT_MEGAPIXELS = 4.0
"""Of a rendition that is as large as its original."""

MAX_SECONDS = 60.0
_EFFECTS = tuple((field.name, field.default) for field in fields(EffectOptions))


def expected_seconds(spec: Spec, accepted: Bucket) -> float:
    """Return the seconds for a rendition under `spec`, without those for reading the original."""
    sides = [side * spec.dpr for side in (spec.width, spec.height) if isinstance(side, int)]
    if len(sides) == 2:
        megapixels = sides[0] * sides[1] / 1e6
    else:
        megapixels = sides[0] ** 2 * 0.75 / 1e6 if sides else DEFAULT_MEGAPIXELS
    effects = sum(getattr(spec, name) != default for name, default in _EFFECTS)
    encoding = SECONDS_PER_MEGAPIXEL[_written_format(spec, accepted)]
    if isinstance(spec.quality, AutoQuality) or spec.max_bytes is not None:
        encoding *= SEARCH_FACTOR
    seconds: float = BASE_SECONDS + megapixels * (encoding + effects * EFFECT_SECONDS_PER_MEGAPIXEL)
    return min(MAX_SECONDS, seconds)


def reading_seconds(original_bytes: int) -> float:
    """Return the seconds to read an original of that size."""
    return min(MAX_SECONDS, original_bytes / 1e6 * SECONDS_PER_MEGABYTE)


def _written_format(spec: Spec, accepted: Bucket) -> Format:
    if spec.fixed_format is not None:
        return spec.fixed_format
    if spec.negotiates and (accepted.avif or accepted.webp):
        return Format.AVIF if accepted.avif else Format.WEBP
    return Format.JPEG
