"""What is asked of an HTTP server, and of which."""

from __future__ import annotations

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy import __version__
from proxy.model.errors import OriginalNotFound, OriginFailed, ProxyError
from proxy.model.limits import Limits
from proxy.origins.http import HTTPOrigin, make_client
from tests.origins.conftest import Opened
from tests.origins.server import (
    Server,
    redirect,
    reply,
)

LIMITS = Limits(max_source_bytes=100_000)
TOM = reply(b"tom")


@pytest.mark.parametrize("base", ["", "/", "/base", "/base/", "/a/b%20c/", "//x/"])
async def test_a_key_goes_below_the_base(server: Server, opened: Opened, base: str) -> None:
    server.put("*", TOM)
    await opened(base).fetch("größe/a b+c;d.jpg")
    assert server.asked[0].target == base.rstrip("/") + "/gr%C3%B6%C3%9Fe/a%20b%2Bc%3Bd.jpg"


async def test_every_request_says_who_asks_and_that_the_bytes_are_wanted_as_they_are(
    server: Server, origin: HTTPOrigin
) -> None:
    server.put("/base/tom.jpg", TOM)
    await origin.fetch("tom.jpg")
    headers = server.asked[0].headers
    assert headers["accept-encoding"] == "identity"
    assert headers["cdn-loop"] == "image-proxy"
    assert headers["user-agent"] == f"image-proxy/{__version__}"
    assert "authorization" not in headers


async def test_credentials_are_sent_and_never_shown(server: Server, opened: Opened) -> None:
    server.put("*", reply(status=500))
    with pytest.raises(OriginFailed) as failure:
        await opened(user="tom:s3%40cret@").fetch("tom.jpg")
    assert server.asked[0].headers["authorization"] == httpx.BasicAuth("tom", "s3@cret")._auth_header
    assert "cret" not in str(failure.value) + str(failure.value.facts)


async def test_no_cookie_is_kept(server: Server, origin: HTTPOrigin) -> None:
    """One long-lived client must not carry what one answer said into the next question."""
    server.put("/base/tom.jpg", reply(b"tom", set_cookie="a=b; Path=/"))
    await origin.fetch("tom.jpg")
    await origin.fetch("tom.jpg")
    assert "cookie" not in server.asked[1].headers


async def test_proxies_of_the_environment_are_not_heeded(
    server: Server, outside: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, outside.url)
        monkeypatch.setenv(name.lower(), outside.url)
    server.put("/base/tom.jpg", TOM)
    origin = HTTPOrigin(make_client(private_hosts=["127.0.0.1"]), f"{server.url}/base", LIMITS)
    assert (await origin.fetch("tom.jpg")).body == b"tom"
    await origin.close()


async def test_connections_are_kept(server: Server, origin: HTTPOrigin) -> None:
    """Also over redirects and over what is absent, when those come with short bodies or none."""
    server.put("/base/tom.jpg", redirect("/base/there.jpg"))
    server.put("/base/there.jpg", TOM)
    for _ in range(5):
        await origin.fetch("tom.jpg")
        with pytest.raises(OriginalNotFound):
            await origin.fetch("absent.jpg")
    assert server.connections == 1


@pytest.mark.parametrize(
    "base",
    [
        "",
        "photos.test",
        "/srv",
        "ftp://photos.test/",
        "http://",
        "http:///x",
        "http://tom:s3cret@/",
        "http://photos.test/?a=s3cret",
        "http://photos.test/?",
        "http://photos.test/#s3cret",
        "http://photos.test:s3cret/",
        "http://s3cret\n.test/",
        "http://[s3cret]/",
        "http://s3cret:\ud800@photos.test/",
    ],
)
async def test_a_base_that_no_key_can_be_put_below_is_refused_and_not_quoted(base: str) -> None:
    async with httpx.AsyncClient() as client:
        with pytest.raises(ValueError, match="the URL of an origin") as refusal:
            HTTPOrigin(client, base, LIMITS)
    assert "s3cret" not in str(refusal.value)


KEYS = st.one_of(
    st.text(),
    st.text(st.characters(categories=["Cs"])),
    st.lists(
        st.one_of(
            st.sampled_from(["..", ".", "", "@evil", ":80", "%2e%2e", "?", "#", "\\", "%", "\r\n"]), st.text()
        ),
        max_size=6,
    ).map("/".join),
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(key=KEYS)
async def test_any_key_is_asked_for_below_the_base_or_refused(
    server: Server, origin: HTTPOrigin, key: str
) -> None:
    server.put("*", TOM)
    server.asked.clear()
    try:
        await origin.fetch(key)
    except ProxyError:
        assert server.asked == []
    else:
        [asked] = server.asked
        sent = httpx.URL(f"http://x{asked.target}")
        assert asked.headers["host"] == f"127.0.0.1:{server.port}"
        assert sent.path == f"/base/{key}"
        assert asked.target.startswith("/base/")
        assert not set(asked.target) & set("?#\\ ")
        assert not set(asked.target.split("/")[1:]) & {"", ".", ".."}


async def test_a_key_longer_than_a_url_can_be_is_not_found(server: Server, origin: HTTPOrigin) -> None:
    with pytest.raises(OriginalNotFound):
        await origin.fetch("x" * 100_000)
    assert server.asked == []


async def test_a_version_is_not_known_without_asking(origin: HTTPOrigin) -> None:
    assert origin.version("tom.jpg") is None
