"""Origins are read as they are written, or what is wrong is told with its place."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from proxy.config.origin_fields import COMMON_FIELDS, FIELDS_BY_SCHEME, ORIGIN_FIELDS
from proxy.config.origins_file import InvalidSources, load_sources, read_origins, read_pairs, read_sources
from proxy.origins.sources import DEFAULT_ORIGIN, REMOTE_ORIGIN, Rewrite, Source, Sources
from tests.paths import ROOT

WHOLE = r"""
default: photos
origins:
  photos: "s3://bucket/prefix"
  shop:
    url: https://cdn.shop.example/
    private: true
    timeout: 5s
    max_bytes: 20MB
    max_age: 3600
    concurrency: 4
    formats: [jpeg, png]
    headers: {X-Shop: hello, Authorization: "env:SHOP_TOKEN"}
    rewrite:
      "old/(.*)": "new/\\1"
      "(.*)": "all/\\1"
  minio:
    url: s3://media
    endpoint: http://minio.internal:9000
    region: eu-west-1
    virtual_hosted_style_request: false
    access_key_id: "env:MINIO_ID"
    secret_access_key: "file:SECRET_FILE"
"""


@pytest.fixture
def whole(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Sources:
    monkeypatch.setenv("SHOP_TOKEN", "Bearer abc")
    monkeypatch.setenv("MINIO_ID", "me")
    (tmp_path / "secret").write_text("s3cret\n")
    return read_sources(WHOLE.replace("SECRET_FILE", str(tmp_path / "secret")), "origins.yaml")


def test_every_key_of_an_origin_is_read(whole: Sources) -> None:
    shop = whole.named["shop"]
    assert (shop.private, shop.timeout, shop.max_bytes, shop.max_age) == (True, 5, 20_000_000, 3600)
    assert (shop.concurrency, shop.formats) == (4, frozenset({"jpeg", "png"}))
    assert shop.headers == {"X-Shop": "hello", "Authorization": "Bearer abc"}
    minio = whole.named["minio"]
    assert minio.options == {
        "endpoint": "http://minio.internal:9000",
        "region": "eu-west-1",
        "virtual_hosted_style_request": "false",
        "access_key_id": "me",
    }
    assert minio.secrets == {"secret_access_key": "s3cret"}
    assert whole.default == whole.named["photos"] == Source(url="s3://bucket/prefix")


def test_no_secret_is_shown(whole: Sources) -> None:
    assert "s3cret" not in repr(whole)
    assert "Bearer" not in repr(whole)


@pytest.mark.parametrize(
    "key, name",
    [
        ("shop/a.jpg", "shop"),
        ("shop", "shop"),
        ("shopping/a.jpg", "photos"),
        ("a/shop/b.jpg", "photos"),
        ("https://shop/a.jpg", REMOTE_ORIGIN),
    ],
)
def test_the_first_segment_of_a_key_is_the_name(whole: Sources, key: str, name: str) -> None:
    assert whole.locate(key).origin == name


@pytest.mark.parametrize("key, becomes", [("old/a/b.jpg", "new/a/b.jpg"), ("a.jpg", "all/a.jpg")])
def test_the_first_rule_that_matches_rewrites_a_key(whole: Sources, key: str, becomes: str) -> None:
    assert whole.named["shop"].rewritten(key) == becomes
    assert whole.named["photos"].rewritten(key) == key


def test_formats_are_those_of_the_key_s_origin(whole: Sources) -> None:
    assert whole.locate("shop/a.jpg").formats == ("jpeg", "png")
    assert whole.locate("photos/a.jpg").formats is None
    assert whole.locate("https://elsewhere.example/a.jpg").formats is None


def test_places_differ_as_their_originals_do() -> None:
    places = [
        Source(url="https://a.example/x").place,
        Source(url="https://b.example/x").place,
        Source(url="https://a.example/y").place,
        Source(url="s3://x").place,
        Source(url="s3://x", options={"endpoint": "http://one"}).place,
        Source(url="az://x", options={"account_name": "one"}).place,
        Source(url="az://x", options={"account_name": "two"}).place,
        Source(url="/srv/x").place,
        Source(url="/srv/x", rewrite=(Rewrite(match=re.compile("(.*)"), to=r"a/\1"),)).place,
        Source(url="/srv/x", rewrite=(Rewrite(match=re.compile("(.*)"), to=r"b/\1"),)).place,
    ]
    assert len(set(places)) == len(places)


def test_pairs_are_origins_too() -> None:
    sources = read_pairs("photos=s3://bucket/a, shop=https://cdn.shop.example/?x=1")
    assert {name: source.url for name, source in sources.named.items()} == {
        "photos": "s3://bucket/a",
        "shop": "https://cdn.shop.example/?x=1",
    }


@pytest.mark.parametrize(
    "text", ["photos", "photos=", "=s3://b", "a=/x,a=/y", "a=/x,,b=/y", "a=http://me:pw@host/"]
)
def test_pairs_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises(InvalidSources) as refusal:
        read_pairs(text)
    assert "pw" not in str(refusal.value)


@pytest.mark.parametrize(
    "text, place, what",
    [
        ("origin: {}", "1:1", "did you mean 'origins'"),
        ("origins: [a]", "1:10", "must be a mapping"),
        ("origins:\n  a: {private: true}", "2:6", "has no 'url'"),
        ("origins:\n  a: {url: /x, timeot: 5s}", "2:16", "did you mean 'timeout'"),
        ("origins:\n  a: {url: /x, timeout: soon}", "2:25", "a time such as"),
        ("origins:\n  a: {url: /x, timeout: 0s}", "2:25", "a time such as"),
        ("origins:\n  a: {url: /x, formats: [jpeg, bmp2]}", "2:32", "one of jpeg"),
        ("origins:\n  a: {url: 'http://me:pw@host/'}", "2:12", "without user and password"),
        ("origins:\n  a: {url: 's3://x', secret_access_key: abcdef}", "2:41", "env:NAME or file:/path"),
        (
            "origins:\n  a: {url: 's3://x', secret_access_key: 'env:NOT_THERE_AT_ALL'}",
            "2:41",
            "NOT_THERE_AT_ALL is not",
        ),
        ("origins:\n  a: {url: /x, rewrite: {'(': b}}", "2:26", "a regular expression"),
        ("origins:\n  a: {url: /x, rewrite: {'(.*)': '\\2'}}", "2:34", "names a group"),
        ("origins:\n  a b: /x", "2:3", "letters, digits"),
        ("default: b\norigins:\n  a: /x", "1:10", "'default' is one of a"),
        ("default: b", "1:10", "'default' is one of no origins"),
        ("origins:\n  a: {url: 'gs://x', region: eu}", "2:22", "is gs:// and takes url"),
        ("origins:\n  a: {url: 'gs://x', secret_access_key: 'env:HOME'}", "2:22", "service_account_key, not"),
        (
            "origins:\n  a: {url: 's3://x', sas_key: 'env:HOME'}",
            "2:22",
            "session_token, not",
        ),
        ("origins:\n  a: {url: 'az://x', access_key_id: a}", "2:22", "account_key, sas_key, not"),
        ("origins:\n  a: {url: 's3://x', headers: {X: a}}", "2:22", "not 'headers'"),
        ("origins:\n  a: {url: /x, max_age: 60}", "2:16", "is a folder and takes"),
        ("origins:\n  a: {url: 'HTTPS://x', endpoint: 'http://y'}", "2:25", "is https:// and takes"),
        ("origins:\n  a: {url: /x, concurrency: 0}", "2:29", "from 1 to 1024"),
        ("origins:\n  a: {url: 'http://x', headers: {CDN-Loop: x}}", "2:44", "is ours to send"),
        ('origins:\n  a: {url: "http://x", headers: {X: "a\\nb"}}', "2:37", "'X' takes"),
    ],
)
def test_a_mistake_is_told_with_its_place(text: str, place: str, what: str) -> None:
    with pytest.raises(InvalidSources) as refusal:
        read_sources(text, "origins.yaml")
    assert str(refusal.value).startswith(f"origins.yaml:{place}: "), str(refusal.value)
    assert what in str(refusal.value)
    assert "abcdef" not in str(refusal.value)
    assert "pw" not in str(refusal.value)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidSources, match="cannot be read"):
        load_sources(tmp_path / "origins.yaml")


def test_nothing_is_no_origins() -> None:
    assert read_sources("", "origins.yaml") == Sources(default=None)


def test_the_example_of_the_documentation_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    page = (ROOT / "docs" / "origins.md").read_text()
    example = page.partition("```yaml\n")[2].partition("```")[0]
    for name in ("SHOP_AUTHORIZATION", "MINIO_ID"):
        monkeypatch.setenv(name, "something")
    (tmp_path / "minio").write_text("secret")
    sources = read_sources(example.replace("/run/secrets/minio", str(tmp_path / "minio")), "origins.yaml")
    assert set(sources.named) == {"photos", "shop", "intranet", "minio"}
    assert sources.named["shop"].rewritten("p/42") == "products/42/main.jpg"


def test_every_name_means_something_for_some_kind_of_origin() -> None:
    assert {*COMMON_FIELDS, *(name for names in FIELDS_BY_SCHEME.values() for name in names)} == set(
        ORIGIN_FIELDS
    )


def test_an_origin_without_a_name_has_none() -> None:
    sources = Sources(default=Source(url="/x"), named={"a": Source(url="/a")})
    assert sources.locate("b/c.jpg").origin == DEFAULT_ORIGIN


def test_the_setting_is_a_file_or_what_stands_in_one(tmp_path: Path) -> None:
    """`IMAGE_PROXY_ORIGINS_FILE` gives the text of the file that it names, without the last newline."""
    file = tmp_path / "origins.yaml"
    for text in (
        "origins:\n  shop: https://cdn.shop.example/",
        "# ours\n\norigins: {shop: 'https://cdn.shop.example/'}",
        "origins: {shop: 'https://cdn.shop.example/'}",
        "{origins: {shop: 'https://cdn.shop.example/'}}",
        "---\norigins: {shop: 'https://cdn.shop.example/'}",
        "shop=https://cdn.shop.example/",
    ):
        assert read_origins(text).named["shop"].url == "https://cdn.shop.example/"
        if "=" not in text:
            file.write_text(text)
            assert read_origins(str(file)) == read_origins(text)
    assert set(read_origins("a=/x,\nb=/y\n").named) == {"a", "b"}
    with pytest.raises(InvalidSources, match=r"origins:2:6: origin 'a' has no 'url'"):
        read_origins("origins:\n  a: {}")
    with pytest.raises(InvalidSources, match=r"nowhere\.yaml: cannot be read"):
        read_origins("nowhere.yaml")
