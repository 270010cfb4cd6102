"""Decide what a URL may ask for without a signature: the policies `deny`, `presets`, `listed` and `allow`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from proxy.config.presets import Presets
from proxy.model.errors import PolicyRefused
from proxy.options.spec import OPTIONS, OutputFormat
from proxy.options.suggestions import shorten
from proxy.options.values.kinds import AutoQuality
from proxy.url.grammar import SpecFields

URL_NAMES = {name: min(option.names, key=len) for name, option in OPTIONS.items()}
"""By option, its shortest name in URLs, which messages use."""

ALLOWED_BESIDE_PRESETS = ("presets", "expires", "version", "dpr")
"""The options that the policy `presets` allows."""

LISTED_RATIOS = (1.0, 2.0, 3.0)
"""The device pixel ratios that the policy `listed` allows."""

NEVER_LISTED = ("zoom", "min_width", "min_height", "extend", "border", "max_bytes", "effort", "text")
"""The options that the policy `listed` never allows: ways around its lists, costly ones, and free text."""

NEVER_LISTED_VALUES = (("format", OutputFormat.BEST),)


def check_policy(policy: str, written: SpecFields, presets: Presets) -> None:
    """
    Raise PolicyRefused if `policy` wants a signature for a URL with the options `written`.

    `policy` is a key of `POLICIES`. Only the URL's own text counts: what presets and defaults add to it is
    the operator's choice.
    """
    POLICIES[policy](written, presets)


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
    for preset in written["presets"]:
        if preset not in presets.presets:
            raise PolicyRefused(
                f"this URL needs a signature: without one it has to name a preset, and {preset!r} is none",
                option=URL_NAMES["presets"], value=preset, allowed=sorted(presets.presets),
            )  # fmt: skip
    for name, value in written.items():
        if name not in ALLOWED_BESIDE_PRESETS:
            allowed = [URL_NAMES[one] for one in ALLOWED_BESIDE_PRESETS]
            raise PolicyRefused(
                f"{URL_NAMES[name]!r} needs a signature: without one a URL has only {', '.join(allowed)}",
                option=URL_NAMES[name], value=_formatted(name, value), allowed=allowed,
            )  # fmt: skip
    if not 1 <= written.get("dpr", 1.0) <= 3:
        raise _not_allowed("dpr", written["dpr"], ["1 to 3"])


def _allow_listed(written: SpecFields, presets: Presets) -> None:
    lists: Mapping[str, Iterable[Any]] = {
        "width": sorted(presets.listed.width),
        "height": sorted(presets.listed.height),
        "quality": [*sorted(presets.listed.quality), *AutoQuality],
        "dpr": LISTED_RATIOS,
    }
    for name in written:
        if name in NEVER_LISTED or (name, written[name]) in NEVER_LISTED_VALUES:
            value = _formatted(name, written[name])
            said = URL_NAMES[name] if name in NEVER_LISTED else f"{URL_NAMES[name]}_{value}"
            raise PolicyRefused(
                f"{said!r} needs a signature: without one it is only had from presets.yaml",
                option=URL_NAMES[name], value=value, allowed="what presets.yaml says",
            )  # fmt: skip
    for name in written.keys() & lists.keys():
        # By its spelling, since a share of 2.0 is no 2 px, and Python says that they are equal.
        allowed, value = [_formatted(name, one) for one in lists[name]], _formatted(name, written[name])
        if value not in allowed:
            raise _not_allowed(name, written[name], allowed)


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


def _formatted(name: str, value: Any) -> str:
    return "" if value is None else shorten(OPTIONS[name].kind.format(value) or "")
