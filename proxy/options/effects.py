"""Options that change pixels and move none. Those with names of sharp and ipx have their meanings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from proxy.options.row import Option, option
from proxy.options.values.colours import Colour, ColourPairKind, Tint, TintKind
from proxy.options.values.kinds import FlagKind, IntegerKind, NumberKind, NumbersKind


@dataclass(frozen=True, kw_only=True)
class EffectOptions:
    """Options of effects, in the order in which they are applied, which is sharp's."""

    grayscale: bool = option(
        "grayscale", "greyscale", kind=FlagKind(), default=False,
        doc="Remove the colour and keep the luminance, computed in linear light.",
        example="w_300,grayscale", about="effect",
    )  # fmt: skip
    median: int = option(
        "median", kind=IntegerKind(1, 1000, bare=3, off=1), default=1,
        doc="Replace each pixel by the median of a square around it, with sides of this many px.",
        example="w_300,median_7", about="effect",
    )  # fmt: skip
    threshold: int = option(
        "threshold", kind=IntegerKind(0, 255, bare=128, off=0), default=0,
        doc="Make pixels white if their luminance is at least this, and black if not; 0 changes nothing.",
        example="w_300,threshold_110", about="effect",
    )  # fmt: skip
    pixelate: int = option(
        "pixelate", kind=IntegerKind(1, 1000, bare=10, off=1), default=1,
        doc="Draw the picture in squares of one colour, with sides of this many px.",
        example="w_300,pixelate_12", about="effect",
    )  # fmt: skip
    blur: tuple[float, ...] | None = option(
        "blur", kind=NumbersKind(((0.3, 1000),)),
        doc="Blur with a Gaussian of this sigma in px; without a number, mildly.",
        example="w_300,blur_5", about="effect",
    )  # fmt: skip
    unflatten: bool = option(
        "unflatten", kind=FlagKind(), default=False,
        doc="Make white transparent.",
        example="w_300,unflatten,f_png", about="effect",
    )  # fmt: skip
    brightness: float = option(
        "brightness", kind=NumberKind(0, 100), default=1.0,
        doc="Multiply the lightness, in CIELAB.",
        example="w_300,brightness_1.4", about="effect",
    )  # fmt: skip
    saturation: float = option(
        "saturation", kind=NumberKind(0, 100), default=1.0,
        doc="Multiply the chroma (the colourfulness), in CIELAB.",
        example="w_300,saturation_2", about="effect",
    )  # fmt: skip
    hue: float = option(
        "hue", kind=NumberKind(-360, 360), default=0.0,
        doc="Rotate the hue by degrees, in CIELAB.",
        example="w_300,hue_120", about="effect",
    )  # fmt: skip
    lightness: float = option(
        "lightness", kind=NumberKind(-100, 100), default=0.0,
        doc="Add to the lightness, which is 0 to 100, in CIELAB.",
        example="w_300,lightness_25", about="effect",
    )  # fmt: skip
    sharpen: tuple[float, ...] | None = option(
        "sharpen", kind=NumbersKind(((0.01, 10), (0, 10_000), (0, 10_000)), rest=(1.0, 2.0)),
        doc="Sharpen with this sigma in px, then by these amounts in flat and in jagged areas (1 and 2 if "
        "not given); without a number, mildly.",
        example="w_300,sharpen_2", about="effect",
    )  # fmt: skip
    linear: tuple[float, ...] | None = option(
        "linear", kind=NumbersKind(((-100, 100), (-25_500, 25_500)), min_count=1, rest=(0.0,)),
        doc="Multiply each channel (0 to 255) by the first number and add the second.",
        example="w_300,linear_1.4_-30", about="effect",
    )  # fmt: skip
    contrast: float = option(
        "contrast", kind=NumberKind(0, 100), default=1.0,
        doc="Move each channel away from the middle, 127.5, by this factor; below 1, towards it.",
        example="w_300,contrast_1.6", about="effect",
    )  # fmt: skip
    normalize: bool = option(
        "normalize", "normalise", kind=FlagKind(), default=False,
        doc="Stretch the lightness until the darkest 1 % are black and the lightest 1 % are white.",
        example="w_300,normalize", about="effect",
    )  # fmt: skip
    tint: Tint | None = option(
        "tint", kind=TintKind(),
        doc="Recolour the picture in shades of one colour that keep black and white; with a percentage, mix"
        " it with its own colours.",
        example="w_300,tint_ff8800", about="effect",
    )  # fmt: skip
    sepia: float = option(
        "sepia", kind=NumberKind(0, 100, bare=100.0, off=0.0), default=0.0,
        doc="Tone the picture in the browns of an old photograph, by this percentage.",
        example="w_300,sepia", about="effect",
    )  # fmt: skip
    duotone: tuple[Colour, Colour] | None = option(
        "duotone", kind=ColourPairKind(),
        doc="Map the luminance to a scale from the first colour, for black, to the second, for white.",
        example="w_300,duotone_1a2a6c_fdbb2d", about="effect",
    )  # fmt: skip
    negate: bool = option(
        "negate", kind=FlagKind(), default=False,
        doc="Invert each channel; transparency stays as it is.",
        example="w_300,negate", about="effect",
    )  # fmt: skip
    opacity: float = option(
        "opacity", "o", kind=NumberKind(0, 100, off=1.0), default=1.0,
        expand=lambda value: {"opacity": round(value / 100, 4) if value > 1 else value},
        doc="Multiply the alpha channel: up to 1 by a share, as ipx does, above that by a percentage.",
        example="w_300,o_40,f_png", about="effect",
    )  # fmt: skip


def expand_modulate(values: tuple[float, ...]) -> Mapping[str, Any]:
    """Expand the numbers of `modulate` to the fields that they set."""
    return dict(zip(("brightness", "saturation", "hue", "lightness"), values, strict=True))


MODULATE_SHORTHAND = Option(
    name="modulate", names=("modulate",),
    kind=NumbersKind(((0, 100), (0, 100), (-360, 360), (-100, 100)), min_count=1, rest=(1.0, 0.0, 0.0)),
    default=None, expand=expand_modulate,
    doc="Set brightness, saturation, hue and lightness at once, as the options of these names do.",
    example="w_300,modulate_1.1_0.5_90", about="effect",
)  # fmt: skip
