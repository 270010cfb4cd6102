"""An Accept header becomes one of four buckets, and a bucket becomes a format that can be saved."""

from __future__ import annotations

from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.model.media import FORMATS, Format
from proxy.model.negotiation import Bucket, bucket, choose, format_bucket, parse_bucket
from tests.timing import cpu

NEITHER = Bucket()
AVIF = Bucket(avif=True)
WEBP = Bucket(webp=True)
BOTH = Bucket(avif=True, webp=True)
ALL = frozenset(Format)

buckets = st.builds(Bucket, avif=st.booleans(), webp=st.booleans())


@pytest.mark.parametrize(
    "accept, expected",
    [
        ("image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8", BOTH),  # Chrome
        ("image/avif,image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5", BOTH),  # Firefox
        ("image/webp,image/png,image/svg+xml,image/*;q=0.8,video/*;q=0.8,*/*;q=0.5", WEBP),
        ("image/webp,image/avif,image/jxl,image/heic,video/*;q=0.8,image/png,*/*;q=0.5", BOTH),  # Safari
        ("*/*", NEITHER),  # curl
        ("image/*", NEITHER),
        ("", NEITHER),
        (None, NEITHER),
    ],
)
def test_what_clients_send(accept: str | None, expected: Bucket) -> None:
    assert bucket(accept) == expected


@pytest.mark.parametrize(
    "accept",
    [
        "image/webp;q=0.001",
        "image/webp;q=1",
        "image/webp; q=1.000",
        "image/webp ; Q = .5",
        "IMAGE/WebP",
        "image/webp;level=2;q=0.5;ext=1",
        ",, ;; ,image/webp,",
        "\timage/webp\t",
        'text/x;note="a,b;q=0",image/webp',
        "image/avif;q=0,image/webp",
    ],
)
def test_a_type_with_a_weight_above_nothing_is_accepted(accept: str) -> None:
    assert bucket(accept) == WEBP


@pytest.mark.parametrize(
    "accept",
    [
        "image/webp;q=0",
        "image/webp;q=0.000",
        "image/webp;q=0.",
        "image/webp, image/webp;q=0",
        "image/webp;q=0, image/webp",
        "image/webp;q=0, */*",
    ],
)
def test_a_weight_of_nothing_refuses(accept: str) -> None:
    assert bucket(accept) == NEITHER


@pytest.mark.parametrize("weight", ["", "x", "2", "-1", "1.1", "nan", "inf", "1e9", "1_0", "٣", '"1"', "0x1"])
def test_a_weight_that_cannot_be_read_grants_nothing(weight: str) -> None:
    """A jpeg is right for everybody; an avif is not."""
    assert bucket(f"image/webp;q={weight}") == NEITHER


@pytest.mark.parametrize(
    "accept", ["image/webpx", "ximage/webp", 'a/b;c="image/webp', 'a/b;c=",image/webp,"']
)
def test_a_type_that_is_only_mentioned_is_not_accepted(accept: str) -> None:
    assert bucket(accept) == NEITHER


def test_a_header_over_4_kb_counts_as_none() -> None:
    """Cut off, a `;q=0` could be lost."""
    assert bucket("image/webp" + " " * 5000) == NEITHER


@given(st.text() | st.text(alphabet='image/avifwebp,;=q01." \\*'))
def test_every_header_is_one_of_four_buckets(accept: str) -> None:
    assert bucket(accept) in {NEITHER, AVIF, WEBP, BOTH}


NUMBERS = count()


@pytest.mark.parametrize("junk", ['"', '\\"', '"\\', ",", ";", ";q=", "=", "a/b;q=1" + "1" * 50, " "])
def test_junk_costs_no_more_than_its_length(junk: str) -> None:
    def read(repeated: str) -> None:
        bucket((f"a/{next(NUMBERS)}," + repeated * 4096)[:4096])  # never the same, for it remembers

    assert cpu(lambda: read(junk)) < 20 * cpu(lambda: read(","))


@given(buckets)
def test_a_bucket_survives_being_text(each: Bucket) -> None:
    assert parse_bucket(format_bucket(each)) == each


def test_buckets_as_text() -> None:
    assert [format_bucket(each) for each in (NEITHER, AVIF, WEBP, BOTH)] == ["-", "avif", "webp", "avif,webp"]


@given(buckets)
def test_a_bucket_read_back_as_a_header_is_itself(each: Bucket) -> None:
    header = ",".join(f"image/{name}" for name in format_bucket(each).split(","))
    assert bucket(header) == each


@pytest.mark.parametrize(
    "accepted, alpha, expected",
    [
        (BOTH, False, Format.AVIF),
        (AVIF, True, Format.AVIF),
        (WEBP, False, Format.WEBP),
        (WEBP, True, Format.WEBP),
        (NEITHER, True, Format.PNG),
        (NEITHER, False, Format.JPEG),
    ],
)
def test_stills_prefer_avif_then_webp_then_what_everybody_shows(
    accepted: Bucket, alpha: bool, expected: Format
) -> None:
    assert choose(accepted, ALL, alpha=alpha, animated=False) is expected


@pytest.mark.parametrize(
    "accepted, expected",
    [(BOTH, Format.WEBP), (WEBP, Format.WEBP), (AVIF, Format.GIF), (NEITHER, Format.GIF)],
)
@pytest.mark.parametrize("alpha", [False, True])
def test_animations_stay_animations(accepted: Bucket, expected: Format, alpha: bool) -> None:
    assert choose(accepted, ALL, alpha=alpha, animated=True) is expected


def test_a_format_that_cannot_be_saved_is_passed_over() -> None:
    assert choose(BOTH, ALL - {Format.AVIF}, alpha=False, animated=False) is Format.WEBP
    assert choose(BOTH, ALL - {Format.AVIF, Format.WEBP}, alpha=True, animated=False) is Format.PNG
    assert choose(BOTH, ALL - {Format.WEBP}, alpha=False, animated=True) is Format.GIF


def test_an_animation_that_cannot_be_kept_becomes_a_still() -> None:
    assert choose(NEITHER, ALL - {Format.GIF}, alpha=True, animated=True) is Format.PNG


@given(buckets, st.frozensets(st.sampled_from(Format)).map(lambda some: some | {Format.JPEG}), st.booleans())
def test_the_choice_can_be_saved_and_shows_on_the_web(
    accepted: Bucket, savable: frozenset[Format], alpha: bool
) -> None:
    chosen = choose(accepted, savable, alpha=alpha, animated=False)
    assert chosen in savable
    assert FORMATS[chosen].web
    assert chosen is not Format.AVIF or accepted.avif
    assert chosen is not Format.WEBP or accepted.webp
