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


def photographs() -> Pictures:
    """Those of the drawn ones that are about as hard as real ones."""
    drawn = (scenes.mountains, scenes.harbour, scenes.dunes, meadow)
    return {each.__name__: shrunk(each(), 700) for each in drawn}


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


def graphics() -> Pictures:
    """Flat colours and soft slopes: `flat`, and drawn screens with panels, charts and saturated colours."""
    return {**flat(), "dashboard": drawn(_dashboard()), "blocks": drawn(_blocks())}


def texts() -> Pictures:
    """Small letters, dark on light, light on dark and in colours."""
    inks = {"black": ("#ffffff", "#111111"), "night": ("#1e1e2e", "#cdd6f4"), "red": ("#fffdf5", "#d00020")}
    return {name: drawn(_page(paper, ink)) for name, (paper, ink) in inks.items()}


def drawn(svg: str) -> pyvips.Image:
    image = pyvips.Image.svgload_buffer(svg.encode())
    return image.flatten(background=[255] * 3).colourspace("srgb").cast("uchar").copy_memory()


def _svg(background: str, *parts: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="800" height="600" font-family="sans-serif">'
        f'<rect width="800" height="600" fill="{background}"/>{"".join(parts)}</svg>'
    )


def _page(paper: str, ink: str) -> str:
    words = "the quick brown fox jumps over a lazy dog while seven wizards mix black quartz and pink jade"
    sizes = [8 + line % 4 * 2 for line in range(30)]
    return _svg(
        paper,
        *(
            f'<text x="20" y="{24 + 19 * line}" fill="{ink}" font-size="{size}">{words[line:]} {words}</text>'
            for line, size in enumerate(sizes)
        ),
    )


def _dashboard() -> str:
    bars = (
        f'<rect x="{240 + 34 * bar}" y="{500 - 37 * bar % 260}" width="22" height="{37 * bar % 260}" '
        f'fill="hsl({bar * 24},80%,50%)"/>'
        for bar in range(15)
    )
    menu = (
        f'<text x="20" y="{80 + 30 * line}" fill="#e2e8f0" font-size="13">Menu entry {line}</text>'
        for line in range(15)
    )
    return _svg("#f8fafc", '<rect width="200" height="600" fill="#0f172a"/>', *menu, *bars)


def _blocks() -> str:
    return _svg(
        "#ffffff",
        *(
            f'<circle cx="{50 + 100 * (at % 8)}" cy="{50 + 100 * (at // 8)}" r="{20 + at % 5 * 7}" '
            f'fill="hsl({at * 37 % 360},100%,45%)"/>'
            for at in range(48)
        ),
    )
