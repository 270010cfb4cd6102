"""What becomes of a source, decided from its header; pixels are only decoded to look for something."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from proxy.geometry.boxes import Size
from proxy.geometry.plan import Plan
from proxy.model import negotiation
from proxy.model.limits import Limits
from proxy.model.media import FORMATS, Format, InputOnly, Note
from proxy.options.spec import Spec
from proxy.pipeline.decode.header import Header
from proxy.pipeline.decode.source import PixelSource
from proxy.pipeline.find.regions import plan_regions
from proxy.pipeline.output_format import output_format

MAX_COLUMN_HEIGHT = 4_000_000
"""px. libvips stands the frames of an animation on top of each other; VIPS_MAX_COORD is this as well."""

FRAME_COST: Mapping[Format, int] = {Format.WEBP: 1, Format.GIF: 4}
"""
What the limit of pixels is divided by. A megapixel of frames takes 0.06 s as WebP and 0.5 s as GIF, which
looks for a palette for each (`benchmarks/fit_cost.py`).
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderPlan:
    """
    All that is decided before pixels are made: `frames` of `source`, from `source.header.page` on, by
    `geometry`, in `format`. `accepted` is what formats may still be chosen among.
    """

    source: PixelSource
    spec: Spec
    accepted: negotiation.Bucket
    format: Format
    geometry: Plan
    frames: int = 1
    notes: tuple[Note, ...] = ()
    missing_letters: str = ""
    """Of the text, each once: those that no font has."""


def plan_render(
    source: PixelSource, spec: Spec, limits: Limits, accepted: negotiation.Bucket | None = None
) -> RenderPlan:
    """
    Decide what becomes of `source` under `spec`; `accepted` is what `f_auto` and `f_best` may choose among.

    Raises UnusableOriginal, ResultTooLarge, and InvalidValue for a format that cannot be saved here.
    """
    accepted = accepted or negotiation.Bucket()
    header = source.header
    # A drawing is drawn at any size, not enlarged.
    drawing = header.format is InputOnly.SVG and spec.mode is None
    sized = replace(spec, enlarge=True) if drawing else spec
    max_side = FORMATS[spec.fixed_format].max_side if spec.fixed_format else None
    frames = _frames(spec, header)
    format = output_format(sized, header, accepted, animated=frames > 1)
    notes: tuple[Note, ...] = ()
    if frames > 1 and FORMATS[format].frames:
        if _holds(frames, header.stored, limits.max_source_pixels, limits):
            geometry, found = plan_regions(source, sized, limits, max_side)
            format = output_format(sized, header, accepted, animated=True, side=geometry.result.longest)
            max_pixels = limits.max_result_pixels // FRAME_COST.get(format, 1)
            if FORMATS[format].frames and _holds(frames, geometry.result, max_pixels, limits):
                return RenderPlan(
                    source=source,
                    spec=spec,
                    accepted=accepted,
                    format=format,
                    geometry=geometry,
                    frames=frames,
                    notes=found,
                )
        notes = (Note.FIRST_FRAME,)
    geometry, found = plan_regions(source, sized, limits, max_side)
    return RenderPlan(
        source=source,
        spec=spec,
        accepted=accepted,
        format=output_format(sized, header, accepted, side=geometry.result.longest),
        geometry=geometry,
        notes=(*notes, *found),
    )


def _frames(spec: Spec, header: Header) -> int:
    """How many are asked for; pages of formats that do not move (TIFF, AVIF) are shown one at a time."""
    if not spec.animated or not (isinstance(header.format, Format) and FORMATS[header.format].frames):
        return 1
    left = header.pages - header.page
    return min(left, spec.frames or left)


def _holds(frames: int, size: Size, max_pixels: int, limits: Limits) -> bool:
    return (
        frames <= limits.max_frames
        and frames * size.pixels <= max_pixels
        and frames * size.height <= MAX_COLUMN_HEIGHT
    )
