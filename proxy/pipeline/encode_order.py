"""From a plan and its picture to the order that the encoder gets."""

from __future__ import annotations

from collections.abc import Mapping

import pyvips

from proxy.geometry.boxes import Size
from proxy.model import negotiation
from proxy.model.media import FORMATS, Format, Note
from proxy.options.spec import OPTIONS, Keep, OutputFormat
from proxy.pipeline.encode.cost import limit_effort
from proxy.pipeline.encode.jpeg_quality import jpeg_quality
from proxy.pipeline.encode.order import Order, SaverSettings
from proxy.pipeline.encode.original_data import plain_data
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
    settings = {format: encoder_settings(spec, format) for format in formats}
    order = Order(
        formats=formats,
        quality=spec.quality,
        keep=spec.keep,
        max_bytes=spec.max_bytes,
        original_bytes=None if same is None else len(same),
        original_quality=None if same is None or formats != (Format.JPEG,) else jpeg_quality(same),
        original_data=_original_data(plan, formats, settings) if same is not None else None,
        original_grey=same is not None and header.interpretation in ("b-w", "grey16"),
        still=still,
        settings=settings,
    )
    return limit_effort(order, Size(image.width, image.height))


def _original_data(
    plan: RenderPlan, formats: tuple[Format, ...], settings: Mapping[Format, SaverSettings]
) -> bytes | None:
    """The original's own data, where its format and size are asked for and nothing else is."""
    header, body = plan.source.header, plan.source.body
    if body is None or formats != (header.format,) or settings[formats[0]] or plan.spec.keep is not Keep.NONE:
        return None
    if header.orientation != 1 or header.pages != 1 or Note.DAMAGED in plan.notes:
        return None
    return plain_data(body, header.format)


def is_unchanged(plan: RenderPlan) -> bool:
    """Whether the picture has all the pixels of the upright original, and no others."""
    geometry = plan.geometry
    sizes = plan.source.header.upright, geometry.region.size, geometry.resize, geometry.result
    return len(set(sizes)) == 1 and all(
        getattr(plan.spec, name) == option.default
        for name, option in OPTIONS.items()
        if option.about not in NEUTRAL_TOPICS
    )
