"""Decide what a URL may ask for without a signature: the policies `deny`, `presets`, `listed` and `allow`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from proxy.config.presets import Presets
from proxy.model.errors import PolicyRefused
from proxy.options.spec import OPTIONS, Mode, OutputFormat
from proxy.options.suggestions import shorten
from proxy.options.values.positions import Compass
from proxy.url.grammar import SpecFields

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
