"""
What an encoder's quality is worth: similarity to the picture, on one scale for all formats.

Two encoders' qualities have nothing in common but their range. How alike their pictures look has.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from itertools import pairwise

from proxy.model.media import Format
from proxy.options.values.kinds import AutoQuality

SIMILARITY_TARGETS: Mapping[AutoQuality, float] = {
    AutoQuality.BEST: 85.0,
    AutoQuality.GOOD: 76.0,
    AutoQuality.ECO: 68.0,
    AutoQuality.LOW: 58.0,
}
"""As `SimilarityReference` measures it: 90 cannot be told from the picture, 70 hardly, 50 shows."""

Curve = tuple[tuple[int, float], ...]

SIMILARITY_CURVES: Mapping[Format, Curve] = {
    Format.JPEG: (
        (1, 0.0), (15, 19.2), (30, 50.0), (45, 60.8), (60, 68.3), (72, 73.5), (80, 78.8), (86, 82.7),
        (91, 89.1), (95, 91.9), (100, 97.0),
    ),
    Format.WEBP: (
        (1, 25.0), (5, 32.2), (20, 48.5), (40, 58.4), (60, 65.5), (72, 69.1), (80, 74.4), (86, 79.2),
        (91, 83.3), (96, 87.5), (100, 91.0),
    ),
    Format.AVIF: (
        (1, 0.0), (20, 35.7), (30, 48.1), (40, 61.7), (48, 67.2), (56, 73.6), (64, 78.6), (72, 82.1),
        (80, 85.4), (88, 88.1), (100, 94.0),
    ),
    Format.JXL: (
        (1, 25.0), (10, 42.0), (20, 53.0), (30, 61.0), (40, 64.0), (50, 67.5), (60, 71.5), (70, 75.0),
        (80, 78.5), (85, 82.0), (90, 85.0), (93, 87.5), (96, 90.5), (100, 100.0),
    ),
}  # fmt: skip
"""
By quality, the similarity of the median of 22 photographs and drawings like photographs; of JPEG XL, of six.
`benchmarks/fit_quality_curves.py` measures them, and FULL_CHROMA_CURVE and FULL_CHROMA_TARGET, again.
"""


FULL_CHROMA_CURVE: Curve = (
    (1, 5.0), (15, 33.0), (30, 57.0), (48, 68.0), (68, 76.0), (78, 82.0), (84, 85.0), (90, 88.5), (95, 91.9),
    (100, 97.0),
)  # fmt: skip
"""Of JPEG where colours have as many pixels as lightness: from FULL_CHROMA_TARGET on, the smaller file."""

FULL_CHROMA_TARGET = 82.0


def similarity_at(curve: Curve, quality: float) -> float:
    """Return the similarity that `quality` usually gives."""
    return _interpolate([each for each, _ in curve], [each for _, each in curve], quality)


def quality_for(curve: Curve, similarity: float) -> int:
    """Return the quality, 1..100, that usually gives `similarity`."""
    return round(_interpolate([each for _, each in curve], [each for each, _ in curve], similarity))


def _interpolate(xs: list[float], ys: list[float], x: float) -> float:
    if not xs[0] < x < xs[-1]:
        return ys[0] if x <= xs[0] else ys[-1]
    at = bisect_left(xs, x)
    (left, right), (low, high) = list(pairwise(xs))[at - 1], list(pairwise(ys))[at - 1]
    return low + (high - low) * (x - left) / (right - left)
