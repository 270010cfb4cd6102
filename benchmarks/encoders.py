"""
What each setting of an encoder costs in CPU and is worth in bytes: the table behind the defaults of
`proxy/pipeline/encode/savers.py`.

    VIPS_CONCURRENCY=1 python benchmarks/encoders.py [--photographs FOLDER] [--rounds 3] [FORMAT ...]

Bytes of a format with a quality are those at equal similarity: each setting encodes each picture with some
qualities, and its bytes are read off that curve where it is as similar as the default's file. CPU is that of
encoding with the default quality. Both are ratios to the default, medians over pictures; the settings take
turns, so that a busy machine slows all alike.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pyvips

from benchmarks.pictures import Pictures, graphics, of_folder, photographs, texts
from proxy.model.media import FORMATS, Format
from proxy.pipeline.encode.order import SaverSettings
from proxy.pipeline.encode.quality_search import decode_like
from proxy.pipeline.encode.savers import SAVERS, encode_image
from proxy.pipeline.encode.similarity import SimilarityReference

QUALITY_STEPS = (-16, -8, 0, 8, 14)
"""From the default quality: enough to find the same similarity on either side."""

CANDIDATES: Mapping[Format, Sequence[SaverSettings]] = {
    Format.WEBP: (
        *({"effort": effort} for effort in (1, 2, 3, 4, 6)),
        {"effort": 2, "smart_subsample": True},
        {"effort": 3, "smart_subsample": True},
        {"effort": 4, "smart_subsample": True},
        *({"effort": 2, "preset": preset} for preset in ("picture", "photo", "drawing", "text")),
    ),
    Format.PNG: (
        *({"filter": name} for name in ("none", "sub", "up", "avg", "paeth", "all")),
        *({"filter": "avg", "compression": level} for level in (3, 4, 5, 9)),
        *({"filter": "none", "compression": level} for level in (3, 9)),
    ),
    Format.AVIF: tuple({"effort": effort} for effort in (0, 1, 2)),
    Format.JPEG: (
        {"optimize_coding": False},
        {"subsample_mode": "off"},
        {"trellis_quant": True},
        *({"quant_table": table} for table in (0, 2, 3, 4)),
        {"interlace": True},
    ),
}


@dataclass(frozen=True, slots=True)
class Measured:
    """`points` are of similarity and bytes, by quality; a single one where there is none."""

    seconds: float
    points: tuple[tuple[float, int], ...]

    def bytes_at(self, similarity: float) -> float:
        """Bytes where the line through the logarithms of the nearest two points has that similarity."""
        if len(self.points) == 1:
            return self.points[0][1]
        near = min(pairwise(self.points), key=lambda pair: abs(pair[0][0] + pair[1][0] - 2 * similarity))
        (low, fewer), (high, more) = near
        share = (similarity - low) / (high - low or 1)
        return math.exp(math.log(fewer) + share * (math.log(more) - math.log(fewer)))


def measured(
    image: pyvips.Image, format: Format, ways: Sequence[SaverSettings], rounds: int
) -> list[Measured]:
    reference = SimilarityReference.of(image)
    seconds: list[list[float]] = [[] for _ in ways]
    for _ in range(rounds):
        for way, taken in zip(ways, seconds, strict=True):
            started = time.process_time()
            encode_image(image, format, **way)
            taken.append(time.process_time() - started)
    return [
        Measured(min(taken), points(image, format, way, reference))
        for way, taken in zip(ways, seconds, strict=True)
    ]


def points(
    image: pyvips.Image, format: Format, way: SaverSettings, reference: SimilarityReference
) -> tuple[tuple[float, int], ...]:
    own = SAVERS[format].quality
    if not FORMATS[format].quality or own is None:
        return ((100.0, len(encode_image(image, format, **way))),)
    bodies = [encode_image(image, format, min(own + step, 100), **way) for step in QUALITY_STEPS]
    return tuple((reference.similarity(decode_like(body, format, image)), len(body)) for body in bodies)


def print_table(name: str, pictures: Pictures, format: Format, rounds: int) -> None:
    ways = [{}, *CANDIDATES[format]]
    of_pictures = [measured(image, format, ways, rounds) for image in pictures.values()]
    middle = QUALITY_STEPS.index(0) if FORMATS[format].quality else 0
    print(f"\n{format}, {name}: {len(pictures)} pictures")
    print(f"{'':44}CPU   bytes   at equal similarity   similarity")
    for at, way in enumerate(ways):
        said = ", ".join(f"{name} {value}" for name, value in way.items()) or "default"
        cpu, size, equal, points = [], [], [], []
        for found in of_pictures:
            own, default = found[at], found[0]
            wanted = default.points[middle][0]
            cpu.append(own.seconds / default.seconds)
            size.append(own.points[middle][1] / default.points[middle][1])
            equal.append(own.bytes_at(wanted) / default.bytes_at(wanted))
            points.append(own.points[middle][0] - wanted)
        print(
            f"{said:42}{statistics.median(cpu):5.2f}{statistics.median(size):8.3f}"
            f"{statistics.median(equal):15.3f}{max(equal):8.3f}{statistics.median(points):+13.1f}",
            flush=True,
        )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("formats", nargs="*", type=Format, metavar="FORMAT", default=[*CANDIDATES])
    parser.add_argument("--photographs", type=Path, metavar="FOLDER", help="in place of the drawn ones")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args(arguments)
    sets = {
        "photographs": of_folder(given.photographs) if given.photographs else photographs(),
        "graphics": graphics(),
        "text": texts(),
    }
    for format in given.formats:
        for name, pictures in sets.items():
            print_table(name, pictures, format, given.rounds)
    return 0


if __name__ == "__main__":
    pyvips.cache_set_max(0)
    sys.exit(main())
