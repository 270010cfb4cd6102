"""
What a page can show while a picture loads, in a few bytes.

Both hashes are those of the reference implementations, to one level of each number in them: where a value
lies halfway between two levels, the last bit of a C library's cosine decides.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz#$%*+,-.:;=?@[]^_{|}~"

COMPONENTS = (4, 3)
"""Across and down: what the BlurHash documentation starts with."""

THUMBHASH_SIDE = 100
"""px: what a ThumbHash is made from has no longer side."""


def blurhash(rgba: bytes, width: int, height: int, components: tuple[int, int] = COMPONENTS) -> str:
    """
    Return the BlurHash of `width * height` RGBA pixels, row by row; alpha does not count.

    https://github.com/woltapp/blurhash/blob/master/Algorithm.md
    """
    across, down = components
    linear = [_LINEAR[value] for value in rgba]
    factors = [_factor(linear, width, height, i, j) for j in range(down) for i in range(across)]
    average, *details = factors
    text = _base83(across - 1 + (down - 1) * 9, 1)
    largest = 1.0
    if details:
        level = max(0, min(82, math.floor(max(map(max, details)) * 166 - 0.5)))
        largest = (level + 1) / 166
        text += _base83(level, 1)
    else:
        text += _base83(0, 1)
    red, green, blue = (_encoded(value) for value in average)
    text += _base83((red << 16) + (green << 8) + blue, 4)
    for factor in details:
        red, green, blue = (_quantised(value / largest) for value in factor)
        text += _base83(red * 19 * 19 + green * 19 + blue, 2)
    return text


def _factor(linear: Sequence[float], width: int, height: int, i: int, j: int) -> tuple[float, float, float]:
    normalisation = 1 if i == j == 0 else 2
    columns = [normalisation * math.cos(math.pi * i * x / width) for x in range(width)]
    rows = [math.cos(math.pi * j * y / height) for y in range(height)]
    red = green = blue = 0.0
    stride = 4 * width
    for x, column in enumerate(columns):
        place = 4 * x
        for row in rows:
            basis = column * row
            red += basis * linear[place]
            green += basis * linear[place + 1]
            blue += basis * linear[place + 2]
            place += stride
    scale = 1 / (width * height)
    return red * scale, green * scale, blue * scale


def _to_linear(value: int) -> float:
    share = value / 255
    return share / 12.92 if share <= 0.04045 else math.pow((share + 0.055) / 1.055, 2.4)


_LINEAR = [_to_linear(value) for value in range(256)]


def _encoded(linear: float) -> int:
    share = max(0.0, min(1.0, linear))
    curve = share * 12.92 if share <= 0.0031308 else 1.055 * math.pow(share, 1 / 2.4) - 0.055
    return math.trunc(curve * 255 + 0.5)


def _quantised(value: float) -> int:
    root = math.copysign(math.sqrt(abs(value)), value)
    return max(0, min(18, math.floor(root * 9 + 9.5)))


def _base83(value: int, length: int) -> str:
    return "".join(_DIGITS[value // 83 ** (length - place) % 83] for place in range(1, length + 1))


def thumbhash(rgba: bytes, width: int, height: int) -> bytes:
    """
    Return the ThumbHash of `width * height` RGBA pixels, row by row, not premultiplied.

    https://evanw.github.io/thumbhash/. Raises ValueError for sides over THUMBHASH_SIDE.
    """
    if max(width, height) > THUMBHASH_SIDE:
        raise ValueError(f"{width}x{height} does not fit in {THUMBHASH_SIDE}x{THUMBHASH_SIDE}")
    alphas = [value / 255 for value in rgba[3::4]]
    means = []
    opacity = 0.0
    for alpha in alphas:
        opacity += alpha
    for band in range(3):
        total = 0.0
        for alpha, value in zip(alphas, rgba[band::4], strict=True):
            total += alpha / 255 * value
        means.append(total / opacity if opacity else total)
    has_alpha = opacity < width * height
    red, green, blue = (
        [mean * (1 - alpha) + alpha / 255 * value for alpha, value in zip(alphas, rgba[band::4], strict=True)]
        for band, mean in enumerate(means)
    )
    limit, longest = (5 if has_alpha else 7), max(width, height)
    across = max(1, _rounded(limit * width / longest))
    down = max(1, _rounded(limit * height / longest))
    rows = list(zip(red, green, blue, strict=True))
    channels = [
        _channel([(r + g + b) / 3 for r, g, b in rows], width, height, max(3, across), max(3, down)),
        _channel([(r + g) / 2 - b for r, g, b in rows], width, height, 3, 3),
        _channel([r - g for r, g, _ in rows], width, height, 3, 3),
    ]
    if has_alpha:
        channels.append(_channel(alphas, width, height, 5, 5))
    (l_mean, _, l_scale), (p_mean, _, p_scale), (q_mean, _, q_scale) = channels[:3]
    wide = width > height
    head = (
        _rounded(63 * l_mean)
        | _rounded(31.5 + 31.5 * p_mean) << 6
        | _rounded(31.5 + 31.5 * q_mean) << 12
        | _rounded(31 * l_scale) << 18
        | has_alpha << 23
    )
    shape = (
        (down if wide else across) | _rounded(63 * p_scale) << 3 | _rounded(63 * q_scale) << 9 | wide << 15
    )
    packed = bytearray(head.to_bytes(3, "little") + shape.to_bytes(2, "little"))
    if has_alpha:
        a_mean, _, a_scale = channels[3]
        packed.append(_rounded(15 * a_mean) | _rounded(15 * a_scale) << 4)
    nibbles = [_rounded(15 * value) for _, details, _ in channels for value in details]
    for low, high in zip(nibbles[::2], [*nibbles[1::2], 0], strict=False):
        packed.append(low | high << 4)
    return bytes(packed)


def _channel(
    values: Sequence[float], width: int, height: int, across: int, down: int
) -> tuple[float, list[float], float]:
    """The mean, the cosine terms of the lower triangle as shares of the largest (0..1), and the largest."""
    mean = largest = 0.0
    details = []
    for j in range(down):
        rows = [math.cos(math.pi / height * j * (y + 0.5)) for y in range(height)]
        i = 0
        while i * down < across * (down - j):
            columns = [math.cos(math.pi / width * i * (x + 0.5)) for x in range(width)]
            term = 0.0
            place = 0
            for row in rows:
                for column in columns:
                    term += values[place] * column * row
                    place += 1
            term /= width * height
            if i or j:
                details.append(term)
                largest = max(largest, abs(term))
            else:
                mean = term
            i += 1
    if largest:
        details = [0.5 + 0.5 / largest * term for term in details]
    return mean, details, largest


def _rounded(value: float) -> int:
    """JavaScript's Math.round: halves go up."""
    return math.floor(value + 0.5)
