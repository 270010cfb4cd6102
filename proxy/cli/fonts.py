"""What `presets check` says of fonts: those that are not installed, and letters that none of them has."""

from __future__ import annotations

import re
from collections.abc import Iterator

from proxy.config.presets import Presets
from proxy.fonts.letters import FontCoverage, code_points, drawable
from proxy.url.grammar import SpecFields

GENERIC_FAMILIES = frozenset({"sans", "sansserif", "serif", "monospace", "emoji"})
"""Which fonts.conf leads to others."""

_WEIGHTS = "thin light book regular normal roman medium bold heavy black"
_STYLES = f"{_WEIGHTS} italic oblique condensed expanded semi demi extra ultra semilight demilight demibold"
_STYLE_WORDS = frozenset(f"{_STYLES} semibold extrabold ultrabold extralight ultralight".split())
"""Of Pango, after the family (pango_font_description_from_string)."""


def font_warnings(presets: Presets, coverage: FontCoverage) -> Iterator[str]:
    """Yield a sentence for each font and each text of `presets` that is not drawn as it is written here."""
    for place, options in _places(presets):
        font, text = options.get("text_font"), options.get("text")
        if font and not has_font(font, coverage):
            yield f"{place}: no font {font!r} is installed here; letters come from others"
        if text and (missing := drawable(text, coverage)[1]):
            yield f"{place}: no font has {code_points(missing)} of its text; they are left out"


def has_font(name: str, coverage: FontCoverage) -> bool:
    """Whether a family is installed that `name`, a family with or without a style, may mean."""
    families = {*map(_squeezed, coverage.families), *GENERIC_FAMILIES}
    words = name.split()
    while words:
        if _squeezed(" ".join(words)) in families:
            return True
        if not all(part in _STYLE_WORDS for part in words.pop().lower().split("-")):
            return False
    return False


def _places(presets: Presets) -> Iterator[tuple[str, SpecFields]]:
    yield "defaults", presets.defaults
    for name, preset in presets.presets.items():
        yield f"preset {name}", preset.options
    for name, overlay in presets.overlays.items():
        yield f"overlay {name}", overlay.options


def _squeezed(family: str) -> str:
    """As fontconfig compares families: without blanks, in one case."""
    return re.sub(r"[\s-]", "", family).casefold()
