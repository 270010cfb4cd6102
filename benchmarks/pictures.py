"""
The pictures that benchmarks measure on: drawn ones, which are the same everywhere, or those of a folder.

Photographs that everybody can have are in the wheel of scikit-image 0.26.0, under skimage/data: astronaut,
brick, camera, chelsea, coffee, grass, gravel, motorcycle_left, rocket.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pyvips

from proxy.samples import drawings, scenes
from proxy.samples.darkroom import developed, gradient, mix, noise, step

WIDTH, HEIGHT = 1200, 800
LONGEST = 1000
"""px, of pictures of a folder: larger ones are shrunk."""

Pictures = Mapping[str, pyvips.Image]


def meadow() -> pyvips.Image:
    """Fine texture everywhere, as grass and leaves have it."""
    blades = noise(WIDTH, HEIGHT, 60, 6, 3, rough=0.85)
    light = noise(WIDTH, HEIGHT, 500, 3, 8) * 60
    scene = gradient(WIDTH, HEIGHT, "#9fb46a", "#567a2c", "#2f4d19") + blades * 70 + light
    return developed(scene, 11, 6)


def wall() -> pyvips.Image:
    """Plaster in hard light, and the noise of a small sensor."""
    rough = noise(WIDTH, HEIGHT, 24, 4, 21, rough=0.7)
    stain = step(noise(WIDTH, HEIGHT, 420, 5, 22), 0.0, 0.6)
    scene = mix(gradient(WIDTH, HEIGHT, "#c9bca6", "#a8967c"), [110, 92, 78], stain) + rough * 38
    return developed(scene, 12, 9)


def portrait() -> pyvips.Image:
    """Soft shapes out of focus, a few sharp ones, hardly any noise."""
    soft = noise(WIDTH, HEIGHT, 700, 2, 31) * 90
    sharp = step(noise(WIDTH, HEIGHT, 180, 5, 32), 0.35, 0.38)
    scene = mix(gradient(WIDTH, HEIGHT, "#d8a98c", "#8c5a44", "#3a2622") + soft, [40, 26, 30], sharp)
    return developed(scene, 13, 1.5)


def night() -> pyvips.Image:
    """Dark, with lights and the noise that high sensitivities have."""
    lights = step(noise(WIDTH, HEIGHT, 40, 2, 41), 0.55, 0.7)
    scene = mix(gradient(WIDTH, HEIGHT, "#05070f", "#141a2c", "#0a0a0c"), [255, 214, 150], lights)
    return developed(scene, 14, 12)


SCENES = (
    scenes.mountains, scenes.harbour, scenes.balloon, scenes.dunes, scenes.aurora, scenes.clouds,
)  # fmt: skip
TEXTURES = (meadow, wall, portrait, night)


def like_photographs() -> Pictures:
    """26: the samples' scenes small, smaller and as details of full size; harder textures in two sizes."""
    found = {}
    for scene in SCENES:
        image = scene()
        found[scene.__name__] = shrunk(image, 900)
        found[f"{scene.__name__}, small"] = shrunk(image, 400)
        left, top = (image.width - 600) // 2, (image.height - 400) // 2
        found[f"{scene.__name__}, detail"] = image.crop(left, top, 600, 400).copy_memory()
    for texture in TEXTURES:
        image = texture()
        found[texture.__name__] = image.crop(0, 0, 600, 400).copy_memory()
        found[f"{texture.__name__}, small"] = shrunk(image, 600)
    return found


def flat() -> Pictures:
    """Drawings with few colours, hard edges and soft shadows, on white."""
    made = {"logo": drawings.logo(), "placeholder": drawings.placeholder(), "clock": drawings.clock()}
    made["clock"] = made["clock"].crop(0, 0, 480, 480)
    return {name: shrunk(image.flatten(background=[255] * 3), 600) for name, image in made.items()}


def one_small() -> Pictures:
    """For a quick look at whether a script runs."""
    image = meadow().crop(0, 0, 96, 64)
    return {"meadow": image.copy_memory()}


def of_folder(folder: Path) -> Pictures:
    """Those of a folder that libvips opens, in 8-bit sRGB, upright, without transparency."""
    paths = [path for path in sorted(folder.iterdir()) if path.is_file()]
    return {path.name: shrunk(pyvips.Image.new_from_file(str(path)), LONGEST) for path in paths}


def shrunk(image: pyvips.Image, side: int) -> pyvips.Image:
    """`image`, at most `side` px wide and high."""
    small = image.thumbnail_image(side, height=side, size="down").colourspace("srgb")
    if small.hasalpha():
        small = small.flatten(background=[255] * 3)
    return small.cast("uchar").copy_memory()
