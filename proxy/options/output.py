"""Options of the file: format, encoder, frames, metadata."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from proxy.options.row import Option, option
from proxy.options.values.kinds import AutoQuality, ChoiceKind, FlagKind, IntegerKind, QualityKind


class OutputFormat(StrEnum):
    """What the option `format` takes: a format, or how to choose one."""

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
    """Chroma subsampling: a quarter as many samples of colour as of luminance, or as many."""

    AUTO = "auto"
    QUARTER = "420"
    FULL = "444"


class Keep(StrEnum):
    """Metadata that stays in the file. Places and serial numbers stay only with `all`."""

    NONE = "none"
    COPYRIGHT = "copyright"
    ICC = "icc"
    EXIF = "exif"
    ALL = "all"


class Icc(StrEnum):
    """The colour space of the picture; any but sRGB is embedded as a profile."""

    SRGB = "srgb"
    P3 = "p3"
    KEEP = "keep"


@dataclass(frozen=True, kw_only=True)
class OutputOptions:
    """Options of the file: format, encoder, frames, metadata."""

    format: OutputFormat | None = option(
        "format", "f",
        kind=ChoiceKind(
            OutputFormat,
            aliases={"jpg": "jpeg", "tif": "tiff"},
            conditional={"jxl": "where libvips encodes it"},
        ),
        doc="Choose the format: `auto` is the best that the client accepts, `best` the smallest file among "
        "those at equal similarity; the source's own if not given.",
        example="w_300,f_webp", about="output",
    )  # fmt: skip
    quality: int | AutoQuality | None = option(
        "quality", "q", kind=QualityKind(),
        doc="Set the encoder's quality; with `auto`, choose the smallest file that looks as similar to the "
        "picture as asked.",
        example="w_300,q_40", about="output",
    )  # fmt: skip
    max_bytes: int | None = option(
        "max-bytes", "mb", kind=IntegerKind(1, 999_999_999),
        doc="Choose the best quality, up to `quality`, at which the file has at most this many bytes.",
        example="w_300,mb_5000", about="output",
    )  # fmt: skip
    lossless: bool = option(
        "lossless", kind=FlagKind(), default=False,
        doc="Keep every pixel as it is: webp, avif and jxl; `f_auto` chooses png where it would choose jpeg.",
        example="w_300,f_webp,lossless", about="output",
    )  # fmt: skip
    progressive: bool = option(
        "progressive", kind=FlagKind(), default=False,
        doc="Encode a coarse picture first, which is refined while it loads: jpeg, png, gif.",
        example="w_300,f_jpeg,progressive", about="output",
    )  # fmt: skip
    effort: int | None = option(
        "effort", kind=IntegerKind(0, 9),
        doc="Set how long the encoder looks for a smaller file, up to 9, the longest: webp, avif, jxl, png,"
        " gif.",
        example="w_300,f_webp,effort_9", about="output",
    )  # fmt: skip
    chroma: Chroma = option(
        "chroma", kind=ChoiceKind(Chroma), default=Chroma.AUTO,
        doc="Choose how many samples of colour to keep: a quarter (`420`), all (`444`), or, with `auto`, "
        "all from quality 90 on: jpeg, avif.",
        example="w_300,f_jpeg,chroma_444", about="output",
    )  # fmt: skip
    animated: bool = option(
        "animated", kind=FlagKind(), default=True,
        doc="Keep animations moving, in formats that can; `false` keeps only their first frame.",
        example="w_200,animated_false", about="output",
    )  # fmt: skip
    page: int | None = option(
        "page", kind=IntegerKind(0, 99_999),
        doc="Choose the page of a TIFF or the frame of an animation, counted from 0; with `frames`, the "
        "frame to start from.",
        example="w_200,page_1", about="output",
    )  # fmt: skip
    frames: int | None = option(
        "frames", kind=IntegerKind(1, 99_999),
        doc="Keep at most this many frames of an animation.",
        example="w_200,frames_2", about="output",
    )  # fmt: skip
    keep: Keep = option(
        "keep", kind=ChoiceKind(Keep), default=Keep.NONE,
        doc="Choose the metadata that stays in the picture.",
        example="w_300,keep_exif", about="output",
    )  # fmt: skip
    icc: Icc = option(
        "icc", kind=ChoiceKind(Icc), default=Icc.SRGB,
        doc="Choose the colour space: sRGB, Display P3, or the source's own if that is RGB.",
        example="w_300,icc_p3", about="output",
    )  # fmt: skip
    linear_light: bool = option(
        "linear-light", kind=FlagKind(), default=False,
        doc="Scale in linear light, which is slower and preserves the brightness of fine bright details.",
        example="w_300,linear-light", about="output",
    )  # fmt: skip


PAGE_SHORTHAND = Option(
    name="page_from_1", names=("pg",), kind=IntegerKind(1, 100_000), default=None,
    expand=lambda page: {"page": page - 1},
    doc="Choose the `page`, counted from 1 as Cloudinary does.",
    example="w_200,pg_2", about="output",
)  # fmt: skip
