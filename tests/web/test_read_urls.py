"""What a web process remembers of the URLs that it has read, and how much strangers can make of it."""

from __future__ import annotations

import gc
import random
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from proxy.model.media import Format
from proxy.model.negotiation import Bucket
from proxy.requests.read import ParsedRequest
from proxy.url.signing import sign
from proxy.web.read_urls import ReadUrl, ReadUrls, weight
from tests.pictures import photo, saved
from tests.web.serving import client

SECRET = "a-secret-of-at-least-thirty-two-bytes"
DEEP = "/".join(["a" * 200] * 12)
BIG = 120


class Grown:
    bytes = 0


@contextmanager
def growth() -> Iterator[Grown]:
    """What is allocated within and still there at the end."""
    grown = Grown()
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    try:
        yield grown
        gc.collect()
        grown.bytes = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("originals")
    (folder / DEEP).mkdir(parents=True)
    (folder / DEEP / "tom.png").write_bytes(saved(photo(8, 8), Format.PNG))
    (folder / "tom.png").write_bytes(saved(photo(8, 8), Format.PNG))
    for number in range(BIG):
        (folder / f"{number}.png").write_bytes(saved(photo(300, 300, seed=number), Format.PNG))
    return folder


@pytest.fixture
async def web(renderers: str, originals: Path) -> AsyncIterator[httpx.AsyncClient]:
    flags = {"origin": str(originals), "secrets": SECRET, "unsigned": "deny", "log_level": "error"}
    async with client(renderers, **flags) as http:
        yield http


def signed(path: str) -> str:
    return f"{path}?s={sign(SECRET, path.encode())}"


async def test_one_signature_is_good_for_one_path(web: httpx.AsyncClient) -> None:
    right = signed("/w_4/tom.png")
    other = right.replace("w_4", "w_5")
    for url, status in [(right, 200), (other, 403), (right, 200), (other, 403)]:
        assert (await web.get(url)).status_code == status
    signature = right.partition("?")[2]
    for query, status in [
        (f"x=1&{signature}", 200),
        (f"{signature}&s=wrong", 200),
        (f"s=wrong&{signature}", 403),
        (f"x{signature}", 403),
        (signature[:24], 200),
        (signature[:23], 403),
        (f"{signature}&x=1", 200),
    ]:
        assert (await web.get(f"/w_4/tom.png?{query}")).status_code == status, query


async def test_queries_take_no_memory(web: httpx.AsyncClient) -> None:
    randomness = random.Random(1)

    async def ask(count: int) -> None:
        for _ in range(count):
            junk = randomness.randbytes(2_000).hex()
            assert (await web.get(f"{signed('/w_4/tom.png')}&x={junk}")).status_code == 200

    await ask(50)
    with growth() as grown:
        await ask(1_000)
    assert grown.bytes < 2_000_000  # of more than 4 MB; httpx itself remembers 1 MB of them


async def test_signatures_that_nothing_verifies_take_no_memory(renderers: str, originals: Path) -> None:
    async with client(renderers, origin=str(originals), unsigned="allow", log_level="error") as http:
        await http.get("/w_4/tom.png")
        with growth() as grown:
            for number in range(1_000):
                assert (await http.get(f"/w_4/tom.png?s={number:04000}")).status_code == 200
    assert grown.bytes < 2_000_000


async def test_a_url_weighs_at_most_what_is_counted(web: httpx.AsyncClient) -> None:
    """One signature is good for each spelling of its path: all of these are the same picture."""
    spelled = f"/w_4/{DEEP}/tom.png"
    count = 120

    def spelling(number: int) -> str:
        bits = f"{number:010b}"
        start = "".join("%61" if bit == "1" else "a" for bit in bits)
        return f"/w_4/{start}{DEEP[10:]}/tom.png?s={sign(SECRET, spelled.encode())}"

    for number in range(3):
        assert (await web.get(spelling(number))).status_code == 200
    with growth() as grown:
        for number in range(3, 3 + count):
            url = httpx.URL(spelling(number))
            assert (await web.get(url)).headers["cache-status"] == "image-proxy; hit"
    heaviest = weight(b"x" * (len(DEEP) + 40), b"s=" + b"x" * 43)
    assert heaviest / 4 < grown.bytes / count < heaviest


def test_the_least_recently_read_urls_go_first() -> None:
    asked: list[bytes] = []

    def read(raw_path: bytes, signature: bytes, accepted: Bucket) -> ReadUrl:
        asked.append(raw_path)
        return ReadUrl(parsed=ParsedRequest.__new__(ParsedRequest), stem="")

    urls = ReadUrls(read, max_bytes=2 * weight(b"/a", b""))
    for path in (b"/a", b"/b", b"/a", b"/c", b"/a", b"/b", b"/longer" * 10_000, b"/a"):
        urls(path, b"", Bucket())
    assert asked == [b"/a", b"/b", b"/c", b"/b", b"/longer" * 10_000, b"/a"]
    assert len(urls) == 1


async def test_renditions_are_held_by_their_cache_alone(renderers: str, originals: Path) -> None:
    flags = {"cache": "memory://2MB", "originals_cache": "none", "log_level": "error"}
    async with client(renderers, origin=str(originals), **flags) as http:

        async def ask(number: int) -> int:
            for _ in range(2):
                answer = await http.get(f"/f_png/{number}.png")
                assert answer.status_code == 200
            assert answer.headers["cache-status"] == "image-proxy; hit"
            return len(answer.content)

        await ask(0)
        with growth() as grown:
            sent = sum([await ask(number) for number in range(1, BIG)])
    assert sent > 10_000_000
    assert grown.bytes < 4_000_000
