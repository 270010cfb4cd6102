"""What the referee asks every server: a table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

WIDTHS = (320, 480, 640, 960, 1280, 1600)
FORMATS = ("jpeg", "webp", "avif")


class Kind(StrEnum):
    """How targets are made from a scenario's rendition, and what of it is timed."""

    COLD = "cold"  # every target is a new original
    SIX = "six"  # six widths of a new original at once, time to the last
    PAGE = "page"  # photos x six widths x three formats, by photo
    SECOND = "second"  # another size of originals that were asked for already
    HIT = "hit"  # one target again and again
    NOT_MODIFIED = "304"  # the same, with If-None-Match
    HERD = "herd"  # one new target, by many clients
    MEMORY = "memory"  # cold at concurrency 64, for the peak PSS
    MIXED = "mixed"  # hits while as many cold renditions run as there are cores


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """`height` 0 is that which follows; `count` is the number of requests a round; `once` is one round."""

    name: str
    original: str
    width: int
    height: int = 0
    format: str
    quality: int = 80
    kind: Kind = Kind.COLD
    count: int = 16
    concurrency: int = 16
    once: bool = False

    def widths(self) -> tuple[int, ...]:
        return WIDTHS if self.kind in (Kind.SIX, Kind.PAGE) else (self.width,)

    def formats(self) -> tuple[str, ...]:
        return FORMATS if self.kind is Kind.PAGE else (self.format,)

    def fits(self, only: tuple[str, ...], caches: bool) -> bool:
        """Whether a server takes part that answers `only` these kinds and formats (none: all)."""
        if not caches and self.kind in (Kind.HIT, Kind.NOT_MODIFIED, Kind.MIXED):
            return False
        if not only:
            return True
        if self.kind is not Kind.COLD:
            return self.kind.value in only
        return self.format in only and self.original.rpartition(".")[2] not in ("svg", "gif")


SCENARIOS = (
    Scenario(name="12 MP 4:3 to 300x200 jpeg", original="photo.jpg", width=300, height=200, format="jpeg"),
    Scenario(name="12 MP 3:2 to 300x200 jpeg", original="wide.jpg", width=300, height=200, format="jpeg"),
    Scenario(name="24 MP to 300x200 jpeg", original="large.jpg", width=300, height=200, format="jpeg"),
    Scenario(
        name="progressive to 300x200 jpeg", original="progressive.jpg", width=300, height=200, format="jpeg",
        count=8,
    ),
    Scenario(name="4 MP PNG alpha to 600 png", original="alpha.png", width=600, format="png", count=8),
    Scenario(
        name="4 MP PNG alpha to 600 webp q75", original="alpha.png", width=600, format="webp", quality=75,
        count=8,
    ),
    Scenario(
        name="12 MP to 1200 webp q75", original="photo.jpg", width=1200, format="webp", quality=75,
        count=8,
    ),
    Scenario(
        name="12 MP to 1200 avif q50", original="photo.jpg", width=1200, format="avif", quality=50,
        count=2,
    ),
    Scenario(name="WebP to 600 jpeg", original="photo.webp", width=600, format="jpeg", count=8),
    Scenario(name="AVIF to 600 jpeg", original="photo.avif", width=600, format="jpeg", count=8),
    Scenario(name="GIF, 60 frames, to 320 webp", original="moving.gif", width=320, format="webp", count=2),
    Scenario(name="SVG to 800 png", original="drawing.svg", width=800, format="png", count=8),
    Scenario(
        name="six widths at once, jpeg", original="photo.jpg", width=0, format="jpeg", kind=Kind.SIX, count=6,
        concurrency=6,
    ),
    Scenario(
        name="second size, 200x150 jpeg", original="photo.jpg", width=200, height=150, format="jpeg",
        kind=Kind.SECOND, count=8,
    ),
    Scenario(
        name="hit of 300x200 jpeg", original="photo.jpg", width=300, height=200, format="jpeg", kind=Kind.HIT,
        count=3000,
    ),
    Scenario(
        name="304 of 300x200 jpeg", original="photo.jpg", width=300, height=200, format="jpeg",
        kind=Kind.NOT_MODIFIED, count=3000,
    ),
    Scenario(
        name="200 clients of one new rendition", original="photo.jpg", width=300, height=200, format="jpeg",
        kind=Kind.HERD, count=200, concurrency=200, once=True,
    ),
    Scenario(
        name="memory at c=64", original="photo.jpg", width=300, height=200, format="jpeg", kind=Kind.MEMORY,
        count=96, concurrency=64, once=True,
    ),
    Scenario(
        name="hits beside cold", original="photo.jpg", width=300, height=200, format="jpeg", kind=Kind.MIXED,
        count=1000, concurrency=4,
    ),
    Scenario(
        name="page: 2 photos x 6 widths x 3 formats", original="photo.jpg", width=0, format="", quality=50,
        kind=Kind.PAGE, count=36, concurrency=18, once=True,
    ),
)  # fmt: skip


def scenarios(*, quick: bool) -> Iterator[Scenario]:
    """All of them, in the order of the report; with small widths and few requests when `quick`."""
    for each in SCENARIOS:
        if not quick:
            yield each
        elif each.kind in (Kind.SIX, Kind.PAGE):
            yield replace(each, count=6 * len(each.formats()))
        else:
            yield replace(each, width=each.width // 10, height=each.height // 10, count=min(each.count, 8))
