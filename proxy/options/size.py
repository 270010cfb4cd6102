"""Options of the size, and of what stays visible."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

from proxy.options.row import option
from proxy.options.values.edges import Trim, TrimKind
from proxy.options.values.kinds import ChoiceKind, FlagKind, IntegerKind, NumberKind, NumbersKind
from proxy.options.values.positions import (
    MAX_SIDE,
    Anchor,
    AnchorKind,
    Length,
    LengthKind,
    RatioKind,
    Region,
    RegionKind,
)


class Fit(StrEnum):
    """How a picture fits its box, with the meanings of ipx and CSS object-fit."""

    COVER = "cover"
    CONTAIN = "contain"
    FILL = "fill"
    INSIDE = "inside"
    OUTSIDE = "outside"


class Mode(StrEnum):
    """How a picture fits its box, in Cloudinary's words. https://cloudinary.com/documentation/transformation_reference#c_crop_resize"""

    SCALE = "scale"
    FIT = "fit"
    LIMIT = "limit"
    MFIT = "mfit"
    FILL = "fill"
    LFILL = "lfill"
    PAD = "pad"
    LPAD = "lpad"
    MPAD = "mpad"
    CROP = "crop"
    THUMB = "thumb"
    AUTO = "auto"


class Kernel(StrEnum):
    """Scaling kernels of libvips and sharp. https://www.libvips.org/API/current/enum.Kernel.html"""

    NEAREST = "nearest"
    LINEAR = "linear"
    CUBIC = "cubic"
    MITCHELL = "mitchell"
    LANCZOS2 = "lanczos2"
    LANCZOS3 = "lanczos3"
    MKS2013 = "mks2013"
    MKS2021 = "mks2021"


@dataclass(frozen=True, kw_only=True)
class SizeOptions:
    """Options of the size, and of what stays visible."""

    width: Length | None = option(
        "width", "w", kind=LengthKind(),
        doc="Set the width of the box, in px or as a share of the source.",
        example="w_300",
    )  # fmt: skip
    height: Length | None = option(
        "height", "h", kind=LengthKind(),
        doc="Set the height of the box, in px or as a share of the source.",
        example="h_200",
    )  # fmt: skip
    aspect: Fraction | None = option(
        "ar", kind=RatioKind(),
        doc="Derive the missing side of the box from this ratio of width to height.",
        example="w_300,ar_16:9",
    )  # fmt: skip
    dpr: float = option(
        "dpr", kind=NumberKind(0.1, 4, words={"auto": 1.0}), default=1.0,
        doc="Multiply sizes, offsets and paddings by the device pixels per CSS pixel.",
        example="w_100,dpr_2",
    )  # fmt: skip
    zoom: float = option(
        "zoom", kind=NumberKind(0.1, 10), default=1.0,
        doc="Multiply the box, or the source if there is no box; offsets and paddings stay as they are.",
        example="w_100,h_100,zoom_2",
    )  # fmt: skip
    min_width: int | None = option(
        "min-w", "mw", kind=IntegerKind(1, MAX_SIDE),
        doc="Scale to at least this width in px, even if that enlarges the picture; what exceeds the box is "
        "cut off.",
        example="w_300,h_200,fit_inside,mw_290",
    )  # fmt: skip
    min_height: int | None = option(
        "min-h", "mh", kind=IntegerKind(1, MAX_SIDE),
        doc="Scale to at least this height in px, even if that enlarges the picture; what exceeds the box "
        "is cut off.",
        example="w_300,mh_290",
    )  # fmt: skip
    fit: Fit = option(
        "fit", kind=ChoiceKind(Fit), default=Fit.COVER,
        doc="Choose how the picture fits its box, in ipx's words; it is enlarged only with `enlarge`.",
        example="w_300,h_200,fit_contain,b_gold",
    )  # fmt: skip
    mode: Mode | None = option(
        "c", kind=ChoiceKind(Mode),
        doc="Choose how the picture fits its box, in Cloudinary's words.",
        example="w_300,h_300,c_pad,b_gold",
    )  # fmt: skip
    enlarge: bool = option(
        "enlarge", kind=FlagKind(), default=False,
        doc="Allow the picture to become larger than its source.",
        example="w_2000,enlarge",
    )  # fmt: skip
    position: Anchor | None = option(
        "position", "pos", "g", kind=AnchorKind(),
        doc="Choose which part stays visible when the picture is cut, or where it lies between bars.",
        example="w_200,h_200,g_west",
    )  # fmt: skip
    x: float | None = option(
        "x", kind=NumberKind(-8192, 8192),
        doc="Set the horizontal offset from the anchor, in px, or below 1 as a share of the picture.",
        example="w_100,h_200,g_west,x_50",
    )  # fmt: skip
    y: float | None = option(
        "y", kind=NumberKind(-8192, 8192),
        doc="Set the vertical offset from the anchor, in px, or below 1 as a share of the picture.",
        example="w_300,h_100,g_north,y_50",
    )  # fmt: skip
    trim: Trim | None = option(
        "trim", kind=TrimKind(),
        doc="Cut off a plain border before anything else: all that is within the threshold (10 if not "
        "given) of the top left pixel, or of a colour.",
        example="trim_10,w_200",
    )  # fmt: skip
    crop: Region | None = option(
        "crop", "extract", kind=RegionKind(),
        doc="Cut a region out of the upright source, before anything is scaled.",
        example="crop_0.25_0.25_0.5_0.5",
    )  # fmt: skip
    kernel: Kernel = option(
        "kernel", kind=ChoiceKind(Kernel), default=Kernel.LANCZOS3,
        doc="Choose the scaling kernel: `nearest` copies pixels, for pixel art; `lanczos3` is the sharpest.",
        example="crop_0.6_0.35_0.01_0.01,w_300,enlarge,kernel_nearest",
    )  # fmt: skip
    gamma: tuple[float, ...] | None = option(
        "gamma", kind=NumbersKind(((1, 3), (1, 3)), bare=(2.2,)),
        doc="Darken by the first number before scaling, and brighten by the second, or by the first again, "
        "afterwards, as sharp does.",
        example="w_300,gamma_1_2.2",
    )  # fmt: skip
