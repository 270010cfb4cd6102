"""
What encodings take in time: the tables of `proxy/pipeline/encode/cost.py`, the seconds of `VARIANTS` in
`smallest.py` and `FRAME_COST` of `proxy/pipeline/render_plan.py`, measured again.

    VIPS_CONCURRENCY=1 python benchmarks/fit_cost.py [--pictures FOLDER] [--check] [--rounds 3] [--quick]

Each encoding takes turns with the same picture's WebP of the default effort, which the source puts at
REFERENCE_SECONDS: printed is what the ratio of the two makes of that, so that how fast this machine is, and
what else it does, cancels out. It is CPU time of all threads over all pictures, the median of rounds. AVIF
comes last: with libvips 8.18.7, a thread that has written one is often four times as slow with GIF from then
on. `--check` fails where a figure of the source is off by more than a factor of TOLERANCE. Renderers have
VIPS_CONCURRENCY=1 as well. Five minutes.

The committed seconds are "of a photograph on one core"; which photographs and which machine is not recorded.
Of what is checked, all is within a factor of 2.2 for the four drawn pictures here, and of 2.4 for the nine
photographs of scikit-image (see `pictures.py`); most is faster than the source says. Slower are WebP of
effort 3 (0.09) and, with the drawn ones, PNG with all filters (0.62). Frames of GIF cost 5.6 and 4.2 times
those of WebP, where FRAME_COST says 4. JPEG XL is left out where the linked libvips does not write it.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pyvips

from benchmarks.pictures import Pictures, meadow, of_folder, one_small, shrunk
from proxy.model.media import Format
from proxy.options.spec import Keep
from proxy.options.values.kinds import AutoQuality
from proxy.pipeline.encode import cost
from proxy.pipeline.encode.quality_curves import SIMILARITY_TARGETS
from proxy.pipeline.encode.quality_search import Encodings, quality_reaching, quality_within
from proxy.pipeline.encode.savers import EFFORT_RANGES, SAVERS, encode_image
from proxy.pipeline.encode.smallest import VARIANTS
from proxy.pipeline.render_plan import FRAME_COST
from proxy.samples import scenes

TOLERANCE = 2.5
"""A factor: encodings of two photographs differ by as much."""

SLIGHT_SECONDS = 0.05
"""A megapixel: what is below is never why something is given up, and not checked."""

REFERENCE_SECONDS = cost.SECONDS_PER_MEGAPIXEL[Format.WEBP][SAVERS[Format.WEBP].settings["effort"]]

FRAMES = 4

Work = Callable[[pyvips.Image], object]


@dataclass(frozen=True, slots=True)
class Row:
    """What takes `committed` seconds a megapixel, says the source."""

    name: str
    committed: float
    work: Work


def rows() -> Iterator[Row]:
    for format, seconds in cost.SECONDS_PER_MEGAPIXEL.items():
        yield from by_effort(format, seconds)
    for format, seconds in cost.LOSSLESS_SECONDS_PER_MEGAPIXEL.items():
        yield from by_effort(format, seconds, lossless=True)
    for format, ways in VARIANTS.items():
        for way in ways:
            said = ", ".join(f"{name} {value}" for name, value in way.settings.items())
            yield Row(f"{format}: {said or 'as usual'}", way.seconds, partial(saved, format, **way.settings))
    once = cost.AVIF_SECONDS_PER_MEGAPIXEL
    yield from by_effort(Format.AVIF, [once * factor for factor in cost.AVIF_EFFORT_FACTORS])
    yield from by_effort(Format.AVIF, [0, once * cost.AVIF_LOSSLESS_FACTOR], lossless=True)
    yield Row("avif, a search", cost.AVIF_SEARCH_SECONDS_PER_MEGAPIXEL, searched)


def by_effort(format: Format, seconds: Sequence[float], **more: object) -> Iterator[Row]:
    # Not `savable()`, which writes an AVIF.
    if not pyvips.type_find("VipsOperation", SAVERS[format].operation):
        return
    setting, low, high = EFFORT_RANGES[format]
    for effort in range(low, min(high + 1, len(seconds))):
        if seconds[effort]:
            work = partial(saved, format, **{setting: effort}, **more)
            yield Row(f"{format}, {setting} {effort}{', lossless' * bool(more)}", seconds[effort], work)


def saved(format: Format, image: pyvips.Image, **settings: object) -> bytes:
    return encode_image(image, format, **settings)


def searched(image: pyvips.Image) -> object:
    return quality_reaching(Encodings(image, Format.AVIF, Keep.NONE), SIMILARITY_TARGETS[AutoQuality.GOOD])


def seconds_of(work: Work, image: pyvips.Image) -> float:
    started = time.process_time()
    work(image)
    return max(time.process_time() - started, 1e-6)


reference = partial(saved, Format.WEBP)


def measured(work: Work, pictures: Pictures, rounds: int) -> float:
    """Seconds a megapixel, where the reference takes what the source says."""
    ratios = []
    for _ in range(rounds):
        both = [(seconds_of(work, image), seconds_of(reference, image)) for image in pictures.values()]
        ratios.append(sum(seconds for seconds, _ in both) / sum(seconds for _, seconds in both))
    return statistics.median(ratios) * REFERENCE_SECONDS


def encodings_to_fit(pictures: Pictures) -> float:
    """How many a search for 70, 40 and 20 % of the bytes of the default quality takes on average."""
    counts = []
    for format in (Format.JPEG, Format.WEBP, Format.AVIF):
        highest = SAVERS[format].quality or 100
        for image in pictures.values():
            most = len(saved(format, image))
            for share in (0.7, 0.4, 0.2):
                tries = Encodings(image, format, Keep.NONE)
                quality_within(tries, round(most * share), highest)
                counts.append(len(tries))
    return statistics.mean(counts)


def moving(image: pyvips.Image) -> pyvips.Image:
    """An animation in which the picture drifts, a quarter as wide and as high."""
    small = shrunk(image, max(image.width, image.height) // 4)
    frames = [small.wrap(x=3 * frame, y=frame) for frame in range(FRAMES)]
    stack = pyvips.Image.arrayjoin(frames, across=1).copy_memory()
    stack.set_type(pyvips.GValue.gint_type, "page-height", small.height)
    return stack


def photographs() -> Pictures:
    """Those of the drawn ones that take about as long as real ones: the soft ones are quick as AVIF."""
    drawn = (scenes.mountains, scenes.harbour, scenes.dunes, meadow)
    return {each.__name__: shrunk(each(), 700) for each in drawn}


def shown(name: str, committed: float, found: float) -> str:
    return f"{name:66}{committed:8.2f}{found:9.2f}{committed / found:9.2f}"


def is_off(row: Row, found: float) -> bool:
    heavy = max(row.committed, found) >= SLIGHT_SECONDS
    return heavy and not 1 / TOLERANCE <= row.committed / found <= TOLERANCE


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--pictures", type=Path, metavar="FOLDER", help="photographs, in place of drawn ones")
    parser.add_argument(
        "--check", action="store_true", help=f"fail where one is off by over {TOLERANCE} times"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one small picture, once: does it run?")
    given = parser.parse_args(arguments)
    rounds = 1 if given.quick else given.rounds
    pictures = of_folder(given.pictures) if given.pictures else one_small() if given.quick else photographs()
    measured(reference, pictures, 1)
    print(f"{'seconds a megapixel':66}committed measured    ratio")
    frames = {name: moving(image) for name, image in pictures.items()}
    gif, webp = (measured(partial(saved, format), frames, rounds) for format in (Format.GIF, Format.WEBP))
    committed = FRAME_COST[Format.GIF] / FRAME_COST[Format.WEBP]
    print(shown("frames of GIF over those of WebP", committed, gif / webp))
    off = []
    for row in rows():
        found = measured(row.work, pictures, rounds)
        print(shown(row.name, row.committed, found), flush=True)
        off += [row.name] if is_off(row, found) else []
    print(shown("encodings to fit bytes", cost.ENCODINGS_TO_FIT_BYTES, encodings_to_fit(pictures)))
    if given.check and off:
        print(f"off by more than {TOLERANCE} times: {'; '.join(off)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    pyvips.cache_set_max(0)
    sys.exit(main())
