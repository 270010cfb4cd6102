"""
The stages of a rendition after its plan, each a function from a value to the next one.

`render.render` is the usual list of them. Others can be composed: one `Composed` may be encoded in several
formats (`in_format`), and its pixels may be the source of another transformation (`as_source`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace

import pyvips

from proxy.fonts.letters import drawable, font_coverage, is_letter
from proxy.geometry.plan import refuse_long
from proxy.model.errors import TooCostly
from proxy.model.limits import Limits
from proxy.model.media import FORMATS, Format, Note
from proxy.options.spec import Keep, OutputFormat
from proxy.pipeline.decode.extras import extras_of
from proxy.pipeline.decode.header import Header
from proxy.pipeline.decode.libvips import libvips
from proxy.pipeline.decode.pixels import is_damaged
from proxy.pipeline.decode.source import Picture
from proxy.pipeline.draw import animation
from proxy.pipeline.draw.canvas import flattened
from proxy.pipeline.draw.compose import draw_picture
from proxy.pipeline.draw.overlay import make_layer
from proxy.pipeline.encode.cost import without_slow_avif
from proxy.pipeline.encode.metadata import loses_metadata
from proxy.pipeline.encode.smallest import encode_smallest
from proxy.pipeline.encode_order import order_of
from proxy.pipeline.output_format import output_format
from proxy.pipeline.render_plan import RenderPlan

MAX_MISSING_LETTERS = 256
"""How many of them are told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """
    Upright pixels at `plan.geometry.resize`. The frames after the `first` are decoded as they are taken, and
    once: all of an animation may be hundreds of megabytes.
    """

    plan: RenderPlan
    first: pyvips.Image = field(repr=False)
    others: Iterator[pyvips.Image] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Composed:
    """The finished picture in memory, 8-bit RGB with or without alpha; frames lie on top of each other."""

    plan: RenderPlan
    image: pyvips.Image = field(repr=False)

    @property
    def first(self) -> pyvips.Image:
        """The picture, or the first frame of an animation."""
        return animation.frame_at(self.image, self.plan.frames, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """
    The file of one rendition.

    `width` and `height` are px of one frame; `timings` are seconds of wall clock by stage.
    """

    body: bytes = field(repr=False)
    format: Format
    width: int
    height: int
    source: Header
    timings: dict[str, float] = field(default_factory=dict)
    frames: int = 1
    notes: tuple[Note, ...] = ()
    missing_letters: str = ""
    encodings: int = 1


def decode(plan: RenderPlan) -> Decoded:
    """
    Decode the planned region of the source at the planned size. Raises BrokenImage and TooCostly.
    """
    geometry = plan.geometry
    frames = plan.source.frames(plan.frames, geometry.region, geometry.resize, spec=plan.spec)
    first = next(frames)
    if is_damaged(first):
        plan = replace(plan, notes=(*plan.notes, Note.DAMAGED))
    return Decoded(plan=plan, first=first, others=frames)


def compose(decoded: Decoded, overlay: bytes | memoryview | None, overlay_limits: Limits) -> Composed:
    """
    Make the picture as planned: cut, effects, canvas, corners, rotation, and what lies over it. `overlay` is
    the original of that, judged by `overlay_limits`.

    Letters that no font has are left out. Raises TooCostly, UnusableOverlay, and InvalidValue for a text in
    which nothing is seen.
    """
    plan, first = without_missing_letters(decoded.plan), decoded.first
    alpha = FORMATS[plan.format].alpha
    with making_picture():
        layer = make_layer(plan.spec, overlay, first, plan.geometry, overlay_limits)
        if plan.frames == 1:
            image = draw_picture(first, plan.spec, plan.geometry, layer, alpha=alpha)
            return Composed(plan=plan, image=image if image is first else image.copy_memory())
        spec, geometry = animation.pin_choices(first, plan.spec, plan.geometry)
        plan = replace(plan, spec=spec, geometry=geometry)
        frames = animation.draw_frames(first, decoded.others, spec, geometry, layer, alpha=alpha)
        return Composed(plan=plan, image=animation.stack_frames(frames, plan.source.header))


def without_missing_letters(plan: RenderPlan) -> RenderPlan:
    """Return `plan` with what can be drawn of its text, and a note where that or a drawing lacks letters."""
    drawing = plan.source.header.drawing
    missing = drawing.missing_letters if drawing else ""
    if plan.spec.text is not None:
        text, missing_in_text = drawable(plan.spec.text, font_coverage())
        if missing_in_text and not any(map(is_letter, text)):
            text = ""
        plan = replace(plan, spec=replace(plan.spec, text=text))
        missing += missing_in_text
    if not missing:
        return plan
    return replace(
        plan, notes=(*plan.notes, Note.MISSING_LETTERS), missing_letters=missing[:MAX_MISSING_LETTERS]
    )


def encode(composed: Composed, *, avif_budget: float | None = None) -> Rendered:
    """
    Write the picture as its spec says. Where the format is ours to choose, an AVIF that would take more than
    `avif_budget` seconds is left out; the note AVIF_FOLLOWS then says so.

    Raises TooCostly, and ResultTooLarge when it cannot be made as small as `max_bytes`.
    """
    plan, image = composed.plan, composed.image
    with making_picture():
        wanted = order = order_of(plan, image)
        if plan.spec.negotiates and avif_budget is not None:
            alpha = bool(image.hasalpha()) or plan.spec.lossless
            order = without_slow_avif(wanted, plan.geometry.result, plan.accepted, avif_budget, alpha=alpha)
        file = encode_smallest(image, order)
        notes = (*plan.notes, *dropped_metadata(plan, image))
    return Rendered(
        body=file.body,
        format=file.format,
        width=image.width,
        height=image.height // plan.frames,
        source=plan.source.header,
        frames=plan.frames,
        notes=notes if order is wanted else (*notes, Note.AVIF_FOLLOWS),
        missing_letters=plan.missing_letters,
        encodings=file.encodings,
    )


def dropped_metadata(plan: RenderPlan, image: pyvips.Image) -> tuple[Note, ...]:
    """Name what was asked to stay with the picture and cannot."""
    keep, body = plan.spec.keep, plan.source.body
    if keep is Keep.NONE or body is None:
        return ()
    lost = (Note.METADATA_DROPPED,) if loses_metadata(image, keep) else ()
    return (*extras_of(body, plan.source.header.format), *lost)


def in_format(composed: Composed, format: Format) -> Composed:
    """
    Return the same picture to be encoded as `format`: without transparency where that has none, and its first
    frame where that does not move.

    Raises ResultTooLarge for a picture that the format cannot hold, and InvalidValue for a format that cannot
    be saved here.
    """
    plan, row = composed.plan, FORMATS[format]
    spec = replace(plan.spec, format=OutputFormat(format))
    frames = plan.frames if row.frames else 1
    notes = plan.notes if frames == plan.frames else (*plan.notes, Note.FIRST_FRAME)
    format = output_format(spec, plan.source.header, plan.accepted)
    refuse_long(plan.geometry.result, format, row.max_side)
    with making_picture():
        image = composed.image if frames == plan.frames else composed.first
        if image.hasalpha() and not row.alpha:
            image = flattened(image, spec.background).copy_memory()
    return Composed(plan=replace(plan, spec=spec, format=format, frames=frames, notes=notes), image=image)


def as_source(composed: Composed) -> Picture:
    """Return the finished pixels as what another plan can be made for."""
    image, header = composed.image, composed.plan.source.header
    frames = composed.plan.frames
    return Picture(
        image=image,
        header=Header(
            format=composed.plan.format,
            width=image.width,
            height=image.height // frames,
            pages=frames,
            delays=header.delays[header.page : header.page + frames] if frames > 1 else (),
            loop=header.loop if frames > 1 else 0,
            alpha=bool(image.hasalpha()),
            interpretation=image.interpretation,
            profile=image.get("icc-profile-data") if image.get_typeof("icc-profile-data") else None,
        ),
    )


def making_picture() -> AbstractContextManager[None]:
    """Turn libvips' errors while a picture is made into TooCostly."""
    return libvips(TooCostly, "the picture could not be made with the memory that a renderer may use")
