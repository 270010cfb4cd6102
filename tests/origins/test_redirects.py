"""Where an HTTP server may send us."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.model.errors import OriginFailed
from proxy.model.limits import Limits
from proxy.origins.http import HTTPOrigin
from tests.origins.server import (
    Server,
    redirect,
    reply,
)

LIMITS = Limits(max_source_bytes=100_000)
TOM = reply(b"tom")


async def streamed(body: bytes) -> AsyncIterator[bytes]:
    yield body


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_followed(server: Server, origin: HTTPOrigin, status: int) -> None:
    server.put("/base/cats/tom.jpg", redirect("../other/tom.jpg", status))
    server.put("/base/other/tom.jpg", redirect(f"{server.url}/moved?v=1", status))
    server.put("/moved", redirect("/there", status))
    server.put("/there", TOM)
    assert (await origin.fetch("cats/tom.jpg")).body == b"tom"
    assert server.asked[2].target == "/moved?v=1"


async def test_the_fourth_redirect_and_a_circle_are_not_followed(server: Server, origin: HTTPOrigin) -> None:
    for number in range(5):
        server.put(f"/base/{number}", redirect(f"/base/{number + 1}"))
    server.put("/base/circle", redirect("/base/circle"))
    for key in ("0", "circle"):
        server.asked.clear()
        with pytest.raises(OriginFailed, match="more than 3"):
            await origin.fetch(key)
        assert len(server.asked) == 4


async def test_a_redirect_elsewhere_is_not_followed(
    server: Server, outside: Server, origin: HTTPOrigin
) -> None:
    for location in (
        outside.url,
        f"//127.0.0.1:{outside.port}/",
        f"http://127.0.0.1:{server.port}@127.0.0.1:{outside.port}/",
        f"http://localhost:{server.port}/x",
        f"http://user:password@127.0.0.1:{server.port}/x",
        f"http://127.1:{server.port}/x",
        f"http://[::ffff:127.0.0.1]:{server.port}/x",
        "http://169.254.169.254/latest/meta-data/",
        "https:///x",
        "file:///etc/passwd",
        "ftp://127.0.0.1/x",
        "gopher://127.0.0.1/x",
        "javascript:alert(1)",
        "data:image/png;base64,AAAA",
        "http://[",
        "http://127.0.0.1:port/",
        "http://xn--\x7f/",
    ):
        server.asked.clear()
        server.put("*", redirect(location))
        with pytest.raises(OriginFailed) as failure:
            await origin.fetch("tom.jpg")
        assert "169" not in failure.value.message
        assert len(server.asked) <= 2, location


class Fickle:
    """An origin whose server redirects everything to `location`."""

    def __init__(self) -> None:
        self.location = ""
        self.asked: list[httpx.URL] = []
        client = httpx.AsyncClient(transport=httpx.MockTransport(self._answer))
        self.origin = HTTPOrigin(client, "http://photos.test/", LIMITS)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.url)
        return httpx.Response(302, headers=[(b"location", self.location.encode(errors="replace"))])


@pytest.fixture
async def fickle() -> AsyncIterator[Fickle]:
    fickle = Fickle()
    yield fickle
    await fickle.origin.close()


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    location=st.one_of(
        st.text(),
        st.lists(
            st.one_of(
                st.sampled_from(["http:", "//", "/", "127.0.0.1", "[", "]", "@", ":", "xn--", "?"]), st.text()
            ),
            max_size=6,
        ).map("".join),
    )
)
async def test_no_location_however_odd_leads_elsewhere(fickle: Fickle, location: str) -> None:
    fickle.location = location
    with pytest.raises(OriginFailed):
        await fickle.origin.fetch("tom.jpg")
    assert {(url.host, url.port, url.userinfo) for url in fickle.asked} == {("photos.test", None, b"")}


async def told(answers: dict[str, httpx.Response], base: str) -> tuple[list[str], bytes | None]:
    """Which URLs were asked for, and the body if any, when these URLs answer so."""
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return answers[str(request.url)]

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        try:
            return asked, (await HTTPOrigin(client, base, LIMITS).fetch("tom.jpg")).body
        except OriginFailed:
            return asked, None


async def test_a_redirect_from_http_to_https_is_followed_and_back_it_is_not() -> None:
    plain, secure = "http://photos.test/tom.jpg", "https://photos.test/tom.jpg"
    found = httpx.Response(200, content=streamed(b"tom"))
    assert await told(
        {plain: httpx.Response(301, headers={"location": secure}), secure: found}, plain[:-7]
    ) == (
        [plain, secure],
        b"tom",
    )
    assert await told(
        {secure: httpx.Response(301, headers={"location": plain}), plain: found}, secure[:-7]
    ) == (
        [secure],
        None,
    )
