"""What the pictures are made with: noise, masks, gradients, reflections, grain. Sizes and places are px."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pyvips

Tone = Sequence[float]
SLOPE_KERNEL = [[-1, -1, -1, -1, 0, 1, 1, 1, 1]]


def noise(
    width: int, height: int, cell: float, octaves: int, seed: int, *, stretch: int = 1, rough: float = 0.5
) -> pyvips.Image:
    """
    Fractal noise of about -1..1. `cell` is the size in px of its largest features, which are `stretch` times
    as wide; `rough` is what each octave, of half the size, weighs against the one before.
    """
    finest = perlin(width, height, max(2, round(cell / 2 ** (octaves - 1))), seed + octaves, stretch)
    if octaves == 1:
        return finest.copy_memory()
    half = (width // 2 + 2, height // 2 + 2, cell / 2, octaves - 1)
    coarser = noise(*half, seed, stretch=stretch, rough=rough).resize(2, kernel="cubic")
    return (coarser.crop(0, 0, width, height) + finest * rough ** (octaves - 1)).copy_memory()


def perlin(width: int, height: int, cell: int, seed: int, stretch: int) -> pyvips.Image:
    narrow = pyvips.Image.perlin(width // stretch + 2, height, cell_size=cell, seed=seed)
    return narrow.resize(stretch, vscale=1, kernel="linear").crop(0, 0, width, height)


def line(width: int, cell: float, octaves: int, seed: int, rough: float = 0.5) -> pyvips.Image:
    """One row of noise: the profile of a hill, or the folds of a curtain."""
    return noise(width, 64, cell, octaves, seed, rough=rough).crop(0, 31, width, 1)


def step(value: pyvips.Image, start: float, end: float) -> pyvips.Image:
    """0 up to `start`, 1 from `end` on, straight in between."""
    return ((value - start) / (end - start)).clamp()


def mix(below: pyvips.Image, above: pyvips.Image | Tone, mask: pyvips.Image) -> pyvips.Image:
    """`above` over `below`, as far as `mask` (0..1) says."""
    return (mask * 255).cast("uchar").ifthenelse(above, below, blend=True).cast("short")


def vector(width: int, height: int, body: str) -> pyvips.Image:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}">'
    return pyvips.Image.svgload_buffer(f"{head}{body}</svg>".encode(), unlimited=True).copy_memory()


def over(scene: pyvips.Image, body: str) -> pyvips.Image:
    drawing = vector(scene.width, scene.height, body)
    return mix(scene, drawing[0:3], drawing[3] / 255)


def gradient(width: int, height: int, *colours: str) -> pyvips.Image:
    """From top to bottom through `colours`, which are equally far apart."""
    stops = "".join(
        f'<stop offset="{place / (len(colours) - 1)}" stop-color="{colour}"/>'
        for place, colour in enumerate(colours)
    )
    fill = f'<linearGradient id="g" x2="0" y2="1">{stops}</linearGradient>'
    strip = vector(1, height, f'{fill}<rect width="1" height="{height}" fill="url(#g)"/>')
    return strip[0:3].cast("float").zoom(width, 1)


def glow(width: int, height: int, x: float, y: float, radius: float) -> pyvips.Image:
    """Light around a point: 1 in its middle, fading to nothing."""
    away = pyvips.Image.xyz(width, height) - [x, y]
    return ((away * away).bandmean() * -2 / radius**2).exp()


def reflected(scene: pyvips.Image, height: int, seed: int, tint: Tone) -> pyvips.Image:
    """`scene`, made `height` px high by water that it is reflected in."""
    scene = scene.cast("short").copy_memory()
    width, shore = scene.width, scene.height
    place = pyvips.Image.xyz(width, height - shore)
    near = place[1] / (height - shore)
    ripple = noise(width, height - shore, 28, 3, seed, stretch=9) * (near * 46 + 3)
    ripple += noise(width, height - shore, 150, 2, seed + 9, stretch=6) * near * 60
    up = (place[1] * -1.25 + (shore - 4) + ripple).clamp(min=1, max=shore - 2)
    across = (place[0] + ripple * 0.2).clamp(min=1, max=width - 2)
    seen = scene.mapim(across.bandjoin(up))
    return scene.join(mix(seen, tint, near * 0.45 + 0.16) + ripple * 0.5, "vertical")


def developed(scene: pyvips.Image, seed: int, grain: float = 3.5) -> pyvips.Image:
    """Darker corners and grain, which make encoders work as hard as a camera's picture does."""
    width, height = scene.width, scene.height
    edge = glow(width, height, width / 2, height / 2, math.hypot(width, height) * 0.62)
    film = pyvips.Image.gaussnoise(width, height, sigma=grain, mean=0, seed=seed)
    lit = scene * (edge * 0.5 + 0.55) + film
    return lit.clamp(min=0, max=255).cast("uchar").copy(interpretation="srgb")
