"""How much a deployment reads, decodes and makes."""

from __future__ import annotations

from dataclasses import dataclass

SHAPING_LIMITS = (
    "max_source_pixels", "max_source_side", "max_frames", "max_result_pixels", "max_result_side",
    "avif_budget", "show_damaged",
)  # fmt: skip
"""Limits that say what a rendition looks like: they scale, stop animations, choose formats, show damage."""

REFUSING_LIMITS = ("max_source_bytes", "formats", "render_timeout")
"""Limits that refuse or end a job, and leave the bytes of every rendition that is made as they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """
    Bounds on originals and renditions.

    Bytes are those of an encoded original, pixels are counted over all frames, sides are in px, times in
    seconds. `formats` are those that originals may have, `None` for all. `render_timeout` is for one job of a
    renderer; `avif_budget` is how long an AVIF may take while a client waits.
    `show_damaged` is whether what is left of a truncated original is shown.
    """

    max_source_bytes: int = 50_000_000
    max_source_pixels: int = 50_000_000
    max_source_side: int = 30_000
    max_frames: int = 200
    formats: tuple[str, ...] | None = None
    max_result_pixels: int = 50_000_000
    max_result_side: int = 16_384
    render_timeout: float = 10.0
    avif_budget: float = 1.0
    show_damaged: bool = False

    @property
    def max_interlaced_pixels(self) -> int:
        """
        Pixels of a progressive or interlaced original: half of the others', because it stays in memory as a
        whole while it is decoded (JPEG: coefficients of 2 bytes each).
        """
        return self.max_source_pixels // 2

    @property
    def shaping(self) -> str:
        """The SHAPING_LIMITS as text: equal where the same original and options give the same bytes."""
        return " ".join(f"{name}={getattr(self, name)!r}" for name in SHAPING_LIMITS)
