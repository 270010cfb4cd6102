"""What changes pixels and moves none."""

from __future__ import annotations

from dataclasses import dataclass

from proxy.kinds import Flag, Numbers
from proxy.options.row import option


@dataclass(frozen=True, kw_only=True)
class Effects:
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
