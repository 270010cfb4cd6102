"""Files that are as small as may be: by looks, by bytes, by format, and never larger than the original."""

from __future__ import annotations

import functools
import statistics

import pytest
import pyvips
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.model.errors import ResultTooLarge
from proxy.model.limits import Limits
from proxy.model.media import Format
from proxy.model.negotiation import Bucket
from proxy.options.values.kinds import AutoQuality
from proxy.pipeline.encode.jpeg_quality import jpeg_quality
from proxy.pipeline.encode.quality_curves import (
    FULL_CHROMA_CURVE,
    SIMILARITY_CURVES,
    SIMILARITY_TARGETS,
    quality_for,
    similarity_at,
)
from proxy.pipeline.encode.quality_search import MAX_BYTES_TRIES, MAX_SIMILARITY_TRIES, decode_like
from proxy.pipeline.encode.similarity import SimilarityReference
from proxy.pipeline.render import render
from proxy.pipeline.stages import Rendered
from proxy.url.grammar import parse_options
from tests.pictures import animation, disc, gradient, loaded, photo, plain, quadrants, saved

LIMITS = Limits()
LOSSY = [Format.JPEG, Format.WEBP, Format.AVIF]
BOTH = Bucket(avif=True, webp=True)


@functools.cache
def picture(seed: int) -> bytes:
    return saved(photo(360, 240, seed), Format.PNG)


def made(body: bytes, options: str, accepted: Bucket = BOTH) -> Rendered:
    return render(body, parse_options(options), LIMITS, accepted)


def similarity(rendered: Rendered, image: pyvips.Image) -> float:
    return SimilarityReference.of(image.copy_memory()).similarity(
        decode_like(rendered.body, rendered.format, image)
    )


@pytest.mark.parametrize("level", AutoQuality)
def test_a_level_looks_the_same_in_every_format(level: AutoQuality) -> None:
    reached = []
    for format in LOSSY:
        for seed in (1, 5):
            rendered = made(picture(seed), f"q_{level},f_{format}")
            reached.append(similarity(rendered, photo(360, 240, seed)))
            assert rendered.encodings <= MAX_SIMILARITY_TRIES
    assert all(SIMILARITY_TARGETS[level] - 1 <= each <= SIMILARITY_TARGETS[level] + 5 for each in reached)
    assert statistics.mean(reached) == pytest.approx(SIMILARITY_TARGETS[level], abs=2)


def test_three_encodings_are_enough_on_average() -> None:
    bodies = [
        picture(1),
        picture(2),
        saved(gradient(300, 200), Format.PNG),
        saved(quadrants(90, 70), Format.PNG),
    ]
    counts = [
        made(body, f"q_{level},f_{format}").encodings
        for body in bodies for level in AutoQuality for format in LOSSY
    ]  # fmt: skip
    assert statistics.mean(counts) <= 3


def test_a_large_picture_is_searched_on_tiles_and_encoded_once() -> None:
    image = photo(1800, 1000, 3)
    rendered = made(saved(image, Format.PNG), "q_auto,f_jpeg")
    assert rendered.encodings == 1
    assert similarity(rendered, image) == pytest.approx(SIMILARITY_TARGETS[AutoQuality.GOOD], abs=4)


@pytest.mark.parametrize("format", LOSSY)
def test_transparent_pictures_are_searched_as_well(format: Format) -> None:
    image = photo(300, 200, 2).bandjoin(disc(300, 200, 0, 0, 0)[3]).copy(interpretation="srgb")
    rendered = made(saved(image, Format.PNG), f"q_auto,f_{format}")
    assert rendered.encodings <= MAX_SIMILARITY_TRIES
    if format is not Format.JPEG:
        assert similarity(rendered, image) > SIMILARITY_TARGETS[AutoQuality.GOOD] - 1


@pytest.mark.parametrize("format", [Format.GIF, Format.WEBP])
def test_an_animation_takes_the_quality_that_usually_fits(format: Format) -> None:
    body = saved(animation(40, 30, (250, 0, 0), (0, 250, 0)), Format.GIF)
    rendered = made(body, f"q_auto:low,f_{format}")
    assert (rendered.frames, rendered.encodings) == (2, 1)


@pytest.mark.parametrize("format", LOSSY)
@settings(max_examples=12, deadline=None)
@given(share=st.floats(0.3, 1.5))
def test_the_best_quality_that_fits(format: Format, share: float) -> None:
    most = int(len(made(picture(1), f"q_70,f_{format}").body) * share)
    rendered = made(picture(1), f"q_88,mb_{most},f_{format}")
    assert len(rendered.body) <= most
    assert rendered.encodings <= MAX_BYTES_TRIES + 1
    ceiling = made(picture(1), f"q_88,f_{format}").body
    assert len(rendered.body) > 0.85 * most or rendered.body == ceiling


@pytest.mark.parametrize("quality", ["q_60", "q_auto", "q_auto:low"])
def test_bytes_to_spare_change_nothing(quality: str) -> None:
    assert made(picture(1), f"{quality},mb_900000,f_webp").body == made(picture(1), f"{quality},f_webp").body


@pytest.mark.parametrize("format", [*LOSSY, Format.PNG, Format.GIF, Format.TIFF])
def test_what_cannot_be_so_small_is_refused_and_told(format: Format) -> None:
    with pytest.raises(ResultTooLarge) as refused:
        made(picture(1), f"mb_90,f_{format}")
    smallest = refused.value.facts["smallest"]
    assert str(smallest) in refused.value.message
    assert len(made(picture(1), f"mb_{smallest},f_{format}").body) <= smallest


@pytest.mark.parametrize("format", [Format.PNG, Format.GIF])
def test_formats_without_a_quality_give_up_colours(format: Format) -> None:
    whole = made(picture(1), f"f_{format}").body
    rendered = made(picture(1), f"f_{format},mb_{len(whole) // 3}")
    assert len(rendered.body) <= len(whole) // 3
    assert (loaded(rendered.body).width, rendered.format) == (360, format)


def test_a_palette_that_holds_every_colour_is_no_loss() -> None:
    image = quadrants(200, 120)
    body = saved(image, Format.PNG, compression=0)
    smallest = made(body, "f_png,mb_320")
    assert (loaded(smallest.body)[0:3] - image).abs().max() == 0


@pytest.mark.parametrize(
    ("accepted", "formats"),
    [
        (BOTH, {Format.AVIF}),
        (Bucket(webp=True), {Format.WEBP, Format.JPEG}),
        (Bucket(), {Format.JPEG}),
    ],
)
def test_the_best_is_the_smallest_of_what_is_accepted(accepted: Bucket, formats: set[Format]) -> None:
    best = made(picture(2), "f_best", accepted)
    assert best.format in formats
    for format in {Format.JPEG, *(each for each in LOSSY if getattr(accepted, each, False))}:
        assert len(best.body) <= len(made(picture(2), f"f_{format},q_auto").body)
    assert similarity(best, photo(360, 240, 2)) > SIMILARITY_TARGETS[AutoQuality.GOOD] - 1


def test_what_a_png_holds_in_fewer_bytes_stays_a_png() -> None:
    body = saved(quadrants(64, 64), Format.PNG)
    best = made(body, "f_best", Bucket())
    assert best.format is Format.PNG
    assert len(best.body) < len(made(body, "f_jpeg,q_auto").body)


def test_the_best_keeps_transparency() -> None:
    body = saved(disc(200, 200, 200, 90, 20), Format.PNG)
    for accepted in (BOTH, Bucket(webp=True), Bucket()):
        best = made(body, "f_best", accepted)
        assert best.format is not Format.JPEG
        assert loaded(best.body)[3].min() < 3


def test_a_quality_among_formats_is_that_of_a_jpeg() -> None:
    few, many = (made(picture(1), f"f_best,q_{quality}") for quality in (40, 90))
    assert len(few.body) < len(many.body)
    wanted = similarity_at(SIMILARITY_CURVES[Format.JPEG], 40)
    assert similarity(few, photo(360, 240)) == pytest.approx(wanted, abs=3)


def test_the_best_that_fits_is_the_most_similar() -> None:
    most = len(made(picture(2), "f_avif,q_auto:eco").body)
    best = made(picture(2), f"f_best,mb_{most}")
    assert len(best.body) <= most
    alike = similarity(best, photo(360, 240, 2))
    for format in LOSSY:
        assert alike >= similarity(made(picture(2), f"f_{format},q_auto,mb_{most}"), photo(360, 240, 2)) - 2


@pytest.mark.parametrize("options", ["_", "q_100", "q_auto:best", "f_auto", "w_360", "q_95,f_best"])
@pytest.mark.parametrize("quality", [15, 40, 75, 90])
@pytest.mark.parametrize("format", LOSSY)
def test_the_same_picture_is_never_larger_than_the_original(
    format: Format, quality: int, options: str
) -> None:
    body = saved(photo(360, 240), format, Q=quality, keep=0)
    accepted = Bucket(avif=format is Format.AVIF, webp=format is Format.WEBP)
    assert len(made(body, options, accepted).body) <= len(body)


def test_an_original_of_few_colours_stays_as_small() -> None:
    body = saved(quadrants(300, 200), Format.PNG, palette=True, compression=9)
    rendered = made(body, "_")
    assert len(rendered.body) <= len(body) * 1.01
    assert (loaded(rendered.body)[0:3] - quadrants(300, 200)).abs().max() == 0


def test_a_small_original_is_not_spoilt_to_save_bytes_that_a_profile_takes() -> None:
    body = saved(photo(60, 40), Format.WEBP, Q=40, keep=0)
    rendered = made(body, "keep_icc")
    assert similarity(rendered, loaded(body)) > SIMILARITY_TARGETS[AutoQuality.LOW] - 1


def test_another_size_may_have_more_bytes() -> None:
    body = saved(photo(360, 240), Format.JPEG, Q=5)
    assert len(made(body, "w_720,enlarge,q_95").body) > len(body)
    assert len(made(body, "sharpen_4,q_95").body) > len(body)


@given(st.integers(1, 100))
@settings(deadline=None)
def test_a_jpeg_tells_its_quality(quality: int) -> None:
    body = saved(plain(16, 16, 9, 90, 200), Format.JPEG, Q=quality)
    assert jpeg_quality(body) == pytest.approx(quality, abs=1)


@given(st.binary(max_size=60), st.sampled_from([b"", b"\xff\xd8", b"\xff\xd8\xff\xdb\x00\x43\x00"]))
def test_no_bytes_break_the_reader_of_qualities(junk: bytes, start: bytes) -> None:
    assert jpeg_quality(start + junk) is None


@pytest.mark.parametrize("curve", [*SIMILARITY_CURVES.values(), FULL_CHROMA_CURVE])
def test_a_curve_rises_and_reads_both_ways(curve: tuple[tuple[int, float], ...]) -> None:
    assert [*curve] == sorted(curve)
    assert len({similarity for _, similarity in curve}) == len(curve)
    for quality in range(1, 101):
        assert quality_for(curve, similarity_at(curve, quality)) == quality


@pytest.mark.parametrize(
    ("options", "greys"), [("_", 0), ("f_best,lossless", 0), ("w_90", 2), ("keep_icc", 2), ("greyscale", 2)]
)
def test_a_grey_png_stays_one_of_greys_when_nothing_is_done_to_it(options: str, greys: int) -> None:
    picture = photo(120, 90)[0].copy(interpretation="b-w")
    body = made(saved(picture, Format.PNG), options, Bucket()).body
    assert body[25] == greys
    if options != "w_90":
        assert (loaded(body)[0] - picture).abs().max() == 0


def test_greys_keep_their_transparency() -> None:
    picture = photo(120, 90)[0].bandjoin(photo(120, 90, 5)[0]).copy(interpretation="b-w")
    body = made(saved(picture, Format.PNG), "f_png").body
    assert body[25] == 4
    assert (loaded(body) - picture).abs().max() == 0


def test_colours_that_look_grey_stay_colours() -> None:
    picture = photo(120, 90)[0].copy(interpretation="b-w")
    colours = picture.bandjoin([picture, picture]).copy(interpretation="srgb")
    assert made(saved(colours, Format.PNG), "f_png").body[25] == 2


def test_a_grey_png_is_no_larger_than_it_was() -> None:
    picture = saved(photo(200, 150)[0].copy(interpretation="b-w"), Format.PNG, compression=6, keep="none")
    assert len(made(picture, "_").body) <= len(picture)


@pytest.mark.parametrize(("accepted", "format"), [(Bucket(), Format.PNG), (Bucket(webp=True), Format.WEBP)])
def test_the_best_without_loss_is_no_format_that_has_some(accepted: Bucket, format: Format) -> None:
    body = saved(photo(200, 150), Format.PNG)
    best = render(body, parse_options("f_best,lossless"), Limits(), accepted)
    assert best.format is format
    assert (loaded(best.body)[:3] - loaded(body)).abs().max() == 0
