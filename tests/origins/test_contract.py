"""What every origin does. A new one is one more `Place`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import obstore
import pytest

from proxy.clients.object_store import open_store
from proxy.model.errors import OriginalNotFound, OriginalTooLarge
from proxy.model.limits import Limits
from proxy.origins import Origin
from proxy.origins.bucket import BucketOrigin
from proxy.origins.file import FileOrigin
from proxy.origins.http import HTTPOrigin, make_client
from proxy.origins.remote import RemoteOrigin, remote_hosts
from tests.origins.keys import TRAVERSALS
from tests.origins.server import Server, reply
from tests.s3 import S3Server

LIMITS = Limits(max_source_bytes=1000)

BY_NAME = ["file", "http", "s3"]
"""Origins whose keys are names; those of the others are whole URLs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """An origin, and how something is put where it looks. `prefix` is what its keys begin with."""

    origin: Origin
    put: Callable[[str, bytes], None]
    prefix: str = ""


@pytest.fixture(params=[*BY_NAME, "remote"])
async def place(request: pytest.FixtureRequest, tmp_path: Path, server: Server) -> AsyncIterator[Place]:
    def put_file(name: str, body: bytes) -> None:
        path = tmp_path / "root" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)

    def put_answer(name: str, body: bytes) -> None:
        server.put(f"/base/{name}", reply(body))

    def put_object(name: str, body: bytes) -> None:
        obstore.put(store, name, body)

    (tmp_path / "root").mkdir()
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    server.put("/secret.jpg", reply(b"secret"))
    place: Place
    if request.param == "file":
        place = Place(origin=FileOrigin(tmp_path / "root", LIMITS), put=put_file)
    elif request.param == "s3":
        s3: S3Server = request.getfixturevalue("s3")
        store = open_store(f"s3://{s3.bucket}/{tmp_path.name}", s3.config, 30.0)
        obstore.put(open_store(f"s3://{s3.bucket}", s3.config, 30.0), "secret.jpg", b"secret")
        place = Place(origin=BucketOrigin(store, LIMITS, fetch_timeout=30.0), put=put_object)
    elif request.param == "http":
        client = make_client(private_hosts=["127.0.0.1"])
        place = Place(origin=HTTPOrigin(client, f"{server.url}/base", LIMITS), put=put_answer)
    else:
        client = make_client(private_hosts=["127.0.0.1"])
        hosts = remote_hosts([f"127.0.0.1:{server.port}"])
        place = Place(
            origin=RemoteOrigin(client, hosts, LIMITS), put=put_answer, prefix=f"{server.url}/base/"
        )
    yield place
    await place.origin.close()


@pytest.mark.parametrize(
    "name",
    [
        "tom.jpg",
        "cats/of/the/house/tom.jpg",
        "größe/猫 1.jpg",
        "a b.jpg",
        "a+b&c=d;e,f@2x.jpg",
        "it's (1) [2] {3}!$*~.jpg",
        "...jpg",
        "..tom..jpg",
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
    assert place.origin.version(place.prefix + "absent.jpg") is None


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
    assert place.origin.version(place.prefix + "tom.jpg") in (None, original.version)


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
            assert place.origin.version(key) is None
