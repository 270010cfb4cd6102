"""Options of the orientation, and of what lies around and behind the picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from proxy.options.row import Option, option
from proxy.options.values.angles import AngleKind, Turn
from proxy.options.values.colours import Colour, ColourKind, GeneratedBackground
from proxy.options.values.edges import Border, BorderKind, Padding, PaddingKind, Radii, RadiiKind
from proxy.options.values.kinds import FlagKind


def expand_turn(value: tuple[float | Turn, ...]) -> dict[str, Any]:
    """Expand angles and words to the fields that they set."""
    meanings: Mapping[Turn, tuple[str, bool]] = {
        Turn.EXIF: ("autoorient", True),
        Turn.IGNORE: ("autoorient", False),
        Turn.HFLIP: ("flop", True),
        Turn.VFLIP: ("flip", True),
        Turn.TRUE: ("animated", True),
        Turn.FALSE: ("animated", False),
    }
    found: dict[str, Any] = dict(meanings[part] for part in value if isinstance(part, Turn))
    angles = [part for part in value if not isinstance(part, Turn)]
    return found | ({"rotate": sum(angles) % 360} if angles else {})


@dataclass(frozen=True, kw_only=True)
class CanvasOptions:
    """Options of the orientation, and of what lies around and behind the picture."""

    rotate: float | None = option(
        "rotate", kind=AngleKind(), expand=expand_turn,
        doc="Rotate clockwise by degrees; quarter turns swap the sides before the picture is fitted to its "
        "box, other angles enlarge the canvas.",
        example="w_200,rotate_90", about="turn",
    )  # fmt: skip
    flip: bool = option(
        "flip", kind=FlagKind(), default=False,
        doc="Mirror the picture top to bottom.",
        example="w_200,flip", about="turn",
    )  # fmt: skip
    flop: bool = option(
        "flop", kind=FlagKind(), default=False,
        doc="Mirror the picture left to right.",
        example="w_200,flop", about="turn",
    )  # fmt: skip
    autoorient: bool = option(
        "autoorient", kind=FlagKind(), default=True,
        doc="Turn the picture upright as its EXIF orientation says.",
        example="w_200,autoorient_false", about="turn",
    )  # fmt: skip
    radii: Radii | None = option(
        "radius", "r", kind=RadiiKind(),
        doc="Round the corners by a radius in px, or to an ellipse with `max`; they show the background, or"
        " are transparent.",
        example="w_200,h_200,r_max,f_png", about="canvas",
    )  # fmt: skip
    border: Border | None = option(
        "border", "bo", kind=BorderKind(), listed_as="line",
        doc="Draw a border around the picture, which grows by it; the border follows rounded corners.",
        example="w_200,bo_4px_solid_ff0000", about="canvas",
    )  # fmt: skip
    extend: Padding | None = option(
        "extend", "pad", kind=PaddingKind(),
        doc="Extend each side by px that show the background, or copy, repeat or mirror the picture.",
        example="w_200,extend_20_40_20_40,b_gold", about="canvas",
    )  # fmt: skip
    background: Colour | GeneratedBackground | None = option(
        "background", "b", kind=ColourKind(generated=True),
        doc="Set what lies behind the picture: in bars and corners, and where it is transparent with "
        "`flatten` or in JPEG; white if not given.",
        example="w_300,h_300,fit_contain,b_336699", about="canvas",
    )  # fmt: skip
    flatten: bool = option(
        "flatten", kind=FlagKind(), default=False,
        doc="Put the picture on its background before any effect, so that nothing stays transparent.",
        example="w_300,flatten,b_336699", about="canvas",
    )  # fmt: skip


TURN_SHORTHAND = Option(
    name="turn", names=("a",), kind=AngleKind(words=tuple(Turn)), default=None, expand=expand_turn,
    doc="Rotate as `rotate` does, with Cloudinary's words for mirroring and EXIF; `a_true` is ipx's "
    "`animated`.",
    example="w_200,a_hflip.90", about="turn",
)  # fmt: skip
