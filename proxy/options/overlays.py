"""What lies over the picture: one other picture, or a text."""

from __future__ import annotations

from dataclasses import dataclass

from proxy.options.row import option
from proxy.options.values.colours import Colour, ColourKind
from proxy.options.values.kinds import ChoiceKind, FlagKind, IntegerKind, NumberKind
from proxy.options.values.overlays import (
    BlendMode,
    FontKind,
    OverlayKind,
    OverlayPositionKind,
    OverlayTextKind,
    TextAlign,
    TextOutline,
    TextOutlineKind,
)
from proxy.options.values.positions import Anchor, Length, LengthKind

BLEND_ALIASES = {
    "normal": "over", "color-dodge": "dodge", "colour-dodge": "dodge", "color-burn": "burn",
    "colour-burn": "burn", "hard-light": "hard", "soft-light": "soft",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class OverlayOptions:
    overlay: str | None = option(
        "overlay", "l",
        kind=OverlayKind(),
        doc="An overlay of presets.yaml by its name, or, where that file allows it, a picture by its key. "
        "What the URL says about it wins over presets.yaml.",
        example="w_300,l_logo,lw_0.3",
        about="overlay",
    )  # fmt: skip
    text: str | None = option(
        "text",
        kind=OverlayTextKind(),
        doc="A text over the picture; with a text overlay of presets.yaml, in its place and style.",
        example="w_300,text_Good%20morning,lg_south",
        about="overlay",
    )  # fmt: skip
    overlay_position: Anchor | None = option(
        "overlay-position", "lg", kind=OverlayPositionKind(),
        doc="Where the overlay lies on the finished picture.",
        example="w_300,text_Harbour,lg_southeast", about="overlay",
    )  # fmt: skip
    overlay_x: float | None = option(
        "overlay-x", "lx", kind=NumberKind(-8192, 8192),
        doc="Offset from the overlay's anchor, below 1 a share of the picture; the gap between tiles.",
        example="w_300,text_Harbour,lg_southeast,lx_10", about="overlay",
    )  # fmt: skip
    overlay_y: float | None = option(
        "overlay-y", "ly", kind=NumberKind(-8192, 8192),
        doc="Offset from the overlay's anchor, below 1 a share of the picture; the gap between tiles.",
        example="w_300,text_Harbour,lg_southeast,ly_0.1", about="overlay",
    )  # fmt: skip
    overlay_width: Length | None = option(
        "overlay-width", "lw", kind=LengthKind(),
        doc="Width of the overlay in px, or as a share of the finished picture; for a text, where it wraps.",
        example="w_300,text_Good%20morning,lw_0.4", about="overlay",
    )  # fmt: skip
    overlay_opacity: float = option(
        "overlay-opacity", "lo", kind=NumberKind(0, 100), default=100.0,
        doc="How much of the overlay is seen, in percent. (In presets.yaml `opacity` is 0 to 1.)",
        example="w_300,text_Harbour,lo_40", about="overlay",
    )  # fmt: skip
    overlay_tile: bool = option(
        "overlay-tile", "lt", kind=FlagKind(), default=False,
        doc="Repeats the overlay over the whole picture.",
        example="w_300,text_Harbour,lt", about="overlay",
    )  # fmt: skip
    overlay_blend: BlendMode = option(
        "overlay-blend", "lb", kind=ChoiceKind(BlendMode, aliases=BLEND_ALIASES), default=BlendMode.OVER,
        doc="How the overlay's colours meet those below, as CSS mix-blend-mode has it.",
        example="w_300,text_Harbour,text-size_60,lb_overlay", about="overlay",
    )  # fmt: skip
    text_font: str | None = option(
        "text-font", "tf", kind=FontKind(),
        doc="Family and style. Not given: DejaVu Sans, which is always there.",
        example="w_300,text_Harbour,text-font_DejaVu%20Sans%20Bold", about="overlay",
    )  # fmt: skip
    text_size: int = option(
        "text-size", "ts", kind=IntegerKind(1, 1000), default=32,
        doc="Size of the letters in px; smaller where the text would not fit.",
        example="w_300,text_Harbour,text-size_48", about="overlay",
    )  # fmt: skip
    text_color: Colour | None = option(
        "text-color", "tc", kind=ColourKind(), doc="Colour of the letters; white when not given.",
        example="w_300,text_Harbour,text-color_ffcc00", about="overlay",
    )  # fmt: skip
    text_outline: TextOutline | None = option(
        "text-outline", "to", kind=TextOutlineKind(),
        doc="A line around the letters: its width in px, its colour.",
        example="w_300,text_Harbour,text-outline_2_black", about="overlay",
    )  # fmt: skip
    text_align: TextAlign = option(
        "text-align", "ta", kind=ChoiceKind(TextAlign, aliases={"centre": "center"}), default=TextAlign.LEFT,
        doc="How the lines of a text that wraps stand to each other.",
        example="w_300,text_Good%20morning,lw_0.5,text-align_right", about="overlay",
    )  # fmt: skip
