"""How a picture is to be written, as one value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from proxy.model.media import Format
from proxy.options.spec import Keep
from proxy.options.values.kinds import AutoQuality
from proxy.pipeline.encode.quality_curves import (
    SIMILARITY_CURVES,
    SIMILARITY_TARGETS,
    similarity_at,
)

SaverSettings = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """
    How a picture is to be written. `formats`: in the smallest of these. `max_bytes` must not be passed;
    `original_bytes` and `original_quality`, of an original that this is the same picture as, should not;
    `original_data` are the compressed data of that one, where they may be written in place of ours.
    `original_grey` is whether that has greys in place of colours.
    `still` is not so for animations: there is one picture to compare, and they have many. `settings` are what
    the URL says of a format's saver.
    """

    formats: tuple[Format, ...]
    quality: int | AutoQuality | None = None
    keep: Keep = Keep.NONE
    max_bytes: int | None = None
    original_bytes: int | None = None
    original_quality: int | None = None
    original_data: bytes | None = field(default=None, repr=False)
    original_grey: bool = False
    still: bool = True
    settings: Mapping[Format, SaverSettings] = field(default_factory=dict)

    @property
    def target(self) -> float:
        """Similarity. A plain quality among several formats is JPEG's, which people have in mind."""
        if isinstance(self.quality, int):
            return similarity_at(SIMILARITY_CURVES[Format.JPEG], self.quality)
        return SIMILARITY_TARGETS[self.quality or AutoQuality.GOOD]

    @property
    def by_looks(self) -> bool:
        """Whether similarity decides the quality, and not the URL's own number."""
        return isinstance(self.quality, AutoQuality) or len(self.formats) > 1

    @property
    def most_bytes(self) -> int | None:
        return min(
            (limit for limit in (self.max_bytes, self.original_bytes) if limit is not None), default=None
        )
