"""Similarity, against what SSIMULACRA2 says of the same pairs (PyPI's `ssimulacra2` 0.3.0)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import pyvips

from proxy.model.media import Format
from proxy.options.spec import Keep
from proxy.pipeline.encode.quality_search import Encodings, decode_like, sample_tiles
from proxy.pipeline.encode.similarity import SimilarityReference
from tests.pictures import disc, photo, plain, saved

SCORES = {
    (Format.JPEG, 60): 71.3,
    (Format.JPEG, 80): 80.8,
    (Format.JPEG, 92): 87.9,
    (Format.WEBP, 80): 68.2,
    (Format.WEBP, 92): 84.0,
    (Format.AVIF, 60): 75.6,
    (Format.AVIF, 80): 84.0,
    (Format.AVIF, 92): 89.7,
}
"""Of `photo(480, 320)`, by how it was saved."""


def test_it_agrees_with_ssimulacra2() -> None:
    picture = photo(480, 320).copy_memory()
    reference = SimilarityReference.of(picture)
    found = {
        (format, quality): Encodings(picture, format, Keep.NONE, lambda: reference).similarity(quality)
        for format, quality in SCORES
    }
    assert found == pytest.approx(SCORES, abs=4)
    assert abs(sum(found.values()) - sum(SCORES.values())) / len(SCORES) < 1.5


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (7, 3), (31, 33), (200, 140)])
@pytest.mark.parametrize("draw", [photo, lambda width, height: disc(width, height, 200, 90, 20)])
def test_a_picture_is_the_same_as_itself(
    size: tuple[int, int], draw: Callable[[int, int], pyvips.Image]
) -> None:
    picture = draw(*size).copy_memory()
    assert SimilarityReference.of(picture).similarity(picture) == 100


@pytest.mark.parametrize("format", [Format.JPEG, Format.WEBP, Format.AVIF])
@pytest.mark.parametrize("alpha", [False, True])
def test_less_quality_is_less_similar(format: Format, alpha: bool) -> None:
    picture = photo(300, 200).copy_memory()
    if alpha and format is not Format.JPEG:
        picture = picture.bandjoin(disc(300, 200, 9, 9, 9)[3]).copy_memory()
    tries = Encodings(picture, format, Keep.NONE)
    found = [tries.similarity(quality) for quality in (95, 75, 50, 25)]
    assert found == sorted(set(found), reverse=True)
    assert found[0] > 80


def test_what_lies_under_transparency_does_not_count() -> None:
    seen = disc(200, 200, 200, 90, 20)
    hidden = (seen[3] == 0).ifthenelse([0, 255, 0], seen[0:3]).cast("uchar").bandjoin(seen[3])
    assert (
        SimilarityReference.of(seen.copy_memory()).similarity(
            hidden.copy(interpretation="srgb").copy_memory()
        )
        == 100
    )


def test_another_transparency_counts_on_every_background() -> None:
    for level in (0, 255):
        opaque = plain(64, 64, level, level, level).bandjoin(255).copy(interpretation="srgb").copy_memory()
        half = plain(64, 64, level, level, level).bandjoin(128).copy(interpretation="srgb").copy_memory()
        assert SimilarityReference.of(opaque).similarity(half) < 50


def test_an_alpha_that_an_encoder_leaves_out_is_opaque() -> None:
    picture = photo(64, 48).bandjoin(255).copy(interpretation="srgb").copy_memory()
    assert decode_like(saved(picture, Format.WEBP), Format.WEBP, picture).bands == 4


def test_tiles_have_the_size_that_is_affordable_and_the_looks() -> None:
    picture = photo(2000, 1100).copy_memory()
    part = sample_tiles(picture)
    assert (part.width, part.height) == (1024, 1024)
    assert part.avg() == pytest.approx(picture.avg(), abs=8)
