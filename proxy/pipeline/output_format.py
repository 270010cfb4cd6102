"""Which format a picture is written in."""

from __future__ import annotations

from proxy.model import negotiation
from proxy.model.errors import InvalidValue
from proxy.model.media import FORMATS, Format
from proxy.options.canonical import shows_background
from proxy.options.spec import OutputFormat, Spec
from proxy.options.values.colours import Colour
from proxy.pipeline.decode.header import Header
from proxy.pipeline.encode.savers import savable


def output_format(
    spec: Spec, header: Header, accepted: negotiation.Bucket, *, animated: bool = False, side: int = 0
) -> Format:
    """
    Choose what the spec says; else the source's own format when the web shows it; else jpeg, or png for
    transparency.

    For a still in the best format, which its pixels tell, it is png: that holds every picture. A format that
    is chosen holds a picture whose longest side has `side` px. Raises InvalidValue for a format that was
    named and cannot be saved here.
    """
    here = frozenset(format for format in savable() if FORMATS[format].max_side >= side)
    if spec.format is OutputFormat.BEST and not animated:
        return Format.PNG
    if spec.negotiates:
        alpha = may_be_transparent(spec, header) or spec.lossless  # png takes both, and jpeg none
        return negotiation.choose(accepted, here, alpha=alpha, animated=animated)
    if spec.format is not None:
        return _savable(Format(spec.format))
    if isinstance(header.format, Format) and FORMATS[header.format].web and header.format in here:
        return header.format
    return Format.PNG if may_be_transparent(spec, header) else Format.JPEG


def may_be_transparent(spec: Spec, header: Header) -> bool:
    """Whether anything of the rendition may be transparent, be it of the original or by what was asked."""
    if spec.unflatten or spec.opacity < 1 or (header.alpha and not spec.flatten):
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
