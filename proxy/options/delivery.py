"""What changes headers and no pixels."""

from __future__ import annotations

from dataclasses import dataclass

from proxy.options.row import option
from proxy.options.values.kinds import Flag, Integer, Names, Text


@dataclass(frozen=True, kw_only=True)
class Delivery:
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
