"""What an encoding takes in time, and what is given up so that no request waits too long for it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from proxy.geometry.boxes import Size
from proxy.model.limits import Limits
from proxy.model.media import Format, Note
from proxy.model.negotiation import Bucket
from proxy.options.values.kinds import AutoQuality
from proxy.pipeline.encode.cost import (
    MAX_ENCODE_SECONDS,
    avif_seconds,
    limit_effort,
    without_slow_avif,
)
from proxy.pipeline.encode.order import Order
from proxy.pipeline.encode.savers import EFFORT_RANGES
from proxy.pipeline.encode.smallest import VARIANTS, affordable_variants
from proxy.pipeline.render import render
from proxy.url.grammar import parse_options
from tests.pictures import disc, loaded, photo, saved

HURRY = Limits(avif_budget=0)
BOTH = Bucket(avif=True, webp=True)
OPAQUE, CLEAR = saved(photo(90, 60), Format.PNG), saved(disc(90, 60, 200, 9, 9), Format.PNG)
SMALL, CAMERA = Size(800, 600), Size(4000, 3000)


def effort(format: Format, size: Size, **settings: object) -> object:
    order = Order(formats=(format,), settings={format: settings})
    return limit_effort(order, size).settings[format].get(EFFORT_RANGES[format][0])


@pytest.mark.parametrize("format", EFFORT_RANGES)
def test_a_small_picture_has_the_effort_that_was_asked_for(format: Format) -> None:
    name, low, high = EFFORT_RANGES[format]
    assert effort(format, SMALL) is None
    for each in (low, high):
        assert effort(format, SMALL, **{name: each}) == each


@pytest.mark.parametrize(
    "format, settings, wanted",
    [
        (Format.WEBP, {}, None),
        (Format.WEBP, {"effort": 6}, 6),
        (Format.WEBP, {"lossless": True}, 0),
        (Format.WEBP, {"lossless": True, "effort": 6}, 0),
        (Format.AVIF, {}, None),
        (Format.AVIF, {"effort": 4}, 2),
        (Format.AVIF, {"lossless": True}, 0),
        (Format.GIF, {"effort": 10}, 1),
        (Format.PNG, {"compression": 9}, 9),
    ],
)
def test_a_photograph_has_what_effort_there_is_time_for(
    format: Format, settings: dict[str, object], wanted: int | None
) -> None:
    assert effort(format, CAMERA, **settings) == wanted


@pytest.mark.parametrize("more", [{}, {"max_bytes": 9}, {"quality": AutoQuality.BEST}])
def test_an_avif_never_takes_more_than_there_is(more: dict[str, object]) -> None:
    for pixels in (500, 1000, 2000, 4000):
        size = Size(pixels, pixels)
        order = Order(formats=(Format.AVIF,), settings={Format.AVIF: {"effort": 4}}, **more)  # type: ignore[arg-type]
        found = limit_effort(order, size)
        assert avif_seconds(size, found) <= MAX_ENCODE_SECONDS or found.settings[Format.AVIF]["effort"] == 0
        larger = replace(order, settings={Format.AVIF: {"effort": found.settings[Format.AVIF]["effort"] + 1}})
        assert found.settings[Format.AVIF]["effort"] == 4 or avif_seconds(size, larger) > MAX_ENCODE_SECONDS


@pytest.mark.parametrize("format", VARIANTS)
def test_a_large_picture_is_written_in_fewer_ways(format: Format) -> None:
    assert affordable_variants(format, 1_000_000, lossy=True) == VARIANTS[format]
    few = affordable_variants(format, 12_000_000, lossy=True)
    assert few[0] == VARIANTS[format][0]
    assert few[-1] == VARIANTS[format][-1]
    assert sum(way.seconds for way in few) * 12 <= MAX_ENCODE_SECONDS or len(few) == 2
    assert all(way.exact for way in affordable_variants(format, 1, lossy=False))


@pytest.mark.parametrize(
    ("body", "options", "accepted", "wanted"),
    [
        (OPAQUE, "f_auto", BOTH, Format.WEBP),
        (CLEAR, "f_auto", BOTH, Format.WEBP),
        (OPAQUE, "f_auto", Bucket(avif=True), Format.JPEG),
        (CLEAR, "f_auto", Bucket(avif=True), Format.PNG),
        (OPAQUE, "f_auto,q_auto", BOTH, Format.WEBP),
    ],
)
def test_what_is_written_for_now(body: bytes, options: str, accepted: Bucket, wanted: Format) -> None:
    spec = parse_options(options)
    now = render(body, spec, HURRY, accepted)
    assert (now.format, now.notes) == (wanted, (Note.AVIF_FOLLOWS,))
    assert loaded(now.body).hasalpha() == (body is CLEAR)
    later = render(body, spec, HURRY, accepted, background=True)
    assert (later.format, later.notes) == (Format.AVIF, ())


def test_the_best_is_looked_for_without_it() -> None:
    now = render(OPAQUE, parse_options("f_best"), HURRY, BOTH)
    assert now.format is not Format.AVIF
    assert now.notes == (Note.AVIF_FOLLOWS,)


@pytest.mark.parametrize("options", ["f_avif", "f_avif,q_auto", "f_webp", "_"])
def test_a_format_that_was_named_is_never_another(options: str) -> None:
    spec = parse_options(options)
    hurried = render(OPAQUE, spec, HURRY, BOTH)
    assert hurried.notes == ()
    assert hurried.body == render(OPAQUE, spec, HURRY, BOTH, background=True).body


def test_without_avif_there_is_no_hurry() -> None:
    assert render(OPAQUE, parse_options("f_auto"), HURRY, Bucket(webp=True)).notes == ()


def test_what_is_quick_enough_is_an_avif_at_once() -> None:
    spec = parse_options("w_60,f_auto")
    assert render(OPAQUE, spec, Limits(), BOTH).format is Format.AVIF


def test_more_pixels_and_more_tries_take_longer() -> None:
    plain = Order(formats=(Format.AVIF,))
    searched = replace(plain, quality=AutoQuality.GOOD)
    small, large = Size(1200, 800), Size(4000, 3000)
    for order in (plain, searched, replace(plain, max_bytes=9)):
        assert avif_seconds(small, order) < avif_seconds(large, order)
    for size in (small, large):
        assert avif_seconds(size, plain) < avif_seconds(size, searched)
        assert avif_seconds(size, searched) < avif_seconds(size, replace(searched, max_bytes=9))
    assert avif_seconds(large, plain) == pytest.approx(12 * 0.16)


def test_sides_that_no_other_format_holds_wait_for_the_avif() -> None:
    order = Order(formats=(Format.AVIF,))
    assert without_slow_avif(order, Size(16_384, 9), BOTH, 0, alpha=True) is order
    assert without_slow_avif(order, Size(16_383, 9), BOTH, 0, alpha=True).formats == (Format.WEBP,)
