"""Decide what a URL may ask for without a signature: the policies `deny`, `presets`, `listed` and `allow`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

from proxy.config.listed import ListedValues
from proxy.config.presets import Presets
from proxy.model.errors import PolicyRefused
from proxy.model.negotiation import Bucket
from proxy.options.spec import OPTIONS, Mode, OutputFormat, Spec
from proxy.options.suggestions import shorten
from proxy.options.values.arguments import format_number
from proxy.options.values.positions import Compass, Length, round_px
from proxy.renditions.cost import expected_seconds
from proxy.url.grammar import SpecFields, resolve_options

URL_NAMES = {name: min(option.names, key=len) for name, option in OPTIONS.items()}
"""By option, its shortest name in URLs, which messages use."""

ALLOWED_BY_PRESETS = ("presets", "expires", "dpr")
"""The options that the policy `presets` allows."""

ALLOWED_BY_LISTED = (
    "width", "height", "dpr", "fit", "mode", "position", "quality", "format", "presets", "expires",
)  # fmt: skip
"""The options that the policy `listed` allows; an option that is new in the table is not among them."""

ALLOWED_COMBINATIONS = "one preset, or several in a combination that the presets file names"

_SEARCHING_MODES = (Mode.THUMB, Mode.AUTO)


def check_policy(policy: str, written: SpecFields, presets: Presets) -> None:
    """
    Raise PolicyRefused if `policy` wants a signature for a URL with the options `written`.

    `policy` is a key of `POLICIES`. Only the URL's own text counts here; what comes of it together with
    presets and defaults is for `check_result`.
    """
    POLICIES[policy](written, presets)


def check_result(policy: str, written: SpecFields, spec: Spec, presets: Presets, accepted: Bucket) -> None:
    """
    Raise PolicyRefused if `spec`, what `written` stands for together with presets and defaults, has a size
    or a cost that `policy` lets nobody ask for without a signature; `written` has passed `check_policy`.

    Sizes and cost that presets and defaults have of their own are the operator's choice. A URL that gives
    another size under `listed` gets no more than the lists hold: a preset's ratio, zoom or dpr makes no other
    side of it, nothing grows beyond the box, and the cost stays below that of the largest listed size.
    """
    listed = presets.listed
    if policy != "listed" or not written.keys() & _SIDES or listed.options & _FACTORS:
        return
    own = _without_sides(written, presets)
    for name, side, own_side in zip(_SIDES, planned_sides(spec), planned_sides(own), strict=True):
        values = getattr(listed, name)
        if side is not None and side != own_side and (isinstance(side, float) or side not in values):
            raise _not_allowed_result(written, name, _formatted(name, side), _formatted_all(name, values))
    for name in ("min_width", "min_height", "extend", "border", "rotate"):
        value = getattr(spec, name)
        if value is not None and name not in listed.options and not (name == "rotate" and value % 90 == 0):
            raise _not_allowed_result(
                written, name, _formatted(name, value), "the size that the preset has of its own"
            )
    ceiling = max(expected_seconds(each, accepted) for each in (own, *_largest_listed(listed, spec)))
    if expected_seconds(spec, accepted) > ceiling:
        raise PolicyRefused(
            "this URL needs a signature: what its preset does takes too long at this size",
            option=URL_NAMES["presets"], value=":".join(written.get("presets", ())),
            allowed="the preset's own size, or a smaller one",
        )  # fmt: skip


def planned_sides(spec: Spec) -> tuple[Length | None, Length | None]:
    """
    The box of `spec` in px of the rendition, with its ratio, zoom and device pixel ratio; a side that only
    the picture tells is `None`, and one that is a share of it stays that share.
    """
    factor = Fraction(format_number(spec.zoom)) * Fraction(format_number(spec.dpr))
    width, height = (side * factor if isinstance(side, int) else side for side in (spec.width, spec.height))
    if spec.aspect is not None and isinstance(width, Fraction) and height is None:
        height = width / spec.aspect
    elif spec.aspect is not None and isinstance(height, Fraction) and width is None:
        width = height * spec.aspect
    whole = [round_px(side) if isinstance(side, Fraction) else side for side in (width, height)]
    return whole[0], whole[1]


def _without_sides(written: SpecFields, presets: Presets) -> Spec:
    left = {name: value for name, value in written.items() if name not in _SIDES}
    return resolve_options(left, presets.options, presets.defaults, presets.layers)


def _largest_listed(listed: ListedValues, spec: Spec) -> list[Spec]:
    """The largest sizes that the lists hold, in the format of `spec`, and without an effect."""
    width, height = (max(values, default=None) for values in (listed.width, listed.height))
    sides = ((width, height), (width, None), (None, height))
    return [
        replace(Spec(), width=each, height=other, format=spec.format)
        for each, other in sides
        if each or other
    ]


def _not_allowed_result(written: SpecFields, name: str, text: str, allowed: Any) -> PolicyRefused:
    named = ":".join(written.get("presets", ())) or "the defaults"
    return PolicyRefused(
        f"this URL needs a signature: its size with that of {named!r} gives {URL_NAMES[name]}_{text}, and "
        f"without one it takes {allowed if isinstance(allowed, str) else ', '.join(allowed) or 'nothing'}",
        option=URL_NAMES[name], value=text, allowed=allowed,
    )  # fmt: skip


_SIDES = {"width": None, "height": None}.keys()
"""In the order of a box."""

_FACTORS = frozenset({"dpr", "zoom", "aspect", *_SIDES})
"""Options that make other sides of those that are written, where the presets file lists them by name."""


def _deny_all(written: SpecFields, presets: Presets) -> None:
    raise PolicyRefused("this URL needs a signature: nothing is served here without one")


def _allow_all(written: SpecFields, presets: Presets) -> None:
    """Anything."""


def _allow_presets(written: SpecFields, presets: Presets) -> None:
    if not written.get("presets"):
        raise PolicyRefused(
            "this URL needs a signature: without one it has to name a preset, such as p_thumb",
            option=URL_NAMES["presets"], value="", allowed="the name of a preset",
        )  # fmt: skip
    _check_names(written, ALLOWED_BY_PRESETS)
    _check_presets(written["presets"], presets)
    _check_listed("dpr", written, presets.listed.dpr)


def _allow_listed(written: SpecFields, presets: Presets) -> None:
    listed = presets.listed
    _check_names(written, (*ALLOWED_BY_LISTED, *sorted(listed.options)))
    if not written.keys() & {"width", "height"} and not written.get("presets"):
        raise PolicyRefused(
            "this URL needs a signature: without one it has a width or a height from the lists, or a preset",
            option=URL_NAMES["width"], value="", allowed=_formatted_all("width", listed.width),
        )  # fmt: skip
    _check_presets(written.get("presets", ()), presets)
    for name, values in {"dpr": listed.dpr, "quality": listed.quality}.items():
        if name not in listed.options:
            _check_listed(name, written, values)
    for name in ("width", "height"):
        _check_side(name, written, getattr(listed, name))
    for name, allowed in CHOICES.items():
        if name in written and name not in listed.options and written[name] not in allowed:
            raise _not_allowed(name, written[name], [_formatted(name, each) for each in allowed])


CHOICES: Mapping[str, tuple[Any, ...]] = {
    "mode": tuple(mode for mode in Mode if mode not in _SEARCHING_MODES),
    "position": tuple(Compass),
    "format": tuple(format for format in OutputFormat if format is not OutputFormat.BEST),
}
"""What the policy `listed` allows of options without a list: nothing that looks into the picture for it."""


def _check_names(written: SpecFields, allowed: Sequence[str]) -> None:
    for name, value in written.items():
        if name not in allowed:
            names = [URL_NAMES[each] for each in allowed]
            raise PolicyRefused(
                f"{URL_NAMES[name]!r} needs a signature: without one a URL has only {', '.join(names)}",
                option=URL_NAMES[name], value=_formatted(name, value), allowed=names,
            )  # fmt: skip


def _check_presets(names: Sequence[str], presets: Presets) -> None:
    """
    One preset, or several in a combination that the file names. What these are called is not for strangers.
    """
    option = URL_NAMES["presets"]
    for name in names:
        if name not in presets.presets:
            raise PolicyRefused(
                f"this URL needs a signature: without one it has to name a preset, and {name!r} is none",
                option=option, value=name, allowed="the name of one of this server's presets",
            )  # fmt: skip
    if len(names) > 1 and tuple(names) not in presets.listed.combinations:
        raise PolicyRefused(
            f"{':'.join(names)!r} needs a signature: without one {option!r} takes {ALLOWED_COMBINATIONS}",
            option=option, value=":".join(names), allowed=ALLOWED_COMBINATIONS,
        )  # fmt: skip


def _check_listed(name: str, written: SpecFields, values: Iterable[Any]) -> None:
    """By its spelling, since a share of 2.0 is no 2 px, and Python says that they are equal."""
    if name in written and _formatted(name, written[name]) not in _formatted_all(name, values):
        raise _not_allowed(name, written[name], _formatted_all(name, values))


def _check_side(name: str, written: SpecFields, values: frozenset[int]) -> None:
    """A side as it is written, and what it becomes with the URL's device pixel ratio."""
    _check_listed(name, written, values)
    ratio = written.get("dpr") or 1.0
    if name in written and written[name] * ratio not in values:
        factors = [each for each in values if each * ratio in values]
        raise PolicyRefused(
            f"'{URL_NAMES[name]}_{written[name]}' with dpr_{ratio:g} needs a signature: without one it takes "
            + (", ".join(_formatted_all(name, factors)) or "nothing"),
            option=URL_NAMES[name], value=_formatted(name, written[name]),
            allowed=_formatted_all(name, factors),
        )  # fmt: skip


POLICIES: Mapping[str, Callable[[SpecFields, Presets], None]] = {
    "deny": _deny_all,
    "presets": _allow_presets,
    "listed": _allow_listed,
    "allow": _allow_all,
}


def _not_allowed(name: str, value: Any, allowed: list[str]) -> PolicyRefused:
    option, text = URL_NAMES[name], _formatted(name, value)
    takes = ", ".join(allowed) or "nothing"
    return PolicyRefused(
        f"'{option}_{text}' needs a signature: without one {option!r} takes {takes}",
        option=option, value=text, allowed=allowed,
    )  # fmt: skip


def _formatted_all(name: str, values: Iterable[Any]) -> list[str]:
    return [_formatted(name, each) for each in sorted(values)]


def _formatted(name: str, value: Any) -> str:
    return "" if value is None else shorten(OPTIONS[name].kind.format(value) or "")
