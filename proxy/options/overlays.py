"""Options of what lies over the picture: another picture, or a text."""

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
    """Options of what lies over the picture: another picture, or a text."""

    overlay: str | None = option(
        "overlay", "l", kind=OverlayKind(),
        doc="Lay an overlay of presets.yaml over the picture by its name, or, where that file allows it, a "
        "picture by its key; options of the URL override those of presets.yaml.",
        example="w_300,l_logo,lw_0.3", about="overlay",
    )  # fmt: skip
    text: str | None = option(
        "text", kind=OverlayTextKind(),
        doc="Write a text over the picture; with a text overlay of presets.yaml, in its place and style.",
        example="w_300,text_Good%20morning,lg_south", about="overlay",
    )  # fmt: skip
    overlay_position: Anchor | None = option(
        "overlay-position", "lg", kind=OverlayPositionKind(),
        doc="Choose where the overlay lies on the finished picture.",
        example="w_300,text_Harbour,lg_southeast", about="overlay",
    )  # fmt: skip
    overlay_x: float | None = option(
        "overlay-x", "lx", kind=NumberKind(-8192, 8192),
        doc="Set the horizontal offset from the overlay's anchor, or the gap between tiles, in px, or below"
        " 1 as a share of the picture.",
        example="w_300,text_Harbour,lg_southeast,lx_10", about="overlay",
    )  # fmt: skip
    overlay_y: float | None = option(
        "overlay-y", "ly", kind=NumberKind(-8192, 8192),
        doc="Set the vertical offset from the overlay's anchor, or the gap between tiles, in px, or below 1"
        " as a share of the picture.",
        example="w_300,text_Harbour,lg_southeast,ly_0.1", about="overlay",
    )  # fmt: skip
    overlay_width: Length | None = option(
        "overlay-width", "lw", kind=LengthKind(),
        doc="Set the width of the overlay, in px or as a share of the finished picture; a text wraps at "
        "this width.",
        example="w_300,text_Good%20morning,lw_0.4", about="overlay",
    )  # fmt: skip
    overlay_opacity: float = option(
        "overlay-opacity", "lo", kind=NumberKind(0, 100), default=100.0,
        doc="Set the opacity of the overlay in percent.",
        example="w_300,text_Harbour,lo_40", about="overlay",
    )  # fmt: skip
    overlay_tile: bool = option(
        "overlay-tile", "lt", kind=FlagKind(), default=False,
        doc="Repeat the overlay over the whole picture.",
        example="w_300,text_Harbour,lt", about="overlay",
    )  # fmt: skip
    overlay_blend: BlendMode = option(
        "overlay-blend", "lb", kind=ChoiceKind(BlendMode, aliases=BLEND_ALIASES), default=BlendMode.OVER,
        doc="Choose how the overlay's colours blend with those below, as in CSS mix-blend-mode.",
        example="w_300,text_Harbour,text-size_60,lb_overlay", about="overlay",
    )  # fmt: skip
    text_font: str | None = option(
        "text-font", "tf", kind=FontKind(),
        doc="Choose the font by family and style; DejaVu Sans, which is always installed, if not given.",
        example="w_300,text_Harbour,text-font_DejaVu%20Sans%20Bold", about="overlay",
    )  # fmt: skip
    text_size: int = option(
        "text-size", "ts", kind=IntegerKind(1, 1000), default=32,
        doc="Set the size of the letters in px; they shrink if the text would not fit.",
        example="w_300,text_Harbour,text-size_48", about="overlay",
    )  # fmt: skip
    text_color: Colour | None = option(
        "text-color", "tc", kind=ColourKind(),
        doc="Set the colour of the letters; white if not given.",
        example="w_300,text_Harbour,text-color_ffcc00", about="overlay",
    )  # fmt: skip
    text_outline: TextOutline | None = option(
        "text-outline", "to", kind=TextOutlineKind(),
        doc="Draw a line around the letters, with this width in px and this colour.",
        example="w_300,text_Harbour,text-outline_2_black", about="overlay",
    )  # fmt: skip
    text_align: TextAlign = option(
        "text-align", "ta", kind=ChoiceKind(TextAlign, aliases={"centre": "center"}), default=TextAlign.LEFT,
        doc="Align the lines of a text that wraps.",
        example="w_300,text_Good%20morning,lw_0.5,text-align_right", about="overlay",
    )  # fmt: skip
