"""
Cloudinary's effects, `e_<name>[:level]`, with the options that they stand for and the conversion of units.

Names, ranges and defaults are those of https://cloudinary.com/documentation/transformation_reference#e_effect;
effects without a counterpart among the options are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from proxy.options.row import Option
from proxy.options.values.colours import PercentTintKind
from proxy.options.values.edges import Trim, TrimKind
from proxy.options.values.kinds import FlagKind, IntegerKind, Kind

EFFECT_PREFIX = "e"


def effect(
    name: str, kind: Kind[Any], expand: Callable[[Any], Mapping[str, Any]], meaning: str, example: str
) -> Option:
    """Make the row of an effect; `meaning` completes "Apply ..."."""
    name = f"{EFFECT_PREFIX}_{name}"
    return Option(
        name=name, names=(name,), kind=kind, default=None, doc=f"Apply {meaning} (Cloudinary's effect).",
        example=f"w_300,{EFFECT_PREFIX}_{example}", about="effect", expand=expand,
    )  # fmt: skip


def factor(level: int) -> float:
    """Convert a level to a factor: -100 to 0, 0 to 1, 100 to 2."""
    return (100 + level) / 100


def expand_sharpen(level: int) -> Mapping[str, Any]:
    """Convert a level to a sharpening of 1 px."""
    return {"sharpen": (1.0, level / 100, level / 50)}


def expand_gamma(level: int) -> Mapping[str, Any]:
    """Convert a level to a gamma: from 0 on it brightens, below it darkens by the inverse power."""
    power = factor(level)
    return {"gamma": (1.0, power) if level >= 0 else (round(1 / power, 6), 1.0)}


def expand_trim(value: Trim) -> Mapping[str, Any]:
    """Convert a threshold from percent to levels of 0 to 255."""
    return {"trim": replace(value, threshold=round(value.threshold * 2.55, 6))}


CLOUDINARY_EFFECTS: tuple[Option, ...] = (
    effect(
        "blur", IntegerKind(1, 2000, bare=100), lambda level: {"blur": (max(0.3, level / 50),)},
        "`blur` with a sigma of a fiftieth of the level, in px", "blur:300",
    ),
    effect("sharpen", IntegerKind(1, 2000, bare=100), expand_sharpen,
        "`sharpen` with a sigma of 1 px, by a hundredth of the level", "sharpen:400"),
    effect("unsharp_mask", IntegerKind(1, 2000, bare=100), expand_sharpen,
        "`sharpen` with a sigma of 1 px, by a hundredth of the level", "unsharp_mask:400"),
    effect("grayscale", FlagKind(), lambda on: {"grayscale": on}, "`grayscale`", "grayscale"),
    effect(
        "blackwhite", IntegerKind(0, 100, bare=50),
        lambda level: {"threshold": max(1, round(level * 255 / 100))},
        "`threshold`, with the level in percent", "blackwhite:45",
    ),
    effect("sepia", IntegerKind(1, 100, bare=80), lambda level: {"sepia": float(level)},
        "`sepia`, by this percentage", "sepia:60"),
    effect("negate", FlagKind(), lambda on: {"negate": on}, "`negate`", "negate"),
    effect("pixelate", IntegerKind(1, 200, bare=10), lambda size: {"pixelate": size},
        "`pixelate`", "pixelate:15"),
    effect("brightness", IntegerKind(-99, 100, bare=80), lambda level: {"brightness": factor(level)},
        "`brightness` of 1 plus a hundredth of the level", "brightness:40"),
    effect("contrast", IntegerKind(-100, 100, bare=0), lambda level: {"contrast": factor(level)},
        "`contrast` of 1 plus a hundredth of the level", "contrast:60"),
    effect("saturation", IntegerKind(-100, 100, bare=80), lambda level: {"saturation": factor(level)},
        "`saturation` of 1 plus a hundredth of the level", "saturation:-60"),
    effect("hue", IntegerKind(-100, 100, bare=80), lambda level: {"hue": round(level * 1.8, 6)},
        "`hue`, of which 100 is half a turn", "hue:40"),
    effect("gamma", IntegerKind(-50, 150, bare=0), expand_gamma,
        "`gamma`, to brighten from 0 on and to darken below", "gamma:80"),
    effect("auto_contrast", FlagKind(), lambda on: {"normalize": on}, "`normalize`", "auto_contrast"),
    effect("trim", TrimKind(max_threshold=100.0), expand_trim,
        "`trim`, with the threshold in percent", "trim:5"),
    effect("tint", PercentTintKind(), lambda tint: {"tint": tint},
        "`tint`, with the percentage before the one colour", "tint:40:blue"),
)  # fmt: skip
