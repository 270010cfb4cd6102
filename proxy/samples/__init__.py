"""Sample originals for the first `make run`, drawn from vectors and seeded noise.

In: a folder. Out: files of several formats in it. It is a program of its own,
`python -m proxy.samples FOLDER`, because the process that serves must never run libvips.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pyvips

from proxy.samples import drawings, scenes


def on_its_side(scene: pyvips.Image) -> pyvips.Image:
    """On its side, as a phone saves it, with the EXIF orientation that makes it stand up again."""
    turned = scene.rot270()
    turned.set_type(pyvips.GValue.gint_type, "orientation", 6)
    return turned


SAMPLES: Mapping[str, Callable[[], bytes]] = {
    "mountains.jpg": lambda: scenes.mountains().jpegsave_buffer(Q=90),
    "harbour.jpg": lambda: scenes.harbour().jpegsave_buffer(Q=88),
    "balloon.jpg": lambda: on_its_side(scenes.balloon()).jpegsave_buffer(Q=88),
    "dunes.jpg": lambda: scenes.dunes().jpegsave_buffer(Q=88, interlace=True, profile="p3"),
    "aurora.avif": lambda: scenes.aurora().heifsave_buffer(Q=60, compression="av1", effort=1),
    "clouds.webp": lambda: scenes.clouds().webpsave_buffer(Q=82, effort=2),
    "logo.png": lambda: drawings.logo().pngsave_buffer(),
    "placeholder.png": lambda: drawings.placeholder().pngsave_buffer(palette=True),
    "clock.gif": lambda: drawings.clock().gifsave_buffer(),
}


def draw(folder: Path) -> None:
    """Draw into `folder` what is not there yet. A file appears whole or not at all. Raises OSError."""
    pyvips.cache_set_max(0)
    folder.mkdir(parents=True, exist_ok=True)
    for name, encoded in SAMPLES.items():
        if not (folder / name).exists():
            unfinished = folder / f".{name}.{os.getpid()}"
            try:
                unfinished.write_bytes(encoded())
                unfinished.replace(folder / name)
            finally:
                unfinished.unlink(missing_ok=True)
