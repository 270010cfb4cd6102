"""A real Varnish and a real nginx in front, told by the files of docs/cdn/."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager

import httpx
import pytest

from proxy.model.media import Format
from tests.cdn.caches import nginx, varnish
from tests.cdn.conftest import ADMIN_TOKEN
from tests.deployments import Deployed, deployed
from tests.origins.server import Server, reply
from tests.pictures import plain, saved

pytestmark = pytest.mark.asyncio(loop_scope="module")

BROWSERS = {
    "Chrome 120": "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8",
    "Firefox 128": "image/avif,image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5",
    "Firefox 100": "image/avif,image/webp,*/*",
    "Safari 17": "image/webp,image/avif,image/jxl,image/heic,image/heic-sequence,video/*;q=0.8,image/png,"
    "image/svg+xml,image/*;q=0.8,*/*;q=0.5",
    "Safari 15": "image/webp,image/png,image/svg+xml,image/*;q=0.8,video/*;q=0.8,*/*;q=0.5",
    "Edge 18": "image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5",
    "Chrome 60": "image/webp,image/apng,image/*,*/*;q=0.8",
    "Internet Explorer 11": "image/png, image/svg+xml, image/jxr, image/*; q=0.8, */*; q=0.5",
    "curl": "*/*",
    "one that refuses": "image/avif;q=0, IMAGE/WEBP;q=0.0, image/png",
}


def late(seconds: float, body: bytes) -> Callable[..., Awaitable[bool]]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        await asyncio.sleep(seconds)
        return await reply(body)(reader, writer)

    return answer


async def asked(server: Deployed, path: str, times: int) -> list[int]:
    """The statuses of so many requests or more: a line is logged when its answer was sent."""
    async with asyncio.timeout(20):
        while len(found := server.requests(path)) < times:  # noqa: ASYNC110 - in another process
            await asyncio.sleep(0.02)
    return found


async def test_fifty_at_once_are_one_request(
    either: httpx.AsyncClient, server: Deployed, origin: Server
) -> None:
    path = f"/w_100/fifty-{either.base_url.port}.png"
    origin.put("*", late(0.3, saved(plain(64, 48, 1, 2, 3), Format.PNG)))
    found = await asyncio.gather(*(either.get(path) for _ in range(50)))
    assert Counter(answer.status_code for answer in found) == {200: 50}
    assert len({answer.content for answer in found}) == 1
    assert await asked(server, path, 1) == [200]


async def test_ten_browsers_get_what_they_can_show_from_three_requests(
    either: httpx.AsyncClient, server: Deployed, origin: Server
) -> None:
    path = f"/w_100,f_auto/ten-{either.base_url.port}.png"
    got = {}
    for _ in range(2):
        for browser, accept in BROWSERS.items():
            answer = await either.get(path, headers={"accept": accept})
            assert answer.headers["vary"] == "Accept"
            got[browser] = answer.headers["content-type"]
    assert await asked(server, path, 3) == [200] * 3
    assert got == {
        "Chrome 120": "image/avif",
        "Firefox 128": "image/avif",
        "Firefox 100": "image/avif",
        "Safari 17": "image/avif",
        "Safari 15": "image/webp",
        "Edge 18": "image/jpeg",
        "Chrome 60": "image/webp",
        "Internet Explorer 11": "image/jpeg",
        "curl": "image/jpeg",
        "one that refuses": "image/jpeg",
    }


async def test_who_asks_makes_no_difference(
    either: httpx.AsyncClient, server: Deployed, origin: Server
) -> None:
    path = f"/w_100/who-{either.base_url.port}.png"
    for headers in ({"cookie": "a=1"}, {"authorization": "Basic x"}, {"host": "other.example"}, {}):
        answer = await either.get(path, headers={"cache-control": "no-cache", **headers})
        assert answer.status_code == 200
    # Varnish keeps one for each Host, which is what those who serve several sites want of it.
    assert len(server.requests(path)) <= 2


async def test_what_is_over_is_asked_for_by_its_etag(
    either: httpx.AsyncClient, server: Deployed, origin: Server
) -> None:
    path = f"/p_brief/over-{either.base_url.port}.png"
    first = await either.get(path)
    for times in (1, 2):
        await asyncio.sleep(2.1)
        again = await either.get(path)
        assert (again.status_code, again.content) == (200, first.content)
        await asked(server, path, 1 + times)
    assert await asked(server, path, 3) == [200, 304, 304]


async def test_while_the_origin_fails_the_stale_picture_is_served(
    either: httpx.AsyncClient, server: Deployed, origin: Server
) -> None:
    path = f"/p_brief/fails-{either.base_url.port}.png"
    first = await either.get(path)
    origin.put("*", reply(status=500))
    await asyncio.sleep(2.2)
    async with asyncio.timeout(60):
        while len(server.requests(path)) < 4:  # what comes before a CDN has read a failure asks for no other
            again = await either.get(path)
            assert (again.status_code, again.content) == (200, first.content)
            await asyncio.sleep(0.02)
    assert set(server.requests(path)[1:]) == {502}


async def test_a_client_with_the_etag_is_told_304(either: httpx.AsyncClient, origin: Server) -> None:
    path = f"/w_100/etag-{either.base_url.port}.png"
    first = await either.get(path)
    again = await either.get(path, headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]


async def test_one_range_is_answered_with_206_at_the_first_and_the_second_time(
    either: httpx.AsyncClient, server: Deployed, origin: Server
) -> None:
    path = f"/w_200,f_png/range-{either.base_url.port}.png"
    parts = [(await either.get(path, headers={"range": "bytes=10-29"})) for _ in range(2)]
    whole = (await either.get(path)).content
    assert [(part.status_code, part.content) for part in parts] == [(206, whole[10:30])] * 2
    assert parts[1].headers["content-range"] == f"bytes 10-29/{len(whole)}"
    assert await asked(server, path, 1) == [200]


async def test_head_fills_the_cache(either: httpx.AsyncClient, server: Deployed, origin: Server) -> None:
    path = f"/w_100/head-{either.base_url.port}.png"
    head = await either.head(path)
    got = await either.get(path)
    assert head.content == b""
    assert int(head.headers["content-length"]) == len(got.content)
    assert await asked(server, path, 1) == [200]


@pytest.mark.parametrize(
    "options, answer, status",
    [
        ("wdth_1", reply(b""), 400),
        ("w_1", reply(status=404), 404),
        ("w_1", reply(b"no picture at all, by any means"), 415),
        ("w_1", reply(b"\x89PNG\r\n\x1a\n" + bytes(50)), 422),
    ],
)
async def test_an_error_that_the_url_decides_is_kept_a_while(
    either: httpx.AsyncClient, server: Deployed, origin: Server,
    options: str, answer: Callable[..., Awaitable[bool]], status: int,
) -> None:  # fmt: skip
    path = f"/{options}/error-{status}-{either.base_url.port}.png"
    origin.put("*", answer)
    assert [(await either.get(path)).status_code for _ in range(3)] == [status] * 3
    assert await asked(server, path, 1) == [status]


@pytest.mark.parametrize("status, code", [(500, 502), (503, 502)])
async def test_an_error_that_passes_is_never_kept(
    either: httpx.AsyncClient, server: Deployed, origin: Server, status: int, code: int
) -> None:
    path = f"/w_100/passing-{status}-{either.base_url.port}.png"
    origin.put("*", reply(status=status))
    assert [(await either.get(path)).status_code for _ in range(3)] == [code] * 3
    good = reply(saved(plain(64, 48, 1, 2, 3), Format.PNG))
    origin.put("*", good)
    assert (await either.get(path)).status_code == 200
    assert await asked(server, path, 4) == [code] * 3 + [200]


CLOSED = [
    "/-/purge", "/-/options.json", "/-/", "/-/nothing", "/-/info", "/-/information/w_1/a.png", "/-/%70urge",
    "/-/purge?x=1", "/-/purge/", "/-/infopurge", "/metrics", "/metrics?x=1", "/metrics/", "/metrics%20",
]  # fmt: skip
"""Targets as they are sent."""


async def sent(either: httpx.AsyncClient, method: str, target: str, *lines: str) -> tuple[int, bytes]:
    """The status and all of the answer to a request for exactly this target."""
    reader, writer = await asyncio.open_connection(either.base_url.host, either.base_url.port)
    body = '{"tags": ["*"]}' if method == "POST" else ""
    head = [
        f"{method} {target} HTTP/1.1", f"Host: {either.base_url.netloc.decode()}", "Connection: close",
        f"Authorization: Bearer {ADMIN_TOKEN}", "Content-Type: application/json",
        f"Content-Length: {len(body)}", *lines, "", body,
    ]  # fmt: skip
    writer.write("\r\n".join(head).encode())
    async with asyncio.timeout(30):
        answer = await reader.read()
    writer.close()
    return int(answer.split()[1]), answer


@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
@pytest.mark.parametrize("target", CLOSED)
async def test_purges_and_metrics_are_not_on_the_internet(
    either: httpx.AsyncClient, server: Deployed, origin: Server, method: str, target: str
) -> None:
    """Not even with the token, and nothing of it reaches the service."""
    before = len(server.logged("request"))
    status, _ = await sent(either, method, target)
    assert status == 404
    assert len(server.logged("request")) == before


EVASIONS = [
    "//-/purge", "/./-/purge", "/w_1/../-/purge", "/-/info/../purge", "/-/info/%2e%2e/purge", "/%2d/purge",
    "/-%2fpurge", "/%2f-/purge", "/;/-/purge", "/-;x/purge", "/-/info/..;/purge", "/-\\purge", "/-/./purge",
    "/%2e/-/purge", "/w_1/%2e%2e/-/purge", "/-//purge", "/-/info//../purge", "//metrics", "/./metrics",
    "/%6detrics", "/Metrics", "/-/info/../../metrics", "/-/info/%2e%2e/%2e%2e/metrics", "/w_1/../metrics",
    "http://{host}/-/purge", "http://evil.example/-/purge", "http://{host}//-/purge", "http://{host}/metrics",
    "/-/purge#/-/info/", "/-/info/?/../purge", "/-/info/#/../purge", "/?/-/purge", "/-/Purge",
    "/-/info/%00/purge",
]  # fmt: skip


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("target", EVASIONS)
async def test_nor_are_they_when_written_in_another_way(
    either: httpx.AsyncClient, origin: Server, method: str, target: str
) -> None:
    _, answer = await sent(either, method, target.format(host=either.base_url.netloc.decode()))
    assert b'"soft"' not in answer
    assert b"image_proxy_build_info" not in answer
    assert b"purge_incomplete" not in answer


@pytest.mark.parametrize("cache", [varnish, nginx])
async def test_a_proxy_in_front_of_development_opens_nothing(
    cache: Callable[[int], AbstractContextManager[str]], all_origin: Server
) -> None:
    with deployed(origin=all_origin.url, dev="true") as server, cache(server.port) as url:
        async with httpx.AsyncClient(timeout=30) as http:
            assert "renderers" in (await http.get(f"{server.url}/readyz")).json()
            assert (await http.get(f"{url}/readyz")).json() == {"status": "ready"}


async def test_what_is_told_of_a_picture_is_public(either: httpx.AsyncClient, origin: Server) -> None:
    for path in ("/-/info/w_100/tom.png", "/w_100/-/purge", "/w_100/metrics"):
        answer = await either.get(path)
        assert answer.status_code == 200, path


def key_tag(answer: httpx.Response) -> str:
    return answer.headers["surrogate-key"].split()[0]


async def purge(varnish: httpx.AsyncClient, **headers: str) -> int:
    answer = await varnish.request("PURGE", "/", headers={k.replace("_", "-"): v for k, v in headers.items()})
    assert answer.status_code == 200
    found = re.search(r"Purged (\d+)", answer.text)
    assert found, answer.text
    return int(found[1])


async def test_varnish_purges_by_the_tag_of_a_key_and_of_a_preset(
    by_varnish: httpx.AsyncClient, server: Deployed, origin: Server
) -> None:
    paths = ["/p_card/one.png", "/w_50/one.png", "/p_card/two.png"]

    async def hits() -> list[bool]:
        answers = [await by_varnish.get(path) for path in paths]
        assert all("xkey" not in answer.headers for answer in answers)
        return [answer.headers["x-hits"] != "0" for answer in answers]

    assert await hits() == [False, False, False]
    one = key_tag(await by_varnish.get(paths[0]))
    two = key_tag(await by_varnish.get(paths[2]))
    assert await hits() == [True, True, True]
    assert await purge(by_varnish, xkey=one) == 2
    assert await hits() == [False, False, True]
    assert await purge(by_varnish, xkey="preset-card") == 2
    assert await hits() == [False, True, False]
    assert await purge(by_varnish, xkey=f"{two} key-none") == 1


async def test_a_soft_purge_in_varnish_leaves_a_picture_for_bad_times(
    by_varnish: httpx.AsyncClient, server: Deployed, origin: Server
) -> None:
    path = "/p_card/soft.png"
    first = await by_varnish.get(path)
    origin.put("*", reply(status=500))
    assert await purge(by_varnish, xkey_soft=key_tag(first)) == 1
    for times in range(2):
        assert (await by_varnish.get(path)).content == first.content
        await asked(server, path, 2 + times)
    assert await asked(server, path, 3) == [200, 502, 502]
