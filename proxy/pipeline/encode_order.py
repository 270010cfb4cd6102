"""From a plan and its picture to the order that the encoder gets."""

from __future__ import annotations

import pyvips

from proxy.geometry.boxes import Size
from proxy.model import negotiation
from proxy.model.media import FORMATS, Format
from proxy.options.spec import OPTIONS, OutputFormat
from proxy.pipeline.encode.cost import limit_effort
from proxy.pipeline.encode.jpeg_quality import jpeg_quality
from proxy.pipeline.encode.order import Order
from proxy.pipeline.encode.savers import encoder_settings, savable
from proxy.pipeline.render_plan import RenderPlan

NEUTRAL_TOPICS = frozenset({"size", "turn", "output", "delivery"})
"""What options may be about and leave a picture what it was, when its size is the same."""


def order_of(plan: RenderPlan, image: pyvips.Image) -> Order:
    """
    Return how `image`, which was made by `plan`, is to be written.

    A file of the original's own format and size, in which nothing was changed, is to be no larger than it.
    """
    spec, header, body = plan.spec, plan.source.header, plan.source.body
    formats: tuple[Format, ...] = (plan.format,)
    still = plan.frames == 1
    if spec.format is OutputFormat.BEST and still:
        # jpeg holds neither.
        exact = bool(image.hasalpha()) or spec.lossless
        found = negotiation.candidates(plan.accepted, savable(), alpha=exact)
        formats = tuple(each for each in found if FORMATS[each].max_side >= plan.geometry.result.longest)
    same = body if header.format in formats and is_unchanged(plan) else None
    order = Order(
        formats=formats,
        quality=spec.quality,
        keep=spec.keep,
        max_bytes=spec.max_bytes,
        original_bytes=None if same is None else len(same),
        original_quality=None if same is None or formats != (Format.JPEG,) else jpeg_quality(same),
        original_grey=same is not None and header.interpretation in ("b-w", "grey16"),
        still=still,
        settings={format: encoder_settings(spec, format) for format in formats},
    )
    return limit_effort(order, Size(image.width, image.height))


def is_unchanged(plan: RenderPlan) -> bool:
    """Whether the picture has all the pixels of the upright original, and no others."""
    geometry = plan.geometry
    sizes = plan.source.header.upright, geometry.region.size, geometry.resize, geometry.result
    return len(set(sizes)) == 1 and all(
        getattr(plan.spec, name) == option.default
        for name, option in OPTIONS.items()
        if option.about not in NEUTRAL_TOPICS
    )
