"""No file takes longer to write than a request may, however large the picture and whatever the effort."""

from __future__ import annotations

from dataclasses import replace

import pytest

from proxy.geometry.boxes import Size
from proxy.model.media import Format
from proxy.options.values.kinds import AutoQuality
from proxy.pipeline.encode.cost import avif_seconds
from proxy.pipeline.encode.order import Order
from proxy.pipeline.encode.savers import EFFORT, MOST_SECONDS
from proxy.pipeline.encode.smallest import WAYS, bearable_ways
from proxy.pipeline.endurance import bearable

SMALL, CAMERA = Size(800, 600), Size(4000, 3000)


def effort(format: Format, size: Size, **settings: object) -> object:
    order = Order(formats=(format,), settings={format: settings})
    return bearable(order, size).settings[format].get(EFFORT[format][0])


@pytest.mark.parametrize("format", EFFORT)
def test_a_small_picture_has_the_effort_that_was_asked_for(format: Format) -> None:
    name, low, high = EFFORT[format]
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
        found = bearable(order, size)
        assert avif_seconds(size, found) <= MOST_SECONDS or found.settings[Format.AVIF]["effort"] == 0
        larger = replace(order, settings={Format.AVIF: {"effort": found.settings[Format.AVIF]["effort"] + 1}})
        assert found.settings[Format.AVIF]["effort"] == 4 or avif_seconds(size, larger) > MOST_SECONDS


@pytest.mark.parametrize("format", WAYS)
def test_a_large_picture_is_written_in_fewer_ways(format: Format) -> None:
    assert bearable_ways(format, 1_000_000, lossy=True) == WAYS[format]
    few = bearable_ways(format, 12_000_000, lossy=True)
    assert few[0] == WAYS[format][0]
    assert few[-1] == WAYS[format][-1]
    assert sum(way.seconds for way in few) * 12 <= MOST_SECONDS or len(few) == 2
    assert all(way.exact for way in bearable_ways(format, 1, lossy=False))
