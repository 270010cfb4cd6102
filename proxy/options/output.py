"""What the file is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from proxy.options.row import Option, option
from proxy.options.values.kinds import AutoQuality, ChoiceKind, FlagKind, IntegerKind, QualityKind


class OutputFormat(StrEnum):
    AUTO = "auto"
    BEST = "best"
    JPEG = "jpeg"
    PNG = "png"
    WEBP = "webp"
    AVIF = "avif"
    GIF = "gif"
    TIFF = "tiff"
    JXL = "jxl"


class Chroma(StrEnum):
    """How many samples of colour there are for those of light: a quarter, or as many."""

    AUTO = "auto"
    QUARTER = "420"
    FULL = "444"


class Keep(StrEnum):
    """Metadata that stays. Whatever tells a place or a serial number leaves only with `all`."""

    NONE = "none"
    COPYRIGHT = "copyright"
    ICC = "icc"
    EXIF = "exif"
    ALL = "all"


class Icc(StrEnum):
    """The colour space of the picture. All but sRGB is embedded as a profile."""

    SRGB = "srgb"
    P3 = "p3"
    KEEP = "keep"


@dataclass(frozen=True, kw_only=True)
class OutputOptions:
    format: OutputFormat | None = option(
        "format", "f",
        kind=ChoiceKind(
            OutputFormat,
            aliases={"jpg": "jpeg", "tif": "tiff"},
            sometimes={"jxl": "where libvips encodes it"},
        ),
        doc="The format; `auto` is the best that the client accepts, `best` the smallest file among them at "
        "equal similarity. Not given: the source's own.",
        example="w_300,f_webp",
        about="output",
    )  # fmt: skip
    quality: int | AutoQuality | None = option(
        "quality", "q",
        kind=QualityKind(),
        doc="The encoder's quality, or `auto`: the smallest file that looks as like the picture as asked.",
        example="w_300,q_40",
        about="output",
    )  # fmt: skip
    max_bytes: int | None = option(
        "max-bytes", "mb", kind=IntegerKind(1, 999_999_999),
        doc="The best quality, up to `quality`, of which the file has at most so many bytes.",
        example="w_300,mb_5000", about="output",
    )  # fmt: skip
    lossless: bool = option(
        "lossless", kind=FlagKind(), default=False,
        doc="Every pixel as it is: webp, avif and jxl, and `f_auto` where it would be jpeg is png.",
        example="w_300,f_webp,lossless", about="output",
    )  # fmt: skip
    progressive: bool = option(
        "progressive", kind=FlagKind(), default=False,
        doc="A coarse picture first, which gets finer while it loads: jpeg, png, gif.",
        example="w_300,f_jpeg,progressive", about="output",
    )  # fmt: skip
    effort: int | None = option(
        "effort", kind=IntegerKind(0, 9),
        doc="How long the encoder looks for a smaller file, 9 is longest: webp, avif, jxl, png, gif.",
        example="w_300,f_webp,effort_9", about="output",
    )  # fmt: skip
    chroma: Chroma = option(
        "chroma", kind=ChoiceKind(Chroma), default=Chroma.AUTO,
        doc="Samples of colour: a quarter (`420`), all (`444`), or all from quality 90 on: jpeg, avif.",
        example="w_300,f_jpeg,chroma_444", about="output",
    )  # fmt: skip
    animated: bool = option(
        "animated", kind=FlagKind(), default=True,
        doc="Animations move, in formats that can; off, they are their first frame.",
        example="w_200,animated_false", about="output",
    )  # fmt: skip
    page: int | None = option(
        "page", kind=IntegerKind(0, 99_999),
        doc="The page of a TIFF, or the frame of an animation, to show; the first one is 0. With `frames`, "
        "the frame to start from.",
        example="w_200,page_1", about="output",
    )  # fmt: skip
    frames: int | None = option(
        "frames", kind=IntegerKind(1, 99_999), doc="At most so many frames of an animation.",
        example="w_200,frames_2", about="output",
    )  # fmt: skip
    keep: Keep = option(
        "keep", kind=ChoiceKind(Keep), default=Keep.NONE, doc="Metadata that stays in the picture.",
        example="w_300,keep_exif", about="output",
    )  # fmt: skip
    icc: Icc = option(
        "icc", kind=ChoiceKind(Icc), default=Icc.SRGB,
        doc="The colour space: sRGB, Display P3, or the source's own where that is RGB.",
        example="w_300,icc_p3", about="output",
    )  # fmt: skip
    linear_light: bool = option(
        "linear-light", kind=FlagKind(), default=False,
        doc="Scale in linear light: slower, and fine bright details keep their brightness.",
        example="w_300,linear-light", about="output",
    )  # fmt: skip


PAGE_SHORTHAND = Option(
    name="page_from_1",
    names=("pg",),
    kind=IntegerKind(1, 100_000),
    default=None,
    doc="`page`, counted from 1 as Cloudinary does.",
    example="w_200,pg_2",
    about="output",
    expand=lambda page: {"page": page - 1},
)
