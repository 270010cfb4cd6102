"""
The size of a drawing, in CSS px: https://svgwg.org/svg2-draft/coords.html#IntrinsicSizing, and the lengths of
https://www.w3.org/TR/css-values-4/#lengths.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from xml.sax.saxutils import quoteattr

from proxy.geometry.boxes import ExactSize

DPI = 96
"""Of CSS: 96 px are an inch."""

_FONT_SIZE = Fraction(16)
_DEFAULT = ExactSize(Fraction(300), Fraction(150))
"""Of a replaced element that says one side and no ratio: CSS 2.2, 10.3.2 and 10.6.2."""

_INCH = Fraction(DPI)
_UNITS: Mapping[str, Fraction] = {
    "": Fraction(1),
    "px": Fraction(1),
    "in": _INCH,
    "cm": _INCH * 100 / 254,
    "mm": _INCH * 10 / 254,
    "q": _INCH * 10 / 254 / 4,
    "pt": _INCH / 72,
    "pc": _INCH / 6,
    "rem": _FONT_SIZE,
}
_FONT_UNITS: Mapping[str, Fraction] = {"em": Fraction(1), "ex": Fraction(1, 2), "ch": Fraction(1, 2)}

_START_TAG = re.compile(rb"(<[^\s/>]++)(?:[^\"'/>]++|\"[^\"]*+\"|'[^']*+')*+(/?>)")
_LENGTH = re.compile(r"\+?([0-9]+(?:\.[0-9]*)?|\.[0-9]+)((?:e[+-]?[0-9]+)?)([a-z]*)")
_LONGEST_LENGTH = 64
_LARGEST, _SMALLEST = 1e9, 1e-6
_NUMBERS = re.compile(r"[\s,]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """
    How large a drawing is by itself; `None` where only its ink says so. `fills` tells that it has no bars:
    its viewBox, if it has one, has the ratio of its sides.
    """

    size: ExactSize | None
    fills: bool = True


def extent(attributes: Mapping[str, str]) -> Extent:
    """
    Read the size of a root element's attributes. Percentages are those of a box that is not known here, and
    leave the side to the other one and the viewBox.
    """
    style = _declarations(attributes.get("style", ""))
    font = _length(style.get("font-size") or attributes.get("font-size", ""), _FONT_SIZE) or _FONT_SIZE
    width, height = (
        _length(style.get(side) or attributes.get(side, ""), font) for side in ("width", "height")
    )
    view = _view_box(attributes.get("viewBox", ""))
    if width is not None and height is not None:
        fills = view is None or abs(width * view.height - height * view.width) * 1000 <= width * view.height
        return Extent(size=ExactSize(width, height), fills=fills)
    if view is not None:
        scale = width / view.width if width else height / view.height if height else Fraction(1)
        return Extent(size=ExactSize(view.width * scale, view.height * scale))
    if width is None and height is None:
        return Extent(size=None)
    return Extent(size=ExactSize(width or _DEFAULT.width, height or _DEFAULT.height))


def sized(svg: bytes, attributes: Mapping[str, str], width: float, height: float, *, fills: bool) -> bytes:
    """
    Return a drawing that begins with its root element, whose attributes are these, at another size in px;
    with `fills` up to its edges.
    """
    found = extent(attributes)
    assert found.size is not None, "what has no size of its own is scaled"
    own = {**attributes, "width": f"{width:.6f}", "height": f"{height:.6f}"}
    own.setdefault("viewBox", f"0 0 {float(found.size.width):.9g} {float(found.size.height):.9g}")
    if fills and found.fills:
        own["preserveAspectRatio"] = "none"
    # A style sheet inside says something of its root's size as well, and this comes before that.
    own["style"] = f"{own.get('style', '')};width:{own['width']}px;height:{own['height']}px"
    written = " ".join(f"{name}={quoteattr(value)}" for name, value in own.items())
    tag = _START_TAG.match(svg)
    assert tag is not None, "it begins with its root element"
    return tag[1] + b" " + written.encode() + tag[2] + svg[tag.end() :]


def _declarations(style: str) -> dict[str, str]:
    pairs = (declaration.partition(":") for declaration in style.split(";"))
    return {name.strip().lower(): value.partition("!")[0] for name, _, value in pairs}


def _length(text: str, font_size: Fraction) -> Fraction | None:
    text = text.strip().lower()
    found = _LENGTH.fullmatch(text) if len(text) <= _LONGEST_LENGTH else None
    if found is None:
        return None
    unit = _UNITS.get(found[3]) or _FONT_UNITS.get(found[3], Fraction()) * font_size
    return _fraction(found[1] + found[2]) * unit or None


def _view_box(text: str) -> ExactSize | None:
    numbers = _NUMBERS.split(text.strip()) if len(text) <= 4 * _LONGEST_LENGTH else []
    if len(numbers) != 4:
        return None
    sides = [_length(number, Fraction()) for number in numbers[2:]]
    return ExactSize(sides[0], sides[1]) if sides[0] and sides[1] else None


def _fraction(number: str) -> Fraction:
    """What was written, but within bounds: a float has few digits, whatever its exponent was."""
    value = min(float(number), _LARGEST)
    return Fraction(str(value)) if value >= _SMALLEST else Fraction()
