"""Renditions of one original that are made together come out as if each had been made alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import pyvips
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.model.errors import NoSuchPage, ProxyError
from proxy.model.limits import Limits
from proxy.model.media import Format, Note
from proxy.model.negotiation import Bucket
from proxy.pipeline.batch import Batch, BatchedRendition
from proxy.pipeline.decode import pixels, shared
from proxy.pipeline.encode.similarity import SimilarityReference
from proxy.pipeline.render import render
from proxy.url.grammar import parse_options
from tests.pictures import loaded, photo, saved, tagged

PHOTO = photo(900, 610)
MAX_LOSS = 1.0
"""Points of SSIMULACRA2 by which a picture may be worse than one that was decoded for itself."""

ORIGINALS = {
    "baseline": saved(PHOTO, Format.JPEG, Q=92),
    "progressive": saved(PHOTO, Format.JPEG, Q=92, interlace=True),
    "upright": saved(tagged(PHOTO, orientation=6), Format.JPEG, Q=92),
    "png": saved(PHOTO, Format.PNG),
    "alpha": saved(PHOTO.bandjoin(photo(900, 610, 2)[0]), Format.PNG),
    "webp": saved(PHOTO, Format.WEBP),
    "webp-alpha": saved(PHOTO.bandjoin(photo(900, 610, 2)[0]), Format.WEBP),
    "avif": saved(PHOTO.resize(0.4), Format.AVIF),
    "gif": saved(PHOTO.resize(0.4), Format.GIF),
}

OPTIONS = st.builds(
    "{}w_{}{},f_{}".format,
    st.sampled_from(["", "", "", "ar_1,", "c_crop,", "t_10,", "ll_1,", "ao_0,", "icc_keep,"]),
    st.integers(20, 1000),
    st.sampled_from(["", "", ",h_80", ",h_90,g_attention", ",rot_30", ",blur_2"]),
    st.sampled_from(["jpg", "webp", "png"]),
)


def together(body: bytes, options: Sequence[str], limits: Limits | None = None) -> list[BatchedRendition]:
    variants = [(parse_options(each), Bucket()) for each in options]
    batch = Batch(body, limits or Limits(), variants)
    return [batch.render(number) for number in range(len(options))]


def are_options(text: str) -> bool:
    try:
        parse_options(text)
    except ProxyError:
        return False
    return True


@settings(max_examples=60)
@given(
    name=st.sampled_from(sorted(ORIGINALS)),
    options=st.lists(OPTIONS.filter(are_options), min_size=2, max_size=6),
)
def test_geometry_is_equal_and_so_are_bytes_where_nothing_else_is_said(name: str, options: list[str]) -> None:
    body = ORIGINALS[name]
    for text, made in zip(options, together(body, options), strict=True):
        alone = render(body, parse_options(text), Limits())
        rendered = made.rendered
        assert (rendered.width, rendered.height) == (alone.width, alone.height)
        assert (rendered.format, rendered.notes) == (alone.format, alone.notes)
        assert rendered.source == alone.source
        if not made.shared_decode:
            assert rendered.body == alone.body


@pytest.mark.parametrize("name", ["baseline", "progressive", "upright"])
def test_what_other_pixels_are_decoded_for_looks_the_same(name: str) -> None:
    body = ORIGINALS[name]
    options = [f"w_{width},f_jpg" for width in (60, 90, 130, 200, 280)]
    made = together(body, options)
    assert any(each.shared_decode for each in made)
    upright = loaded(body).autorot()
    for text, each in zip(options, made, strict=True):
        alone = render(body, parse_options(text), Limits())
        wanted = upright.resize(alone.width / upright.width, vscale=alone.height / upright.height)
        reference = SimilarityReference.of(wanted.copy_memory())
        loss = reference.similarity(loaded(alone.body)) - reference.similarity(loaded(each.rendered.body))
        assert loss <= MAX_LOSS


SIX = (50, 80, 100, 150, 200, 280)
LARGE = (50, 80, 100, 150, 500, 700)


@pytest.mark.parametrize(
    ("name", "widths", "decodes"),
    [
        ("baseline", SIX, 1),
        ("baseline", LARGE, 2),
        ("progressive", LARGE, 1),
        ("png", LARGE, 1),
        ("webp-alpha", LARGE, 1),
        ("avif", SIX, 1),
    ],
)
def test_six_widths_are_decoded_once_and_those_that_need_all_pixels_once(
    name: str, widths: tuple[int, ...], decodes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = []
    for module in (pixels, shared):
        real: Callable[..., pyvips.Image] = vars(module)["open_image"]

        def counted(*args: Any, real: Callable[..., pyvips.Image] = real, **more: Any) -> pyvips.Image:
            opened.append(more)
            return real(*args, **more)

        monkeypatch.setattr(module, "open_image", counted)
    together(ORIGINALS[name], [f"w_{width},f_jpg" for width in widths])
    assert len(opened) == decodes


def test_the_error_of_one_is_not_that_of_others() -> None:
    body = ORIGINALS["baseline"]
    variants = [(parse_options(each), Bucket()) for each in ("w_50", "page_3", "w_60")]
    batch = Batch(body, Limits(), variants)
    assert batch.render(0).rendered.width == 50
    with pytest.raises(NoSuchPage):
        batch.render(1)
    assert batch.render(2).rendered.width == 60


@pytest.mark.parametrize("show_damaged", [False, True])
@pytest.mark.parametrize("name", ["baseline", "progressive", "png"])
def test_what_is_damaged_is_judged_as_usual(name: str, show_damaged: bool) -> None:
    body = ORIGINALS[name][: len(ORIGINALS[name]) * 2 // 3]
    limits = Limits(show_damaged=show_damaged)
    batch = Batch(body, limits, [(parse_options(f"w_{width}"), Bucket()) for width in (50, 80, 100)])
    for number, width in enumerate((50, 80, 100)):
        try:
            alone = render(body, parse_options(f"w_{width}"), limits)
        except ProxyError as error:
            with pytest.raises(type(error)):
                batch.render(number)
        else:
            made = batch.render(number).rendered
            assert made.body == alone.body
            assert Note.DAMAGED in made.notes


def test_a_picture_too_large_to_be_held_is_decoded_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared, "MAX_SHARED_BYTES", 1_000)
    made = together(ORIGINALS["baseline"], ["w_50", "w_120"])
    assert not any(each.shared_decode for each in made)
