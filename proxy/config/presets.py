"""
The presets file: presets, allow-lists and overlays, as an operator writes them for every URL.

Values there are read by the kinds that read them in a URL, from the text as it stands in the file, so the
two never disagree. Errors have their line and column.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote

from ruamel.yaml.nodes import MappingNode, Node

from proxy.config.listed import ListedValues, read_listed
from proxy.config.responsive import Responsive, read_responsive
from proxy.config.units import WholeSeconds
from proxy.config.yaml import (
    ValueReader,
    compose_nodes,
    errors_at,
    fault,
    is_null,
    raised_as,
    read_list,
    read_mapping,
    read_text,
    read_value,
    read_values,
)
from proxy.model.errors import InvalidRequest
from proxy.options.spec import OPTIONS
from proxy.options.values.colours import Colour
from proxy.options.values.kinds import NumberKind
from proxy.options.values.overlays import AllowedOverlays, BlendMode, TextAlign, TextOutline
from proxy.options.values.positions import Anchor, Length
from proxy.url.grammar import SpecFields, read_options, resolve_options
from proxy.url.path import MAX_OPTIONS_BYTES, read_key


class InvalidPresets(Exception):
    """Says `presets.yaml:12:5:` (line and column), what was wrong, what was given and what is allowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """
    The four lifetimes are seconds. `on_error` is the key of a picture shown instead of an error, under
    the error's status or under `on_error_status`, which can only be 200. `responsive` are the widths that
    pages use of it.
    """

    name: str
    options: SpecFields
    max_age: int | None = None
    s_maxage: int | None = None
    stale_while_revalidate: int | None = None
    stale_if_error: int | None = None
    on_error: str | None = None
    on_error_status: int | None = None
    responsive: Responsive | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlay:
    """
    A watermark: the picture under `key`, or `text` (only that has `font`, `size` in px, `color`, `outline`
    and `align`). `width` is px, or a share of the picture under it; `x` and `y` are offsets from `gravity`.
    `opacity` is 0 to 1. What is `None` was not given.
    """

    key: str | None = None
    text: str | None = None
    gravity: Anchor | None = None
    width: Length | None = None
    opacity: float | None = None
    x: float | None = None
    y: float | None = None
    tile: bool | None = None
    blend: BlendMode | None = None
    font: str | None = None
    size: int | None = None
    color: Colour | None = None
    outline: TextOutline | None = None
    align: TextAlign | None = None

    @property
    def options(self) -> SpecFields:
        """The same in the words of the option table."""
        said = {OVERLAY_SPEC_FIELDS[each.name]: getattr(self, each.name) for each in fields(self)}
        if self.opacity is not None:
            said["overlay_opacity"] = round(self.opacity * 100, 4)
        return {name: value for name, value in said.items() if value is not None}


TEXT_ONLY = ("font", "size", "color", "outline", "align")

OVERLAY_SPEC_FIELDS: Mapping[str, str] = {
    "key": "overlay",
    "text": "text",
    "gravity": "overlay_position",
    **{name: f"overlay_{name}" for name in ("width", "opacity", "x", "y", "tile", "blend")},
    **{name: f"text_{name}" for name in TEXT_ONLY},
}
"""What an overlay of presets.yaml says, and the field of `Spec` that it fills."""


# No slots: every request reads `options`, which is cached.
@dataclass(frozen=True, kw_only=True)
class Presets:
    """
    All of presets.yaml. `defaults` lie under every URL; what a preset or a URL writes wins over them.
    `overlay_keys` is how the keys begin that a URL may lay over a picture without a name; `*` is any key.
    `rejected` says why the file as it is now was refused, so that these, which are older, are still in use.
    """

    defaults: SpecFields = field(default_factory=dict)
    presets: Mapping[str, Preset] = field(default_factory=dict)
    listed: ListedValues = ListedValues()  # noqa: RUF009  frozen
    overlays: Mapping[str, Overlay] = field(default_factory=dict)
    overlay_keys: tuple[str, ...] = ()
    rejected: str | None = None

    @cached_property
    def options(self) -> Mapping[str, SpecFields]:
        """The options of each preset by its name, as `grammar.parse_options` takes them."""
        return {name: preset.options for name, preset in self.presets.items()}

    @cached_property
    def layers(self) -> AllowedOverlays:
        """What `overlay` may say, as `grammar.parse_options` takes it."""
        named = {name: overlay.options for name, overlay in self.overlays.items()}
        return AllowedOverlays(named=named, keys=self.overlay_keys)


NO_PRESETS = Presets()


class _Options:
    """
    The options of a preset, and of `defaults`. `fn` and `dl` have a meaning for many URLs at once; `p`, `exp`
    and `v` are about one URL, and are refused.
    """

    hint: ClassVar[str] = "options such as 'w_150,h_150,f_auto'"
    refused: ClassVar[Mapping[str, str]] = {
        "presets": "'p' has no place here: presets do not nest, and a URL may name several, p_one:two",
        "expires": "'exp' has no place here: it ends one signed URL, and this would end them all",
        "version": "'v' has no place here: it makes a URL new, and here the URL would stay the same",
    }

    def parse(self, text: str | None) -> SpecFields:
        if text is None or re.fullmatch(r"[\d.]*", text):
            raise ValueError(text)
        if len(text) > MAX_OPTIONS_BYTES:
            raise InvalidRequest(f"options have at most {MAX_OPTIONS_BYTES} characters, not {len(text)}")
        found = read_options(text)
        for name in found.keys() & self.refused.keys():
            raise InvalidRequest(self.refused[name])
        return found


class _Key:
    hint: ClassVar[str] = "a key such as brand/logo.png"

    def parse(self, text: str | None) -> str:
        if text is None:
            raise ValueError(text)
        return read_key(quote(text, safe=":/"))  # a key in the file is not percent-encoded


class _KeyPrefix:
    hint: ClassVar[str] = "the beginning of keys, such as brand/, or '*' for all keys"

    def parse(self, text: str | None) -> str:
        return (
            "*"
            if text == "*"
            else _Key().parse(text and text.removesuffix("/")) + ("/" if text and text.endswith("/") else "")
        )


class _Opacity:
    """As the option `opacity`: up to 1 a share, above that percent."""

    hint: ClassVar[str] = "a number from 0 to 100 (percent), or up to 1 (a share)"

    def parse(self, text: str | None) -> float:
        number = NumberKind(0, 100).parse(text)
        return round(number / 100, 6) if number > 1 else number


class _OnErrorStatus:
    hint: ClassVar[str] = "200, or is left out for the error's own status"

    def parse(self, text: str | None) -> int:
        if text != "200":
            raise ValueError(text)
        return 200


OPTIONS_KIND = _Options()
LIFETIME_KIND = WholeSeconds(most=2**31 - 1)  # RFC 9111 section 1.2.2

PRESET_FIELDS: Mapping[str, ValueReader] = {
    "options": OPTIONS_KIND,
    "max_age": LIFETIME_KIND,
    "s_maxage": LIFETIME_KIND,
    "stale_while_revalidate": LIFETIME_KIND,
    "stale_if_error": LIFETIME_KIND,
    "on_error": _Key(),
    "on_error_status": _OnErrorStatus(),
}
OVERLAY_FIELDS: Mapping[str, ValueReader] = {
    "key": _Key(),
    "opacity": _Opacity(),
    **{
        name: OPTIONS[field].kind
        for name, field in OVERLAY_SPEC_FIELDS.items()
        if name not in ("key", "opacity")
    },
}
PRESETS_SECTIONS = ("defaults", "presets", "listed", "overlays", "overlay_keys")


def load_presets(path: Path) -> Presets:
    """Read a presets file. Raises InvalidPresets, also when there is no such file."""
    with raised_as(InvalidPresets):
        text = read_text(path)
    return read_presets(text, str(path))


def read_presets(text: str, name: str) -> Presets:
    """Read the text of presets.yaml; `name` is the file's, for messages. Raises InvalidPresets."""
    with raised_as(InvalidPresets):
        root = compose_nodes(text, name)
        return NO_PRESETS if root is None or is_null(root) else read_presets_node(root)


def read_presets_node(root: Node) -> Presets:
    # A section whose entries are all commented out is none.
    top = {
        name: node
        for name, node in read_mapping(root, "the file", PRESETS_SECTIONS).items()
        if not is_null(node)
    }
    defaults = read_value("defaults", top["defaults"], OPTIONS_KIND) if "defaults" in top else {}
    presets = read_mapping(top["presets"], "'presets'") if "presets" in top else {}
    overlays = read_mapping(top["overlays"], "'overlays'") if "overlays" in top else {}
    keys = read_list("overlay_keys", top["overlay_keys"], _KeyPrefix()) if "overlay_keys" in top else ()
    found = Presets(
        defaults=defaults,
        listed=read_listed(top["listed"]) if "listed" in top else ListedValues(),
        overlays={name: read_overlay(name, node) for name, node in overlays.items()},
        overlay_keys=tuple(sorted(keys)),
    )
    return replace(found, presets={name: read_preset(name, node, found) for name, node in presets.items()})


def read_preset(name: str, node: Node, file: Presets) -> Preset:
    """Read one preset: options alone, or a mapping. `file` has the defaults and overlays of the same file."""
    if isinstance(node, MappingNode):
        what = f"preset {name!r}"
        nodes = read_mapping(node, what, (*PRESET_FIELDS, "responsive"))
        if "options" not in nodes:
            raise fault(node, f"{what} has no 'options'; '_' stands for none")
        if "on_error_status" in nodes and "on_error" not in nodes:
            raise fault(nodes["on_error_status"], f"{what} has no 'on_error' that a status could be for")
        responsive = read_responsive(nodes.pop("responsive")) if "responsive" in nodes else None
        preset = Preset(name=name, responsive=responsive, **read_values(nodes, PRESET_FIELDS))
    else:
        preset = Preset(name=name, options=read_value(name, node, OPTIONS_KIND))
    with errors_at(node, name):
        resolve_options(preset.options, defaults=file.defaults, overlays=file.layers)
    return preset


def read_overlay(name: str, node: Node) -> Overlay:
    what = f"overlay {name!r}"
    nodes = read_mapping(node, what, OVERLAY_FIELDS)
    if ("key" in nodes) == ("text" in nodes):
        raise fault(node, f"{what} is a 'key' or a 'text', not {'both' if 'key' in nodes else 'neither'}")
    for only in TEXT_ONLY:
        if only in nodes and "text" not in nodes:
            raise fault(nodes[only], f"{what} is a 'key', and {only!r} is for a 'text'")
    return Overlay(**read_values(nodes, OVERLAY_FIELDS))
