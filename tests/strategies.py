"""What Hypothesis draws: derived from the option table, so a new option is tested the day it is added."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from hypothesis import strategies as st

from proxy.geometry.boxes import Size
from proxy.model.errors import InvalidRequest
from proxy.options.spec import OPTIONS_BY_NAME, Option
from proxy.options.values.angles import AngleKind
from proxy.options.values.arguments import format_number
from proxy.options.values.colours import (
    Colour,
    ColourKind,
    ColourPairKind,
    GeneratedBackground,
    PercentTintKind,
    TintKind,
)
from proxy.options.values.edges import BorderKind, Edge, PaddingKind, RadiiKind, TrimKind
from proxy.options.values.kinds import (
    AutoQuality,
    ChoiceKind,
    FlagKind,
    IntegerKind,
    NumberKind,
    NumbersKind,
    PresetNamesKind,
    QualityKind,
    TextKind,
)
from proxy.options.values.overlays import (
    FontKind,
    OverlayKind,
    OverlayPositionKind,
    OverlayTextKind,
    TextOutlineKind,
)
from proxy.options.values.positions import (
    COMPASS_POINTS,
    MAX_SIDE,
    AnchorKind,
    BoxKind,
    LengthKind,
    RatioKind,
    RegionKind,
    Strategy,
)
from proxy.url.grammar import parse_options


def numbers(low: float, high: float) -> st.SearchStrategy[str]:
    return st.integers(int(low * 100 + 0.99), int(high * 100)).map(lambda n: format_number(n / 100))


def joined(*parts: st.SearchStrategy[str], by: str = "_") -> st.SearchStrategy[str]:
    return st.tuples(*parts).map(by.join)


shares = st.integers(1, 1000).map(lambda n: f"{n / 1000:.3f}")
px = st.integers(0, 5000).map(str)


def switches(bare: float | None, off: float | None) -> st.SearchStrategy[str | None]:
    on = [] if bare is None else [None, "true"]
    return (
        st.sampled_from([*on, *([] if off is None else ["false"])]) if on or off is not None else st.nothing()
    )


def arguments(kind: Any) -> st.SearchStrategy[str | None]:
    """Every way to write a value of this kind."""
    match kind:
        case IntegerKind():
            return st.integers(kind.low, kind.high).map(str) | switches(kind.bare, kind.off)
        case NumberKind():
            some = st.sampled_from([*kind.words, format_number(kind.low)])
            return numbers(kind.low, kind.high) | some | switches(kind.bare, kind.off)
        case NumbersKind():
            some = st.integers(max(kind.min_count, 1), len(kind.bounds)).flatmap(
                lambda count: joined(*(numbers(low, high) for low, high in tuple(kind.bounds)[:count]))
            )
            return some if kind.min_count else some | st.sampled_from([None, "true", "false"])
        case FlagKind():
            return st.sampled_from([None, "true", "1", "false", "0"])
        case ChoiceKind():
            names: list[str] = [str(choice) for choice in kind.choices]
            return st.sampled_from([*names, *kind.aliases])
        case OverlayTextKind():
            return st.text("abcXYZ09-. é/_%&,()<>עم日", min_size=1).map(lambda text: f"{text}x")
        case FontKind():
            return st.sampled_from(["DejaVu Sans", "DejaVu Sans Bold", "Serif"])
        case OverlayKind():
            return st.sampled_from(["logo", "logo.png", "brand:logo.png", "/a:b", "https://cdn.test/a?b=c"])
        case OverlayPositionKind():
            return st.sampled_from([*COMPASS_POINTS]) | joined(st.just("fp"), shares, shares)
        case TextOutlineKind():
            return st.sampled_from(["1", "2_black", "20:ff000080"])
        case TextKind():
            return st.text("abcXYZ09-. é/_%&,()".translate({ord(c): None for c in kind.without}), min_size=1)
        case LengthKind():
            return st.integers(kind.low, kind.high).map(str) | shares
        case BoxKind():
            side = st.integers(1, MAX_SIDE).map(str) | st.integers(10, 90_000).map(lambda n: f"{n / 11:.2f}")
            return side | joined(side, side, by="x")
        case RatioKind():
            return joined(st.integers(1, 40).map(str), st.integers(1, 40).map(str), by=":") | numbers(
                0.02, 90
            )
        case AnchorKind():
            focal = joined(st.just("fp"), shares, shares)
            return st.sampled_from([*COMPASS_POINTS, *Strategy]) | focal
        case RegionKind():
            positive = px.filter(lambda text: text != "0") | shares
            return joined(positive, positive) | joined(px | shares, px | shares, positive, positive)
        case PaddingKind():
            side = st.integers(0, 300).map(str)
            return side | joined(side, side) | joined(side, side, side, side, st.sampled_from([*Edge]))
        case AngleKind():
            return st.none() | st.sampled_from([*kind.words, "hflip.90"]) | st.integers(-360, 360).map(str)
        case ColourKind():
            byte = st.integers(0, 255)
            colours = st.builds(Colour, byte, byte, byte, byte).map(lambda colour: colour.hex)
            return colours | st.sampled_from(
                [
                    "red",
                    "rgb(1,2,3)",
                    "rgb:336699",
                    "#fff",
                    "transparent",
                    *(GeneratedBackground if kind.generated else []),
                ]
            )
        case TintKind():
            return st.sampled_from(["red", "ff8800", "rgb:369", "rgb(1,2,3)", "f80_40", "red:12.5", "#fff=9"])
        case PercentTintKind():
            return st.sampled_from([None, "40", "40:blue", "0_f00", "100:rgb:336699", "12.5=rgb(1,2,3)"])
        case ColourPairKind():
            colour = st.sampled_from(["red", "001144", "f80", "rgb(1,2,3)"])
            return joined(colour, colour)
        case TrimKind():
            threshold = numbers(0, kind.max_threshold)
            return st.none() | threshold | joined(threshold, st.sampled_from(["red", "rgb:123456"]))
        case RadiiKind():
            radius = st.integers(0, 300).map(str)
            return st.just("max") | st.lists(radius, min_size=1, max_size=4).map(":".join)
        case BorderKind():
            width = st.integers(0, 40).map("{}px".format)
            return joined(width, st.just("solid"), st.sampled_from(["red", "rgb:123456", "0000ff80"]))
        case QualityKind():
            return st.integers(1, 100).map(str) | st.sampled_from(["auto", *AutoQuality])
        case PresetNamesKind():
            return st.just("thumb")
    raise AssertionError(f"no strategy for {kind}")


def quoted(text: str) -> str:
    return quote(text, safe="")


def item(name: str, separator: str, argument: str | None) -> str:
    return name if argument is None else f"{name}{separator}{quoted(argument)}"


def items(option: Option) -> st.SearchStrategy[str]:
    return st.builds(item, st.sampled_from(option.names), st.sampled_from("_:="), arguments(option.kind))


def pairs(option: Option) -> st.SearchStrategy[tuple[str, str]]:
    """One argument under two names of an option."""
    name, separator = st.sampled_from(option.names), st.sampled_from("_:=")
    spelled = st.tuples(name, separator, name, separator, arguments(option.kind))
    return spelled.map(lambda drawn: (item(*drawn[:2], drawn[4]), item(*drawn[2:])))


TABLE = {option.name: option for option in OPTIONS_BY_NAME.values() if option.name != "presets"}
some_names = st.lists(st.sampled_from([*TABLE]), unique=True, min_size=1, max_size=8)

written_options = some_names.flatmap(
    lambda names: st.tuples(*(items(TABLE[name]) for name in names)).map(",".join)
)


@st.composite
def _respelled(draw: st.DrawFn) -> tuple[str, str]:
    spelled = [draw(pairs(TABLE[name])) for name in draw(some_names)]
    others = draw(st.permutations([other for _, other in spelled]))
    return ",".join(one for one, _ in spelled), "&".join(others)


respelled = _respelled()
"""The same options twice, under other names, separated otherwise and in another order."""


def accepted(text: str) -> bool:
    try:
        parse_options(text)
    except InvalidRequest:
        return False
    return True


specs = written_options.filter(accepted).map(parse_options)
sizes = st.builds(Size, st.integers(1, 20_000), st.integers(1, 20_000)) | st.builds(
    Size, st.integers(1, 40), st.integers(1, 40)
)
