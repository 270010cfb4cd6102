"""What an HTTP server may answer, how much of it, and for how long."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Callable

import brotli
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.model.errors import (
    OriginalForbidden,
    OriginalNotFound,
    OriginalTooLarge,
    OriginFailed,
    OriginRefused,
    OriginTimedOut,
)
from proxy.model.limits import Limits
from proxy.origins.http import HTTPOrigin, make_client
from tests.origins.conftest import Opened
from tests.origins.server import (
    Answer,
    Server,
    declared,
    drip,
    drip_headers,
    endless,
    promise,
    raw,
    redirect,
    reply,
    silence,
    until,
)
from tests.timing import waiting

LIMITS = Limits(max_source_bytes=100_000)
TOM = reply(b"tom")


async def streamed(body: bytes) -> AsyncIterator[bytes]:
    yield body


@pytest.mark.parametrize("etag", ['"abc"', 'W/"abc"', '"a,b"', '"\'!~"'])
async def test_a_valid_etag_is_kept_and_is_the_version(server: Server, origin: HTTPOrigin, etag: str) -> None:
    server.put("/base/tom.jpg", reply(b"tom", etag=etag))
    original = await origin.fetch("tom.jpg")
    assert original.etag == original.version == etag


async def test_without_a_valid_etag_the_version_is_the_digest(server: Server, origin: HTTPOrigin) -> None:
    for etag in ("", '""', "abc", '"abc', 'w/"abc"', '"a"b"', '"a b"', '"é"', '"' + "x" * 257 + '"'):
        server.put("/base/tom.jpg", reply(b"tom", etag=etag))
        original = await origin.fetch("tom.jpg")
        assert original.etag is None
        assert original.version == hashlib.sha256(b"tom").hexdigest()


TIMES = {
    "Tue, 14 Nov 2023 22:13:20 GMT": 1_700_000_000,
    "Tuesday, 14-Nov-23 22:13:20 GMT": 1_700_000_000,
    "Tue Nov 14 22:13:20 2023": 1_700_000_000,
    "Thu, 01 Jan 1970 00:00:00 GMT": 0,
    "Wed, 31 Dec 1969 23:59:59 GMT": None,
    "Fri, 01 Jan 2999 00:00:00 GMT": None,
    "Fri, 32 Jan 2020 00:00:00 GMT": None,
    "Fri, 01 Jan 99999 00:00:00 GMT": None,
    "Fri, 01 Jan 2020 00:00:00 +9999": None,
    "1700000000": None,
    "yesterday": None,
    "": None,
    "é": None,
}


async def test_a_valid_time_is_kept_and_garbage_is_not(server: Server, origin: HTTPOrigin) -> None:
    for text, seconds in TIMES.items():
        server.put("/base/tom.jpg", reply(b"tom", last_modified=text))
        assert (await origin.fetch("tom.jpg")).last_modified == seconds, text


@given(text=st.one_of(st.text(), st.from_regex(r"\w{3}, ?\d+ \w{3} -?\d+ \d+:\d+:\d+ [-+\w]*")))
async def test_no_time_however_odd_breaks_a_fetch(text: str) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(
            200, headers=[(b"last-modified", text.encode(errors="replace"))], content=streamed(b"tom")
        )

    client = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    async with client:
        assert (await HTTPOrigin(client, "http://photos.test", LIMITS).fetch("tom.jpg")).body == b"tom"


async def test_absent_is_absent_whatever_word_the_origin_has_for_it(
    server: Server, origin: HTTPOrigin
) -> None:
    for status in (404, 410):
        server.asked.clear()
        server.put("*", reply(b"<b>nginx</b>", status=status))
        with pytest.raises(OriginalNotFound) as missing:
            await origin.fetch("tom.jpg")
        assert missing.value.message == "no original 'tom.jpg'"
        assert missing.value.facts == {"origin_status": status}
        assert len(server.asked) == 1


async def test_what_is_forbidden_is_told_apart_from_what_is_absent(
    server: Server, origin: HTTPOrigin
) -> None:
    """An object store says 403 of what does not exist to whoever may not list, so it is no failure."""
    server.put("*", reply(b"<b>nginx</b>", status=403))
    with pytest.raises(OriginalForbidden, match="does not give us") as refusal:
        await origin.fetch("tom.jpg")
    assert refusal.value.facts == {"origin_status": 403}
    assert len(server.asked) == 1


async def test_an_origin_that_does_not_know_us_has_failed(server: Server, origin: HTTPOrigin) -> None:
    for status in (401, 407):
        server.put("*", reply(b"who?", status=status))
        with pytest.raises(OriginRefused, match="does not know us") as refusal:
            await origin.fetch("tom.jpg")
        assert refusal.value.facts == {"origin_status": status}


async def test_any_other_answer_is_a_failure_and_not_asked_for_again(
    server: Server, origin: HTTPOrigin
) -> None:
    for status in (201, 204, 206, 300, 301, 304, 305, 400, 402, 405, 418, 429, 451, 500, 501, 505, 599):
        server.asked.clear()
        server.put("*", raw(f"HTTP/1.1 {status} No\r\ncontent-length: 0\r\n\r\n".encode()))
        with pytest.raises(OriginFailed) as failure:
            await origin.fetch("tom.jpg")
        assert failure.value.facts == {"origin_status": status}
        assert len(server.asked) == 1


def deflated(body: bytes, wbits: int) -> bytes:
    packer = zlib.compressobj(wbits=wbits)
    return packer.compress(body) + packer.flush()


PHOTO = bytes(range(256)) * 200
PACKED = {
    "gzip": ("gzip", gzip.compress(PHOTO)),
    "x-gzip": ("X-GZIP", gzip.compress(PHOTO)),
    "deflate": ("deflate", deflated(PHOTO, 15)),
    "bare deflate": ("deflate", deflated(PHOTO, -15)),
    "br": ("br", brotli.compress(PHOTO)),
}


@pytest.mark.parametrize("coding, body", PACKED.values(), ids=PACKED)
async def test_what_was_compressed_all_the_same_is_unpacked(
    server: Server, origin: HTTPOrigin, coding: str, body: bytes
) -> None:
    server.put("/base/tom.jpg", reply(body, content_encoding=coding))
    assert (await origin.fetch("tom.jpg")).body == PHOTO
    assert server.asked[0].headers["accept-encoding"] == "identity"


@pytest.mark.parametrize("coding, body", PACKED.values(), ids=PACKED)
async def test_what_was_compressed_and_is_damaged_has_failed(
    server: Server, origin: HTTPOrigin, coding: str, body: bytes
) -> None:
    for damaged in (body[:-5], body[: len(body) // 2], b"no such thing", body + b"more", b""):
        server.put("/base/tom.jpg", reply(damaged, content_encoding=coding))
        with pytest.raises(OriginFailed, match="damaged"):
            await origin.fetch("tom.jpg")


BOMBS: dict[str, Callable[[], bytes]] = {
    "gzip": lambda: deflated(bytes(1 << 29), 31)[:90_000],
    "deflate": lambda: deflated(bytes(1 << 29), 15)[:90_000],
    "br": lambda: brotli.compress(bytes(1 << 29), quality=1)[:90_000],
}


@pytest.mark.parametrize("coding", BOMBS)
async def test_a_bomb_is_cut_off_at_what_may_be_read(server: Server, origin: HTTPOrigin, coding: str) -> None:
    """Half a gigabyte in half a megabyte or less, of which 100 kB may be read."""
    server.put("/base/tom.jpg", reply(BOMBS[coding](), content_encoding=coding))
    tracemalloc.start()
    try:
        with pytest.raises(OriginalTooLarge):
            await origin.fetch("tom.jpg")
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("coding", ["zstd", "gzip, gzip", "compress", "nonsense"])
async def test_what_was_compressed_in_another_way_is_refused_before_it_is_read(
    server: Server, origin: HTTPOrigin, coding: str
) -> None:
    server.put("/base/tom.jpg", reply(b"tom", content_encoding=coding))
    with pytest.raises(OriginFailed, match="compressed"):
        await origin.fetch("tom.jpg")


async def test_an_origin_may_be_slower_than_others_where_it_was_given_the_time(server: Server) -> None:
    """httpx's own patience ends with the deadline, and not before it."""
    server.put("/base/tom.jpg", raw(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nto", [b"m"], pause=0.5))
    client = make_client(private_hosts=["127.0.0.1"])
    client.timeout = httpx.Timeout(0.1)
    origin = HTTPOrigin(client, f"{server.url}/base", LIMITS, fetch_timeout=20.0)
    assert (await origin.fetch("tom.jpg")).body == b"tom"
    await origin.close()


async def test_identity_is_no_compression(server: Server, origin: HTTPOrigin) -> None:
    server.put("/base/tom.jpg", reply(b"tom", content_encoding="Identity"))
    assert (await origin.fetch("tom.jpg")).body == b"tom"


async def test_a_body_that_is_announced_too_large_is_not_waited_for(
    server: Server, origin: HTTPOrigin
) -> None:
    server.put("/base/tom.jpg", promise)
    with pytest.raises(OriginalTooLarge):
        await origin.fetch("tom.jpg")
    await until(lambda: not server.open)


async def test_a_body_without_an_end_is_cut_off_and_the_connection_closed(
    server: Server, origin: HTTPOrigin
) -> None:
    server.put("/base/tom.jpg", endless)
    with pytest.raises(OriginalTooLarge):
        await origin.fetch("tom.jpg")
    await until(lambda: not server.open)


async def test_what_comes_after_the_announced_length_is_not_read(server: Server, origin: HTTPOrigin) -> None:
    """Or the answer is refused as a whole, when it came together with the head."""
    server.put("/base/tom.jpg", declared(3, b"tom" + b"x" * 1_000_000))
    try:
        body = (await origin.fetch("tom.jpg")).body
    except OriginFailed as failure:
        body = failure.message.encode()
    assert body in (b"tom", b"the origin broke off in the middle of 'tom.jpg'")


@pytest.mark.parametrize("slow", [silence, drip(), drip_headers()], ids=["silence", "body", "head"])
async def test_the_deadline_is_over_everything(server: Server, hasty: HTTPOrigin, slow: Answer) -> None:
    """A byte now and then passes any timeout between reads."""
    server.put("/base/tom.jpg", slow)
    async with waiting() as waited:
        with pytest.raises(OriginTimedOut, match=r"tom\.jpg"):
            await hasty.fetch("tom.jpg")
    assert waited.seconds < 1
    await until(lambda: not server.open)


async def test_the_deadline_covers_redirects_and_retries(server: Server, hasty: HTTPOrigin) -> None:
    server.put("/base/tom.jpg", redirect("/next"))
    server.put("/next", reply(status=503), silence)
    with pytest.raises(OriginTimedOut):
        await hasty.fetch("tom.jpg")


async def test_fetches_that_ran_out_of_time_give_their_connections_back(
    server: Server, opened: Opened
) -> None:
    """More of them than the pool has connections, and then one that must get through."""
    hasty, server.answers["/base/tom.jpg"] = opened(fetch_timeout=0.3), [TOM]
    server.put("/base/slow.jpg", silence)
    results = await asyncio.gather(*(hasty.fetch("slow.jpg") for _ in range(100)), return_exceptions=True)
    assert {type(result) for result in results} == {OriginTimedOut}
    assert (await hasty.fetch("tom.jpg")).body == b"tom"


async def test_a_fetch_that_nobody_waits_for_any_more_is_ended(server: Server, origin: HTTPOrigin) -> None:
    server.put("/base/tom.jpg", silence)
    fetch = asyncio.create_task(origin.fetch("tom.jpg"))
    await until(lambda: bool(server.asked))
    fetch.cancel()
    with pytest.raises(asyncio.CancelledError):
        await fetch
    await until(lambda: not server.open)
