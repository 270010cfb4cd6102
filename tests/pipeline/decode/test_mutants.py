"""
Bytes of sound files are changed, cut out and doubled at places that a seed chooses: what comes out as a
picture without a note may differ, but has no large flat area that the sound one has not.

`MUTANTS=1000 pytest -s tests/pipeline/decode/test_mutants.py` takes a thousand of each file, and counts.
"""

from __future__ import annotations

import io
import os
import random
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
import pyvips
from PIL import Image

from proxy.model.errors import ProxyError
from proxy.model.limits import Limits
from proxy.model.media import Format, Note
from proxy.pipeline.render import render
from proxy.url.grammar import parse_options
from tests.pictures import loaded, photo, saved

COUNT = int(os.environ.get("MUTANTS", "12"))
WIDTH, HEIGHT = 160, 112
SIDE = 8
"""px of the squares that are compared."""

STILL_PNG = parse_options("f_png,a_false")
PHOTO = photo(WIDTH, HEIGHT)
ALPHA = (pyvips.Image.xyz(WIDTH, HEIGHT)[0] * 255 / WIDTH).cast("uchar")
VEILED = PHOTO.bandjoin(ALPHA).copy(interpretation="srgb")

CHECKED: dict[str, Callable[[], bytes]] = {
    "png": lambda: saved(PHOTO, Format.PNG, compression=6),
    "png, transparent": lambda: saved(VEILED, Format.PNG, compression=6),
    "png, interlaced": lambda: saved(PHOTO, Format.PNG, compression=6, interlace=True),
    "png, palette": lambda: saved(PHOTO, Format.PNG, palette=True),
    "avif": lambda: saved(PHOTO, Format.AVIF),
    "avif, transparent": lambda: saved(VEILED, Format.AVIF),
    "tiff, deflate": lambda: tiff("deflate"),
    "tiff, deflate in tiles": lambda: tiff("deflate", tile=True),
    "tiff, lzw": lambda: tiff("lzw"),
    "tiff, lzw in tiles": lambda: tiff("lzw", tile=True, predictor="horizontal"),
}
"""In these nothing is lost in silence."""

UNCHECKED: dict[str, Callable[[], bytes]] = {
    "jpeg": lambda: saved(PHOTO, Format.JPEG),
    "jpeg, progressive": lambda: saved(PHOTO, Format.JPEG, interlace=True),
    "jpeg, restarts": lambda: saved(PHOTO, Format.JPEG, restart_interval=4),
    "webp": lambda: saved(PHOTO, Format.WEBP),
    "webp, transparent": lambda: saved(VEILED, Format.WEBP),
    "webp, lossless": lambda: saved(VEILED, Format.WEBP, lossless=True),
    "gif": lambda: saved(PHOTO, Format.GIF),
    "gif, interlaced": lambda: saved(PHOTO, Format.GIF, interlace=True),
    "bmp": lambda: pillow("BMP"),
    "tiff": lambda: tiff("none"),
    "tiff, packbits": lambda: tiff("packbits"),
    "tiff, jpeg in tiles": lambda: tiff("jpeg", tile=True),
}
"""In these some damage decodes as a picture: palettes, bare pixels, and codes that are all of them valid."""

MAX_SHARE = 0.03
"""Of the mutants of an unchecked file that may come out with a flat area."""


def tiff(compression: str, **more: object) -> bytes:
    return saved(PHOTO, Format.TIFF, compression=compression, tile_width=32, tile_height=32, **more)


def pillow(format: str) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(PHOTO.numpy()).save(stream, format)
    return stream.getvalue()


def mutant(body: bytes, chance: random.Random) -> bytes:
    at, length = chance.randrange(20, len(body)), chance.choice((1, 2, 8, 40, 300))
    head, part, tail = body[:at], body[at : at + length], body[at + length :]
    changed: dict[str, Callable[[], bytes]] = {
        "a bit": lambda: head + bytes((part[0] ^ 1 << chance.randrange(8),)) + body[at + 1 :],
        "zeros": lambda: head + bytes(len(part)) + tail,
        "ones": lambda: head + b"\xff" * len(part) + tail,
        "noise": lambda: head + chance.randbytes(len(part)) + tail,
        "the end": lambda: head,
        "some": lambda: head + tail,
        "twice": lambda: head + part + part + tail,
    }
    return changed[chance.choice(list(changed))]()


def rendered(body: bytes) -> tuple[np.ndarray, tuple[Note, ...]]:
    """Premultiplied RGBA in squares: an array of squares, pixels and bands."""
    found = render(body, STILL_PNG, Limits())
    image = loaded(found.body)
    if not image.hasalpha():
        image = image.addalpha()
    pixels = image.premultiply().cast("uchar").numpy().astype(int)
    down, across = pixels.shape[0] // SIDE, pixels.shape[1] // SIDE
    squares = pixels[: down * SIDE, : across * SIDE].reshape(down, SIDE, across, SIDE, 4)
    return squares.transpose(0, 2, 1, 3, 4).reshape(-1, SIDE * SIDE, 4), found.notes


def flat_share(sound: np.ndarray, found: np.ndarray) -> float:
    """The share of squares that are flat and far from those of the sound picture, which are not."""
    if sound.shape != found.shape:
        # The size is another one: nothing can be compared, and the header was changed.
        return 0.0
    flat = [np.ptp(squares, axis=1).max(axis=1) for squares in (sound, found)]
    apart = np.abs(sound - found).mean(axis=(1, 2))
    return float(((flat[0] > SIDE) & (flat[1] <= 3) & (apart > 10)).mean())


def count(name: str, body: bytes) -> Counter[str]:
    sound, notes = rendered(body)
    assert notes == ()
    chance = random.Random(name)
    counted: Counter[str] = Counter()
    for _ in range(COUNT):
        try:
            found, notes = rendered(mutant(body, chance))
        except ProxyError:
            counted["refused"] += 1
            continue
        if Note.DAMAGED in notes:
            counted["noted"] += 1
        elif flat_share(sound, found) >= 0.1:
            counted["flat"] += 1
        else:
            counted["the same" if np.array_equal(sound, found) else "other pixels"] += 1
    print(f"{name}: {dict(counted)}")
    return counted


@pytest.mark.parametrize("name", CHECKED)
def test_nothing_is_lost_in_silence(name: str) -> None:
    assert count(name, CHECKED[name]())["flat"] == 0


@pytest.mark.parametrize("name", UNCHECKED)
def test_little_is_lost_in_silence(name: str) -> None:
    assert count(name, UNCHECKED[name]())["flat"] <= MAX_SHARE * max(COUNT, 40)
