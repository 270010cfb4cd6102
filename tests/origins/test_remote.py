from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.model.errors import OriginFailed, ProxyError, SourceNotAllowed
from proxy.model.limits import Limits
from proxy.origins.http import make_client
from proxy.origins.remote import RemoteOrigin
from proxy.origins.remote_hosts import remote_hosts, remote_url
from tests.origins.server import Server, redirect, reply

LIMITS = Limits(max_source_bytes=100_000)
TOM = reply(b"tom")


@pytest.fixture
async def origin(server: Server) -> AsyncIterator[RemoteOrigin]:
    client = make_client(private_hosts=["127.0.0.1", "localhost"])
    hosts = remote_hosts([f"127.0.0.1:{server.port}", f"localhost:{server.port}", ".test"])
    origin = RemoteOrigin(client, hosts, LIMITS, fetch_timeout=2)
    yield origin
    await origin.close()


HOSTS = [
    "cdn.example.com",
    ".shop.example",
    "ports.example:8443",
    ".ports.example:8080",
    "BÜCHER.example",
    "[2001:db8::1]",
    "10.0.0.1:9000",
    "a_b.example",
]


@pytest.mark.parametrize(
    "url",
    [
        "https://cdn.example.com/a.jpg",
        "http://cdn.example.com/a.jpg",
        "HTTPS://CDN.Example.COM/a.jpg",
        "https://cdn.example.com:443/a.jpg",
        "http://cdn.example.com:80/a.jpg",
        "https://cdn.example.com",
        "https://cdn.example.com?a=b",
        "https://a.shop.example/x",
        "https://a.b.c.shop.example/x",
        "https://ports.example:8443/x",
        "http://a.ports.example:8080/x",
        "https://bücher.example/x",
        "https://xn--bcher-kva.example/x",
        "https://cdn。example。com/x",
        "http://[2001:db8::1]/x",
        "http://10.0.0.1:9000/x",
        "https://a_b.example/x",
    ],
)
def test_a_listed_host_is_allowed_however_it_is_written(url: str) -> None:
    assert remote_hosts(HOSTS).allows(remote_url(url))


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/",
        "https://a.cdn.example.com/",
        "https://cdn.example.com.evil.test/",
        "https://cdn.example.com./",
        "https://evilcdn.example.com/",
        "https://cdn-example.com/",
        "https://cdnXexample.com/",
        "https://cdn.example.com:8443/",
        "https://cdn.example.com:80/",
        "http://cdn.example.com:443/",
        "https://cdn.example.com:0/",
        "https://cdn.example.com:-1/",
        "https://cdn.example.com:99999/",
        "https://user@cdn.example.com/",
        "https://user:password@cdn.example.com/",
        "https://cdn.example.com@evil.test/",
        "https://cdn.example.com:443@evil.test/",
        "https://evil.test@cdn.example.com/",
        "https://cdn.example.com\\@evil.test/",
        "https://evil.test\\.shop.example/",
        "https://evil.test%2f.shop.example/",
        "https://evil.test%00.shop.example/",
        "https://evil test.shop.example/",
        "https://evil.test#.shop.example/",
        "https://evil.test?.shop.example/",
        "https://evil.test/.shop.example/",
        "https://evil.test;.shop.example/",
        "https://.shop.example/",
        "https://a..shop.example/",
        "https://shop.example/",
        "https://evilshop.example/",
        "https://shop.example.evil.test/",
        "https://ports.example/",
        "https://ports.example:8080/",
        "https://a.ports.example/",
        "http://[2001:db8::2]/",
        "http://10.0.0.1/",
        "http://167772161:9000/",
        "http://0xa.1:9000/",
        "http://[::ffff:10.0.0.1]:9000/",
        "https:///cdn.example.com/",
        "https://",
        "https:cdn.example.com",
        "https:/cdn.example.com/",
        "ftp://cdn.example.com/",
        "file://cdn.example.com/etc/passwd",
        "//cdn.example.com/",
    ],
)
def test_no_other_host_is_however_alike(url: str) -> None:
    assert not remote_hosts(HOSTS).allows(remote_url(url))


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_a_loopback_host_without_a_port_stands_for_all_of_its_ports(host: str) -> None:
    assert remote_hosts([host]).allows(remote_url(f"http://{host}:43210/x"))
    assert not remote_hosts([f"{host}:9000"]).allows(remote_url(f"http://{host}:43210/x"))


def test_an_empty_list_allows_nothing() -> None:
    assert not remote_hosts([]).allows(remote_url("https://cdn.example.com/"))


@pytest.mark.parametrize(
    "entry",
    [
        "",
        ".",
        "..example.com",
        "*",
        "*.example.com",
        "https://cdn.example.com",
        "cdn.example.com/",
        "cdn.example.com/path",
        "user@cdn.example.com",
        "cdn.example.com?",
        "cdn.example.com#",
        "cdn example.com",
        "cdn.example.com\\",
        "cdn.example.com:port",
        ":8080",
        "a..b",
        "[::1",
        "::1",
        "\ud800",
    ],
)
def test_an_entry_that_is_no_host_is_refused_by_name(entry: str) -> None:
    with pytest.raises(ValueError, match="a remote host is") as refusal:
        remote_hosts([entry])
    assert f"'{entry}'" in str(refusal.value)


async def test_a_host_that_is_not_listed_is_named_and_not_asked(
    origin: RemoteOrigin, outside: Server
) -> None:
    for key in (f"{outside.url}/tom.jpg", f"http://user:s3cret@127.0.0.1:{outside.port}/tom.jpg?s3cret"):
        with pytest.raises(SourceNotAllowed, match=r"127\.0\.0\.1") as refusal:
            await origin.fetch(key)
        assert "s3cret" not in str(refusal.value)


@pytest.mark.parametrize(
    "key", ["http://a\tb/", "http://[", "http://\ud800/", "http://xn--\udc80/", "https://a:b:c/"]
)
async def test_what_begins_like_a_url_and_is_none_is_not_allowed(origin: RemoteOrigin, key: str) -> None:
    with pytest.raises(SourceNotAllowed):
        await origin.fetch(key)


@pytest.mark.parametrize(
    "written, sent",
    [
        ("/a.jpg", "/a.jpg"),
        ("/a.jpg?w=1&h=2", "/a.jpg?w=1&h=2"),
        ("/a.jpg?", "/a.jpg"),
        ("", "/"),
        ("/a b.jpg", "/a%20b.jpg"),
        ("/größe.jpg?q=ä", "/gr%C3%B6%C3%9Fe.jpg?q=%C3%A4"),
        ("/a%20b%2Fc.jpg", "/a%20b%2Fc.jpg"),
        ("/100%.jpg", "/100%25.jpg"),
        ("/100%zz?a=%", "/100%25zz?a=%25"),
        ("/a.jpg#top", "/a.jpg"),
        ("/a+b;c,d@e.jpg", "/a+b;c,d@e.jpg"),
    ],
)
async def test_escapes_are_kept_and_what_no_url_can_hold_is_escaped(
    server: Server, origin: RemoteOrigin, written: str, sent: str
) -> None:
    server.put("*", TOM)
    assert (await origin.fetch(server.url + written)).body == b"tom"
    assert server.asked[0].target == sent


async def test_a_redirect_to_a_listed_host_is_followed(server: Server, origin: RemoteOrigin) -> None:
    server.put("/tom.jpg", redirect(f"http://localhost:{server.port}/there"))
    server.put("/there", TOM)
    assert (await origin.fetch(f"{server.url}/tom.jpg")).body == b"tom"


async def test_a_redirect_to_any_other_is_not(server: Server, outside: Server, origin: RemoteOrigin) -> None:
    for location in (
        outside.url,
        "http://169.254.169.254/",
        f"//127.0.0.1:{outside.port}/",
        "file:///etc/passwd",
    ):
        server.put("/tom.jpg", redirect(location))
        with pytest.raises(OriginFailed):
            await origin.fetch(f"{server.url}/tom.jpg")


async def test_a_listed_name_that_points_inside_is_refused(server: Server) -> None:
    """Whoever may write a name below a listed suffix decides where it points."""

    async def inside(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    client = make_client(resolve=inside)
    origin = RemoteOrigin(client, remote_hosts([f".example.com:{server.port}"]), LIMITS)
    with pytest.raises(SourceNotAllowed, match="private_networks"):
        await origin.fetch(f"http://evil.example.com:{server.port}/")
    assert server.connections == 0
    await origin.close()


async def test_a_host_is_one_however_it_is_written() -> None:
    origin = RemoteOrigin(make_client(), remote_hosts(["cdn.example", "cdn.example:8443"]), LIMITS)
    written = ("https://cdn.example/a", "HTTPS://CDN.example:443?b", "https://cdn.Example/c?d")
    assert {origin.host(key) for key in written} == {"cdn.example:443"}
    assert origin.host("https://cdn.example:8443/a") == "cdn.example:8443"
    for refused in ("https://me:pw@cdn.example/a", "https://other.example/a", "https://[/a"):
        with pytest.raises(SourceNotAllowed):
            origin.host(refused)
    await origin.close()


PIECES = [
    "http://",
    "https://",
    "127.0.0.1",
    "localhost",
    "[::1]",
    "@",
    ":",
    "/",
    "\\",
    "//",
    "?",
    "#",
    "%",
    "%2f",
    "%40",
    ".",
    "..",
    "evil",
    "xn--",
    "\t",
    "\0",
    "。",
    "０",
    "LISTED",
    "OTHER",
]


@pytest.fixture
async def numeric(server: Server) -> AsyncIterator[RemoteOrigin]:
    """One listed host; of all others none resolves, so that no test ever asks a real one."""

    async def only_loopback(host: str, port: int) -> list[str]:
        return ["127.0.0.1"] if host == "127.0.0.1" else []

    client = make_client(private_hosts=["127.0.0.1"], resolve=only_loopback)
    # The time is short: what speaks TLS to this server would wait, and nothing else does.
    origin = RemoteOrigin(client, remote_hosts([f"127.0.0.1:{server.port}"]), LIMITS, fetch_timeout=0.05)
    yield origin
    await origin.close()


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    start=st.sampled_from(["http://", "https://", "http://127.0.0.1:LISTED", "http://127.0.0.1:OTHER"]),
    rest=st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=3)), max_size=8).map("".join),
)
async def test_any_url_asks_a_listed_host_or_nobody(
    server: Server, outside: Server, numeric: RemoteOrigin, start: str, rest: str
) -> None:
    server.put("*", TOM)
    server.asked.clear()
    key = (start + rest).replace("LISTED", str(server.port)).replace("OTHER", str(outside.port))
    try:
        await numeric.fetch(key)
    except ProxyError:
        return
    assert httpx.URL(key).host == "127.0.0.1"
    assert [asked.headers["host"] for asked in server.asked] == [f"127.0.0.1:{server.port}"]
