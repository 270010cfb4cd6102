"""Images as values: what came in, what goes out, and the formats that they come in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Self

RECIPE = "1"
"""Part of every rendition's identity: a new one whenever the same spec would give other bytes."""


class Format(StrEnum):
    JPEG = "jpeg"
    PNG = "png"
    WEBP = "webp"
    AVIF = "avif"
    GIF = "gif"
    TIFF = "tiff"
    JXL = "jxl"
    """Where the linked libvips has it."""


class InputOnly(StrEnum):
    """Formats that originals may have and renditions never do."""

    SVG = "svg"
    HEIC = "heic"
    BMP = "bmp"
    ICO = "ico"


Incoming = Format | InputOnly


class Note(StrEnum):
    """What is not as one would expect of a picture: told in a header, since the picture cannot say it."""

    FIRST_FRAME = "first-frame"
    """A still, where the animation has more frames or pixels than this deployment makes."""
    AVIF_FOLLOWS = "avif-follows"
    """Another format, since the AVIF takes longer than a reader should wait: it is made meanwhile."""

    NO_FACE = "no-face"
    """No face was seen, and `attention` chose in place of `face`."""

    NO_FACE_DETECTOR = "no-face-detector"
    """The same, because the extra `faces` is not installed."""


class Document(StrEnum):
    """What is said about a picture, in place of the picture."""

    JSON = "json"


@dataclass(frozen=True, slots=True, kw_only=True)
class FormatRow:
    """
    What a format can do. `max_side` is in px and the format's own, not a setting. `encoder` are the options
    about its encoder that mean something for it.
    """

    media_type: str
    suffix: str
    max_side: int
    alpha: bool = True
    frames: bool = False
    web: bool = True
    quality: bool = True
    encoder: frozenset[str] = frozenset()


FORMATS: Mapping[Format, FormatRow] = {
    Format.JPEG: FormatRow(
        media_type="image/jpeg", suffix="jpg", max_side=65_500, alpha=False,
        encoder=frozenset({"progressive", "chroma"}),
    ),
    Format.PNG: FormatRow(
        media_type="image/png", suffix="png", max_side=100_000, quality=False,
        encoder=frozenset({"lossless", "progressive", "effort"}),
    ),
    Format.WEBP: FormatRow(
        media_type="image/webp", suffix="webp", max_side=16_383, frames=True,
        encoder=frozenset({"lossless", "effort"}),
    ),
    Format.AVIF: FormatRow(
        media_type="image/avif", suffix="avif", max_side=16_384,
        encoder=frozenset({"lossless", "effort", "chroma"}),
    ),
    Format.GIF: FormatRow(
        media_type="image/gif", suffix="gif", max_side=65_500, frames=True, quality=False,
        encoder=frozenset({"progressive", "effort"}),
    ),
    Format.TIFF: FormatRow(
        media_type="image/tiff", suffix="tiff", max_side=100_000, web=False, quality=False,
        encoder=frozenset({"lossless"}),
    ),
    Format.JXL: FormatRow(
        media_type="image/jxl", suffix="jxl", max_side=65_500, web=False,
        encoder=frozenset({"lossless", "effort"}),
    ),
}  # fmt: skip

ENCODER = frozenset().union(*(row.encoder for row in FORMATS.values()))
"""The fields of a spec that only some formats have."""

BY_MEDIA_TYPE: Mapping[str, Format] = {row.media_type: format for format, row in FORMATS.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """
    What an origin says about keeping an original, in seconds from `since` (unix seconds). `fresh_for` and
    `stale_if_error` are `None` where it leaves them to us.
    """

    since: float = 0.0
    allowed: bool = True
    fresh_for: float | None = None
    stale_while_revalidate: float = 0.0
    stale_if_error: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Original:
    """
    The bytes that came in, from an origin.

    `etag` is the origin's own validator as it sent it (quotes included), `last_modified` is unix seconds.
    `version` names these very bytes as well as the origin can: it goes into the rendition's identity.
    `bridged` is one that may be out of date, because its origin could not be asked. `after_purge` is the
    number of the last purge that was known when it was asked for.
    """

    body: bytes
    version: str
    etag: str | None = None
    last_modified: float | None = None
    keeping: Keeping = Keeping()
    bridged: bool = False
    after_purge: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendition:
    """
    The bytes that go out: one original under one spec in one format.

    `etag` is strong and without quotes; `width` and `height` are px of one frame; `last_modified` (of the
    original) and `made_at` are unix seconds; `after_purge` is the number of the last purge that was known
    when its making began.
    """

    body: bytes
    format: Format | Document
    width: int
    height: int
    etag: str
    last_modified: float | None = None
    made_at: float = 0.0
    after_purge: int = 0
    notes: tuple[Note, ...] = ()

    @property
    def is_passing(self) -> bool:
        """Whether a better one is being made."""
        return Note.AVIF_FOLLOWS in self.notes

    def is_still(self, etag: str) -> bool:
        """Whether it is what would be made now, and not only what would be shown meanwhile."""
        return not self.is_passing and self.etag == etag

    def for_good(self) -> Self:
        """The same, when no better one will be."""
        return replace(self, notes=tuple(note for note in self.notes if note is not Note.AVIF_FOLLOWS))

    @property
    def media_type(self) -> str:
        return FORMATS[self.format].media_type if isinstance(self.format, Format) else "application/json"

    @property
    def suffix(self) -> str:
        return FORMATS[self.format].suffix if isinstance(self.format, Format) else self.format.value


def written_as(name: str) -> Format | Document:
    """Raises ValueError."""
    return Document(name) if name == Document.JSON else Format(name)


SUFFIXES = frozenset(
    {"jpg", "jpeg", "png", "webp", "avif", "gif", "tif", "tiff", "svg", "heic", "heif", "jxl", "bmp", "ico"}
)
