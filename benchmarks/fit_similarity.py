"""
The constants of `proxy/pipeline/encode/similarity.py`, fitted again to SSIMULACRA2.

    python benchmarks/fit_similarity.py [--pictures FOLDER] [--quick]

Every picture is encoded with nine qualities of JPEG, WebP and AVIF each, and what comes out is judged by
SSIMULACRA2 and by our own losses. WEIGHTS (none below 0) and POWER are then those of the least squares; SLOPE
says nothing that the weights do not, and stays. Printed is how well the committed and the fitted constants
follow: Spearman's rank correlation and the mean error in points.

SSIMULACRA2 itself is a program on the PATH, which nothing else here needs:

    cargo install ssimulacra2_rs@0.5.2 --locked --no-default-features

The committed constants are of 30 pictures, photographs among them, which are not in the repository. With the
nine photographs of scikit-image (see `pictures.py`) they follow at Spearman 0.994 and a mean error of 1.7
points, and what is fitted to those at 0.995 and 1.4; with the 29 drawn ones it is 0.983 and 2.5, against
0.984 and 2.3.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyvips
from numpy.typing import NDArray

from benchmarks.pictures import Pictures, flat, like_photographs, of_folder, one_small
from proxy.model.media import Format
from proxy.pipeline.encode.quality_search import decode_like
from proxy.pipeline.encode.savers import encode_image
from proxy.pipeline.encode.similarity import POWER, SLOPE, WEIGHTS, SimilarityReference

PROGRAM = "ssimulacra2_rs"
QUALITIES = {
    Format.JPEG: (15, 30, 45, 60, 72, 80, 86, 91, 95),
    Format.WEBP: (5, 20, 40, 60, 72, 80, 86, 91, 96),
    Format.AVIF: (20, 30, 40, 48, 56, 64, 72, 80, 88),
}
LOWEST = 20.0
"""Of SSIMULACRA2: what is worse than "very bad" nobody asks for, and its numbers there would decide."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Constants:
    weights: Floats
    power: float

    def similarities(self, losses: Floats) -> Floats:
        """Of each row of `losses`."""
        found: Floats = 100 - SLOPE * (losses @ self.weights) ** self.power
        return found


COMMITTED = Constants(np.array(WEIGHTS), POWER)


@dataclass(frozen=True, slots=True)
class Judged:
    """One encoding: what we see of it, and what SSIMULACRA2 says."""

    losses: tuple[float, ...]
    score: float


def judged(pictures: Pictures) -> list[Judged]:
    with ThreadPoolExecutor(os.cpu_count()) as threads, tempfile.TemporaryDirectory() as folder:
        made = encodings(pictures, Path(folder))
        return list(threads.map(lambda each: Judged(each[0], scored(*each[1:])), made))


def encodings(pictures: Pictures, folder: Path) -> Iterator[tuple[tuple[float, ...], Path, Path]]:
    """Our losses, the original and what an encoding shows, as PNGs."""
    for number, image in enumerate(pictures.values()):
        original = folder / f"{number}.png"
        image.pngsave(str(original), compression=1)
        reference = SimilarityReference.of(image)
        for format, qualities in QUALITIES.items():
            for quality in qualities:
                shown = decode_like(encode_image(image, format, quality), format, image)
                path = folder / f"{number}-{format}-{quality}.png"
                shown.pngsave(str(path), compression=1)
                yield reference.losses(shown), original, path


def scored(original: Path, path: Path) -> float:
    """What SSIMULACRA2 says."""
    said = subprocess.run([PROGRAM, "image", original, path], check=True, capture_output=True, text=True)
    path.unlink()
    return float(said.stdout.split()[-1])


def refitted(losses: Floats, scores: Floats) -> Constants:
    """
    Those of the least squares, by Levenberg and Marquardt from the committed ones on. It is the logarithms of
    the weights that vary, which keeps them above 0.
    """
    at = np.array([*np.log(COMMITTED.weights), COMMITTED.power])
    damping, off = 1.0, errors(at, losses, scores)
    for _ in range(300):
        slopes = jacobian(at, losses, scores)
        normal = slopes.T @ slopes
        step = np.linalg.solve(normal + damping * np.diag(np.diag(normal) + 1e-9), -slopes.T @ off)
        tried = at + np.clip(step, -0.5, 0.5)
        then = errors(tried, losses, scores)
        if then @ then < off @ off:
            at, off, damping = tried, then, damping / 3
        else:
            damping *= 4
    return constants(at)


def constants(at: Floats) -> Constants:
    return Constants(np.exp(at[:-1]), float(at[-1]))


def errors(at: Floats, losses: Floats, scores: Floats) -> Floats:
    return constants(at).similarities(losses) - scores


def jacobian(at: Floats, losses: Floats, scores: Floats) -> Floats:
    steps = np.eye(len(at)) * 1e-5
    columns = [
        (errors(at + step, losses, scores) - errors(at - step, losses, scores)) / 2e-5 for step in steps
    ]
    return np.stack(columns, axis=1)


def spearman(one: Floats, other: Floats) -> float:
    """The correlation of their ranks."""
    ranks = [np.argsort(np.argsort(each)) for each in (one, other)]
    return float(np.corrcoef(*ranks)[0, 1])


def shown(name: str, found: Constants, losses: Floats, scores: Floats) -> str:
    similarities = found.similarities(losses)
    weights = ", ".join(f"{weight:.2f}" for weight in found.weights)
    return (
        f"{name}: WEIGHTS = ({weights}), SLOPE = {SLOPE:.1f}, POWER = {found.power:.3f}\n"
        f"    Spearman {spearman(similarities, scores):.3f}, "
        f"mean error {np.abs(similarities - scores).mean():.1f} points, "
        f"on average {(similarities - scores).mean():+.1f}"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--pictures", type=Path, metavar="FOLDER", help="photographs, in place of drawn ones")
    parser.add_argument("--quick", action="store_true", help="one small picture: does it run?")
    given = parser.parse_args(arguments)
    if shutil.which(PROGRAM) is None:
        print(f"no {PROGRAM} on the PATH: cargo install {PROGRAM}@0.5.2 --locked --no-default-features",
              file=sys.stderr)  # fmt: skip
        return 2
    if given.pictures:
        pictures = of_folder(given.pictures)
    else:
        pictures = one_small() if given.quick else {**like_photographs(), **flat()}
    found = [each for each in judged(pictures) if each.score >= LOWEST]
    print(f"{len(found)} encodings of {len(pictures)} pictures, those of SSIMULACRA2 {LOWEST:.0f} and more")
    losses, scores = np.array([each.losses for each in found]), np.array([each.score for each in found])
    print(shown("committed", COMMITTED, losses, scores))
    print(shown("fitted", refitted(losses, scores), losses, scores))
    return 0


if __name__ == "__main__":
    pyvips.cache_set_max(0)
    sys.exit(main())
