from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from proxy.geometry.boxes import Box, Size, position
from proxy.geometry.plan import Plan, plan
from proxy.geometry.visible import View, to_source
from proxy.model.errors import ResultTooLarge
from proxy.model.limits import Limits
from proxy.options.canonical import has_minimum
from proxy.options.spec import Fit, Mode, Spec
from proxy.options.values.positions import Compass, FocalPoint, Strategy
from proxy.url.grammar import parse_options
from tests.paths import ROOT
from tests.strategies import sizes, specs

BOUNDLESS = Limits(max_result_pixels=10**15, max_result_side=10**9)


def planned(options: str, width: int, height: int) -> Plan:
    return plan(parse_options(options), Size(width, height), BOUNDLESS)


@given(specs, sizes)
def test_every_box_lies_inside_what_it_is_cut_from(spec: Spec, source: Size) -> None:
    p = plan(spec, source, BOUNDLESS)
    turned = p.resize.swapped if p.turn % 2 else p.resize
    for box, outer in ((p.region, source), (p.crop, turned)):
        assert box.left >= 0 <= box.top
        assert box.width >= 1 <= box.height
        assert box.left + box.width <= outer.width
        assert box.top + box.height <= outer.height
    if p.canvas:
        assert 0 <= p.canvas.left <= p.canvas.width - p.crop.width
        assert 0 <= p.canvas.top <= p.canvas.height - p.crop.height


@given(specs, sizes)
def test_never_larger_than_the_source_unless_asked(spec: Spec, source: Size) -> None:
    assume(not spec.enlarge and spec.mode not in ("mfit", "mpad"))
    assume(not has_minimum(spec))
    p = plan(spec, source, BOUNDLESS)
    assert p.resize.width <= p.region.width
    assert p.resize.height <= p.region.height


@given(specs, sizes)
def test_turning_the_world_on_its_side_turns_the_plan(spec: Spec, source: Size) -> None:
    assume((spec.crop, spec.rotate, spec.extend) == (None, None, None))
    assume(spec.position is None or isinstance(spec.position, Strategy))
    one = plan(spec, source, BOUNDLESS)
    sideways = replace(
        spec,
        width=spec.height,
        height=spec.width,
        min_width=spec.min_height,
        min_height=spec.min_width,
        aspect=spec.aspect and 1 / spec.aspect,
        x=spec.y,
        y=spec.x,
    )
    assert plan(sideways, source.swapped, BOUNDLESS).result == one.result.swapped


@given(specs, sizes, st.integers(1, 10**8), st.integers(1, 20_000))
def test_limits_hold(spec: Spec, source: Size, pixels: int, side: int) -> None:
    try:
        p = plan(spec, source, Limits(max_result_pixels=pixels), max_side=side)
    except ResultTooLarge:
        return
    assert p.result.pixels <= pixels
    assert max(p.result.width, p.result.height) <= side


@given(specs, sizes, st.integers(1, 20_000))
@example(parse_options("w_400,pad_1,dpr_3,enlarge"), Size(400, 300), 401)
def test_what_would_be_too_long_is_made_smaller_as_a_whole(spec: Spec, source: Size, side: int) -> None:
    free = plan(spec, source, BOUNDLESS)
    held = plan(spec, source, replace(BOUNDLESS, max_result_side=side))
    assert held.result.longest <= side
    if free.result.longest <= side:
        assert held.result == free.result
        return
    assert held.dpr < free.dpr
    for one, other in zip(held.sizes, free.sizes, strict=True):
        assert one.width <= other.width
        assert one.height <= other.height
    if side > 1000 and free.angle == 0 and held.region == free.region:
        scale = held.dpr / free.dpr
        assert abs(held.result.longest - side) <= 3
        for whole in ("width", "height"):
            assert abs(getattr(held.resize, whole) - getattr(free.resize, whole) * scale) <= 1


@given(specs, sizes, st.integers(1, 3000))
@example(parse_options("c_fill,w_300,h_200"), Size(1500, 1), 1000)
@example(parse_options("c_fill,w_300,h_200,rotate_90,flip"), Size(17, 2000), 1000)
def test_what_is_cut_away_is_never_made(spec: Spec, source: Size, side: int) -> None:
    """The same of the source is seen, to a px of the result."""
    whole = plan(spec, source, BOUNDLESS)
    least = plan(spec, source, replace(BOUNDLESS, max_result_side=side))
    if whole.result.longest > side:
        return
    assert least.result == whole.result
    assert least.crop.size == whole.crop.size
    across, down = whole.resize.width / whole.region.width, whole.resize.height / whole.region.height
    for one, other, scale in zip(edges(least), edges(whole), (across, down) * 2, strict=True):
        assert abs(one - other) * scale <= 1
    if least.region != whole.region:
        assert least.resize.longest <= whole.crop.size.longest + 14 * max(across, down, 1)


def edges(p: Plan) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of what is seen, in px of the source."""
    seen = to_source(
        View(region=p.region, resize=p.resize, turn=p.turn, flip=p.flip, flop=p.flop, crop=p.crop)
    )
    across, down = p.resize.width / p.region.width, p.resize.height / p.region.height
    left, top = p.region.left + seen.left / across, p.region.top + seen.top / down
    return left, top, left + seen.width / across, top + seen.height / down


@given(specs, sizes, st.integers(1, 3000))
def test_a_floor_holds_or_the_box_cuts(spec: Spec, source: Size, floor: int) -> None:
    spec = replace(spec, crop=None, rotate=None)
    free = plan(replace(spec, min_width=None, min_height=None), source, BOUNDLESS)
    held = plan(replace(spec, min_width=floor, min_height=None), source, BOUNDLESS)
    assert held.resize.width >= max(free.resize.width, int(floor * held.dpr))
    if free.resize.width >= floor * free.dpr + 1:
        assert held == free


boxes = st.tuples(st.integers(1, 8192), st.integers(1, 8192))


@given(
    boxes, sizes, st.booleans(), st.sampled_from([Fit.INSIDE, Fit.OUTSIDE, Fit.COVER, Fit.CONTAIN, Fit.FILL])
)
def test_a_fit_keeps_its_promise(box: tuple[int, int], source: Size, enlarge: bool, fit: Fit) -> None:
    width, height = box
    result = plan(Spec(width=width, height=height, fit=fit, enlarge=enlarge), source, BOUNDLESS).result
    fits = enlarge or (width <= source.width and height <= source.height)
    if fit is Fit.INSIDE:
        assert result.width <= width
        assert result.height <= height
    elif fit is Fit.OUTSIDE and fits:
        assert result.width >= width
        assert result.height >= height
    elif fit in (Fit.COVER, Fit.CONTAIN, Fit.FILL) and fits:
        assert (result.width, result.height) == box


@given(specs, sizes)
def test_a_quarter_turn_plans_as_for_the_turned_source(spec: Spec, source: Size) -> None:
    assume(spec.crop is None)
    straight = replace(spec, rotate=None)
    turned = plan(replace(spec, rotate=90.0), source, BOUNDLESS)
    assert turned.result == plan(straight, source.swapped, BOUNDLESS).result


@settings(max_examples=300)
@given(st.integers(1, 400), st.integers(1, 300), st.sampled_from([1.0, 1.5, 2.0, 3.0]), sizes)
@example(300, 200, 2.0, Size(400, 300))
def test_merging_the_dpr_changes_nothing(width: int, height: int, dpr: float, source: Size) -> None:
    for fit in Fit:
        apart = plan(Spec(width=width, height=height, dpr=dpr, fit=fit), source, BOUNDLESS)
        merged = parse_options(f"w_{width},h_{height},dpr_{dpr:g},fit_{fit}")
        assert apart.result == plan(merged, source, BOUNDLESS).result


def sides(source: Size, scale: Fraction) -> Size:
    return Size(*(max(1, int(side * scale + Fraction(1, 2))) for side in (source.width, source.height)))


@given(st.sampled_from(Mode), boxes, sizes)
@example(Mode.MPAD, (300, 50), Size(100, 50))
@example(Mode.MPAD, (300, 200), Size(400, 100))
def test_every_mode_is_what_its_definition_says(mode: Mode, box: tuple[int, int], source: Size) -> None:
    """Input iw x ih, box w x h, sf = min(w/iw, h/ih), sc = max(w/iw, h/ih)."""
    exactly = Size(*box)
    ratios = Fraction(box[0], source.width), Fraction(box[1], source.height)
    sf, sc = min(ratios), max(ratios)
    low = sides(source, min(Fraction(1), sc))
    wanted = {
        Mode.SCALE: exactly,
        Mode.FIT: sides(source, sf),
        Mode.LIMIT: sides(source, min(Fraction(1), sf)),
        Mode.MFIT: sides(source, max(Fraction(1), sf)),
        Mode.FILL: exactly,
        Mode.LFILL: Size(min(box[0], low.width), min(box[1], low.height)),
        Mode.PAD: exactly,
        Mode.LPAD: exactly,
        Mode.MPAD: exactly if sf >= 1 else source,
        Mode.CROP: Size(min(box[0], source.width), min(box[1], source.height)),
        Mode.THUMB: exactly,
        Mode.AUTO: exactly,
    }
    options = f"w_{box[0]},h_{box[1]},c_{mode}"
    assert plan(parse_options(options), source, BOUNDLESS).result == wanted[mode]


@given(st.sampled_from(Mode), st.integers(1, 8192), sizes, st.booleans())
def test_with_one_side_given_the_other_follows(mode: Mode, side: int, source: Size, wide: bool) -> None:
    scale = Fraction(side, source.width if wide else source.height)
    if mode in (Mode.LIMIT, Mode.LFILL, Mode.LPAD):
        scale = min(scale, Fraction(1))
    if mode in (Mode.MFIT, Mode.MPAD):
        scale = max(scale, Fraction(1))
    wanted = sides(source, scale)
    if mode is Mode.CROP:
        cut = min(side, source.width if wide else source.height)
        wanted = Size(cut, source.height) if wide else Size(source.width, cut)
    options = f"{'w' if wide else 'h'}_{side},c_{mode}"
    assert plan(parse_options(options), source, BOUNDLESS).result == wanted


# Each row by hand from the definitions: options, source, result, and where the picture is cut or lies.
TABLE = [
    ("w_300,h_200", (640, 480), (300, 200), Box(0, 13, 300, 200)),
    ("w_300,h_200", (200, 100), (150, 100), Box(26, 0, 150, 100)),
    ("w_300,h_200", (100, 300), (100, 67), Box(0, 117, 100, 67)),
    ("w_300", (641, 479), (300, 224), None),
    ("h_200", (641, 479), (268, 200), None),
    ("w_0.5", (641, 479), (321, 240), None),
    ("w_1000", (640, 480), (640, 480), None),
    ("w_1000,enlarge", (640, 480), (1000, 750), None),
    ("w_300,h_200,fit_inside", (640, 480), (267, 200), None),
    ("w_300,h_200,fit_outside", (640, 480), (300, 225), None),
    ("w_300,h_200,fit_fill", (640, 480), (300, 200), None),
    ("w_300,fit_fill", (640, 480), (300, 480), None),
    ("w_200,h_50,fit_fill", (100, 100), (100, 25), None),
    ("w_300,h_200,fit_contain", (640, 480), (300, 200), None),
    ("w_300,h_200,fit_contain", (100, 100), (100, 67), None),
    ("w_300,h_200,c_pad", (100, 100), (300, 200), None),
    ("w_300,h_200,c_lpad", (100, 100), (300, 200), None),
    ("w_300,h_200,c_mpad", (100, 100), (300, 200), None),
    ("w_300,h_200,c_mpad", (1000, 1000), (1000, 1000), None),
    ("w_300,h_200,c_scale", (100, 100), (300, 200), None),
    ("w_300,c_scale", (100, 50), (300, 150), None),
    ("w_300,h_200,c_fit", (100, 100), (200, 200), None),
    ("w_300,h_200,c_limit", (100, 100), (100, 100), None),
    ("w_300,h_200,c_mfit", (100, 100), (200, 200), None),
    ("w_300,h_200,c_mfit", (1000, 900), (1000, 900), None),
    ("w_300,h_200,c_fill", (100, 100), (300, 200), Box(0, 50, 300, 200)),
    ("w_300,h_200,c_lfill", (100, 300), (100, 200), Box(0, 50, 100, 200)),
    ("w_300,h_200,c_lfill", (640, 480), (300, 200), Box(0, 13, 300, 200)),
    ("w_300,h_200,c_crop", (640, 480), (300, 200), Box(170, 140, 300, 200)),
    ("w_300,h_200,c_crop,x_20,y_30", (640, 480), (300, 200), Box(20, 30, 300, 200)),
    ("w_300,h_200,c_crop,x_20,y_30,g_south_east", (640, 480), (300, 200), Box(320, 250, 300, 200)),
    ("w_300,h_200,c_crop,x_0.5", (640, 480), (300, 200), Box(320, 0, 300, 200)),
    ("w_900,h_200,c_crop", (640, 480), (640, 200), Box(0, 140, 640, 200)),
    ("w_300,c_crop", (640, 480), (300, 480), Box(170, 0, 300, 480)),
    ("w_1.0,ar_1,c_fill", (640, 480), (640, 640), Box(107, 0, 640, 640)),
    ("ar_1", (640, 480), (480, 480), Box(80, 0, 480, 480)),
    ("ar_16:9,c_pad", (100, 100), (178, 100), None),
    ("ar_1,c_pad", (640, 480), (640, 640), None),
    ("w_100,rotate_90", (640, 480), (100, 133), None),
    ("w_100,h_100,rotate_90,g_north", (640, 480), (100, 100), Box(0, 0, 100, 100)),
    ("w_100,rotate_45", (640, 480), (124, 124), None),
    ("w_100,pad_10,dpr_2", (640, 480), (240, 190), None),
    ("w_100,pad_10,dpr_2", (150, 150), (180, 180), None),
    ("crop_0.25_0.25_0.5_0.5", (641, 479), (321, 240), None),
    ("crop_600_400_100_100", (640, 480), (100, 100), None),
    ("w_100", (10_000, 1), (100, 1), None),
    ("w_1", (1, 10_000), (1, 10_000), None),
    ("w_100,zoom_2,pad_10", (640, 480), (220, 170), None),
    ("w_100,h_100,zoom_0.5", (640, 480), (50, 50), Box(9, 0, 50, 50)),
    ("zoom_0.5", (641, 479), (321, 240), None),
    ("zoom_2", (640, 480), (640, 480), None),
    ("zoom_2,enlarge", (640, 480), (1280, 960), None),
    ("w_0.5,zoom_0.5", (640, 480), (160, 120), None),
    ("w_300,h_200,fit_inside,mw_290", (640, 480), (290, 200), Box(0, 10, 290, 200)),
    ("w_300,h_200,fit_inside,mw_400", (640, 480), (300, 200), Box(50, 50, 300, 200)),
    ("w_300,h_200,fit_outside,mw_400", (640, 480), (400, 300), None),
    ("w_300,fit_outside,mw_400", (640, 480), (400, 300), None),
    ("w_300,mw_400", (640, 480), (300, 300), Box(50, 0, 300, 300)),
    ("w_300,mh_290", (640, 480), (300, 290), Box(44, 0, 300, 290)),
    ("mw_200", (100, 50), (200, 100), None),
    ("mw_200,mh_150", (100, 50), (300, 150), None),
    ("w_300,h_300,mw_200", (100, 100), (200, 200), Box(0, 0, 200, 200)),
    ("w_211,h_347,dpr_1.5,zoom_2,mw_599", (193, 871), (422, 694), None),
    ("h_275,fit_inside,dpr_1.5", (502, 451), (459, 413), None),
    ("w_362,h_334,dpr_0.5,zoom_1.3,enlarge", (856, 611), (235, 217), None),
    ("h_384,w_762,zoom_1.3", (1940, 443), (880, 443), None),
    ("w_100,dpr_2,mw_120", (150, 150), (150, 180), Box(16, 0, 150, 180)),
    ("w_300,h_200,c_pad,mw_250", (100, 100), (300, 200), Box(0, 26, 250, 200)),
    ("w_300,h_200,c_mfit,mw_400", (100, 100), (400, 400), None),
    ("w_300,h_200,c_thumb", (100, 100), (300, 200), Box(0, 50, 300, 200)),
    ("w_300,h_200,c_auto,g_north", (100, 100), (300, 200), Box(0, 0, 300, 200)),
    ("w_100,c_thumb", (50, 25), (100, 50), None),
    ("w_200,h_200,dpr_2,g_west,x_30", (300, 200), (200, 200), Box(30, 0, 200, 200)),
    ("w_50,h_50,dpr_2,g_north_east,x_10,y_0.1", (300, 200), (100, 100), Box(30, 0, 100, 100)),
    ("w_50,h_100,dpr_2,g_south_east,x_10", (300, 200), (100, 200), Box(180, 0, 100, 200)),
    ("w_100,h_100,g_west,x_0.25", (400, 100), (100, 100), Box(100, 0, 100, 100)),
    ("w_100,h_100,g_east,x_0.25", (400, 100), (100, 100), Box(200, 0, 100, 100)),
    ("w_100,h_100,g_east,x_-50", (400, 100), (100, 100), Box(300, 0, 100, 100)),
    ("w_100,h_100,x_-8000", (400, 100), (100, 100), Box(0, 0, 100, 100)),
    ("bo_4px_solid_red,w_100", (640, 480), (108, 83), None),
    ("bo_5px_solid_red,w_100,dpr_1.5,pad_5", (640, 480), (182, 145), None),
    ("w_50,h_50,g_fp_0.1_0.9", (100, 200), (50, 50), Box(0, 50, 50, 50)),
]  # fmt: skip


@pytest.mark.parametrize("options, source, result, crop", TABLE)
def test_by_hand(options: str, source: tuple[int, int], result: tuple[int, int], crop: Box | None) -> None:
    p = planned(options, *source)
    assert (p.result.width, p.result.height) == result
    assert crop in (None, p.crop)


@pytest.mark.parametrize(
    "options, region",
    [
        ("crop_100_80,g_north_west", Box(0, 0, 100, 80)),
        ("crop_100_80", Box(50, 30, 100, 80)),
        ("crop_100_80,g_east,x_10", Box(90, 30, 100, 80)),
        ("crop_100_80,g_south,x_0.1,y_0.1", Box(70, 46, 100, 80)),
        ("crop_100_80,g_west,x_10,dpr_2,w_20", Box(10, 30, 100, 80)),
        ("crop_0.5_0.5,g_fp_0_1", Box(0, 70, 100, 70)),
        ("crop_9_8_100_80,g_east,x_10,w_10", Box(9, 8, 100, 80)),
        ("crop_1000_1.0,g_east,x_10", Box(0, 0, 200, 140)),
        ("crop_0.001_0.001", Box(100, 70, 1, 1)),
    ],
)
def test_gravity_and_offsets_choose_the_region_too(options: str, region: Box) -> None:
    assert planned(options, 200, 140).region == region


@pytest.mark.parametrize(
    "options, radii",
    [
        ("r_10", [(10, 10)] * 4),
        ("r_10,dpr_2,w_40", [(20, 20)] * 4),
        ("r_10:20:30:40", [(10, 10), (20, 20), (30, 30), (40, 40)]),
        ("r_500", [(50, 50)] * 4),
        ("r_80:0:80:0", [(80, 80), (0, 0), (80, 80), (0, 0)]),
        ("r_max", [(100, 50)] * 4),
    ],
)
def test_corners_shrink_until_they_fit(options: str, radii: list[tuple[float, float]]) -> None:
    assert planned(options, 200, 100).radii == tuple(radii)


@pytest.mark.parametrize(
    "anchor, room, left",
    [
        (None, 0, 0), (None, 1, 1), (None, 2, 2), (None, 3, 2), (None, 4, 2), (None, 5, 3), (None, 6, 4),
        (Compass.WEST, 6, 0), (Compass.EAST, 6, 6), (FocalPoint(0.5, 0.5), 6, 3), (FocalPoint(1, 1), 6, 6),
    ],
)  # fmt: skip
def test_where_a_box_lies_along_an_axis(anchor: Compass | FocalPoint | None, room: int, left: int) -> None:
    """round_half_even((outer - inner + 1) / 2), for a focal point round_half_even(outer * f) - inner // 2."""
    assert position(Size(100 + room, 1), Size(100, 1), anchor)[0] == left


def test_a_mirrored_rotation_is_rotated_the_other_way() -> None:
    assert planned("rotate_30,flop", 100, 50).angle == 330
    assert planned("rotate_30,flip,flop", 100, 50).angle == 30


def test_a_result_too_large_says_how_large() -> None:
    with pytest.raises(ResultTooLarge, match="8192x8192"):
        plan(parse_options("s_8192,enlarge"), Size(10, 10), Limits())


PAGE = ROOT / "docs" / "geometry.md"
ROWS = re.findall(r"(?m)^\| `([^`]+)` \| (\d+)x(\d+) \| (\d+)x(\d+) \|", PAGE.read_text())


def test_the_documentation_has_its_examples() -> None:
    assert len(ROWS) > 25


@pytest.mark.parametrize("options, width, height, wide, high", ROWS)
def test_the_documentation_is_right(options: str, width: str, height: str, wide: str, high: str) -> None:
    assert planned(options, int(width), int(height)).result == Size(int(wide), int(high))
