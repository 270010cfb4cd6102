"""How much of everything one deployment is willing to read, decode and make."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bytes, pixels (over all frames), sides in px, seconds. `formats` are those accepted; `None`: all."""

    max_source_bytes: int = 50_000_000
    max_source_pixels: int = 50_000_000
    max_source_side: int = 30_000
    max_frames: int = 200
    formats: tuple[str, ...] | None = None
    max_result_pixels: int = 50_000_000
    max_result_side: int = 16_384
    render_timeout: float = 10.0
    avif_budget: float = 1.0

    @property
    def max_interlaced_pixels(self) -> int:
        """
        Progressive and interlaced images are held whole while they are decoded (JPEG: coefficients of
        2 bytes each), so they get half of what others get.
        """
        return self.max_source_pixels // 2
