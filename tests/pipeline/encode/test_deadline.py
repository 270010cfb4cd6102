"""An AVIF that takes too long: another format for now, where the client leaves the choice to us."""

from __future__ import annotations

from dataclasses import replace

import pytest

from proxy.geometry.boxes import Size
from proxy.model.limits import Limits
from proxy.model.media import Format, Note
from proxy.model.negotiation import Bucket
from proxy.options.values.kinds import AutoQuality
from proxy.pipeline.encode.cost import avif_seconds, in_time
from proxy.pipeline.encode.order import Order
from proxy.pipeline.render import render
from proxy.url.grammar import parse_options
from tests.pictures import disc, loaded, photo, saved

HURRY = Limits(avif_budget=0)
BOTH = Bucket(avif=True, webp=True)
OPAQUE, CLEAR = saved(photo(90, 60), Format.PNG), saved(disc(90, 60, 200, 9, 9), Format.PNG)


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
    later = render(body, spec, HURRY, accepted, patient=True)
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
    assert hurried.body == render(OPAQUE, spec, HURRY, BOTH, patient=True).body


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
    assert in_time(order, Size(16_384, 9), BOTH, 0, alpha=True) is order
    assert in_time(order, Size(16_383, 9), BOTH, 0, alpha=True).formats == (Format.WEBP,)
