"""
A fleet of pods behind a CDN, simulated event by event: who answers, and what a deploy or a purge costs.

    python -m benchmarks.pods

Renditions are asked for by Zipf's law (`exponent`): photos by rank, one of `widths` of each. A request goes
to the CDN's cache, then to a pod (random, or by a consistent hash of the original), its memory, Redis, and a
render, of which the whole fleet makes one at a time for a rendition. A pod fetches the original for each
render, unless it has it already. Times are virtual: nothing is rendered.
"""

from __future__ import annotations

import bisect
import heapq
import itertools
import random
import zlib
from collections import Counter, OrderedDict
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """
    Caches are counted in renditions, originals in photos; `render` and `interval` in seconds; `known` is the
    share of `render` that remains where the pod has the original.
    """

    pods: int
    by_original: bool
    photos: int = 20_000
    widths: int = 6
    requests: int = 200_000
    exponent: float = 0.9
    cdn: int = 20_000
    memory: int = 2_000
    redis: int = 60_000
    originals: int = 500
    render: float = 0.06
    known: float = 0.8
    interval: float = 0.0005
    purge_at: int = 0
    """The request before which all caches are emptied, 0 for never; a deploy empties `memory` alone."""
    deploy_at: int = 0
    seed: int = 1


@dataclass(slots=True, kw_only=True)
class Outcome:
    """Requests by the tier that answered; renders, and those that fetched the original; the longest queue."""

    answered: Counter[str] = field(default_factory=Counter)
    renders: int = 0
    fetches: int = 0
    queue: int = 0


class Lru(OrderedDict[int, None]):
    """The latest `size` keys."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def has(self, key: int) -> bool:
        if key in self:
            self.move_to_end(key)
            return True
        return False

    def put(self, key: int) -> None:
        self[key] = None
        self.move_to_end(key)
        if len(self) > self.size:
            self.popitem(last=False)


def ring(pods: int, points: int = 64) -> list[tuple[int, int]]:
    """A consistent hash: points on a circle of 32 bits, and the pod of each."""
    return sorted(
        (zlib.crc32(f"{pod}/{point}".encode()), pod) for pod in range(pods) for point in range(points)
    )


def simulate(fleet: Fleet) -> Outcome:
    """Run `fleet.requests` through the fleet, one every `fleet.interval` seconds."""
    chance = random.Random(fleet.seed)
    weights = itertools.accumulate(1 / rank**fleet.exponent for rank in range(1, fleet.photos + 1))
    photos = chance.choices(range(fleet.photos), cum_weights=list(weights), k=fleet.requests)
    cdn, redis = Lru(fleet.cdn), Lru(fleet.redis)
    memory = [Lru(fleet.memory) for _ in range(fleet.pods)]
    originals = [Lru(fleet.originals) for _ in range(fleet.pods)]
    circle = ring(fleet.pods)
    rendering: dict[int, int] = {}  # rendition -> pod
    ends: list[tuple[float, int]] = []
    outcome = Outcome()

    def finish(until: float) -> None:
        while ends and ends[0][0] <= until:
            rendition = heapq.heappop(ends)[1]
            pod = rendering.pop(rendition)
            for cache in (memory[pod], redis, cdn):
                cache.put(rendition)

    for number, photo in enumerate(photos):
        finish(number * fleet.interval)
        if number and number in (fleet.deploy_at, fleet.purge_at):
            everything = number == fleet.purge_at
            for each in (*memory, *originals, *((cdn, redis) if everything else ())):
                each.clear()
        rendition = photo * fleet.widths + chance.randrange(fleet.widths)
        if cdn.has(rendition):
            outcome.answered["cdn"] += 1
            continue
        if fleet.by_original:
            place = bisect.bisect(circle, (zlib.crc32(b"%d" % photo), 0)) % len(circle)
            pod = circle[place][1]
        else:
            pod = chance.randrange(fleet.pods)
        if rendition in rendering:
            outcome.answered["shared"] += 1
        elif memory[pod].has(rendition):
            outcome.answered["memory"] += 1
            cdn.put(rendition)
        elif redis.has(rendition):
            outcome.answered["redis"] += 1
            memory[pod].put(rendition)
            cdn.put(rendition)
        else:
            outcome.answered["render"] += 1
            outcome.renders += 1
            known = originals[pod].has(photo)
            outcome.fetches += not known
            originals[pod].put(photo)
            rendering[rendition] = pod
            cost = fleet.render * (fleet.known if known else 1.0)
            heapq.heappush(ends, (number * fleet.interval + cost, rendition))
            outcome.queue = max(outcome.queue, len(rendering))
    return outcome


def line(name: str, fleet: Fleet) -> str:
    outcome = simulate(fleet)
    tiers = ("cdn", "memory", "redis", "shared", "render")
    shares = " | ".join(f"{outcome.answered[tier] / fleet.requests:.1%}" for tier in tiers)
    fetched = f"{outcome.fetches / max(outcome.renders, 1):.0%}"
    return f"| {fleet.pods:,} | {name} | {shares} | {fetched} | {outcome.queue} |"


def main() -> None:
    print("| pods | case | CDN | memory | Redis | shared flight | render | renders that fetch | at once |")
    print("| ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for pods in (10, 100, 1_000):
        print(line("any pod", Fleet(pods=pods, by_original=False)))
        print(line("by original", Fleet(pods=pods, by_original=True)))
        print(
            line("by original, deploy in the middle", Fleet(pods=pods, by_original=True, deploy_at=100_000))
        )
        print(line("by original, purge of all", Fleet(pods=pods, by_original=True, purge_at=100_000)))


if __name__ == "__main__":
    main()
