"""The way from an original to a rendition, as the list of its stages."""

from __future__ import annotations

from dataclasses import replace
from time import perf_counter

from proxy.model import negotiation
from proxy.model.limits import Limits
from proxy.options.spec import Spec
from proxy.pipeline.decode.source import open_original
from proxy.pipeline.render_plan import plan_render
from proxy.pipeline.stages import Rendered, compose, decode, encode


def render(
    body: bytes | memoryview,
    spec: Spec,
    limits: Limits,
    accepted: negotiation.Bucket | None = None,
    overlay: bytes | memoryview | None = None,
    overlay_limits: Limits | None = None,
    *,
    background: bool = False,
) -> Rendered:
    """
    Make one rendition of one original.

    `accepted` is what `f_auto` and `f_best` may choose among; unless `background`, that excludes an AVIF
    which would take longer than `limits.avif_budget`. `overlay` is the original of what the spec lays over
    it, under limits of its own if it has any.

    Raises UnusableOriginal (NotAnImage, BrokenImage, NoSuchPage, TooManyPixels, TooCostly, UnusableOverlay),
    ResultTooLarge, and InvalidValue for a text in which nothing is seen.
    """
    started = perf_counter()
    original = open_original(body, limits, page=spec.page or 0, autoorient=spec.autoorient)
    plan = plan_render(original, spec, limits, accepted)
    pixels = decode(plan)
    decoded = perf_counter()
    picture = compose(pixels, overlay, overlay_limits or limits)
    composed = perf_counter()
    rendered = encode(picture, avif_budget=None if background else limits.avif_budget)
    encoded = perf_counter()
    timings = {"decode": decoded - started, "transform": composed - decoded, "encode": encoded - composed}
    return replace(rendered, timings=timings)
