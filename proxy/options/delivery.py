"""Options that change headers and no pixels."""

from __future__ import annotations

from dataclasses import dataclass

from proxy.options.row import option
from proxy.options.values.kinds import FlagKind, IntegerKind, PresetNamesKind, TextKind


@dataclass(frozen=True, kw_only=True)
class DeliveryOptions:
    """Options that change headers and no pixels."""

    version: str | None = option(
        "v", kind=TextKind(128),
        doc="Name a version by any text: a new one is a new URL, and its answer never changes.",
        example="w_300,v_2", about="delivery",
    )  # fmt: skip
    presets: tuple[str, ...] = option(
        "preset", "p", "t", kind=PresetNamesKind(), default=(),
        doc="Apply presets of presets.yaml; options of the URL override theirs.",
        example="p_thumb", about="delivery",
    )  # fmt: skip
    expires: int | None = option(
        "exp", kind=IntegerKind(0, 99_999_999_999),
        doc="Set when a signed URL expires, in Unix seconds.",
        example="w_300,exp_4102444800", about="delivery",
    )  # fmt: skip
    filename: str | None = option(
        "fn", kind=TextKind(255, without="/\\"),
        doc="Set the name under which browsers save the picture.",
        example="w_300,fn_cat.jpg", about="delivery",
    )  # fmt: skip
    download: bool = option(
        "dl", kind=FlagKind(), default=False,
        doc="Make browsers save the picture instead of showing it.",
        example="w_300,dl", about="delivery",
    )  # fmt: skip
