"""
How much alike two pictures look, as one number on the scale of SSIMULACRA2.

SSIMULACRA2 itself takes longer than encoding an AVIF. This keeps what tells its score apart for the three
encoders (structure of lightness and colour at three sizes, in a space that is as even as the eye) and takes
its averages over blocks instead of around every pixel. https://github.com/cloudinary/ssimulacra2
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyvips

BLOCK_SIDE = 4
"""Sides of the blocks in which structure is compared, in px of each size."""

MIN_SIDE = 2 * BLOCK_SIDE * BLOCK_SIDE
"""Sides that a picture needs, in px, so that there is a block at every size."""

_FLOOR = 0.0009
"""Of variance: what is flatter counts as flat. SSIMULACRA2's C2."""

_BIAS = 0.0037930732552754493


def _response() -> pyvips.Image:
    """Of the eye to each value of an sRGB channel: the cube root of its light, as in XYB."""
    values = [number / 255 for number in range(256)]
    light = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in values]
    root = array("f", [(each + _BIAS) ** (1 / 3) - _BIAS ** (1 / 3) for each in light])
    return pyvips.Image.new_from_memory(root.tobytes(), 256, 1, 1, "float")


_RESPONSE = _response()
_LIGHTNESS = (0.265, 0.657, 0.078)
_XYB = (_LIGHTNESS, (0.49, -0.49, 0.0), (-0.021578, -0.452233, 0.473810))
"""Lightness, red against green, blue against yellow: XYB, stretched as SSIMULACRA2 does."""

WEIGHTS = (32.91, 38.98, 4.1, 23.48, 1619.52, 262.84)
"""Of what `_losses` yields, in its order."""

SLOPE = 10.0
POWER = 0.55
"""
All fitted to SSIMULACRA2 over 27 encodings of each of 30 pictures: Spearman's rank correlation is 0.98; over
the photographs among them 0.99, and the mean error 1.7 points.
`benchmarks/fit_similarity.py` fits them again.
"""


@dataclass(frozen=True, slots=True)
class _Size:
    """A picture at one of its sizes, and its blocks' averages and variances."""

    image: pyvips.Image
    mean: pyvips.Image
    variance: pyvips.Image


@dataclass(frozen=True, slots=True)
class SimilarityReference:
    """A picture that others are compared with: made once, for any number of comparisons."""

    full: _Size
    half: _Size
    eighth: _Size

    @classmethod
    def of(cls, image: pyvips.Image) -> SimilarityReference:
        """`image` is 8-bit RGB, with or without alpha."""
        return cls(*_sizes(image))

    def similarity(self, image: pyvips.Image) -> float:
        """
        100 for the same picture; 90 cannot be told apart, 70 hardly, 50 shows, 30 is bad. `image` is of the
        same size.
        """
        return similarity_of(self.losses(image))

    def losses(self, image: pyvips.Image) -> tuple[float, ...]:
        """What `similarity` weighs, in the order of WEIGHTS; each 0 for the same picture."""
        return tuple(_losses((self.full, self.half, self.eighth), tuple(_sizes(image))))


def similarity_of(losses: Sequence[float]) -> float:
    distance: float = sum(weight * loss for weight, loss in zip(WEIGHTS, losses, strict=True))
    return float(100 - SLOPE * max(distance, 0.0) ** POWER)


def _sizes(image: pyvips.Image) -> Iterator[_Size]:
    opaque = _opaque(image)
    yield _size(_perceptual(opaque, (_LIGHTNESS,)))
    half = _size(_perceptual(opaque.shrink(2, 2), _XYB))
    yield half
    yield _size(half.mean)


def _opaque(image: pyvips.Image) -> pyvips.Image:
    """Transparency shows on what lies behind it: the picture on white above the picture on black."""
    if image.hasalpha():
        image = image.flatten(background=[255] * 3).join(image.flatten(background=[0] * 3), "vertical")
    width, height = (max(side, MIN_SIDE) for side in (image.width, image.height))
    if (width, height) != (image.width, image.height):
        image = image.embed(0, 0, width, height, extend="copy")
    return image


def _perceptual(image: pyvips.Image, bands: tuple[tuple[float, ...], ...]) -> pyvips.Image:
    return image.maplut(_RESPONSE).recomb(pyvips.Image.new_from_array([list(band) for band in bands]))


def _size(image: pyvips.Image) -> _Size:
    image = image.crop(
        0, 0, image.width // BLOCK_SIDE * BLOCK_SIDE, image.height // BLOCK_SIDE * BLOCK_SIDE
    ).copy_memory()
    mean = _blocks(image)
    return _Size(image, mean, (_blocks(image * image) - mean * mean).copy_memory())


def _blocks(image: pyvips.Image) -> pyvips.Image:
    # In memory, since several read it and libvips would make it again for each.
    return image.shrink(BLOCK_SIDE, BLOCK_SIDE).copy_memory()


def _losses(wanted: tuple[_Size, ...], given: tuple[_Size, ...]) -> Iterator[float]:
    """Of structure: what is lost on average in lightness, then in the worst places, then at large."""
    full, half, eighth = (_block_loss(*sizes) for sizes in zip(wanted, given, strict=True))
    yield full.avg()
    squared = half * half
    yield from (average**0.25 for average in _averages(squared * squared))
    yield from _averages(eighth)[:2]


def _block_loss(wanted: _Size, given: _Size) -> pyvips.Image:
    """1 - SSIM of each block, as SSIMULACRA2 has it: the darker of two pictures is no nearer."""
    apart = (wanted.image - given.image).copy_memory()
    shift = _blocks(apart)
    shift = shift * shift
    spread = _blocks(apart * apart) - shift
    structure = spread / (wanted.variance + given.variance + _FLOOR)
    return (1 - (1 - shift) * (1 - structure)).copy_memory()


def _averages(image: pyvips.Image) -> list[float]:
    rows = image.stats()
    return [max(0.0, rows(4, band + 1)[0]) for band in range(image.bands)]
