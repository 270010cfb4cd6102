"""What a bucket says beyond the contract: a real one, that verifies signatures."""

from __future__ import annotations

import time
from collections.abc import Callable

import obstore
import pytest
from obstore.store import ObjectStore

from proxy.clients.object_store import open_store
from proxy.model.errors import (
    OriginalForbidden,
    OriginalNotFound,
    OriginFailed,
    OriginRefused,
    OriginTimedOut,
    ProxyError,
)
from proxy.model.limits import Limits
from proxy.origins.bucket import BucketOrigin
from tests.origins.server import Answer, Server, redirect, reply, silence
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
    for mistake in ({"secret_access_key": "wrong"}, {"access_key_id": "wrong"}):
        with pytest.raises(OriginRefused, match=r"tom\.jpg") as refusal:
            await opened(**mistake).fetch("tom.jpg")
        assert refusal.value.facts == {"origin_status": 403}
        assert "wrong" not in str(refusal.value)
    with pytest.raises(OriginalNotFound) as absent:
        await opened().fetch("absent.jpg")
    assert absent.value.code == "original_not_found"


async def test_a_bucket_may_be_the_name_of_a_host(s3: S3Server) -> None:
    obstore.put(open_store(f"s3://{s3.hosted_bucket}", s3.config, 30.0), "ü b/a+%41.jpg", b"tom")
    hosted = s3.config | {"endpoint": s3.hosted, "virtual_hosted_style_request": "true"}

    def origin(**told: str) -> BucketOrigin:
        store = open_store(f"s3://{s3.hosted_bucket}", hosted | told, 30.0)
        return BucketOrigin(store, LIMITS, fetch_timeout=30.0)

    assert (await origin().fetch("ü b/a+%41.jpg")).body == b"tom"
    with pytest.raises(OriginalNotFound):
        await origin().fetch("absent.jpg")
    with pytest.raises(OriginRefused):
        await origin(secret_access_key="wrong").fetch("ü b/a+%41.jpg")


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


def said(body: bytes = b"", status: int = 200) -> Answer:
    return reply(body, status=status, etag='"1"', last_modified="Wed, 25 Nov 2026 10:00:00 GMT")


PROVIDERS = {
    "s3": (
        "s3://media/p",
        {"access_key_id": "me", "secret_access_key": "k", "region": "r"},
        "/media/p/%C3%BC%20b/%2541.jpg",
        "AWS4-HMAC-SHA256 Credential=me/",
    ),
    "gs": ("gs://media/p", {"skip_signature": "true"}, "/media/p%2F%C3%BC%20b%2F%2541%2Ejpg", ""),
    "az": (
        "az://media/p",
        {"account_name": "me", "account_key": "a2V5"},
        "/media/p/%C3%BC%20b/%2541.jpg",
        "SharedKey me:",
    ),
    "az with a token": (
        "az://media/p",
        {"account_name": "me", "sas_key": "sv=1&sig=2"},
        "/media/p/%C3%BC%20b/%2541.jpg?sv=1&sig=2",
        "",
    ),
}


@pytest.mark.parametrize("url, told, target, authorization", PROVIDERS.values(), ids=PROVIDERS)
async def test_every_provider_is_asked_in_its_own_way(
    server: Server, url: str, told: dict[str, str], target: str, authorization: str
) -> None:
    """What is sent, to a server that believes everything: only S3 is verified, above."""
    server.put("*", said(b"tom"), said(status=304))
    origin = BucketOrigin(open_store(url, {"endpoint": server.url} | told, 5.0), LIMITS)
    original = await origin.fetch("ü b/%41.jpg")
    assert (original.body, original.etag) == (b"tom", '"1"')
    assert (await origin.fetch("ü b/%41.jpg", original)).body is original.body
    assert [asked.target for asked in server.asked] == [target, target]
    assert server.asked[0].headers.get("authorization", "").startswith(authorization)
    assert server.asked[1].headers["if-none-match"] == '"1"'


@pytest.mark.parametrize("url, told, target, authorization", PROVIDERS.values(), ids=PROVIDERS)
async def test_neither_a_proxy_of_the_environment_nor_a_redirect_leads_elsewhere(
    server: Server,
    outside: Server,
    monkeypatch: pytest.MonkeyPatch,
    url: str,
    told: dict[str, str],
    target: str,
    authorization: str,
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, outside.url)
    server.put("*", said(b"tom"), redirect(f"http://localhost:{outside.port}/tom.jpg"))
    origin = BucketOrigin(open_store(url, {"endpoint": server.url} | told, 5.0), LIMITS)
    assert (await origin.fetch("tom.jpg")).body == b"tom"
    with pytest.raises(OriginFailed):
        await origin.fetch("tom.jpg")


async def test_no_proxy_of_the_environment_is_used_either_where_the_environment_has_the_rest(
    server: Server, outside: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in {
        "HTTP_PROXY": outside.url,
        "AWS_ENDPOINT_URL": server.url,
        "AWS_ACCESS_KEY_ID": "me",
        "AWS_SECRET_ACCESS_KEY": "k",
        "AWS_REGION": "r",
    }.items():
        monkeypatch.setenv(name, text)
    server.put("*", said(b"tom"))
    assert (await BucketOrigin(open_store("s3://media", {}, 5.0), LIMITS).fetch("tom.jpg")).body == b"tom"


@pytest.mark.parametrize(
    "status, kind, tries",
    [
        (400, OriginFailed, 1),
        (401, OriginRefused, 1),
        (403, OriginalForbidden, 1),
        (404, OriginalNotFound, 1),
        (410, OriginalNotFound, 1),
        (429, OriginFailed, 2),
        (500, OriginFailed, 2),
        (503, OriginFailed, 2),
    ],
)
async def test_the_status_of_a_store_is_told_and_not_its_words(
    server: Server, status: int, kind: type[ProxyError], tries: int
) -> None:
    server.put("*", reply(b"<Error>status code: 418 and words</Error>", status=status))
    told = PROVIDERS["s3"][1] | {"endpoint": server.url}
    with pytest.raises(kind) as failure:
        await BucketOrigin(open_store("s3://media", told, 5.0), LIMITS).fetch("tom.jpg")
    assert failure.value.facts == {"origin_status": status}
    assert "words" not in failure.value.message
    assert len(server.asked) == tries


@pytest.mark.parametrize("code, status", [("AuthenticationFailed", 403), ("ExpiredToken", 400)])
async def test_a_store_that_does_not_know_us_says_so_in_many_words(
    server: Server, code: str, status: int
) -> None:
    server.put("*", reply(f"<Error>\n  <Code>{code}</Code></Error>".encode(), status=status))
    told = PROVIDERS["az"][1] | {"endpoint": server.url}
    with pytest.raises(OriginRefused) as failure:
        await BucketOrigin(open_store("az://media", told, 5.0), LIMITS).fetch("tom.jpg")
    assert failure.value.facts == {"origin_status": status}


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
    policy = (await origin.fetch("tom.jpg")).cache_policy
    assert (policy.storable, policy.fresh_for) == (False, 7)


@pytest.mark.parametrize("url", ["s3://key:s3cret@bucket", "s3://", "az://container"])
def test_what_cannot_be_opened_is_refused_without_its_secrets(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME", raising=False)
    with pytest.raises(ValueError, match="object store") as refusal:
        open_store(url, {}, 5.0)
    assert "s3cret" not in str(refusal.value)


@pytest.mark.parametrize(
    "url, told, reason",
    [
        ("s3://media", {"access_key_id": "me", "region": "r"}, "Missing SecretAccessKey"),
        ("s3://media", {"secret_access_key": "s3cret", "region": "r"}, "Missing AccessKeyId"),
        ("gs://media", {"service_account_key": "s3cret"}, "Unable to decode service account file"),
        ("az://media", {"account_name": "me", "account_key": "s3cret!"}, "Invalid Access Key"),
        ("az://media", {"account_name": "me", "sas_key": "s3cret"}, "Missing component in SAS query pair"),
        ("gs://media", {"region": "s3cret"}, "UnknownConfigurationKey"),
    ],
)
def test_why_a_store_cannot_be_opened_is_told(
    url: str, told: dict[str, str], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ValueError, match=f"cannot be opened: {reason}$") as refusal:
        open_store(url, told, 5.0)
    assert "s3cret" not in str(refusal.value)
