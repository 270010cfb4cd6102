"""
The option table: one field of `Spec` is one option. The parser, the canonical form, presets, documentation,
options.json and the strategies of the tests are derived from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType

from proxy.model.media import Format
from proxy.options import cloudinary
from proxy.options.canvas import TURN_SHORTHAND, CanvasOptions
from proxy.options.delivery import DeliveryOptions
from proxy.options.effects import MODULATE_SHORTHAND, EffectOptions
from proxy.options.output import PAGE_SHORTHAND, Chroma, Icc, Keep, OutputFormat, OutputOptions
from proxy.options.overlays import OverlayOptions
from proxy.options.row import Option
from proxy.options.size import Fit, Kernel, Mode, SizeOptions
from proxy.options.values.positions import BoxKind

__all__ = [
    "OPTIONS",
    "OPTIONS_BY_NAME",
    "SHORTHANDS",
    "Chroma",
    "Fit",
    "Icc",
    "Keep",
    "Kernel",
    "Mode",
    "Option",
    "OutputFormat",
    "Spec",
]


@dataclass(frozen=True, kw_only=True)
class Spec(DeliveryOptions, OutputOptions, OverlayOptions, EffectOptions, CanvasOptions, SizeOptions):
    """The options of a request, with presets and overlays expanded, in the order of the table."""

    @property
    def negotiates(self) -> bool:
        """Whether the formats that the client accepts decide the format (RFC 9110 section 12.5.1)."""
        return self.format in (OutputFormat.AUTO, OutputFormat.BEST)

    @property
    def fixed_format(self) -> Format | None:
        """The format if the options alone decide it, else `None`."""
        return None if self.format is None or self.negotiates else Format(self.format)


OPTIONS: Mapping[str, Option] = MappingProxyType(
    {f.name: Option(name=f.name, default=f.default, **f.metadata) for f in fields(Spec)}
)

SHORTHANDS: tuple[Option, ...] = (
    Option(
        name="resize",
        names=("resize", "s"),
        kind=BoxKind(),
        default=None,
        expand=lambda box: {"width": box[0], "height": box[1]},
        doc="Set both sides of the box at once.",
        example="s_300x200",
    ),
    TURN_SHORTHAND,
    PAGE_SHORTHAND,
    MODULATE_SHORTHAND,
    *cloudinary.CLOUDINARY_EFFECTS,
)
"""Options that are another way to write others, and therefore no fields."""

OPTIONS_BY_NAME: Mapping[str, Option] = MappingProxyType(
    {name: option for option in (*OPTIONS.values(), *SHORTHANDS) for name in option.names}
)
