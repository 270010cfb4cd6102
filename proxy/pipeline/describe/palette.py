"""
A few colours that stand for many: boxes of colours are cut in two until there are enough, as in P. Heckbert,
Color Image Quantization for Frame Buffer Display, 1982.
"""

from __future__ import annotations

from collections.abc import Iterable

Pixel = tuple[int, int, int]


def palette(pixels: Iterable[Pixel], count: int) -> list[Pixel]:
    """
    Return at most `count` different colours, the mean of each group of like pixels; the largest group first.
    """
    groups = [group] if (group := list(pixels)) else []
    while len(groups) < count and (widest := max(groups, key=_weight, default=[])) and _weight(widest):
        groups.remove(widest)
        groups.extend(_halves(widest))
    groups.sort(key=lambda group: (-len(group), group))
    return list(dict.fromkeys(_mean(group) for group in groups))


def _ranges(group: list[Pixel]) -> list[int]:
    return [max(band) - min(band) for band in zip(*group, strict=True)]


def _weight(group: list[Pixel]) -> int:
    return len(group) * max(_ranges(group))


def _halves(group: list[Pixel]) -> tuple[list[Pixel], list[Pixel]]:
    """Cut across the longest side at the mean, not the median: a few pixels far off get a group."""
    ranges = _ranges(group)
    band = ranges.index(max(ranges))
    mean = sum(pixel[band] for pixel in group) / len(group)
    return [p for p in group if p[band] <= mean], [p for p in group if p[band] > mean]


def _mean(group: list[Pixel]) -> Pixel:
    red, green, blue = (round(sum(band) / len(group)) for band in zip(*group, strict=True))
    return red, green, blue
