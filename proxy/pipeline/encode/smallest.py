"""The smallest good file: which format, which quality, and what to do when it has to be smaller still."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache

import pyvips

from proxy.model.errors import ResultTooLarge
from proxy.model.media import FORMATS, Format
from proxy.options.values.kinds import AutoQuality
from proxy.pipeline.decode.alpha import with_hidden_filled
from proxy.pipeline.decode.colour import as_greyscale
from proxy.pipeline.encode.cost import MAX_ENCODE_SECONDS
from proxy.pipeline.encode.metadata import ICC, KEEP_FLAGS
from proxy.pipeline.encode.order import Order, SaverSettings
from proxy.pipeline.encode.original_data import shows_the_same
from proxy.pipeline.encode.quality_curves import (
    FULL_CHROMA_CURVE,
    FULL_CHROMA_TARGET,
    SIMILARITY_TARGETS,
    quality_for,
)
from proxy.pipeline.encode.quality_search import Encodings, decode_like, quality_reaching, quality_within
from proxy.pipeline.encode.savers import SAVERS, encode_image
from proxy.pipeline.encode.similarity import SimilarityReference

SIMILAR_WITHIN = 2.0
"""Points of similarity between files that look alike."""

MIN_SAVING = 0.05
"""Share of its bytes that encoding a JPEG again at its own quality must save: its flaws are added again."""


@dataclass(frozen=True, slots=True)
class Variant:
    """Settings of a saver, and the seconds that a megapixel of a photograph takes with them on one core."""

    settings: SaverSettings
    seconds: float
    exact: bool = True


VARIANTS: Mapping[Format, Sequence[Variant]] = {
    Format.PNG: (
        Variant({}, 0.06),
        Variant({"compression": 9, "filter": "all"}, 0.39),
        Variant({"compression": 9, "palette": True, "bitdepth": 8, "dither": 0.0}, 0.65),
        *(
            Variant({"compression": 9, "palette": True, "bitdepth": bits}, seconds, exact=False)
            for bits, seconds in ((8, 0.65), (4, 0.32), (2, 0.14), (1, 0.12))
        ),
    ),
    Format.GIF: (
        Variant({}, 0.35),
        *(
            Variant({"bitdepth": bits}, seconds, exact=False)
            for bits, seconds in ((7, 0.31), (6, 0.2), (5, 0.12), (4, 0.1), (3, 0.08), (2, 0.07), (1, 0.06))
        ),
    ),
}
"""
How formats without a quality are written. The exact ways come first, the quickest before the others; a
palette is one of them when it holds every colour. Then what is left when the file has to be smaller.
`benchmarks/fit_cost.py` measures the seconds again.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedFile:
    """`similarity` is told only where it was asked for; None is that of the very same pixels."""

    body: bytes = field(repr=False)
    format: Format
    encodings: int = 1
    similarity: Callable[[], float] = lambda: 100.0

    def fits(self, max_bytes: int | None) -> bool:
        return max_bytes is None or len(self.body) <= max_bytes


def encode_smallest(image: pyvips.Image, order: Order) -> EncodedFile:
    """
    Encode `image` as `order` says: in the smallest of its formats, and within its bytes.

    Raises ResultTooLarge when no quality makes it as small as `max_bytes`.
    """
    reference = cache(lambda: SimilarityReference.of(image))
    filled = cache(lambda: with_hidden_filled(image))
    files = [
        _encode_as(format, filled() if _is_lossy(format, order) else image, order, reference)
        for format in order.formats
    ]
    fitting = [file for file in files if file.fits(order.max_bytes)]
    if not fitting:
        smallest = min(len(file.body) for file in files)
        raise ResultTooLarge(
            f"this picture cannot have {order.max_bytes} bytes; the smallest file that can be made of it has "
            f"{smallest}",
            option="mb", value=str(order.max_bytes), allowed=f"{smallest} or more", smallest=smallest,
        )  # fmt: skip
    return _choose(fitting, order)


def _is_lossy(format: Format, order: Order) -> bool:
    return FORMATS[format].quality and not order.settings.get(format, {}).get("lossless")


def _choose(files: Sequence[EncodedFile], order: Order) -> EncodedFile:
    """
    The smallest of those alike; where `max_bytes` took so much from some that they are not alike, the most
    similar.
    """
    if len(files) == 1:
        return files[0]
    if order.max_bytes is not None:
        nearest = max(file.similarity() for file in files)
        files = [file for file in files if file.similarity() >= min(nearest, order.target) - SIMILAR_WITHIN]
    return min(files, key=lambda file: len(file.body))


def _encode_as(
    format: Format, image: pyvips.Image, order: Order, reference: Callable[[], SimilarityReference]
) -> EncodedFile:
    if not FORMATS[format].quality:
        return _without_quality(format, image, order, reference)
    own = order.settings.get(format, {})
    if own.get("lossless"):
        return EncodedFile(body=encode_image(image, format, None, order.keep, **own), format=format)
    encodings = Encodings(image, format, order.keep, reference, **own)
    chroma = own.get("subsample_mode")
    if format is Format.JPEG and (
        chroma == "off" or (chroma is None and order.by_looks and order.target >= FULL_CHROMA_TARGET)
    ):
        own = {**own, "subsample_mode": "off"}
        encodings = Encodings(image, format, order.keep, reference, curve=FULL_CHROMA_CURVE, **own)
    quality = _quality(encodings, order)
    if order.max_bytes is not None and len(encodings.body(quality)) > order.max_bytes:
        quality = quality_within(encodings, order.max_bytes, quality) or 1
    elif (original := _original(_worth(encodings, quality, order), format, image, order)) is not None:
        return replace(original, encodings=len(encodings))
    elif order.original_bytes is not None and len(encodings.body(quality)) > order.original_bytes:
        quality = _as_small_as_the_original(encodings, order.original_bytes, quality)
    return EncodedFile(
        body=encodings.body(quality),
        format=format,
        encodings=len(encodings),
        similarity=lambda: encodings.similarity(quality),
    )


def _quality(encodings: Encodings, order: Order) -> int:
    """What is asked for, but no more than the original had: nothing is won by keeping its flaws exactly."""
    highest = order.original_quality or 100
    if order.by_looks and order.still:
        return quality_reaching(encodings, order.target, highest)
    if order.by_looks:
        return min(highest, quality_for(encodings.curve, order.target))
    asked = order.quality if isinstance(order.quality, int) else SAVERS[encodings.format].quality
    return min(highest, asked or highest)


def _as_small_as_the_original(encodings: Encodings, max_bytes: int, highest: int) -> int:
    """But not for any price: of a small file, what was asked to be kept may be more than the picture."""
    quality = quality_within(encodings, max_bytes, highest)
    lowest = SIMILARITY_TARGETS[AutoQuality.LOW]
    if quality is None or encodings.similarity(quality) < lowest:
        return quality_reaching(encodings, lowest, highest)
    return quality


def _without_quality(
    format: Format, image: pyvips.Image, order: Order, reference: Callable[[], SimilarityReference]
) -> EncodedFile:
    """The first way to write it that is small enough, else the smallest; colours go only for `max_bytes`."""
    smallest: EncodedFile | None = None
    count = 0
    lossy = order.max_bytes is not None and order.still
    # An sRGB profile may not be in a file of greys.
    with_profile = KEEP_FLAGS[order.keep] & ICC
    grey = as_greyscale(image) if order.original_grey and format is Format.PNG and not with_profile else None
    for variant in affordable_variants(format, image.width * image.height, lossy=lossy):
        settings, exact = variant.settings, variant.exact
        shown = image if grey is None or settings.get("palette") else grey
        body = encode_image(shown, format, None, order.keep, **{**order.settings.get(format, {}), **settings})
        count += 1
        if exact and settings.get("palette") and not _same_pixels(image, body, format):
            continue
        file = EncodedFile(
            body=body,
            format=format,
            encodings=count,
            similarity=(lambda: 100.0) if exact else _similarity_of(image, body, format, reference),
        )
        if smallest is None or len(body) < len(smallest.body):
            smallest = file
        if file.fits(order.most_bytes if exact else order.max_bytes):
            break
    assert smallest is not None, "the first way is exact and no palette"
    original = _original(len(smallest.body), format, image, order)
    return smallest if original is None else replace(original, encodings=count)


def _worth(encodings: Encodings, quality: int, order: Order) -> int:
    """The most bytes for which the original's own data are better than our file."""
    size = len(encodings.body(quality))
    return int(size / (1 - MIN_SAVING)) if quality == order.original_quality else size


def _original(size: int, format: Format, image: pyvips.Image, order: Order) -> EncodedFile | None:
    """The original's own data, where they show the same picture in at most `size` bytes."""
    data = order.original_data
    if data is None or len(data) > size or not shows_the_same(data, format, image):
        return None
    return EncodedFile(body=data, format=format)


def affordable_variants(format: Format, pixels: int, *, lossy: bool) -> Sequence[Variant]:
    """
    Leave out the variants that take longest, until the rest can all be tried within MAX_ENCODE_SECONDS. The
    last one makes the smallest file.
    """
    first, *others = VARIANTS.get(format, (Variant({}, 0.0),))
    left = [variant for variant in others if lossy or variant.exact]
    fewest = 1 if lossy else 0
    while (
        len(left) > fewest
        and sum(variant.seconds for variant in (first, *left)) * pixels > MAX_ENCODE_SECONDS * 1e6
    ):
        left.remove(max(left[: len(left) - fewest], key=lambda variant: variant.seconds))
    return first, *left


def _similarity_of(
    image: pyvips.Image, body: bytes, format: Format, reference: Callable[[], SimilarityReference]
) -> Callable[[], float]:
    return lambda: reference().similarity(decode_like(body, format, image))


def _same_pixels(image: pyvips.Image, body: bytes, format: Format) -> bool:
    return bool((decode_like(body, format, image) - image).abs().max() == 0)
