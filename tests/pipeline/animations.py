"""
Animations as other programs write them: Pillow, whose GIF and WebP writers are not ours, and whose readers
tell what a browser would show.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageSequence

SIZE = (96, 64)
DELAYS = (50, 120, 200, 1000)
BALLS = ((230, 20, 20), (20, 200, 20), (20, 20, 230), (230, 220, 20))
"""Colours of the ball, frame by frame; it stands in another quarter of the width each time."""


@dataclass(frozen=True)
class Shown:
    """What a viewer shows: each frame whole, for how many ms, and what the file says of repeating."""

    frames: tuple[Image.Image, ...]
    delays: tuple[int, ...]
    loop: int | None

    def at(self, frame: int, x: float, y: float) -> tuple[int, ...]:
        """The RGBA at shares of width and height."""
        image = self.frames[frame]
        found = image.getpixel((int(x * image.width), int(y * image.height)))
        assert isinstance(found, tuple)
        return found


def balls(size: tuple[int, int] = SIZE, ground: tuple[int, ...] | None = None) -> list[Image.Image]:
    """A ball that moves to the right over nothing, or over a colour: what is not erased shows twice."""
    width, height = size
    frames = []
    for at, colour in enumerate(BALLS):
        frame = Image.new("RGBA", size, ground or (0, 0, 0, 0))
        left, top = at * width // 4, height // 2 - width // 8
        ImageDraw.Draw(frame).ellipse((left, top, left + width // 4 - 1, top + width // 4 - 1), fill=colour)
        frames.append(frame)
    return frames


def gif(frames: Sequence[Image.Image], disposal: int | list[int] = 2, loop: int | None = 0) -> bytes:
    more = {} if loop is None else {"loop": loop}
    return _written(frames, "GIF", disposal=disposal, **more)


def webp(frames: Sequence[Image.Image], loop: int = 0) -> bytes:
    return _written(frames, "WEBP", lossless=True, loop=loop)


def _written(frames: Sequence[Image.Image], format: str, **more: object) -> bytes:
    stream = io.BytesIO()
    delays = [DELAYS[at % len(DELAYS)] for at in range(len(frames))]
    frames[0].save(stream, format, save_all=True, append_images=frames[1:], duration=delays, **more)
    return stream.getvalue()


def shown(body: bytes) -> Shown:
    image = Image.open(io.BytesIO(body))
    frames, delays = [], []
    for frame in ImageSequence.Iterator(image):
        frames.append(frame.convert("RGBA"))
        delays.append(int(frame.info.get("duration", 0)))
    return Shown(tuple(frames), tuple(delays), image.info.get("loop"))
