"""What a URL means, in words: what became of each option, and what will happen to the picture."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from proxy.cli.refused import Refused
from proxy.geometry.boxes import Box, Size, exact, offset_px
from proxy.geometry.overlay import font_size, overlay_width, tile_gaps
from proxy.geometry.plan import Corners, Plan
from proxy.options.spec import OPTIONS, Spec
from proxy.options.values.overlays import AllowedOverlays, OverlayPositionKind
from proxy.options.values.positions import Compass, Strategy
from proxy.url.grammar import SpecFields, format_item, parse_options, read_item, split_items

WHERE: Mapping[Strategy, str] = {
    Strategy.ATTENTION: "where the eye goes first",
    Strategy.ENTROPY: "where most is to be seen",
    Strategy.FACE: "around the faces",
}


def explain_options(
    text: str,
    presets: Mapping[str, SpecFields],
    defaults: SpecFields,
    overlays: AllowedOverlays | None = None,
) -> Iterator[tuple[str, str]]:
    """
    Each item of `text` and what it became: what the canonical options have because of it. Raises
    InvalidRequest.
    """
    whole = _items(parse_options(text, presets, defaults, overlays))
    items = split_items(text) if text != "_" else []
    for item in items:
        written = read_item(item)
        others = ",".join(other for other in items if read_item(other) != written) or "_"
        without = _items(parse_options(others, presets, defaults, overlays))
        came = {name: each for name, each in whole.items() if without.get(name) != each}
        # Without its width, `w_300,h_200,g_west` loses the anchor too, and that is still not the width's.
        own = {name: each for name, each in came.items() if name in written}
        gone = [each for name, each in without.items() if name not in whole]
        if came:
            yield item, ",".join((own or came).values())
        else:
            yield item, f"takes {','.join(gone)} away" if gone else "changes nothing here"


def _items(spec: Spec) -> dict[str, str]:
    """The canonical items by field; presets stand there as what they hold."""
    spec = replace(spec, presets=())
    return {
        option.name: format_item(option, getattr(spec, option.name))
        for option in OPTIONS.values()
        if getattr(spec, option.name) != option.default
    }


def explain_plan(spec: Spec, plan: Plan, source: Size) -> Iterator[tuple[str, str]]:
    """The steps that do something, in the order of work. A border to trim is only seen in the picture."""
    yield "source", f"{_size(source)}, upright"
    if spec.trim is not None:
        like = f"#{spec.trim.colour.hex}" if spec.trim.colour else "the top left pixel"
        yield "trim", f"what is within {spec.trim.threshold:g} of {like}; here as if that were nothing"
    if plan.region.size != source:
        place = WHERE.get(plan.region_strategy) if plan.region_strategy else None
        yield "cut out", f"{_size(plan.region.size)} {place}" if place else _box(plan.region)
    if plan.resize != plan.region.size:
        yield "scale", f"to {_size(plan.resize)}"
    if plan.turn:
        yield "turn", f"{plan.turn * 90} degrees clockwise"
    if plan.flip:
        yield "mirror", "top to bottom"
    if plan.flop:
        yield "mirror", "left to right"
    if plan.crop.size != (plan.resize.swapped if plan.turn % 2 else plan.resize):
        place = WHERE.get(plan.strategy) if plan.strategy else None
        yield "crop", f"{_size(plan.crop.size)} {place}" if place else _box(plan.crop)
    if spec.flatten:
        yield "flatten", "on its background"
    if effects := [each for name, each in _items(spec).items() if OPTIONS[name].about == "effect"]:
        yield "effects", ", then ".join(effects)
    if plan.canvas is not None:
        yield "canvas", f"{_size(plan.canvas.size)}, the picture at {_point(plan.canvas)}"
    if plan.radii is not None:
        yield "round", "corners of " + _radii(plan.radii)
    if plan.border:
        yield "line", f"{plan.border} px around, which takes {_size(plan.bordered)}"
    if plan.angle:
        yield "rotate", f"{plan.angle:g} degrees clockwise, which takes {_size(plan.rotated)}"
    if plan.result != plan.rotated:
        sides = ("top", "right", "bottom", "left")
        yield "extend", ", ".join(f"{side} {getattr(plan.extend, side)}" for side in sides) + " px"
    if spec.text is not None or spec.overlay is not None:
        yield "overlay", _overlay(spec, plan)
    yield "result", _size(plan.result)


def _overlay(spec: Spec, plan: Plan) -> str:
    """How large a picture is, and so where its corner lies, is known when it is there."""
    dpr, width = exact(plan.dpr), spec.overlay_width
    px = None if width is None else min(overlay_width(width, plan.result, dpr), plan.result.width)
    if spec.text is not None:
        lines = f"{font_size(spec, plan.result, plan.dpr)} px high, wrapped at {px or plan.result.width} px"
        told = [f"text {spec.text!r}", lines]
    else:
        told = [f"{spec.overlay}", f"{px} px wide" if px else f"at {plan.dpr:g} times its size"]
    if spec.overlay_tile:
        told.append("{} and {} px between tiles".format(*tile_gaps(spec, plan.result, plan.dpr)))
    else:
        told.append(f"at {OverlayPositionKind().format(spec.overlay_position or Compass.CENTER)}")
        moved = [
            offset_px(by or 0.0, side, dpr)
            for by, side in (
                (spec.overlay_x, plan.result.width),
                (spec.overlay_y, plan.result.height),
            )
        ]
        told += [f"{moved[0]} and {moved[1]} px from there"] if any(moved) else []
    return ", ".join(told)


def _radii(radii: Corners) -> str:
    told = [f"{across:g}" if across == down else f"{across:g}x{down:g}" for across, down in radii]
    return (told[0] if len(set(told)) == 1 else ", ".join(told)) + " px"


def _size(size: Size) -> str:
    return f"{size.width}x{size.height}"


def _point(box: Box) -> str:
    return f"{box.left},{box.top}"


def _box(box: Box) -> str:
    return f"{_size(box.size)} at {_point(box)}"


def read_size(text: str) -> Size:
    sides = re.fullmatch(r"([1-9][0-9]{0,5})x([1-9][0-9]{0,5})", text, re.ASCII)
    if sides is None:
        raise Refused(f"--source takes WIDTHxHEIGHT in px such as 4000x3000, not {text!r}")
    return Size(int(sides[1]), int(sides[2]))
