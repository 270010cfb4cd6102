"""Who is shown the pages of administration: by a table of requests, and by a real server."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from proxy.model.media import Format
from proxy.web.admin_access import (
    MAX_SHOWN,
    REQUEST_TARGET,
    AdminTerms,
    Refusal,
    admin_access,
    is_loopback_host,
)
from tests.deployments import Deployed, deployed
from tests.pictures import photo, saved

TOKEN = "an-admin-token-of-more-than-thirty-two-bytes"
DEVELOPMENT = AdminTerms(token=None, development=True)
TOKEN_ONLY = AdminTerms(token=TOKEN, development=False)
CLOSED = AdminTerms(token=None, development=False)

HOST = (b"host", b"127.0.0.1:8000")
JSON = (b"content-type", b"application/json")
BEARER = (b"authorization", b"Bearer " + TOKEN.encode())

Headers = list[tuple[bytes, bytes]]


def refusal(
    terms: AdminTerms,
    headers: Headers,
    method: str = "GET",
    target: bytes | None = None,
    http_version: str = "1.1",
) -> Refusal | None:
    scope: dict[str, Any] = {
        "type": "http", "http_version": http_version, "method": method, "headers": headers
    }  # fmt: skip
    return admin_access(terms, scope if target is None else scope | {REQUEST_TARGET: target})


def code(terms: AdminTerms, headers: Headers, method: str = "GET") -> str | None:
    found = refusal(terms, headers, method)
    return None if found is None else found.code


LOOPBACK_HOSTS = [
    "127.0.0.1", "127.0.0.1:8000", "127.0.0.1:1", "127.0.0.1:65535", "127.255.255.254", "127.8.8.8:80",
    "localhost", "localhost:8000", "LOCALHOST:8000", "a.localhost", "a-b.c.localhost:3000", "[::1]",
    "[::1]:8000", "[0:0:0:0:0:0:0:1]",
]  # fmt: skip

OTHER_HOSTS = [
    "", ":8000", "evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "evillocalhost",
    "localhost.", "127.0.0.1.", "127.1", "127.0.1", "2130706433", "0x7f.0.0.1", "0177.0.0.1", "127.0.0.01",
    "127.0.0.256", "0.0.0.0", "0.0.0.0:8000", "[::]", "[::ffff:127.0.0.1]", "[::1%lo]", "::1", "[::1",
    "::1]", "[::1]x", "[127.0.0.1]", "128.0.0.1", "10.0.0.1", "169.254.169.254", "localhost:",
    "localhost:0", "localhost:65536", "localhost:99999", "localhost:80:80", "localhost:8o", "localhost:+80",
    "localhost: 80", "localhost@evil.example", "evil.example@localhost", "user:password@127.0.0.1",
    "localhost/", "localhost,evil", "localhost evil.example", "localhost\t", " localhost", "local host",
    ".localhost", "a..localhost", "-.localhost", "a-.localhost", "_a.localhost", "*.localhost",
    "%6cocalhost", "loc\xe0lhost", "localhost\x00", "http://localhost", "a" * 64 + ".localhost",
    "a." * 200 + "localhost", "\u212aocalhost".encode().decode("latin-1"),
]  # fmt: skip


@pytest.mark.parametrize("host", LOOPBACK_HOSTS)
def test_hosts_that_name_this_machine(host: str) -> None:
    assert is_loopback_host(host.encode("latin-1"))
    assert refusal(DEVELOPMENT, [(b"host", host.encode("latin-1"))]) is None


@pytest.mark.parametrize("host", OTHER_HOSTS)
def test_hosts_that_do_not_are_refused_in_development_by_what_was_given(host: str) -> None:
    assert not is_loopback_host(host.encode("latin-1"))
    found = refusal(DEVELOPMENT, [(b"host", host.encode("latin-1"))])
    assert found is not None
    assert (found.status, found.code) == (403, "not_local")
    assert repr(host[:MAX_SHOWN]) in found.detail
    assert "localhost, 127.0.0.1 or [::1]" in found.detail


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [HOST, HOST],
        [HOST, (b"host", b"evil.example")],
        [HOST, (b"forwarded", b"for=1.2.3.4")],
        [HOST, (b"forwarded", b"")],
        [HOST, (b"x-forwarded-for", b"127.0.0.1")],
        [HOST, (b"x-forwarded-host", b"localhost")],
        [HOST, (b"x-forwarded-proto", b"https")],
        [HOST, (b"x-forwarded", b"for=127.0.0.1")],
        [HOST, (b"x-forwarded-anything", b"")],
        [HOST, (b"x-real-ip", b"127.0.0.1")],
        [HOST, (b"via", b"1.1 varnish")],
        [HOST, (b"cdn-loop", b"a.example")],
        [HOST, (b"cf-connecting-ip", b"1.2.3.4")],
        [(b"x-forwarded-for", b"1.2.3.4"), HOST],
    ],
)
def test_what_a_proxy_passed_on_or_names_no_one_host_is_not_local(headers: Headers) -> None:
    assert code(DEVELOPMENT, headers) == "not_local"
    assert code(DEVELOPMENT, [*headers, JSON], "POST") == "not_local"


@pytest.mark.parametrize(
    "target", [b"http://127.0.0.1:8000/metrics", b"http://evil.example/metrics", b"evil.example:80", b"*"]
)
def test_a_target_that_is_no_path_is_not_local(target: bytes) -> None:
    found = refusal(DEVELOPMENT, [HOST], target=target)
    assert found is not None
    assert found.code == "not_local"


def test_what_old_proxies_speak_is_not_local() -> None:
    found = refusal(DEVELOPMENT, [HOST], http_version="1.0")
    assert found is not None
    assert found.code == "not_local"
    assert refusal(TOKEN_ONLY, [HOST, BEARER], http_version="1.0") is None


@pytest.mark.parametrize(
    "host, origin",
    [
        ("127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("localhost:8000", "http://LOCALHOST:8000"),
        ("[::1]:8000", "http://[::1]:8000"),
        ("localhost", "http://localhost"),
        ("localhost:80", "http://localhost"),
        ("localhost", "http://localhost:80"),
    ],
)
def test_a_page_of_its_own_may(host: str, origin: str) -> None:
    own = [(b"host", host.encode()), (b"origin", origin.encode()), (b"sec-fetch-site", b"same-origin")]
    assert code(DEVELOPMENT, own) is None
    assert code(DEVELOPMENT, [*own, JSON], "POST") is None


FOREIGN = [
    "null", "", "http://evil.example", "http://127.0.0.1", "http://127.0.0.1:80", "http://127.0.0.1:8001",
    "https://127.0.0.1:8000", "http://localhost:8000", "http://127.0.0.1:8000/", "http://127.0.0.1:8000.evil.example",
    "http://127.0.0.1:8000@evil.example", "127.0.0.1:8000", "HTTP://127.0.0.1:8000", "file://", "http://",
    "http://127.0.0.1:8000 http://evil.example", "chrome-extension://abc", "http://[::1]:8000",
]  # fmt: skip


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE"])
@pytest.mark.parametrize("origin", FOREIGN)
def test_a_page_of_another_site_may_not(origin: str, method: str) -> None:
    found = refusal(DEVELOPMENT, [HOST, JSON, (b"origin", origin.encode())], method)
    assert found is not None
    assert (found.status, found.code) == (403, "foreign_origin")
    assert repr(origin) in found.detail


@pytest.mark.parametrize("origin", [each for each in FOREIGN if each != "https://127.0.0.1:8000"])
def test_nor_does_a_token_let_it_do_anything(origin: str) -> None:
    headers = [HOST, BEARER, JSON, (b"origin", origin.encode())]
    assert code(TOKEN_ONLY, headers, "POST") == "foreign_origin"
    assert code(TOKEN_ONLY, headers) is None


@pytest.mark.parametrize("site, allowed", [
    ("same-origin", True), ("none", True), ("same-site", False), ("cross-site", False), ("", False),
    ("Same-Origin", False),
])  # fmt: skip
def test_what_a_browser_says_of_the_site_counts_too(site: str, allowed: bool) -> None:
    headers = [HOST, JSON, (b"sec-fetch-site", site.encode())]
    assert code(DEVELOPMENT, headers) == (None if allowed else "foreign_origin")
    assert code(TOKEN_ONLY, [*headers, BEARER], "POST") == (None if allowed else "foreign_origin")


def test_two_origins_are_none_of_ours() -> None:
    own = (b"origin", b"http://127.0.0.1:8000")
    assert code(DEVELOPMENT, [HOST, own]) is None
    assert code(DEVELOPMENT, [HOST, own, own]) == "foreign_origin"
    assert code(DEVELOPMENT, [HOST, own, (b"origin", b"null")]) == "foreign_origin"


@pytest.mark.parametrize(
    "media_type, allowed",
    [
        ("application/json", True),
        ("Application/JSON", True),
        ("application/json;charset=utf-8", True),
        ("application/json ; charset=utf-8", True),
        ("text/plain", False),
        ("application/x-www-form-urlencoded", False),
        ("multipart/form-data; boundary=x", False),
        ("text/plain; application/json", False),
        ("application/jsonp", False),
        ("application/json, text/plain", False),
        ("application/problem+json", False),
        ("", False),
        (None, False),
    ],
)
@pytest.mark.parametrize("terms", [DEVELOPMENT, TOKEN_ONLY], ids=["development", "token"])
def test_what_is_more_than_a_look_is_json(terms: AdminTerms, media_type: str | None, allowed: bool) -> None:
    headers = [HOST, BEARER] + ([] if media_type is None else [(b"content-type", media_type.encode())])
    found = refusal(terms, headers, "POST")
    assert (found is None) == allowed
    if found is not None:
        assert (found.status, found.code) == (415, "unsupported_media_type")
        assert "application/json" in found.detail
        assert repr(media_type) in found.detail or media_type is None
        assert found.headers == ((b"accept", b"application/json"),)


@pytest.mark.parametrize(
    "headers, status",
    [
        ([], 401),
        ([(b"authorization", b"")], 401),
        ([(b"authorization", b"Basic " + TOKEN.encode())], 401),
        ([(b"authorization", TOKEN.encode())], 401),
        ([BEARER, BEARER], 401),
        ([BEARER, (b"authorization", b"Bearer x")], 401),
        ([(b"authorization", b"Bearer")], 403),
        ([(b"authorization", b"Bearer " + TOKEN[:-1].encode())], 403),
        ([(b"authorization", b"Bearer " + TOKEN.upper().encode())], 403),
        ([(b"authorization", b"Bearer \xff")], 403),
        ([(b"authorization", b"bearer  " + TOKEN.encode())], None),
    ],
)
@pytest.mark.parametrize("development", [False, True])
def test_where_there_is_a_token_only_its_bearer_may(
    headers: Headers, status: int | None, development: bool
) -> None:
    found = refusal(AdminTerms(token=TOKEN, development=development), [HOST, *headers])
    assert (None if found is None else found.status) == status
    if status == 401:
        assert found is not None
        assert found.headers == ((b"www-authenticate", b"Bearer"),)


@pytest.mark.parametrize("headers", [[HOST], [HOST, BEARER], [HOST, JSON]])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_without_both_nothing_is_there(headers: Headers, method: str) -> None:
    found = refusal(CLOSED, headers, method)
    assert found is not None
    assert found.status == 404


# A real server


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("originals")
    (folder / "a.jpg").write_bytes(saved(photo(64, 48), Format.JPEG))
    return folder


@pytest.fixture(scope="module")
def development(originals: Path) -> Iterator[Deployed]:
    with deployed(origin=str(originals), dev="true") as server:
        yield server


@pytest.fixture(scope="module")
def production(originals: Path) -> Iterator[Deployed]:
    """On loopback, as behind a reverse proxy; without a token."""
    with deployed(origin=str(originals)) as server:
        yield server


@pytest.fixture(scope="module")
def with_token(originals: Path) -> Iterator[Deployed]:
    with deployed(origin=str(originals), admin_token=TOKEN) as server:
        yield server


def sent(server: Deployed, *lines: str, body: str = "") -> tuple[int, str, str]:
    """The status, the head and the body of the answer to a request of these lines."""
    request = "\r\n".join([*lines, f"Content-Length: {len(body)}", "Connection: close", "", body])
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(request.encode("latin-1"))
        answer = b"".join(iter(lambda: connection.recv(65_536), b"")).decode("latin-1")
    head, _, text = answer.partition("\r\n\r\n")
    return int(head.split()[1]), head.lower(), text


OUTSIDE: dict[str, list[str]] = {
    "another name": ["Host: evil.example"],
    "another name and our port": ["Host: evil.example:{port}"],
    "no name": [],
    "all addresses": ["Host: 0.0.0.0:{port}"],
    "a proxy": ["Host: 127.0.0.1:{port}", "X-Forwarded-For: 1.2.3.4"],
    "a proxy by the standard": ["Host: localhost:{port}", "forwarded: for=1.2.3.4"],
    "a proxy that adds nothing": ["Host: 127.0.0.1:{port}"],
    "a page of another site": ["Host: 127.0.0.1:{port}", "Origin: https://evil.example"],
    "a sandbox": ["Host: 127.0.0.1:{port}", "Origin: null"],
    "a page of another port": ["Host: 127.0.0.1:{port}", "Origin: http://127.0.0.1:1"],
    "a picture of another site": ["Host: 127.0.0.1:{port}", "Sec-Fetch-Site: cross-site"],
}
INSIDE: dict[str, list[str]] = {
    "an address": ["Host: 127.0.0.1:{port}"],
    "a name": ["Host: localhost:{port}"],
    "IPv6": ["Host: [::1]:{port}"],
    "a page of its own": ["Host: localhost:{port}", "Origin: http://localhost:{port}"],
}
PURGE = json.dumps({"keys": ["a.jpg"]})
HTTP = {"no name": "1.0", "a proxy that adds nothing": "1.0"}


def pages_of(server: Deployed, headers: list[str], version: str = "1.1") -> dict[str, tuple[int, str, str]]:
    lines = [line.format(port=server.port) for line in headers]
    as_json = [*lines, "Content-Type: application/json"]
    return {
        "metrics": sent(server, f"GET /metrics HTTP/{version}", *lines),
        "purge": sent(server, f"POST /-/purge HTTP/{version}", *as_json, body=PURGE),
        "readiness": sent(server, f"GET /readyz HTTP/{version}", *lines),
    }


@pytest.mark.parametrize("kind", OUTSIDE)
def test_development_is_open_to_nobody_else(development: Deployed, kind: str) -> None:
    found = pages_of(development, OUTSIDE[kind], HTTP.get(kind, "1.1"))
    assert found["metrics"][0] == found["purge"][0] == 403
    assert "image_proxy" not in found["metrics"][2].replace("urn:image-proxy", "")
    assert found["readiness"][0] == 200
    assert json.loads(found["readiness"][2]) == {"status": "ready"}
    assert all("access-control-allow-origin" not in head for _, head, _ in found.values())


@pytest.mark.parametrize("kind", INSIDE)
def test_development_is_open_to_this_machine(development: Deployed, kind: str) -> None:
    found = pages_of(development, INSIDE[kind])
    assert {name: status for name, (status, _, _) in found.items()} == {
        "metrics": 200, "purge": 200, "readiness": 200,
    }  # fmt: skip
    assert "image_proxy_build_info" in found["metrics"][2]
    assert {"renderers", "presets", "purges"} <= json.loads(found["readiness"][2]).keys()
    assert all("access-control-allow-origin" not in head for _, head, _ in found.values())


@pytest.mark.parametrize("authority", ["evil.example", "127.0.0.1:{port}"])
def test_a_whole_url_as_target_is_not_local(development: Deployed, authority: str) -> None:
    target = f"http://{authority}/metrics".format(port=development.port)
    assert sent(development, f"GET {target} HTTP/1.1", f"Host: 127.0.0.1:{development.port}")[0] == 403


def test_a_form_of_another_site_purges_nothing(development: Deployed) -> None:
    lines = ["POST /-/purge HTTP/1.1", f"Host: 127.0.0.1:{development.port}", "Content-Type: text/plain"]
    status, _, text = sent(development, *lines, body=PURGE)
    assert status == 415
    assert "application/json, not 'text/plain'" in json.loads(text)["detail"]


@pytest.mark.parametrize("kind", [*INSIDE, *OUTSIDE])
def test_loopback_alone_opens_nothing(production: Deployed, kind: str) -> None:
    found = pages_of(production, {**INSIDE, **OUTSIDE}[kind], HTTP.get(kind, "1.1"))
    assert found["metrics"][0] == found["purge"][0] == 404
    assert json.loads(found["readiness"][2]) == {"status": "ready"}


def test_a_token_opens_all_from_anywhere(with_token: Deployed) -> None:
    closed = pages_of(with_token, ["Host: images.example", "X-Forwarded-For: 1.2.3.4"])
    assert closed["metrics"][0] == closed["purge"][0] == 401
    assert json.loads(closed["readiness"][2]) == {"status": "ready"}
    bearer = f"Authorization: Bearer {TOKEN}"
    found = pages_of(with_token, ["Host: images.example", "X-Forwarded-For: 1.2.3.4", bearer])
    assert [found[name][0] for name in ("metrics", "purge", "readiness")] == [200, 200, 200]
    assert json.loads(found["readiness"][2])["renderers"]["alive"] == 1


@pytest.mark.parametrize(
    "path", ["/-/options.json", "/-/info/w_10/a.jpg", "/healthz", "/readyz", "/w_10/a.jpg"]
)
@pytest.mark.parametrize("kind", ["another name", "a proxy", "a page of another site"])
def test_what_is_public_stays_public(production: Deployed, path: str, kind: str) -> None:
    lines = [line.format(port=production.port) for line in OUTSIDE[kind]]
    assert sent(production, f"GET {path} HTTP/1.1", *lines)[0] == 200


@pytest.mark.parametrize("path", ["/healthz/", "/readyz/", "/metrics/", "/-/options.json/", "/-/purge/"])
def test_a_slash_too_many_leads_nowhere(development: Deployed, path: str) -> None:
    status, head, _ = sent(development, f"GET {path} HTTP/1.1", "Host: evil.example")
    assert status == 404
    assert "location" not in head


@pytest.mark.parametrize(
    "path", ["/healthz", "/readyz", "/metrics", "/-/options.json", "/-/nothing", "/-/purge"]
)
def test_scripts_of_other_sites_read_no_page(development: Deployed, path: str) -> None:
    answer = httpx.get(f"{development.url}{path}", timeout=30)
    assert not {"access-control-allow-origin", "timing-allow-origin"} & answer.headers.keys()
    assert (
        httpx.get(f"{development.url}/w_10/a.jpg", timeout=30).headers["access-control-allow-origin"] == "*"
    )


async def test_the_listener_for_metrics_tells_why(originals: Path) -> None:
    with deployed(origin=str(originals), metrics_port=0) as server:
        assert server.process.stdout is not None
        metrics = server.process.stdout.readline().split()[-1]
        async with httpx.AsyncClient(timeout=30) as http, asyncio.timeout(60):
            while (await http.get(f"{server.url}/readyz")).status_code != 200:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            detail = await http.get(metrics.replace("/metrics", "/readyz"))
            assert detail.json()["renderers"]["alive"] == 1
            assert "access-control-allow-origin" not in detail.headers
            assert (await http.get(f"{server.url}/readyz")).json() == {"status": "ready"}
            assert (await http.get(metrics.replace("/metrics", "/-/purge"))).status_code == 404
