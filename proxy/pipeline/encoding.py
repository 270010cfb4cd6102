"""From a spec to how its picture is to be written."""

from __future__ import annotations

import pyvips

from proxy.geometry.boxes import Size
from proxy.geometry.plan import Plan
from proxy.model import negotiation
from proxy.model.media import FORMATS, Format
from proxy.options.spec import OPTIONS, OutputFormat, Spec
from proxy.pipeline.decode.header import Header
from proxy.pipeline.encode.cost import limit_effort
from proxy.pipeline.encode.jpeg_quality import jpeg_quality
from proxy.pipeline.encode.order import Order
from proxy.pipeline.encode.savers import encoder_settings, savable
from proxy.pipeline.outcome import Course

HARMLESS = frozenset({"size", "turn", "output", "delivery"})
"""What options may be about and leave a picture what it was, when its size is the same."""


def order(
    body: bytes | memoryview,
    spec: Spec,
    made: Course,
    image: pyvips.Image,
    accepted: negotiation.Bucket,
) -> Order:
    """A file of the original's own format and size, in which nothing was changed, is no larger than it."""
    head, plan = made.head, made.plan
    formats: tuple[Format, ...] = (made.format,)
    still = made.frames == 1
    if spec.format is OutputFormat.BEST and still:
        side = max(plan.result.width, plan.result.height)
        # jpeg holds neither.
        exact = bool(image.hasalpha()) or spec.lossless
        found = negotiation.candidates(accepted, savable(), alpha=exact)
        formats = tuple(each for each in found if FORMATS[each].max_side >= side)
    same = is_unchanged(spec, head, plan) and head.format in formats
    wanted = Order(
        formats=formats,
        quality=spec.quality,
        keep=spec.keep,
        max_bytes=spec.max_bytes,
        original_bytes=len(body) if same else None,
        original_quality=jpeg_quality(body) if same and formats == (Format.JPEG,) == (head.format,) else None,
        original_grey=same and head.interpretation in ("b-w", "grey16"),
        still=still,
        settings={format: encoder_settings(spec, format) for format in formats},
    )
    return limit_effort(wanted, Size(image.width, image.height))


def is_unchanged(spec: Spec, head: Header, plan: Plan) -> bool:
    """Whether the picture has all the pixels of the upright original, and no others."""
    return head.upright == plan.region.size == plan.resize == plan.result and all(
        getattr(spec, name) == option.default
        for name, option in OPTIONS.items()
        if option.about not in HARMLESS
    )
