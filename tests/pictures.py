"""Pictures for tests, drawn with libvips: what is in each is known, so what comes out can be told."""

from __future__ import annotations

from typing import Any

import pyvips

from proxy.model.media import Format
from proxy.pipeline.decode.loaders import loadable
from proxy.pipeline.encode.savers import savable

RED, GREEN, BLUE, YELLOW = (230, 20, 20), (20, 200, 20), (20, 20, 230), (230, 220, 20)
CORNERS = (RED, GREEN, BLUE, YELLOW)
"""Of `quadrants`: top left, top right, bottom left, bottom right."""

_SAVERS: dict[Format, tuple[str, dict[str, Any]]] = {
    Format.JPEG: ("jpegsave_buffer", {"Q": 95, "subsample_mode": "off"}),
    Format.PNG: ("pngsave_buffer", {"compression": 1}),
    Format.WEBP: ("webpsave_buffer", {"Q": 95, "effort": 0}),
    Format.AVIF: ("heifsave_buffer", {"compression": "av1", "Q": 90, "effort": 0}),
    Format.GIF: ("gifsave_buffer", {"effort": 1}),
    Format.TIFF: ("tiffsave_buffer", {}),
    Format.JXL: ("jxlsave_buffer", {"Q": 95, "effort": 1}),
}

HERE = tuple(format for format in Format if format in savable() and format in loadable())
"""Of the formats that can be renditions, those that this libvips has."""


def plain(width: int, height: int, *colour: int) -> pyvips.Image:
    image = pyvips.Image.black(width, height, bands=len(colour) or 3) + (list(colour) or [0, 0, 0])
    return image.cast("uchar").copy(interpretation="srgb" if len(colour) != 1 else "b-w")


def quadrants(width: int, height: int) -> pyvips.Image:
    """Four flat colours, one in each corner."""
    left, top = (width + 1) // 2, (height + 1) // 2
    picture = plain(width, height, *RED)
    for colour, x, y in ((GREEN, left, 0), (BLUE, 0, top), (YELLOW, left, top)):
        if x < width and y < height:
            part = plain(width - x if x else left, height - y if y else top, *colour)
            picture = picture.insert(part, x, y)
    return picture.crop(0, 0, width, height)


def gradient(width: int, height: int) -> pyvips.Image:
    """Red grows to the right, green downwards."""
    at = pyvips.Image.xyz(width, height)
    red, green = at[0] * 255 / max(1, width - 1), at[1] * 255 / max(1, height - 1)
    return red.bandjoin([green, 60]).cast("uchar").copy(interpretation="srgb")


def photo(width: int, height: int, seed: int = 1) -> pyvips.Image:
    """Something with large shapes and fine grain, as photographs have."""
    shapes = (
        pyvips.Image.perlin(width, height, cell_size=max(2, min(width, height) // 3), seed=seed) * 110 + 128
    )
    detail = pyvips.Image.perlin(width, height, cell_size=8, seed=seed + 1) * 30
    grain = pyvips.Image.gaussnoise(width, height, sigma=3, seed=seed)
    light = shapes + detail + grain
    return light.bandjoin([light * 0.8 + 20, light * 0.5 + 60]).cast("uchar").copy(interpretation="srgb")


def disc(width: int, height: int, *colour: int) -> pyvips.Image:
    """A soft-edged disc on transparent black: whatever forgets to premultiply shows a dark fringe."""
    at = pyvips.Image.xyz(width, height) - [width / 2, height / 2]
    distance = ((at * at)[0] + (at * at)[1]) ** 0.5
    alpha = ((distance * -1 + min(width, height) * 0.4) * 64 + 128).clamp(min=0, max=255).cast("uchar")
    inside = (alpha > 0).ifthenelse(list(colour), [0, 0, 0])
    return inside.cast("uchar").bandjoin(alpha).copy(interpretation="srgb")


def animation(width: int, height: int, *colours: tuple[int, int, int]) -> pyvips.Image:
    frames = pyvips.Image.arrayjoin([plain(width, height, *colour) for colour in colours], across=1).copy()
    frames.set_type(pyvips.GValue.gint_type, "page-height", height)
    frames.set_type(pyvips.GValue.array_int_type, "delay", [100 * (at + 1) for at in range(len(colours))])
    frames.set_type(pyvips.GValue.gint_type, "loop", 3)
    return frames


def tagged(image: pyvips.Image, **fields: str | int | bytes) -> pyvips.Image:
    """`orientation=6`, or EXIF and blobs with `_` for the `-` of libvips' field names."""
    image = image.copy()
    for name, value in fields.items():
        kinds = {int: pyvips.GValue.gint_type, str: pyvips.GValue.gstr_type, bytes: pyvips.GValue.blob_type}
        image.set_type(kinds[type(value)], name.replace("_", "-"), value)
    return image


def saved(image: pyvips.Image, format: Format, **more: Any) -> bytes:
    operation, settings = _SAVERS[format]
    body: bytes = getattr(image, operation)(**(settings | more))
    return body


def loaded(body: bytes) -> pyvips.Image:
    return pyvips.Image.new_from_buffer(body, "", fail_on="error").copy_memory()


def pixel(image: pyvips.Image, x: float, y: float) -> tuple[int, ...]:
    """At shares of width and height, 0..1."""
    return tuple(
        round(value)
        for value in image(
            min(int(x * image.width), image.width - 1), min(int(y * image.height), image.height - 1)
        )
    )


def near(got: tuple[int, ...], wanted: tuple[int, ...], within: int = 12) -> bool:
    return len(got) == len(wanted) and all(abs(a - b) <= within for a, b in zip(got, wanted, strict=True))
