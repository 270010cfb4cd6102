"""Every kind of answer of a real server, held to what HTTP and our contract with CDNs say of its headers."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime

import httpx
import pytest
import pytest_asyncio

from proxy.model.media import Format
from proxy.web.headers import limited_tags
from tests.deployments import Deployed, deployed
from tests.origins.server import Server, reply, running, silence
from tests.pictures import photo, saved

pytestmark = pytest.mark.asyncio(loop_scope="module")

TOM = saved(photo(320, 240), Format.PNG)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of answer: how to get it, and what is special about it."""

    path: str = "/w_100/tom.png"
    status: int
    method: str = "GET"
    headers: dict[str, str] = field(default_factory=dict)
    lasting: bool = False
    vary: bool = False
    picture: bool = False
    headers_read: bool = True
    page: bool = False


def picture(path: str = "/w_100/tom.png", *, method: str = "GET", vary: bool = False) -> Kind:
    return Kind(path=path, status=200, method=method, lasting=True, vary=vary, picture=True)


KINDS = {
    "a picture": picture(),
    "a picture again": picture(),
    "a picture of any format": picture("/w_90,f_auto/tom.png", vary=True),
    "a picture with a version": picture("/w_100,v_3/tom.png"),
    "a picture to save": picture("/w_100,dl,fn_%C3%BC%22x/tom.png"),
    "its head": picture(method="HEAD"),
    "what is known of it": picture("/-/info/w_100/tom.png"),
    "not modified": Kind(status=304, headers={"if-none-match": "*"}, lasting=True),
    "not modified, of any format": Kind(
        path="/w_90,f_auto/tom.png", status=304, headers={"if-none-match": "*"}, lasting=True, vary=True
    ),
    "a range": Kind(status=206, headers={"range": "bytes=0-9"}, lasting=True),
    "a range that is not there": Kind(status=416, headers={"range": "bytes=999999-"}),
    "an unknown option": Kind(path="/wdth_1/tom.png", status=400, lasting=True),
    "an error of any format": Kind(path="/wdth_1,f_auto,w_1/tom.png", status=400, lasting=True, vary=True),
    "a host that is not allowed": Kind(path="/w_1/http://other.example/a.jpg", status=403, lasting=True),
    "no such key": Kind(path="/w_1/gone.png", status=404, lasting=True),
    "no such path": Kind(path="/nothing", status=404, lasting=True),
    "no such page": Kind(path="/-/nothing", status=404, lasting=True, page=True),
    "another method": Kind(method="POST", status=405),
    "another method on a page": Kind(method="POST", path="/healthz", status=405, page=True),
    "the end of a URL": Kind(path="/w_1,exp_1000000000/tom.png", status=410, lasting=True),
    "too many bytes": Kind(path="/w_1/large.png", status=413, lasting=True),
    "a path that nobody writes": Kind(path="/w_1/" + "a" * 9000, status=414, headers_read=False),
    "no picture": Kind(path="/w_1/text.png", status=415, lasting=True),
    "half a picture": Kind(path="/w_1/half.png", status=422, lasting=True),
    "too long headers": Kind(headers={"x-long": "a" * 40_000}, status=431),
    "a host that is none": Kind(headers={"host": "a b/c"}, status=400),
    "an origin that fails": Kind(path="/w_1/fails/a.png", status=502),
    "an origin that is silent": Kind(path="/w_1/silent/a.png", status=504),
    "a loop": Kind(headers={"cdn-loop": 'other.example; a="b", Image-Proxy;x=1'}, status=508),
    "a preflight": Kind(method="OPTIONS", status=204),
    "the options": Kind(path="/-/options.json", status=200, page=True),
    "health": Kind(path="/healthz", status=200, page=True),
    "readiness": Kind(path="/readyz", status=200, page=True),
}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def origin() -> AsyncIterator[Server]:
    async with running() as server:
        last_modified = "Wed, 21 Oct 2015 07:28:00 GMT"
        server.put("/tom.png", reply(TOM, etag='"1"', last_modified=last_modified))
        server.put("/large.png", reply(bytes(2_000_000)))
        server.put("/text.png", reply(b"no picture at all, by any means"))
        server.put("/half.png", reply(TOM[: len(TOM) // 2]))
        server.put("/fails/a.png", reply(status=500))
        server.put("/silent/a.png", silence)
        yield server


@pytest.fixture(scope="module")
def server(origin: Server) -> Iterator[Deployed]:
    # One origin for each failure: who fails again and again is not asked for a while.
    origins = f"fails={origin.url}/fails,silent={origin.url}/silent"
    with deployed(origin=origin.url, origins=origins, fetch_timeout="1s", max_source_bytes="1MB") as server:
        yield server


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def client(server: Deployed) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server.url, timeout=30) as client:
        yield client


async def answer(client: httpx.AsyncClient, kind: Kind) -> httpx.Response:
    url = httpx.URL(str(client.base_url)).copy_with(raw_path=kind.path.encode())
    found = await client.request(kind.method, url, headers={"x-request-id": "Lint.1~a_b-c", **kind.headers})
    assert found.status_code == kind.status, found.text
    return found


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
async def test_every_answer_has_the_headers_it_must_have_and_no_others(
    client: httpx.AsyncClient, kind: Kind
) -> None:
    found = await answer(client, kind)
    names = [name.decode().lower() for name, _ in found.headers.raw]
    assert len(set(names)) == len(names), "each header once"
    never = {"age", "set-cookie", "transfer-encoding", "content-encoding", "server", "expires", "pragma"}
    assert not set(names) & never
    assert all(re.fullmatch(rb"[\x20-\x7e]*", value) for _, value in found.headers.raw)
    assert found.headers["x-content-type-options"] == "nosniff"
    assert found.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert found.headers["cross-origin-resource-policy"] == "cross-origin"
    for name in ("access-control-allow-origin", "timing-allow-origin"):
        assert found.headers.get(name) == (None if kind.page else "*")
    own = "[0-9a-f]+"  # of a request that was refused before its headers were read
    expected = re.escape("Lint.1~a_b-c") if kind.headers_read else own
    assert re.fullmatch(expected, found.headers["x-request-id"])
    assert ("vary" in names) == kind.vary
    assert found.headers.get("vary", "Accept") == "Accept"
    holds_length(found, kind)
    holds_lifetime(found, kind)
    holds_status(found)


def holds_length(found: httpx.Response, kind: Kind) -> None:
    if kind.status in (204, 304):
        assert "content-length" not in found.headers or kind.status == 204
        assert "content-type" not in found.headers
        assert not found.content
    elif kind.method != "HEAD":
        assert int(found.headers["content-length"]) == len(found.content)
        assert "content-type" in found.headers


def holds_lifetime(found: httpx.Response, kind: Kind) -> None:
    said = found.headers["cache-control"]
    directives = [re.fullmatch(r"([a-z-]+)(?:=(\d+))?", each) for each in said.split(", ")]
    assert all(directives), said
    names = [each[1] for each in directives if each]
    assert len(set(names)) == len(names)
    if kind.lasting:
        assert names[:2] == ["public", "max-age"]
    else:
        assert said == "no-store"
    assert ("immutable" in names) == ("v_" in kind.path)
    if kind.status >= 400:
        assert said in ("no-store", "public, max-age=60")
        assert "etag" not in found.headers


def holds_status(found: httpx.Response) -> None:
    """RFC 9211: one member, its parameters as a structured field (RFC 8941) writes them."""
    said = found.headers["cache-status"]
    name, *parameters = said.split("; ")
    assert name == "image-proxy"
    allowed = r"hit|fwd=(miss|stale|bypass|method)|fwd-status=\d{3}|ttl=-?\d+|stored|collapsed|detail=[a-z_]+"
    assert parameters
    assert all(re.fullmatch(allowed, each) for each in parameters), said


@pytest.mark.parametrize(
    "kind", [kind for kind in KINDS.values() if kind.picture or kind.status in (206, 304)]
)
async def test_a_picture_says_which_one_it_is(client: httpx.AsyncClient, kind: Kind) -> None:
    found = await answer(client, kind)
    assert re.fullmatch(r'"[0-9a-f]{32}"', found.headers["etag"])
    modified = parsedate_to_datetime(found.headers["last-modified"])
    assert modified <= parsedate_to_datetime(found.headers["date"])
    assert found.headers["accept-ranges"] == "bytes"
    tags = found.headers["cache-tag"].split(",")
    assert tags == found.headers["surrogate-key"].split(" ")
    assert re.fullmatch(r"key-[0-9a-f]{16}", tags[0])
    assert re.match(r'(inline|attachment); filename="[ !#-\[\]-~]+"', found.headers["content-disposition"])


@pytest.mark.parametrize("kind", [kind for kind in KINDS.values() if kind.status >= 400])
async def test_an_error_is_a_problem_that_a_program_can_read(client: httpx.AsyncClient, kind: Kind) -> None:
    found = await answer(client, kind)
    assert found.headers["content-type"] == "application/problem+json"
    said = json.loads(found.content)
    assert said["status"] == kind.status
    assert said["type"] == f"urn:image-proxy:{said['code']}"
    assert re.fullmatch(r"[a-z_]+", said["code"])
    assert said["title"]
    assert said["detail"]
    assert len(found.content) < 3_000
    if kind.status == 405:
        assert "GET" in found.headers["allow"]


@pytest.mark.parametrize(
    "kind", [kind for kind in KINDS.values() if kind.method == "GET" and "range" not in kind.headers]
)
async def test_head_says_what_get_says(client: httpx.AsyncClient, kind: Kind) -> None:
    url = httpx.URL(str(client.base_url)).copy_with(raw_path=kind.path.encode())
    if kind.status < 500:
        await client.get(url, headers=kind.headers)
    async with asyncio.timeout(60):
        while True:
            get, head, again = [
                await client.request(method, url, headers=kind.headers) for method in ("GET", "HEAD", "GET")
            ]
            if said(get) == said(again):  # else a second ended between them, and what is left is less by one
                break
    assert (head.status_code, head.content) == (get.status_code, b"")
    assert said(head) == said(get)


def said(answer: httpx.Response) -> dict[str, str]:
    own = {"date", "x-request-id", "server-timing", "cache-status"}
    return {name: value for name, value in answer.headers.items() if name not in own}


@pytest.mark.parametrize("span", ["bytes=0-9", "bytes=999999-"])
async def test_head_knows_no_ranges(client: httpx.AsyncClient, span: str) -> None:
    """RFC 9110 section 14.2."""
    whole, head = (
        await client.get("/w_100/tom.png"),
        await client.head("/w_100/tom.png", headers={"range": span}),
    )
    assert head.status_code == 200
    assert head.headers["content-length"] == str(len(whole.content))
    assert "content-range" not in head.headers


async def test_the_first_answer_says_where_the_time_went(client: httpx.AsyncClient) -> None:
    found = await client.get("/w_77/tom.png")
    timings = dict(each.split(";dur=") for each in found.headers["server-timing"].split(", "))
    assert {"cache", "fetch", "queue", "decode", "encode"} <= timings.keys()
    assert all(float(spent) >= 0 for spent in timings.values())


@pytest.mark.parametrize("given", ["", "a" * 65, "a b", "ü", "a\tb", 'a"b', "${jndi:x}"])
async def test_a_request_id_that_is_not_safe_to_repeat_is_not_repeated(
    client: httpx.AsyncClient, server: Deployed, given: str
) -> None:
    found = await client.get("/w_100/tom.png", headers={b"x-request-id": given.encode()})
    assert re.fullmatch(r"[0-9a-f]{16}", found.headers["x-request-id"])


async def test_no_two_requests_have_the_same_id_and_no_two_processes_either(server: Deployed) -> None:
    with deployed(origin=server.url) as other:
        async with httpx.AsyncClient() as http:
            ids = [
                (await http.get(f"{each.url}/healthz")).headers["x-request-id"]
                for each in (server, other)
                for _ in range(20)
            ]
    assert len(set(ids)) == len(ids)
    assert len({each[:10] for each in ids}) == 2


async def test_the_log_has_the_request_id(client: httpx.AsyncClient, server: Deployed) -> None:
    await client.get("/w_100/tom.png", headers={"x-request-id": "from-the-cdn"})
    await client.get("/w_100/tom.png")
    assert "from-the-cdn" in [line["request_id"] for line in server.logged("request")]


async def test_a_script_of_another_page_may_ask_with_headers_of_its_own(client: httpx.AsyncClient) -> None:
    asked = {
        "origin": "https://shop.example",
        "access-control-request-method": "GET",
        "access-control-request-headers": "x-requested-with",
    }
    found = await client.options("/w_100/tom.png", headers=asked)
    assert "GET" in found.headers["access-control-allow-methods"]
    assert found.headers["access-control-allow-headers"] == "*"
    assert found.headers["access-control-max-age"] == "86400"


@pytest.mark.parametrize(
    "hosts, status",
    [
        (["tom.example"], 200), (["tom.example:8000"], 200), (["[::1]:80"], 200), (["127.0.0.1"], 200),
        ([""], 200), ([], 400), (["a.example", "b.example"], 400), (["a.example", "a.example"], 400),
        (["a.example/b"], 400), (["user@a.example"], 400), (["a.example, b.example"], 400), (["[::1"], 400),
    ],
)  # fmt: skip
async def test_a_request_names_one_host(server: Deployed, hosts: list[str], status: int) -> None:
    """RFC 9112 section 3.2."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    lines = ["GET /w_100/tom.png HTTP/1.1", *(f"Host: {host}" for host in hosts), "Connection: close", "", ""]
    writer.write("\r\n".join(lines).encode())
    said = (await reader.read()).split(b" ", 2)
    writer.close()
    assert int(said[1]) == status


async def test_who_speaks_http_1_0_need_not_name_one(server: Deployed) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"GET /w_100/tom.png HTTP/1.0\r\n\r\n")
    said = (await reader.read()).split(b" ", 2)
    writer.close()
    assert int(said[1]) == 200


async def test_no_other_name_in_cdn_loop_is_ours(client: httpx.AsyncClient) -> None:
    found = await client.get(
        "/w_100/tom.png", headers={"cdn-loop": "my-image-proxy, image-proxy.example; a=1"}
    )
    assert found.status_code == 200


async def test_whose_scripts_may_read_is_a_setting(origin: Server) -> None:
    with deployed(origin=origin.url, allow_origin="https://shop.example") as server:
        async with httpx.AsyncClient(base_url=server.url, timeout=30) as client:
            found = [await client.get(path) for path in ("/w_100/tom.png", "/w_1/gone.png", "/nothing")]
        for each in found:
            assert each.headers["access-control-allow-origin"] == "https://shop.example"
            assert each.headers["timing-allow-origin"] == "https://shop.example"


async def test_tags_stay_within_what_cdns_take() -> None:
    many = limited_tags([f"preset-{place}" for place in range(40)])
    assert len(many) == 16
    long = limited_tags(["key-1", *(f"preset-{place}-" + "x" * 200 for place in range(10))])
    assert long[0] == "key-1"
    assert 800 < len(" ".join(long)) <= 1000


async def test_what_the_whole_server_takes_is_told(client: httpx.AsyncClient) -> None:
    found = await client.request("OPTIONS", "/", extensions={"target": b"*"})
    assert (found.status_code, found.headers["allow"]) == (204, "GET, HEAD, OPTIONS")
    assert (await client.get("/", extensions={"target": b"*"})).status_code == 404
