"""Images as values: what came in, what goes out, and the formats that they come in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Self

from proxy.model.freshness import FLAWED_MAX_AGE

RECIPE = "3"
"""
Version of our part of the rendering, in every name and ETag: changes whenever the same spec would give other
bytes with the same libvips.
"""


class Format(StrEnum):
    """Formats that renditions may have; originals may have them as well."""

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
"""All formats that originals may have."""

Body = bytes | memoryview
"""The bytes of a file, or of a part of it."""


class Note(StrEnum):
    """What a client would not expect of a rendition: told in a header, since the picture cannot say it."""

    FIRST_FRAME = "first-frame"
    """A still, where the animation has more frames or pixels than this deployment makes."""
    AVIF_FOLLOWS = "avif-follows"
    """Another format, since the AVIF takes longer than a client should wait: it is made in the background."""

    NO_FACE = "no-face"
    """No face was seen, and `attention` chose in place of `face`."""

    NO_FACE_DETECTOR = "no-face-detector"
    """The same, because the extra `faces` is not installed."""

    DAMAGED = "damaged"
    """The original is damaged, and its picture is shown as far as it goes."""

    MISSING_LETTERS = "missing-letters"
    """No font has some letters of the text, which are left out."""

    GAIN_MAP_DROPPED = "gain-map-dropped"
    """Metadata was to stay, and the original's gain map, which makes it HDR, did not."""

    CREDENTIALS_DROPPED = "c2pa-dropped"
    """The same of its Content Credentials (C2PA), which are about the original's bytes."""

    PICTURES_DROPPED = "mpf-dropped"
    """The same of further pictures in its file (Multi-Picture Format)."""

    METADATA_DROPPED = "metadata-dropped"
    """The same of EXIF or XMP, which could not be read, or not be made to fit."""


FLAWS = frozenset({Note.DAMAGED, Note.MISSING_LETTERS})
"""Notes of what may be mended soon, by another original or by fonts."""


class Document(StrEnum):
    """Formats of answers that describe a picture in place of showing it."""

    JSON = "json"


@dataclass(frozen=True, slots=True, kw_only=True)
class FormatRow:
    """
    What a format can do.

    `max_side` is the format's own limit in px, not a setting. `frames`: it can be animated; `web`: browsers
    show it; `quality`: the option `quality` applies. `encoder` are the other encoder options that apply.
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
"""All options of `Spec` that only some formats have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CachePolicy:
    """
    What an origin allows caches to do with an original (RFC 9111 section 5.2.2, RFC 5861).

    `received_at` is in unix seconds, the others are seconds from then on. `fresh_for` and `stale_if_error`
    are `None` where the origin leaves them to the cache.
    """

    received_at: float = 0.0
    storable: bool = True
    fresh_for: float | None = None
    stale_while_revalidate: float = 0.0
    stale_if_error: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Original:
    """
    The bytes that came in, from an origin.

    `etag` is the origin's own validator as it sent it (quotes included), `last_modified` is unix seconds.
    `version` names these very bytes as well as the origin can: it goes into the rendition's identity.
    `is_stale`: it may be out of date, because its origin could not be asked. `after_purge` is the number of
    the last purge that was known when it was asked for.
    """

    body: bytes
    version: str
    etag: str | None = None
    last_modified: float | None = None
    cache_policy: CachePolicy = CachePolicy()
    is_stale: bool = False
    after_purge: int = 0


SHARED_ROAD = "-s"
"""
How the ETag of a rendition ends that was made from pixels which were decoded for others as well: it has other
bytes than one that was decoded for itself, and looks the same.
"""


def with_road(etag: str, *, shared: bool) -> str:
    """Return the ETag of the rendition with the identity `etag`, for the way in which it was decoded."""
    return etag + SHARED_ROAD if shared else etag


def without_road(etag: str) -> str:
    """Return what the ETags of a rendition have in common, however it was decoded."""
    return etag.removesuffix(SHARED_ROAD)


@dataclass(frozen=True, slots=True, weakref_slot=True, kw_only=True)
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
    def is_provisional(self) -> bool:
        """Whether a better one is being made, which will replace it."""
        return Note.AVIF_FOLLOWS in self.notes

    @property
    def is_flawed(self) -> bool:
        """Whether it lacks something that may be there soon: the rest of its original, or fonts."""
        return not FLAWS.isdisjoint(self.notes)

    def cache_lifetime(self, lifetime: float) -> float:
        """For how many of `lifetime` seconds a cache may have it."""
        return min(lifetime, FLAWED_MAX_AGE) if self.is_flawed else lifetime

    def matches(self, etag: str) -> bool:
        """Whether it is the rendition of that identity, however decoded, and not what stands in for it."""
        return not self.is_provisional and without_road(self.etag) == without_road(etag)

    def as_final(self) -> Self:
        """Return the same rendition as one that no better one will replace."""
        return replace(self, notes=tuple(note for note in self.notes if note is not Note.AVIF_FOLLOWS))

    @property
    def media_type(self) -> str:
        """Its media type, as in Content-Type."""
        return FORMATS[self.format].media_type if isinstance(self.format, Format) else "application/json"

    @property
    def suffix(self) -> str:
        """The usual file name extension, without a dot."""
        return FORMATS[self.format].suffix if isinstance(self.format, Format) else self.format.value


def parse_format(name: str) -> Format | Document:
    """Return the format that a renderer or an envelope calls `name`. Raises ValueError."""
    return Document(name) if name == Document.JSON else Format(name)


SUFFIXES = frozenset(
    {"jpg", "jpeg", "png", "webp", "avif", "gif", "tif", "tiff", "svg", "heic", "heif", "jxl", "bmp", "ico"}
)
"""File name extensions of the pictures that originals may be, lower-case, without a dot."""
