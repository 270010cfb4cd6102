"""Transparency: what is averaged is weighted by it, and what is not an average leaves it alone."""

from __future__ import annotations

from collections.abc import Callable

import pyvips

ImageFunction = Callable[[pyvips.Image], pyvips.Image]


def on_premultiplied(image: pyvips.Image, work: ImageFunction) -> pyvips.Image:
    """
    Apply `work`, which mixes pixels (scaling, blurring, turning), on premultiplied alpha: the meaningless
    colour of transparent pixels then does not bleed into their neighbours.

    The premultiplied picture is rounded to the format it came in: colours lose what their transparency hides
    anyway, and scaling takes a third of what it takes on floats.
    """
    if not image.hasalpha():
        return _rounded(work(image), image.format)
    premultiplied = _rounded(image.premultiply(), image.format)
    return _rounded(work(premultiplied).unpremultiply(), image.format)


def on_colours(image: pyvips.Image, work: ImageFunction) -> pyvips.Image:
    """Apply `work` to the colours alone; the alpha stays as it is."""
    if not image.hasalpha():
        return work(image)
    colours = image.bands - 1
    return work(image.extract_band(0, n=colours)).bandjoin(image.extract_band(colours))


def with_alpha(image: pyvips.Image) -> pyvips.Image:
    """Return the picture with an alpha band, an opaque one where it had none."""
    return image if image.hasalpha() else image.addalpha()


def _rounded(image: pyvips.Image, format: str) -> pyvips.Image:
    """A cast alone would cut off, and darken by half a level each time."""
    return image if image.format == format else image.rint().cast(format)
