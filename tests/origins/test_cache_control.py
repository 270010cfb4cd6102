"""What is read out of an origin's caching headers, by the rules of RFC 9111."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import replace
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.model.limits import Limits
from proxy.model.media import CachePolicy
from proxy.origins.cache_control import cache_policy, directives
from proxy.origins.http import HTTPOrigin, make_client
from tests.origins.server import Server, reply, running

NOW = 1_700_000_000.0


def at(seconds: float) -> str:
    return formatdate(NOW + seconds, usegmt=True)


@pytest.mark.parametrize(
    "headers, seconds",
    [
        ({}, None),
        ({"cache-control": "public"}, None),
        ({"cache-control": "max-age=60"}, 60),
        ({"cache-control": "Max-Age=60"}, 60),
        ({"cache-control": 'max-age="60"'}, 60),
        ({"cache-control": "max-age=60, max-age=5"}, 60),
        ({"cache-control": "max-age=60, s-maxage=600"}, 600),
        ({"cache-control": "max-age=60", "expires": at(9)}, 60),
        ({"cache-control": "max-age=60", "age": "20"}, 40),
        ({"cache-control": "max-age=60", "age": "100"}, 0),
        ({"cache-control": "max-age=60", "date": at(-15)}, 45),
        ({"cache-control": "max-age=60", "date": at(-15), "age": "20"}, 40),
        ({"cache-control": "max-age=60", "date": at(3600)}, 60),
        ({"cache-control": "max-age=a minute"}, 0),
        ({"cache-control": "max-age=-1"}, 0),
        ({"cache-control": "max-age"}, 0),
        ({"cache-control": "max-age=60.5"}, 0),
        ({"cache-control": "no-cache, max-age=60"}, 0),
        ({"cache-control": "max-age=60", "vary": "*"}, 0),
        ({"cache-control": "max-age=60", "vary": "Accept, Origin"}, 60),
        ({"vary": "*"}, 0),
        ({"expires": at(30)}, 30),
        ({"expires": at(30), "date": at(10)}, 20),
        ({"expires": at(-30)}, 0),
        ({"expires": "0"}, 0),
        ({"expires": "soon", "date": at(0)}, 0),
        ({"cache-control": "max-age=9999999999999999999"}, 10 * 365 * 86_400),
    ],
)  # fmt: skip
def test_how_long_an_original_is_fresh(headers: dict[str, str], seconds: float | None) -> None:
    assert cache_policy(headers, NOW).fresh_for == seconds


@pytest.mark.parametrize(
    "text, allowed",
    [
        ("max-age=60", True),
        ("no-cache", True),
        ("no-store", False),
        ("NO-STORE, max-age=60", False),
        ("private, max-age=60", False),
        ('private="set-cookie"', False),
        ("max-age=60; no-store", True),
        ('extension="no-store, private"', True),
        ("=, @, no-store", False),
    ],
)  # fmt: skip
def test_what_must_not_be_kept_is_not(text: str, allowed: bool) -> None:
    assert cache_policy({"cache-control": text}, NOW).storable is allowed


def test_what_may_be_used_when_it_is_stale() -> None:
    generous = cache_policy({"cache-control": "max-age=1, stale-while-revalidate=5, stale-if-error=9"}, NOW)
    assert (generous.stale_while_revalidate, generous.stale_if_error) == (5, 9)
    silent = cache_policy({"cache-control": "max-age=1"}, NOW)
    assert (silent.stale_while_revalidate, silent.stale_if_error) == (0, None)
    for word in ("must-revalidate", "proxy-revalidate", "s-maxage=1", "no-cache"):
        strict = cache_policy({"cache-control": f"stale-while-revalidate=5, stale-if-error=9, {word}"}, NOW)
        assert (strict.stale_while_revalidate, strict.stale_if_error) == (0, 0)


def test_a_304_that_says_nothing_renews_what_was_said() -> None:
    known = CachePolicy(received_at=NOW - 500, fresh_for=60, stale_if_error=5)
    assert cache_policy({"etag": '"1"'}, NOW, known) == replace(known, received_at=NOW)
    assert cache_policy({"cache-control": "max-age=7"}, NOW, known).fresh_for == 7


@given(st.text(max_size=60))
def test_no_cache_control_however_odd_breaks_the_reading(text: str) -> None:
    assert (
        cache_policy({"cache-control": text, "age": text, "expires": text, "date": text}, NOW).received_at
        == NOW
    )


@given(
    st.dictionaries(
        st.from_regex(r"[a-z-]{1,12}", fullmatch=True), st.from_regex(r"[0-9]{0,5}", fullmatch=True)
    )
)
def test_directives_are_read_as_they_are_written(given_: dict[str, str]) -> None:
    assert directives(", ".join(f"{name}={value}" for name, value in given_.items())) == given_


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with running() as server:
        yield server


@pytest.fixture
async def origin(server: Server) -> AsyncIterator[HTTPOrigin]:
    origin = HTTPOrigin(make_client(private_hosts=["127.0.0.1"]), server.url, Limits())
    yield origin
    await origin.close()


async def test_what_has_not_changed_is_asked_for_by_its_validators_and_not_sent_again(
    server: Server, origin: HTTPOrigin
) -> None:
    modified = "Tue, 14 Nov 2023 22:13:20 GMT"
    server.put(
        "/tom.jpg",
        reply(b"tom", etag='"1"', last_modified=modified, cache_control="max-age=0"),
        reply(status=304, cache_control="max-age=70"),
        reply(b"tim", etag='"2"'),
    )
    first = await origin.fetch("tom.jpg")
    again = await origin.fetch("tom.jpg", first)
    newer = await origin.fetch("tom.jpg", again)
    assert "if-none-match" not in server.asked[0].headers
    assert server.asked[1].headers["if-none-match"] == '"1"'
    assert server.asked[1].headers["if-modified-since"] == modified
    assert again == replace(first, cache_policy=again.cache_policy)
    assert (first.cache_policy.fresh_for, again.cache_policy.fresh_for) == (0, 70)
    assert abs(again.cache_policy.received_at - time.time()) < 60
    assert (newer.body, newer.etag, newer.cache_policy.fresh_for) == (b"tim", '"2"', None)


async def test_without_validators_the_question_is_whole(server: Server, origin: HTTPOrigin) -> None:
    server.put("/tom.jpg", reply(b"tom"))
    await origin.fetch("tom.jpg", await origin.fetch("tom.jpg"))
    assert not {"if-none-match", "if-modified-since"} & server.asked[1].headers.keys()
