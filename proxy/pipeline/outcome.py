"""What will become of an original, decided from its header; pixels are only decoded to look for something."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from proxy.geometry.boxes import Size
from proxy.geometry.plan import Plan
from proxy.model import negotiation
from proxy.model.errors import InvalidValue
from proxy.model.limits import Limits
from proxy.model.media import FORMATS, Format, InputOnly, Note
from proxy.options.canonical import shows_background
from proxy.options.spec import OutputFormat, Spec
from proxy.options.values.colours import Colour
from proxy.pipeline.decode.header import Header, read_header
from proxy.pipeline.encode.savers import savable
from proxy.pipeline.find.regions import planned

HIGHEST_COLUMN = 4_000_000
"""px. libvips stands the frames of an animation on top of each other; VIPS_MAX_COORD is this as well."""

FRAME_COST: Mapping[Format, int] = {Format.WEBP: 1, Format.GIF: 4}
"""
What the limit of pixels is divided by. A megapixel of frames takes 0.06 s as WebP and 0.5 s as GIF, which
looks for a palette for each.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """`frames` are made, from `head.page` on."""

    head: Header
    format: Format
    plan: Plan
    frames: int = 1
    notes: tuple[Note, ...] = ()


def course(body: bytes | memoryview, spec: Spec, limits: Limits, accepted: negotiation.Bucket) -> Course:
    """
    `accepted` is what `f_auto` and `f_best` may choose among.

    Raises UnusableOriginal, ResultTooLarge, and InvalidValue for a format that cannot be saved here.
    """
    head = read_header(body, limits, spec.page or 0)
    if not spec.autoorient:
        head = replace(head, orientation=1)
    if head.format is InputOnly.SVG and spec.mode is None:
        spec = replace(spec, enlarge=True)  # it is drawn, not enlarged
    notes: tuple[Note, ...] = ()
    frames = _frames(spec, head)
    most = FORMATS[spec.fixed_format].max_side if spec.fixed_format else None
    format = output_format(spec, head, accepted, animated=frames > 1)
    if frames > 1 and FORMATS[format].frames:
        if _holds(frames, head.stored, limits.max_source_pixels, limits):
            plan, looked = planned(body, head, spec, limits, most)
            format = output_format(spec, head, accepted, animated=True, side=plan.result.longest)
            pixels = limits.max_result_pixels // FRAME_COST.get(format, 1)
            if FORMATS[format].frames and _holds(frames, plan.result, pixels, limits):
                return Course(head=head, format=format, plan=plan, frames=frames, notes=looked)
        notes = (Note.FIRST_FRAME,)
    plan, looked = planned(body, head, spec, limits, most)
    format = output_format(spec, head, accepted, side=plan.result.longest)
    return Course(head=head, format=format, plan=plan, notes=(*notes, *looked))


def _frames(spec: Spec, head: Header) -> int:
    """How many are asked for; pages of formats that do not move (TIFF, AVIF) are shown one at a time."""
    if not spec.animated or not (isinstance(head.format, Format) and FORMATS[head.format].frames):
        return 1
    left = head.pages - head.page
    return min(left, spec.frames or left)


def _holds(frames: int, size: Size, most_pixels: int, limits: Limits) -> bool:
    return (
        frames <= limits.max_frames
        and frames * size.pixels <= most_pixels
        and frames * size.height <= HIGHEST_COLUMN
    )


def output_format(
    spec: Spec, head: Header, accepted: negotiation.Bucket, *, animated: bool = False, side: int = 0
) -> Format:
    """
    What the spec says; else the source's own when the web shows it; else jpeg, or png for transparency. For a
    still in the best format, which its pixels tell, it is png: that holds every picture. A format that is
    chosen holds a picture whose longest side has `side` px.
    """
    here = frozenset(format for format in savable() if FORMATS[format].max_side >= side)
    if spec.format is OutputFormat.BEST and not animated:
        return Format.PNG
    if spec.negotiates:
        alpha = see_through(spec, head) or spec.lossless  # png takes both, and jpeg none
        return negotiation.choose(accepted, here, alpha=alpha, animated=animated)
    if spec.format is not None:
        return _savable(Format(spec.format))
    if isinstance(head.format, Format) and FORMATS[head.format].web and head.format in here:
        return head.format
    return Format.PNG if see_through(spec, head) else Format.JPEG


def see_through(spec: Spec, head: Header) -> bool:
    """Whether anything of the rendition may be transparent, be it of the original or by what was asked."""
    if spec.unflatten or spec.opacity < 1 or (head.alpha and not spec.flatten):
        return True
    if spec.border is not None and spec.border.colour.alpha < 255:
        return True
    ground = spec.background
    if ground is None:
        return spec.radii is not None
    return isinstance(ground, Colour) and ground.alpha < 255 and shows_background(spec)


def _savable(format: Format) -> Format:
    if format not in savable():
        known = ", ".join(each for each in Format if each in savable())
        raise InvalidValue(f"'f' takes {known} here, not {format}", option="f", value=format, allowed=known)
    return format
