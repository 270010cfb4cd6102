"""
The grammar of options: `w_300,h_200` to a `Spec`, and back.

    options   = "_" / item *( ("," / "&") item )        separators inside "( )" do not split
    item      = name *( ("_" / ":" / "=") argument )
              / "e_" effect *( ("_" / ":" / "=") argument )

Options are split first, and their arguments decoded afterwards, once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from proxy.model.errors import (
    ConflictingOptions,
    InvalidRequest,
    InvalidValue,
    RepeatedOption,
    UnknownOption,
    UnknownOverlay,
    UnknownPreset,
)
from proxy.model.media import ENCODER, FORMATS
from proxy.options.canonical import MODE_ENLARGES, canonicalise
from proxy.options.cloudinary import EFFECT_PREFIX
from proxy.options.spec import OPTIONS, OPTIONS_BY_NAME, Option, Spec
from proxy.options.suggestions import did_you_mean, shorten, suggest_option
from proxy.options.values.overlays import AllowedOverlays
from proxy.url.path import percent_decode

_LONGEST_NAME = max(map(len, OPTIONS_BY_NAME))

SpecFields = Mapping[str, Any]
"""Values by field of `Spec`: only those that a URL, a preset or the defaults name."""


def parse_options(
    text: str,
    presets: Mapping[str, SpecFields] | None = None,
    defaults: SpecFields | None = None,
    overlays: AllowedOverlays | None = None,
) -> Spec:
    """
    Parse the options of a URL, such as `w_300,h_200`, to a canonical spec; their order does not matter.

    Options of the URL override those of its presets, later presets override earlier ones, and all of them
    override `defaults`. Raises what `read_options` and `resolve_options` raise.
    """
    return resolve_options(read_options(text), presets, defaults, overlays)


def resolve_options(
    written: SpecFields,
    presets: Mapping[str, SpecFields] | None = None,
    defaults: SpecFields | None = None,
    overlays: AllowedOverlays | None = None,
) -> Spec:
    """
    Expand the presets and the overlay of `written`, lay it over `defaults`, and return the canonical spec.

    `presets` and `defaults` are fields as `read_options` returns them. Without `overlays` every overlay is a
    key. Raises UnknownPreset, UnknownOverlay, and ConflictingOptions for a picture overlay with a text.
    """
    layers: list[SpecFields] = [defaults or {}]
    for name in written.get("presets", ()):
        if name not in (presets or {}):
            raise UnknownPreset(
                f"no preset {name!r}" + did_you_mean(name, presets or {}),
                option="p", value=name, allowed=sorted(presets or {}),
            )  # fmt: skip
        layers.append((presets or {})[name])
    merged: dict[str, Any] = {}
    for layer in (*layers, written):
        merged = override_fields(merged, layer)
    return canonicalise(Spec(**expand_overlay(merged, overlays)))


def expand_overlay(written: SpecFields, overlays: AllowedOverlays | None) -> SpecFields:
    """Replace the name of an overlay by the options it stands for; those in `written` override them."""
    name = written.get("overlay")
    if name is None:
        return written
    own = {"overlay": name} if overlays is None else overlays.find(name)
    if own is None:
        raise unknown_overlay(name, overlays or AllowedOverlays())
    if "overlay" in own and "text" in written:
        raise ConflictingOptions(
            f"'overlay' {shorten(name)!r} is a picture, and cannot lie where a 'text' does",
            option="overlay", value=shorten(name), allowed="one of the two",
        )  # fmt: skip
    return {**own, **{field: value for field, value in written.items() if field != "overlay"}}


def unknown_overlay(name: str, overlays: AllowedOverlays) -> UnknownOverlay:
    also = f" (a key has to begin with {', '.join(overlays.keys)})" if overlays.keys else ""
    return UnknownOverlay(
        f"no overlay {shorten(name)!r}{also}" + did_you_mean(name, overlays.named),
        option="overlay", value=shorten(name), allowed=sorted(overlays.named),
    )  # fmt: skip


def override_fields(lower: SpecFields, upper: SpecFields) -> dict[str, Any]:
    """Return `lower` overridden by `upper`, without the fields that contradict those of `upper`."""
    gone: set[str] = set()
    sides = {"width", "height"}
    if upper.keys() & {"fit", "mode"}:
        gone |= {"fit", "mode"}
    if "aspect" not in upper:
        gone |= {"aspect"} if sides <= lower.keys() | upper.keys() else set()
    elif upper.keys() & sides:
        gone |= sides - upper.keys()
    elif sides <= lower.keys():
        gone |= {"height"}
    if "overlay" in upper:
        gone |= {"text"}
    return {name: value for name, value in lower.items() if name not in gone} | dict(upper)


def read_options(text: str) -> dict[str, Any]:
    """
    Parse the options of a URL to the fields that it names, neither expanded nor canonical.

    Raises UnknownOption, InvalidValue, RepeatedOption, ConflictingOptions, or InvalidRequest without options.
    """
    if not text:
        raise InvalidRequest("no options: the first segment of a path holds them, and '_' stands for none")
    found: dict[str, Any] = {}
    written_as: dict[str, str] = {}
    for item in split_items(text) if text != "_" else []:
        for name, value in read_item(item).items():
            if name in found and found[name] != value:
                raise RepeatedOption(
                    f"{shorten(written_as[name])!r} and {shorten(item)!r} disagree; give one of them",
                    option=OPTIONS[name].names[-1], value=shorten(item), allowed="once",
                )  # fmt: skip
            found[name], written_as[name] = value, item
    refuse_conflicts(found, written_as)
    return found


def split_items(text: str) -> list[str]:
    """Split options at `,` and `&`, except inside parentheses."""
    return re.findall(r"(?:^|[,&])((?:\([^()]*\)|[^,&])*)", text)


def read_item(item: str) -> Mapping[str, Any]:
    """Parse one option, such as `w_300`, to the fields that it sets. Raises UnknownOption or InvalidValue."""
    name, argument = split_name(item)
    # ipx and its clients write `flip_` for a bare `flip`.
    given = percent_decode(argument) if argument else None
    if name == EFFECT_PREFIX and given is not None:
        name, given = split_effect(given)
    if (option := OPTIONS_BY_NAME.get(name)) is None:
        raise UnknownOption(
            f"no option {shorten(name)!r}" + suggest_option(name, item, OPTIONS_BY_NAME),
            option=shorten(name), value=shorten(item), allowed=sorted(OPTIONS_BY_NAME),
        )  # fmt: skip
    try:
        value = option.kind.parse(given)
    except ValueError:
        raise InvalidValue(
            f"{name!r} takes {option.kind.hint}, not {'nothing' if given is None else repr(shorten(given))}"
            + did_you_mean(given or "", option.kind.describe().get("choices", ())),
            option=name, value="" if given is None else shorten(given), allowed=option.kind.hint,
        ) from None  # fmt: skip
    return option.expand(value) if option.expand else {option.name: value}


def split_name(text: str) -> tuple[str, str | None]:
    name, separator, argument = re.match(r"([^_:=]*)([_:=]?)(.*)", text, re.DOTALL).groups()  # type: ignore[union-attr]  # matches anything
    return name, argument if separator else None


def split_effect(text: str) -> tuple[str, str | None]:
    """Split `blur:300` or `blur_300` to `e_blur` and `300`; names contain `_`, so the longest one counts."""
    start = text[:_LONGEST_NAME]
    ends = [*(end.start() for end in re.finditer("[_:=]", start)), *([len(text)] if text == start else [])]
    for end in reversed(ends):
        if (name := f"{EFFECT_PREFIX}_{text[:end]}") in OPTIONS_BY_NAME:
            return name, text[end + 1 :] if end < len(text) else None
    return f"{EFFECT_PREFIX}_{re.split(r'[:=]|_(?=-?[0-9])', text, maxsplit=1)[0]}", text


def refuse_conflicts(found: SpecFields, written_as: Mapping[str, str]) -> None:
    mode = found.get("mode")
    if mode is not None and "fit" in found:
        raise conflict(written_as, "fit", "mode", "both say how the picture meets its box")
    if mode is not None and found.get("enlarge", MODE_ENLARGES[mode]) != MODE_ENLARGES[mode]:
        may = "enlarges by itself" if MODE_ENLARGES[mode] else "never enlarges"
        raise conflict(written_as, "enlarge", "mode", f"'c_{mode}' {may}")
    if {"width", "height", "aspect"} <= found.keys():
        raise conflict(written_as, "aspect", "height", "the ratio gives a side that is missing, and none is")
    if (format := Spec(format=found.get("format")).fixed_format) is not None:
        for name in ENCODER.intersection(found) - FORMATS[format].encoder:
            if found[name] != OPTIONS[name].default:
                others = ", ".join(sorted(FORMATS[format].encoder))
                raise conflict(written_as, name, "format", f"of the encoder's options {format} has {others}")


def conflict(written_as: Mapping[str, str], one: str, other: str, why: str) -> ConflictingOptions:
    return ConflictingOptions(
        f"{shorten(written_as[one])!r} and {shorten(written_as[other])!r} cannot both hold: {why}",
        option=OPTIONS[one].names[-1], value=shorten(written_as[one]), allowed="one of the two",
    )  # fmt: skip


def format_options(spec: Spec) -> str:
    """
    Format a canonical spec as options: in table order, by long names, without defaults; `_` if none is left.

    The inverse of `parse_options`.
    """
    items = [
        format_item(option, getattr(spec, option.name))
        for option in OPTIONS.values()
        if getattr(spec, option.name) != option.default
    ]
    return ",".join(items) or "_"


def format_item(option: Option, value: Any) -> str:
    """Format one option with its value, percent-encoded. The inverse of `read_item`."""
    argument = option.kind.format(value)
    if argument is None:
        return option.names[0]
    # An open parenthesis hides the comma that ends the item.
    safe = ":()" if re.fullmatch(r"(?:[^()]|\([^()]*\))*", argument) else ":"
    return f"{option.names[0]}_{quote(argument, safe=safe)}"


def canonical_text(spec: Spec) -> str:
    """Format the options that identify a rendition, which are those that can change its bytes."""
    return format_options(without_delivery(spec))


def without_delivery(spec: Spec) -> Spec:
    """Reset the delivery options, except the version, which is there to tell renditions apart."""
    return replace(spec, presets=(), expires=None, filename=None, download=False)
