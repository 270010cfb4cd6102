"""
The quality that gives what is wanted, found in few encodings.

How a picture's similarity (or size) follows quality differs from picture to picture, mostly by a factor: the
first encoding tells it, the second its slope, and the third is rarely needed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pyvips

from proxy.model.media import Format
from proxy.options.spec import Keep
from proxy.pipeline.decode.loaders import load_from_memory
from proxy.pipeline.encode.quality_curves import SIMILARITY_CURVES, Curve, quality_for, similarity_at
from proxy.pipeline.encode.savers import encode_image
from proxy.pipeline.encode.similarity import SimilarityReference

SIMILARITY_TOLERANCE = 1.5
"""Points of similarity above the target that are not worth another encoding."""

SIMILARITY_SHORTFALL = 0.5
"""Points below the target that cannot be seen."""

MAX_SIMILARITY_TRIES = 4
MAX_BYTES_TRIES = 8

UNUSED_BYTES_SHARE = 0.02
"""Share of the bytes allowed that may stay unused."""

MAX_WHOLE_SEARCH_PIXELS = 1_500_000
"""Px of a picture above which similarity is searched for on tiles of it."""

TILE_SIDE = 256
TILES_PER_SIDE = 4
"""Tiles of TILE_SIDE px, so many across and so many down: as much as a picture of a megapixel."""


class Encodings:
    """
    One picture in one format, encoded at some qualities, at each one once. `curve` is what its qualities
    usually give under `settings`.
    """

    def __init__(
        self,
        image: pyvips.Image,
        format: Format,
        keep: Keep,
        reference: Callable[[], SimilarityReference] | None = None,
        *,
        curve: Curve | None = None,
        **settings: Any,
    ) -> None:
        self.image = image
        self.format = format
        self.curve = curve or SIMILARITY_CURVES[format]
        self.settings = settings
        self._keep = keep
        self._reference = reference
        self._bodies: dict[int, bytes] = {}
        self._similarities: dict[int, float] = {}

    def __len__(self) -> int:
        return len(self._bodies)

    @cached_property
    def reference(self) -> SimilarityReference:
        return self._reference() if self._reference else SimilarityReference.of(self.image)

    def body(self, quality: int) -> bytes:
        if quality not in self._bodies:
            self._bodies[quality] = encode_image(
                self.image, self.format, quality, self._keep, **self.settings
            )
        return self._bodies[quality]

    def similarity(self, quality: int) -> float:
        if quality not in self._similarities:
            shown = decode_like(self.body(quality), self.format, self.image)
            self._similarities[quality] = self.reference.similarity(shown)
        return self._similarities[quality]


@dataclass(slots=True)
class _Line:
    """
    The logarithm of a quantity as a straight line over that of the loss which a quality usually means:
    through the two points next to what is wanted, or with the slope that was guessed.
    """

    slope: float
    points: list[tuple[float, float]] = field(default_factory=list)

    def x_at(self, y: float) -> float:
        near_x, near_y = min(self.points, key=lambda point: abs(point[1] - y))
        slope = self.slope
        for x, reached in sorted(
            self.points, key=lambda point: (self._beyond(point, y, near_y), abs(point[1] - y))
        ):
            if abs(x - near_x) > 0.02:
                # A measure's noise over a short way must not turn the line round.
                slope *= min(max((reached - near_y) / (x - near_x) / slope, 0.3), 3.0)
                break
        return near_x + (y - near_y) / slope

    @staticmethod
    def _beyond(point: tuple[float, float], y: float, near_y: float) -> bool:
        """Whether it lies on the same side of what is wanted as the nearest point."""
        return (point[1] > y) == (near_y > y)


def quality_reaching(encodings: Encodings, target: float, highest: int = 100) -> int:
    """
    Find the quality, up to `highest`, of the smallest file whose similarity is `target` or just above; where
    there is none, that of the most similar file tried.
    """
    if encodings.image.width * encodings.image.height > MAX_WHOLE_SEARCH_PIXELS:
        encodings = Encodings(
            sample_tiles(encodings.image),
            encodings.format,
            Keep.NONE,
            curve=encodings.curve,
            **encodings.settings,
        )
    line = _Line(slope=1.0)
    below, above = 0, highest + 1
    quality = min(highest, quality_for(encodings.curve, target))
    tried: list[int] = []
    while True:
        tried.append(quality)
        reached = encodings.similarity(quality)
        if (
            target - SIMILARITY_SHORTFALL <= reached <= target + SIMILARITY_TOLERANCE
            or len(tried) == MAX_SIMILARITY_TRIES
        ):
            break
        if reached < target:
            below = max(below, quality)
        else:
            above = min(above, quality)
        if above - below <= 1:
            break
        line.points.append((_loss(similarity_at(encodings.curve, quality)), _loss(reached)))
        wanted = quality_for(
            encodings.curve, 100 - math.exp(line.x_at(_loss(target + SIMILARITY_TOLERANCE / 3)))
        )
        quality = min(max(wanted, below + 1), above - 1)
    passing = [each for each in tried if encodings.similarity(each) >= target - SIMILARITY_SHORTFALL]
    return min(passing) if passing else max(tried, key=encodings.similarity)


def quality_within(encodings: Encodings, max_bytes: int, highest: int) -> int | None:
    """
    Find the highest quality, up to `highest`, whose file has at most `max_bytes`; `None` where not even
    1 has.
    """
    line = _Line(slope=-1.4)
    fits, exceeds = 0, highest + 1
    quality = highest
    for _ in range(MAX_BYTES_TRIES):
        size = len(encodings.body(quality))
        if size <= max_bytes:
            fits = quality
        else:
            exceeds = quality
        if exceeds - fits <= 1 or max_bytes * (1 - UNUSED_BYTES_SHARE) <= size <= max_bytes:
            return fits or None
        line.points.append((_loss(similarity_at(encodings.curve, quality)), math.log(size)))
        wanted = quality_for(
            encodings.curve, 100 - math.exp(line.x_at(math.log(max_bytes * (1 - UNUSED_BYTES_SHARE / 2))))
        )
        quality = min(max(wanted, fits + 1), exceeds - 1)
    return fits or (1 if len(encodings.body(1)) <= max_bytes else None)


def decode_like(body: bytes, format: Format, image: pyvips.Image) -> pyvips.Image:
    """Decode `body`, with the bands of `image`, which it was encoded from."""
    shown = load_from_memory(body, format).colourspace("srgb")
    return shown.addalpha() if image.hasalpha() and not shown.hasalpha() else shown


def sample_tiles(image: pyvips.Image) -> pyvips.Image:
    """Return parts of `image` as one picture of a size that a search can afford."""
    width, height = min(TILE_SIDE, image.width), min(TILE_SIDE, image.height)
    across = [(image.width - width) * at // (TILES_PER_SIDE - 1) for at in range(TILES_PER_SIDE)]
    down = [(image.height - height) * at // (TILES_PER_SIDE - 1) for at in range(TILES_PER_SIDE)]
    return pyvips.Image.arrayjoin(
        [image.crop(left, top, width, height) for top in down for left in across], across=TILES_PER_SIDE
    ).copy_memory()


def _loss(similarity: float) -> float:
    return math.log(max(100 - similarity, 0.05))
