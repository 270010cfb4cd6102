"""What a URL may ask for without a signature: the policy of a deployment, held against what was written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from proxy.config.presets import Presets
from proxy.model.errors import PolicyRefused
from proxy.options.spec import OPTIONS, Output
from proxy.options.suggestions import shown
from proxy.options.values.kinds import AutoQuality
from proxy.url.grammar import Written

# By option, the name that messages call it by: the shortest that URLs use.
SHORT = {name: min(option.names, key=len) for name, option in OPTIONS.items()}

BESIDE_PRESETS = ("presets", "expires", "version", "dpr")
"""What the policy `presets` lets a URL say."""

WHOLE_RATIOS = (1.0, 2.0, 3.0)
"""Device pixel ratios that the policy `listed` lets through."""

UNLISTED = ("zoom", "min_width", "min_height", "extend", "line", "max_bytes", "effort", "text")
"""What no URL says under the policy `listed`: ways around the lists, what costs more, and words."""

UNLISTED_VALUES = (("format", Output.BEST),)


def permit(policy: str, written: Written, presets: Presets) -> None:
    """
    Raise PolicyRefused when `policy` (`deny`, `presets`, `listed` or `allow`) wants a signature for a URL
    whose own text says `written`. What its presets and the defaults say is the operator's business.
    """
    POLICIES[policy](written, presets)


def deny(written: Written, presets: Presets) -> None:
    raise PolicyRefused("this URL needs a signature: nothing is served here without one")


def allow(written: Written, presets: Presets) -> None:
    """Anything."""


def presets_alone(written: Written, presets: Presets) -> None:
    if not written.get("presets"):
        raise PolicyRefused(
            "this URL needs a signature: without one it has to name a preset, such as p_thumb",
            option=SHORT["presets"], value="", allowed="the name of a preset",
        )  # fmt: skip
    for preset in written["presets"]:
        if preset not in presets.presets:
            raise PolicyRefused(
                f"this URL needs a signature: without one it has to name a preset, and {preset!r} is none",
                option=SHORT["presets"], value=preset, allowed=sorted(presets.presets),
            )  # fmt: skip
    for name, value in written.items():
        if name not in BESIDE_PRESETS:
            allowed = [SHORT[one] for one in BESIDE_PRESETS]
            raise PolicyRefused(
                f"{SHORT[name]!r} needs a signature: without one a URL has only {', '.join(allowed)}",
                option=SHORT[name], value=spelled(name, value), allowed=allowed,
            )  # fmt: skip
    if not 1 <= written.get("dpr", 1.0) <= 3:
        raise beyond("dpr", written["dpr"], ["1 to 3"])


def listed_sizes(written: Written, presets: Presets) -> None:
    lists: Mapping[str, Iterable[Any]] = {
        "width": sorted(presets.listed.width),
        "height": sorted(presets.listed.height),
        "quality": [*sorted(presets.listed.quality), *AutoQuality],
        "dpr": WHOLE_RATIOS,
    }
    for name in written:
        if name in UNLISTED or (name, written[name]) in UNLISTED_VALUES:
            said = f"{SHORT[name]}_{spelled(name, written[name])}" if name not in UNLISTED else SHORT[name]
            raise PolicyRefused(
                f"{said!r} needs a signature: without one it is only had from presets.yaml",
                option=SHORT[name], value=spelled(name, written[name]), allowed="what presets.yaml says",
            )  # fmt: skip
    for name in written.keys() & lists.keys():
        # By its spelling, since a share of 2.0 is no 2 px, and Python says that they are equal.
        allowed, value = [spelled(name, one) for one in lists[name]], spelled(name, written[name])
        if value not in allowed:
            raise beyond(name, written[name], allowed)


POLICIES: Mapping[str, Callable[[Written, Presets], None]] = {
    "deny": deny,
    "presets": presets_alone,
    "listed": listed_sizes,
    "allow": allow,
}


def beyond(name: str, value: Any, allowed: list[str]) -> PolicyRefused:
    return PolicyRefused(
        f"'{SHORT[name]}_{spelled(name, value)}' needs a signature: without one {SHORT[name]!r} takes "
        + (", ".join(allowed) or "nothing"),
        option=SHORT[name], value=spelled(name, value), allowed=allowed,
    )  # fmt: skip


def spelled(name: str, value: Any) -> str:
    return "" if value is None else shown(OPTIONS[name].kind.format(value) or "")
