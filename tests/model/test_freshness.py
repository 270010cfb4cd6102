"""What a rendition is good for at which age, and what CDNs are told of it."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from proxy.model.freshness import Freshness, Lifetimes, freshness
from proxy.web.headers import cache_control

SECONDS = st.integers(0, 10_000)
LIFETIMES = st.builds(
    Lifetimes,
    max_age=SECONDS,
    s_maxage=SECONDS,
    stale_while_revalidate=SECONDS,
    stale_if_error=SECONDS,
)
HOUR = Lifetimes(max_age=60, s_maxage=3600, stale_while_revalidate=600, stale_if_error=6000)


def said(lifetimes: Lifetimes, age: float, left: float | None = None) -> dict[str, int]:
    text = cache_control(lifetimes, age=age, immutable=False, left=left).decode()
    return {name: int(seconds) for name, seconds in re.findall(r"([a-z-]+)=(\d+)", text)}


def test_the_four_ages_of_a_rendition() -> None:
    ages = {
        0: "FRESH",
        3599.9: "FRESH",
        3600: "STALE",
        4199: "STALE",
        4200: "STALE_IF_ERROR",
        9599: "STALE_IF_ERROR",
        9600: "EXPIRED",
    }
    assert {age: freshness(HOUR, age).name for age in ages} == ages


@given(LIFETIMES, SECONDS, SECONDS)
def test_nothing_gets_better_with_age(lifetimes: Lifetimes, age: int, more: int) -> None:
    assert freshness(lifetimes, age).value <= freshness(lifetimes, age + more).value


@given(LIFETIMES, SECONDS)
def test_what_is_spent_is_not_kept_and_what_is_not_spent_is(lifetimes: Lifetimes, age: int) -> None:
    assert (freshness(lifetimes, age) is Freshness.EXPIRED) == (age >= lifetimes.retention)


def test_a_cdn_gets_what_is_left_and_no_age() -> None:
    assert said(HOUR, 0) == {
        "max-age": 60, "s-maxage": 3600, "stale-while-revalidate": 600, "stale-if-error": 6000,
    }  # fmt: skip
    assert said(HOUR, 3000.9) == {
        "max-age": 60, "s-maxage": 600, "stale-while-revalidate": 600, "stale-if-error": 6000,
    }  # fmt: skip
    assert said(HOUR, 3700) == {
        "max-age": 0, "s-maxage": 0, "stale-while-revalidate": 500, "stale-if-error": 5900,
    }  # fmt: skip


@given(LIFETIMES, SECONDS, st.none() | SECONDS)
def test_no_cache_keeps_a_rendition_longer_than_we_would_or_than_its_url_lives(
    lifetimes: Lifetimes, age: int, left: int | None
) -> None:
    told = said(lifetimes, age, left)
    fresh = max(told["max-age"], told["s-maxage"])
    until = fresh + max(told.get("stale-while-revalidate", 0), told.get("stale-if-error", 0))
    longest = max(lifetimes.max_age, lifetimes.s_maxage)
    assert told["max-age"] <= lifetimes.max_age
    assert told["s-maxage"] == min(max(0, lifetimes.s_maxage - age), fresh)
    assert age + fresh <= max(longest, age)
    assert age + until <= max(longest + lifetimes.retention - lifetimes.s_maxage, age)
    assert left is None or until <= left
