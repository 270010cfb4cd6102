"""
The options a URL may carry. One field of `Spec` is one option, and the fields are the table: parser,
canonical form, presets, documentation, options.json and the tests' strategies are all derived from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from fractions import Fraction
from types import MappingProxyType
from typing import Any

from proxy.colours import Colour, ColourKind, Painted
from proxy.kinds import (
    AutoQuality,
    Choice,
    Flag,
    Integer,
    Kind,
    Names,
    Number,
    Numbers,
    Quality,
    Text,
)
from proxy.places import (
    Anchor,
    AnchorKind,
    Angle,
    Border,
    BorderKind,
    Box,
    Length,
    Ratio,
    Region,
    RegionKind,
    Side,
    Turn,
)


class Fit(StrEnum):
    """How a picture meets its box; the meanings are ipx's (and CSS's object-fit)."""

    COVER = "cover"
    CONTAIN = "contain"
    FILL = "fill"
    INSIDE = "inside"
    OUTSIDE = "outside"


class Mode(StrEnum):
    """The same in Cloudinary's words. https://cloudinary.com/documentation/transformation_reference#c_crop_resize"""

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


class Output(StrEnum):
    AUTO = "auto"
    JPEG = "jpeg"
    PNG = "png"
    WEBP = "webp"
    AVIF = "avif"
    GIF = "gif"
    TIFF = "tiff"


class Keep(StrEnum):
    """Metadata that stays. Whatever tells a place or a serial number leaves only with `all`."""

    NONE = "none"
    COPYRIGHT = "copyright"
    ICC = "icc"
    EXIF = "exif"
    ALL = "all"


@dataclass(frozen=True, kw_only=True)
class Option:
    """
    `names` are what URLs may say, the canonical one first. `expand` rewrites a value to the fields that it
    stands for. `about` tells what the option is about: a `delivery` option changes headers and not pixels,
    and is no part of the canonical form.
    """

    name: str
    names: tuple[str, ...]
    kind: Kind[Any]
    default: Any
    doc: str
    example: str
    about: str = "size"
    expand: Callable[[Any], Mapping[str, Any]] | None = None


def option(*names: str, kind: Kind[Any], default: Any = None, **more: Any) -> Any:
    return field(default=default, metadata={"names": names, "kind": kind, **more})


def turned(value: tuple[float | Turn, ...]) -> dict[str, Any]:
    meanings: Mapping[Turn, tuple[str, bool]] = {
        Turn.EXIF: ("autoorient", True),
        Turn.IGNORE: ("autoorient", False),
        Turn.HFLIP: ("flop", True),
        Turn.VFLIP: ("flip", True),
    }
    found: dict[str, Any] = dict(meanings[part] for part in value if isinstance(part, Turn))
    angles = [part for part in value if not isinstance(part, Turn)]
    return found | ({"rotate": sum(angles) % 360} if angles else {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """What a URL asks for, with nothing left to interpret."""

    width: Length | None = option(
        "width", "w", kind=Side(), doc="Width of the box in px, or as a share of the source.", example="w_300"
    )
    height: Length | None = option(
        "height",
        "h",
        kind=Side(),
        doc="Height of the box in px, or as a share of the source.",
        example="h_200",
    )
    aspect: Fraction | None = option(
        "ar", kind=Ratio(), doc="Width over height: gives the side that is missing.", example="w_300,ar_16:9"
    )
    dpr: float = option(
        "dpr",
        kind=Number(0.1, 4, words={"auto": 1.0}),
        default=1.0,
        doc="Device pixels per CSS pixel: multiplies sizes, offsets and paddings.",
        example="w_100,dpr_2",
    )
    fit: Fit = option(
        "fit",
        kind=Choice(Fit),
        default=Fit.COVER,
        doc="How the picture meets its box, in ipx's words; never enlarged unless `enlarge`.",
        example="w_300,h_200,fit_contain",
    )
    mode: Mode | None = option(
        "c", kind=Choice(Mode), doc="The same in Cloudinary's words.", example="w_300,h_300,c_pad"
    )
    enlarge: bool = option(
        "enlarge", kind=Flag(), default=False, doc="May make the picture larger than it is.",
        example="w_2000,enlarge",
    )  # fmt: skip
    position: Anchor | None = option(
        "position", "pos", "g",
        kind=AnchorKind(),
        doc="What stays in sight when the picture is cut, or where it lies when there are bars.",
        example="w_200,h_200,g_west",
    )  # fmt: skip
    x: float | None = option(
        "x", kind=Number(-8192, 8192), doc="Offset from the anchor; below 1 a share of the picture.",
        example="w_100,h_100,c_crop,x_40",
    )  # fmt: skip
    y: float | None = option(
        "y", kind=Number(-8192, 8192), doc="Offset from the anchor; below 1 a share of the picture.",
        example="w_100,h_100,c_crop,y_40",
    )  # fmt: skip
    crop: Region | None = option(
        "crop", "extract",
        kind=RegionKind(),
        doc="A region of the upright source, cut out before anything is scaled.",
        example="crop_0.25_0.25_0.5_0.5",
    )  # fmt: skip
    rotate: float | None = option(
        "rotate", "a",
        kind=Angle(),
        expand=turned,
        doc="Degrees clockwise. Quarter turns swap the sides before the box is met, others grow the canvas.",
        example="w_200,rotate_90",
        about="turn",
    )  # fmt: skip
    flip: bool = option(
        "flip", kind=Flag(), default=False, doc="Top becomes bottom.", example="w_200,flip", about="turn"
    )
    flop: bool = option(
        "flop", kind=Flag(), default=False, doc="Left becomes right.", example="w_200,flop", about="turn"
    )
    autoorient: bool = option(
        "autoorient", kind=Flag(), default=True, doc="Turn the picture upright as its EXIF says.",
        example="w_200,autoorient_false", about="turn",
    )  # fmt: skip
    extend: Border | None = option(
        "extend", "pad",
        kind=BorderKind(),
        doc="Adds px on each side: with the background, or with a copy, a repeat or a mirror of the picture.",
        example="w_200,extend_20_40_20_40",
        about="canvas",
    )  # fmt: skip
    background: Colour | Painted | None = option(
        "background", "b",
        kind=ColourKind(painted=True),
        doc="What lies behind the picture: in bars, in corners, under transparency. White when not given.",
        example="w_300,h_300,fit_contain,b_336699",
        about="canvas",
    )  # fmt: skip
    blur: tuple[float, ...] | None = option(
        "blur", kind=Numbers(((0.3, 250),)), doc="Gaussian blur, its sigma in px.", example="w_300,blur_5",
        about="effect",
    )  # fmt: skip
    sharpen: tuple[float, ...] | None = option(
        "sharpen",
        kind=Numbers(((0.01, 10), (0, 100), (0, 100))),
        doc="Sharpen: sigma in px, then how much in flat and in jagged areas.",
        example="w_300,sharpen_2",
        about="effect",
    )
    grayscale: bool = option(
        "grayscale", kind=Flag(), default=False, doc="No colour.", example="w_300,grayscale", about="effect"
    )
    format: Output | None = option(
        "format", "f",
        kind=Choice(Output, aliases={"jpg": "jpeg", "tif": "tiff"}),
        doc="The format; `auto` is the best that the client accepts. Not given: the source's own.",
        example="w_300,f_webp",
        about="output",
    )  # fmt: skip
    quality: int | AutoQuality | None = option(
        "quality", "q", kind=Quality(), doc="The encoder's quality, or `auto`.", example="w_300,q_40",
        about="output",
    )  # fmt: skip
    keep: Keep = option(
        "keep", kind=Choice(Keep), default=Keep.NONE, doc="Metadata that stays in the picture.",
        example="w_300,keep_exif", about="output",
    )  # fmt: skip
    version: str | None = option(
        "v", kind=Text(128), doc="Any text: a new one is a new URL, and its answer never changes.",
        example="w_300,v_2", about="delivery",
    )  # fmt: skip
    presets: tuple[str, ...] = option(
        "preset", "p", "t", kind=Names(), default=(), doc="Presets of presets.yaml; what the URL says wins.",
        example="p_thumb", about="delivery",
    )  # fmt: skip
    expires: int | None = option(
        "exp", kind=Integer(0, 99_999_999_999), doc="Unix seconds at which a signed URL ends.",
        example="w_300,exp_4102444800", about="delivery",
    )  # fmt: skip
    filename: str | None = option(
        "fn", kind=Text(255, without="/\\"), doc="The name under which browsers save the picture.",
        example="w_300,fn_cat.jpg", about="delivery",
    )  # fmt: skip
    download: bool = option(
        "dl", kind=Flag(), default=False, doc="Browsers save the picture instead of showing it.",
        example="w_300,dl", about="delivery",
    )  # fmt: skip


OPTIONS: Mapping[str, Option] = MappingProxyType(
    {f.name: Option(name=f.name, default=f.default, **f.metadata) for f in fields(Spec)}
)

SPELLINGS: tuple[Option, ...] = (
    Option(
        name="resize",
        names=("resize", "s"),
        kind=Box(),
        default=None,
        doc="The box in one word: both sides.",
        example="s_300x200",
        expand=lambda box: {"width": box[0], "height": box[1]},
    ),
)
"""Options that are only another way to write others, and so no fields."""

BY_NAME: Mapping[str, Option] = MappingProxyType(
    {name: option for option in (*OPTIONS.values(), *SPELLINGS) for name in option.names}
)
