"""
What `q_auto` saves and costs, against one quality for all pictures.

The pictures are the samples' scenes and, harder, drawn ones with the textures and the noise of photographs,
all 1200 px wide. For each format a fixed quality is looked for that gives the same: once the same similarity
on average, and once at least that for every picture, which is what `q_auto` promises. Encodings take turns,
so that a noisy machine is noisy for all of them, and CPU ratios are medians over rounds and pictures. Run it
with `python benchmarks/smallest.py [good]`; two minutes a level.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial

import pyvips

from benchmarks.pictures import HEIGHT, TEXTURES, WIDTH
from proxy.model.media import Format
from proxy.options.values.kinds import AutoQuality
from proxy.pipeline.encode.order import Order
from proxy.pipeline.encode.quality_curves import SIMILARITY_TARGETS
from proxy.pipeline.encode.quality_search import decode_like
from proxy.pipeline.encode.savers import encode_image
from proxy.pipeline.encode.similarity import SimilarityReference
from proxy.pipeline.encode.smallest import EncodedFile, encode_smallest
from proxy.samples import scenes

LOSSY = (Format.JPEG, Format.WEBP, Format.AVIF)
ROUNDS = 3


def scaled(scene: Callable[[], pyvips.Image]) -> pyvips.Image:
    image = scene()
    return image.thumbnail_image(WIDTH, height=HEIGHT, size="force").copy_memory()


def pictures() -> Mapping[str, pyvips.Image]:
    drawn = (scenes.mountains, scenes.harbour, scenes.dunes, scenes.clouds, *TEXTURES)
    return {scene.__name__: scaled(scene) for scene in drawn}


class Fixed:
    """Every picture in one format at a given quality."""

    def __init__(
        self,
        format: Format,
        images: Mapping[str, pyvips.Image],
        references: Mapping[str, SimilarityReference],
    ) -> None:
        self._format, self._images, self._references = format, images, references
        self._known: dict[int, tuple[dict[str, float], dict[str, int]]] = {}

    def at(self, quality: int) -> tuple[dict[str, float], dict[str, int]]:
        """Similarities and bytes."""
        if quality not in self._known:
            bodies = {
                name: encode_image(image, self._format, quality) for name, image in self._images.items()
            }
            likeness = {
                name: self._references[name].similarity(decode_like(body, self._format, self._images[name]))
                for name, body in bodies.items()
            }
            self._known[quality] = likeness, {name: len(body) for name, body in bodies.items()}
        return self._known[quality]

    def lowest(self, of: Callable[[Iterable[float]], float], enough: float) -> int:
        """The lowest quality at which the mean, or the least, of all similarities is `enough`."""
        low, high = 0, 100
        while high - low > 1:
            middle = (low + high) // 2
            if of(self.at(middle)[0].values()) >= enough:
                high = middle
            else:
                low = middle
        return high


def timed(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def cost(images: Mapping[str, pyvips.Image], order: Order, quality: int) -> float:
    """CPU of a search over that of one encoding: the median."""
    ratios = []
    for image in images.values():
        rounds = [
            (
                timed(partial(encode_smallest, image, order)),
                timed(partial(encode_image, image, order.formats[0], quality)),
            )
            for _ in range(ROUNDS)
        ]
        ratios.append(statistics.median(search / once for search, once in rounds))
    return statistics.median(ratios)


def compare(
    level: AutoQuality, images: Mapping[str, pyvips.Image], references: Mapping[str, SimilarityReference]
) -> None:
    print(f"\nq_{level}: similarity {SIMILARITY_TARGETS[level]:.0f}")
    print("format  encodings   off by   bytes against one quality for all         CPU of q_auto")
    print("        mean  max            same on average    the same for every one   / one encoding")
    searched: dict[Format, dict[str, EncodedFile]] = {}
    for format in LOSSY:
        order = Order(formats=(format,), quality=level)
        files = searched[format] = {name: encode_smallest(image, order) for name, image in images.items()}
        likeness = {name: file.similarity() for name, file in files.items()}
        fixed = Fixed(format, images, references)
        average = fixed.lowest(statistics.mean, statistics.mean(likeness.values()))
        every = fixed.lowest(min, min(likeness.values()))
        total = sum(len(file.body) for file in files.values())
        share = {quality: total / sum(fixed.at(quality)[1].values()) for quality in (average, every)}
        counts = [file.encodings for file in files.values()]
        off = statistics.mean(abs(found - SIMILARITY_TARGETS[level]) for found in likeness.values())
        print(
            f"{format:6}{statistics.mean(counts):6.1f}{max(counts):5}{off:9.1f}"
            f"{share[average]:12.2f} (q {average:2}){share[every]:14.2f} (q {every:2})"
            f"{cost(images, order, average):18.1f}"
        )
    order = Order(formats=(*LOSSY, Format.PNG), quality=level)
    best = [encode_smallest(image, order) for image in images.values()]
    for format in LOSSY:
        ratio = statistics.median(
            len(file.body) / len(one.body) for file, one in zip(best, searched[format].values(), strict=True)
        )
        print(f"f_best / {format:5}{ratio:6.2f} of the bytes")


def main() -> None:
    pyvips.cache_set_max(0)
    levels = [AutoQuality(f"auto:{level}") for level in sys.argv[1:]] or [*AutoQuality]
    images = pictures()
    references = {name: SimilarityReference.of(image) for name, image in images.items()}
    for level in levels:
        compare(level, images, references)


if __name__ == "__main__":
    main()
