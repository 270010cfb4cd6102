"""What a bucket says beyond the contract: a real one, that verifies signatures."""

from __future__ import annotations

import time
from collections.abc import Callable

import obstore
import pytest
from obstore.store import ObjectStore

from proxy.errors import OriginalForbidden, OriginalNotFound, OriginFailed, OriginTimedOut
from proxy.limits import Limits
from proxy.objectstores import open_store
from proxy.origins.bucket import BucketOrigin
from tests.origins.server import Server, reply, silence
from tests.s3 import S3Server

LIMITS = Limits(max_source_bytes=3_000_000)
Opened = Callable[..., BucketOrigin]


@pytest.fixture
def store(s3: S3Server) -> ObjectStore:
    return open_store(f"s3://{s3.bucket}/bucket-tests", s3.config, 30.0)


@pytest.fixture
def opened(s3: S3Server) -> Opened:
    def opened(bucket: str = s3.bucket, **config: str) -> BucketOrigin:
        store = open_store(f"s3://{bucket}/bucket-tests", s3.config | config, 30.0)
        return BucketOrigin(store, LIMITS, fetch_timeout=30.0)

    return opened


async def test_an_original_that_has_not_changed_is_not_sent_again(store: ObjectStore, opened: Opened) -> None:
    obstore.put(store, "tom.jpg", b"tom")
    first = await opened().fetch("tom.jpg")
    again = await opened().fetch("tom.jpg", first)
    assert again.body is first.body
    obstore.put(store, "tom.jpg", b"changed")
    assert (await opened().fetch("tom.jpg", first)).body == b"changed"


async def test_it_says_when_it_changed_and_what_it_is_known_by(store: ObjectStore, opened: Opened) -> None:
    obstore.put(store, "tom.jpg", b"tom")
    original = await opened().fetch("tom.jpg")
    assert original.etag == original.version
    assert original.last_modified is not None
    assert abs(original.last_modified - time.time()) < 600


async def test_a_large_object_arrives_whole(store: ObjectStore, opened: Opened) -> None:
    body = bytes(range(256)) * 11_000
    obstore.put(store, "large.jpg", body)
    assert (await opened().fetch("large.jpg")).body == body


async def test_odd_keys_are_names_like_others(store: ObjectStore, opened: Opened) -> None:
    for key in ("ü ber+x/%41.jpg", "größe/猫 1.jpg", "a?b=c&d#e.jpg", "100%.jpg"):
        obstore.put(store, key, key.encode())
        assert (await opened().fetch(key)).body == key.encode()


async def test_a_wrong_secret_is_told_apart_from_what_is_absent(store: ObjectStore, opened: Opened) -> None:
    obstore.put(store, "tom.jpg", b"tom")
    with pytest.raises(OriginalForbidden, match=r"tom\.jpg") as refusal:
        await opened(secret_access_key="wrong").fetch("tom.jpg")
    assert refusal.value.facts == {"origin_status": 403}
    assert "wrong" not in str(refusal.value)
    with pytest.raises(OriginalNotFound) as absent:
        await opened().fetch("absent.jpg")
    assert absent.value.code == "original_not_found"


async def test_a_bucket_that_is_not_there_has_nothing(opened: Opened) -> None:
    with pytest.raises(OriginalNotFound):
        await opened(bucket="nowhere").fetch("tom.jpg")


async def test_a_store_that_cannot_be_reached_has_failed() -> None:
    config = {"endpoint": "http://127.0.0.1:1", "access_key_id": "a", "secret_access_key": "b", "region": "r"}
    origin = BucketOrigin(open_store("s3://bucket", config, 5.0), LIMITS, fetch_timeout=5.0)
    with pytest.raises(OriginFailed, match="cannot be talked to") as failure:
        await origin.fetch("tom.jpg")
    assert "127.0.0.1" not in failure.value.message


async def test_a_store_that_says_nothing_is_left_in_time(server: Server) -> None:
    server.put("*", silence)
    config = {"endpoint": server.url, "access_key_id": "a", "secret_access_key": "b", "region": "r"}
    origin = BucketOrigin(open_store("s3://bucket", config, 30.0), LIMITS, fetch_timeout=0.3)
    with pytest.raises(OriginTimedOut):
        await origin.fetch("tom.jpg")


async def test_what_a_bucket_says_about_keeping_is_heeded(server: Server) -> None:
    server.put(
        "*",
        reply(
            b"tom",
            etag='"1"',
            last_modified="Wed, 25 Nov 2026 10:00:00 GMT",
            cache_control="max-age=7, private",
        ),
    )
    config = {"endpoint": server.url, "access_key_id": "a", "secret_access_key": "b", "region": "r"}
    origin = BucketOrigin(open_store("s3://bucket", config, 5.0), LIMITS)
    keeping = (await origin.fetch("tom.jpg")).keeping
    assert (keeping.allowed, keeping.fresh_for) == (False, 7)


@pytest.mark.parametrize("url", ["s3://key:s3cret@bucket", "s3://", "az://container"])
def test_what_cannot_be_opened_is_refused_without_its_secrets(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME", raising=False)
    with pytest.raises(ValueError, match="object store") as refusal:
        open_store(url, {}, 5.0)
    assert "s3cret" not in str(refusal.value)
