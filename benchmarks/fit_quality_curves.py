"""
What encoders' qualities are worth: the tables of `proxy/pipeline/encode/quality_curves.py`, measured again.

    VIPS_CONCURRENCY=1 python benchmarks/fit_quality_curves.py [--pictures FOLDER] [--check] [--quick]

Every picture is encoded with every quality of a curve and compared with itself by `similarity.Reference`;
the medians are printed as the source has them, and how far what stands there is from them. `--check` fails
where that is more than TOLERANCE. Curves of formats that the linked libvips does not write are left out.
Renderers have VIPS_CONCURRENCY=1 as well, with which an AVIF is a little different. Two minutes.

The committed curves are of 22 photographs and drawings like photographs (JPEG XL: six), which are not in the
repository. The 26 drawn pictures here are within 2.8 points of the curves of JPEG, 1.5 of WebP, 2.4 of AVIF
and 3.0 of FULL_CHROMA_CURVE where similarity is checked; AVIF of quality 30, below that, is 7.1 points better
than its curve says. The nine photographs of scikit-image (see `pictures.py`) are within 4.2, 3.5, 4.1, 2.7.
A JPEG with full chroma is as small from 80 on with the drawn ones, and 1 to 4 % smaller from 82 to 88 with
the photographs.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyvips

from benchmarks.pictures import Pictures, like_photographs, of_folder, one_small
from proxy.model.media import Format
from proxy.options.spec import Keep
from proxy.pipeline.encode.quality_curves import (
    FULL_CHROMA_CURVE,
    FULL_CHROMA_TARGET,
    SIMILARITY_CURVES,
    SIMILARITY_TARGETS,
    Curve,
)
from proxy.pipeline.encode.quality_search import Encodings
from proxy.pipeline.encode.savers import savable
from proxy.pipeline.encode.similarity import SimilarityReference

CHECKED = (min(SIMILARITY_TARGETS.values()), 90.0)
"""Points of similarity between which a curve is checked: all of SIMILARITY_TARGETS lie there."""

TOLERANCE = 5.0
"""Points that a curve may be off: another set of pictures moves the medians by up to 4."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """A curve of the source, and what its saver is told."""

    name: str
    format: Format
    curve: Curve
    settings: Mapping[str, Any] = field(default_factory=dict)


FITTED = (
    *(Fitted(name=format.name, format=format, curve=curve) for format, curve in SIMILARITY_CURVES.items()),
    Fitted(
        name="FULL_CHROMA_CURVE",
        format=Format.JPEG,
        curve=FULL_CHROMA_CURVE,
        settings={"subsample_mode": "off"},
    ),
)  # fmt: skip

Sample = tuple[float, int]
"""Similarity, and bytes."""


def samples_of(fitted: Fitted, pictures: Pictures) -> list[list[Sample]]:
    """For each picture those of each quality of the curve."""
    return [samples_of_one(fitted, image) for image in pictures.values()]


def samples_of_one(fitted: Fitted, image: pyvips.Image) -> list[Sample]:
    tries = Encodings(
        image, fitted.format, Keep.NONE, partial(SimilarityReference.of, image), **fitted.settings
    )
    return [(tries.similarity(quality), len(tries.body(quality))) for quality, _ in fitted.curve]


def median_curve(curve: Curve, samples: Iterable[Sequence[Sample]]) -> Curve:
    """What is fitted: at each quality the median of the pictures, and nothing below 0."""
    by_quality = zip(*([similarity for similarity, _ in each] for each in samples), strict=True)
    return tuple(
        (quality, max(0.0, round(statistics.median(found), 1)))
        for (quality, _), found in zip(curve, by_quality, strict=True)
    )


def deviations(committed: Curve, measured: Curve) -> dict[int, float]:
    """Points by which `committed` is above `measured`, by quality, as far as either is in CHECKED."""
    low, high = CHECKED
    return {
        quality: said - found
        for (quality, said), (_, found) in zip(committed, measured, strict=True)
        if low <= said <= high or low <= found <= high
    }


def worst(found: Mapping[int, float]) -> float:
    return max(map(abs, found.values()), default=0.0)


def chroma_shares(auto: Sequence[Sequence[Sample]], full: Sequence[Sequence[Sample]]) -> dict[int, float]:
    """
    By similarity, the bytes of a JPEG with full chroma over those of one with the saver's own, median of the
    pictures: FULL_CHROMA_TARGET is where that falls below 1.
    """
    shares = {}
    for similarity in range(66, 92, 2):
        both = [
            (bytes_at(one, similarity), bytes_at(other, similarity))
            for one, other in zip(auto, full, strict=True)
        ]
        found = [other / one for one, other in both if one and other]
        if found:
            shares[similarity] = statistics.median(found)
    return shares


def bytes_at(samples: Sequence[Sample], similarity: float) -> float | None:
    for (low, small), (high, large) in pairwise(samples):
        if low <= similarity < high:
            share = (similarity - low) / (high - low)
            return math.exp(math.log(small) + share * math.log(large / small))
    return None


def shown(fitted: Fitted, measured: Curve, off: Mapping[int, float]) -> str:
    points = ", ".join(f"({quality}, {similarity:.1f})" for quality, similarity in measured)
    away = " ".join(
        f"{quality}:{said - found:+.1f}"
        for (quality, said), (_, found) in zip(fitted.curve, measured, strict=True)
    )
    return (
        f"{fitted.name}: ({points})\n"
        f"    committed is off by {away}\n"
        f"    by at most {worst(off):.1f} between {CHECKED[0]:.0f} and {CHECKED[1]:.0f}"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--pictures", type=Path, metavar="FOLDER", help="photographs, in place of drawn ones")
    parser.add_argument(
        "--check", action="store_true", help=f"fail where one is off by over {TOLERANCE} points"
    )
    parser.add_argument("--quick", action="store_true", help="one small picture: does it run?")
    given = parser.parse_args(arguments)
    pictures = (
        of_folder(given.pictures) if given.pictures else one_small() if given.quick else like_photographs()
    )
    print(f"medians of {len(pictures)} pictures")
    failed = []
    found = {}
    for fitted in FITTED:
        if fitted.format not in savable():
            print(f"{fitted.name}: not written by this libvips")
            continue
        found[fitted.name] = samples_of(fitted, pictures)
        measured = median_curve(fitted.curve, found[fitted.name])
        off = deviations(fitted.curve, measured)
        print(shown(fitted, measured, off), flush=True)
        if worst(off) > TOLERANCE:
            failed.append(fitted.name)
    shares = chroma_shares(found[Format.JPEG.name], found["FULL_CHROMA_CURVE"])
    print(f"bytes with full chroma, by similarity (FULL_CHROMA_TARGET is {FULL_CHROMA_TARGET:.0f}):")
    print("    " + " ".join(f"{similarity}:{share:.2f}" for similarity, share in shares.items()))
    if given.check and failed:
        print(f"off by more than {TOLERANCE} points: {', '.join(failed)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    pyvips.cache_set_max(0)
    sys.exit(main())
