"""What every origin does. A new one is one more `Place`."""

from __future__ import annotations

import asyncio

import pytest

from proxy.model.errors import OriginalNotFound, OriginalTooLarge
from tests.origins.keys import TRAVERSALS
from tests.origins.places import BY_NAME, Place
from tests.origins.versions import present_version


@pytest.mark.parametrize(
    "name",
    [
        "tom.jpg",
        "cats/of/the/house/tom.jpg",
        "größe/猫 1.jpg",
        "a b.jpg",
        "a+b&c=d;e,f@2x.jpg",
        "it's (1) [2] {3}!$*~.jpg",
        "a...jpg",
        "tom..jpg",
        "a.gif[n=-1]",
        "-rf",
        "a|b^c`d<e>f.jpg",
        'a"b.jpg',
        "a:b.jpg",
        "x" * 250,
    ],
)
async def test_what_was_put_is_what_is_fetched(place: Place, name: str) -> None:
    place.put(name, b"tom")
    original = await place.origin.fetch(place.prefix + name)
    assert original.body == b"tom"
    assert original.version


@pytest.mark.parametrize("place", BY_NAME, indirect=True)
@pytest.mark.parametrize("name", ["100%.jpg", "100%25.jpg", "%41.jpg", "a?b=c.jpg", "a#b.jpg"])
async def test_what_means_something_in_a_url_is_only_a_name(place: Place, name: str) -> None:
    place.put(name, b"tom")
    assert (await place.origin.fetch(name)).body == b"tom"


async def test_an_empty_original_is_one(place: Place) -> None:
    place.put("empty.jpg", b"")
    assert (await place.origin.fetch(place.prefix + "empty.jpg")).body == b""


async def test_what_is_absent_is_not_found_and_the_key_is_named(place: Place) -> None:
    with pytest.raises(OriginalNotFound, match=r"absent\.jpg"):
        await place.origin.fetch(place.prefix + "absent.jpg")
    assert await present_version(place.origin, place.prefix + "absent.jpg") is None


async def test_the_largest_original_is_read_and_one_byte_more_is_not(place: Place) -> None:
    place.put("largest.jpg", b"x" * 1000)
    place.put("larger.jpg", b"x" * 1001)
    assert len((await place.origin.fetch(place.prefix + "largest.jpg")).body) == 1000
    with pytest.raises(OriginalTooLarge, match="1000 bytes"):
        await place.origin.fetch(place.prefix + "larger.jpg")


async def test_the_version_stays_while_the_bytes_do_and_changes_with_them(place: Place) -> None:
    place.put("tom.jpg", b"one")
    first = await place.origin.fetch(place.prefix + "tom.jpg")
    assert (await place.origin.fetch(place.prefix + "tom.jpg")).version == first.version
    place.put("tom.jpg", b"three")
    assert (await place.origin.fetch(place.prefix + "tom.jpg")).version != first.version


async def test_a_version_told_without_asking_is_that_of_the_bytes(place: Place) -> None:
    place.put("tom.jpg", b"one")
    original = await place.origin.fetch(place.prefix + "tom.jpg")
    assert await present_version(place.origin, place.prefix + "tom.jpg") in (None, original.version)


async def test_a_hundred_are_fetched_at_once(place: Place) -> None:
    place.put("tom.jpg", b"tom")
    originals = await asyncio.gather(*(place.origin.fetch(place.prefix + "tom.jpg") for _ in range(100)))
    assert {original.body for original in originals} == {b"tom"}


@pytest.mark.parametrize("place", BY_NAME, indirect=True)
async def test_a_key_that_leads_elsewhere_is_not_found(place: Place, subtests: pytest.Subtests) -> None:
    """404 like anything absent: the answer does not tell what is there and refused."""
    place.put("cats/tom.jpg", b"tom")
    for key in TRAVERSALS:
        with subtests.test(key=key):
            with pytest.raises(OriginalNotFound) as missing:
                await place.origin.fetch(key)
            assert missing.value.message == f"no original '{key}'"
            assert await present_version(place.origin, key) is None


@pytest.mark.parametrize("place", BY_NAME, indirect=True)
async def test_a_key_is_rewritten_for_its_origin(place: Place) -> None:
    place.put("inside/tom.jpg", b"tom")
    original = await place.origin.fetch("old/tom.jpg")
    assert original.body == b"tom"
    assert await present_version(place.origin, "old/tom.jpg") in (None, original.version)


@pytest.mark.parametrize("place", BY_NAME, indirect=True)
async def test_what_a_key_was_rewritten_to_is_not_told(place: Place) -> None:
    for key in ("old/absent.jpg", "old/../secret.jpg"):
        with pytest.raises(OriginalNotFound) as missing:
            await place.origin.fetch(key)
        assert missing.value.message == f"no original '{key}'"
    place.put("inside/large.jpg", b"x" * 1001)
    with pytest.raises(OriginalTooLarge, match=r"^'old/large\.jpg' has"):
        await place.origin.fetch("old/large.jpg")
