"""What is nobody's business is told by no answer and no log."""

from __future__ import annotations

from pathlib import Path

import pytest
import structlog

from proxy.web.loggable import loggable_path
from tests.web.serving import client


@pytest.mark.parametrize(
    "path, told",
    [
        (b"/w_1/cats/tom.jpg", "/w_1/cats/tom.jpg"),
        (b"/w_1/cats/a@b%3Fc.jpg", "/w_1/cats/a@b%3Fc.jpg"),
        (b"/w_1/https://cdn.test/a@b.jpg", "/w_1/https://cdn.test/a@b.jpg"),
        (b"/w_1/https://me:pw@cdn.test/a.jpg", "/w_1/https://***@cdn.test/a.jpg"),
        (b"/w_1/HTTPS:/me:p@w%40cdn.test/a.jpg", "/w_1/HTTPS:/***@cdn.test/a.jpg"),
        (b"/w_1/http%3A%2f%2Fme%3Apw%40cdn.test%2Fa.jpg", "/w_1/http%3A%2f%2F***@cdn.test%2Fa.jpg"),
        (b"/w_1/https:%2F%2Fme:pw@cdn.test%2Fa.jpg", "/w_1/https:%2F%2F***@cdn.test%2Fa.jpg"),
        (b"/w_1/https:%2f%2fme:pw@cdn.test/a.jpg", "/w_1/https:%2f%2f***@cdn.test/a.jpg"),
        (b"/w_1/https://cdn.test/a.jpg%3FX-Amz-Signature=pw%3Fpw", "/w_1/https://cdn.test/a.jpg%3F***"),
        (b"/w_1/https://cdn.test%3fpw@x", "/w_1/https://cdn.test%3F***"),
        (b"/w_1/%68ttps://me:pw@cdn.test/a.jpg", "/w_1/https://***@cdn.test/a.jpg"),
        (b"/w_1/https:///%6de:pw%40cdn.test/a.jpg", "/w_1/https:///***@cdn.test/a.jpg"),
        (b"/w_1,overlay_https:%2F%2Fme:pw@a.test%2Fa/b.jpg", "/w_1,overlay_https:%2F%2F***@a.test%2Fa/b.jpg"),
        (
            b"/w_1,overlay_http:%2F%2Fa.test%2Fa/http:/b:pw@c/d",
            "/w_1,overlay_http:%2F%2Fa.test%2Fa/http:/***@c/d",
        ),
    ],
)
def test_a_log_names_no_credentials_of_another_server(path: bytes, told: str) -> None:
    assert loggable_path(path) == told


CANARY = "cAnArYcAnArYcAnArYcAnArYcAnArY"


@pytest.mark.parametrize("mount", ["", "/_ipx"])
@pytest.mark.parametrize(
    "written",
    [
        "s--{}--/",
        "s={}/",
        "s--{}==--/",
        "s={}==/",
        "s={}%3D%3D/",
        "s={}.junk/",
        "s={},x/",
        "s={},w_300/",
        "s=300x200{}/",
        "s=x{}/",
        "s=%63{}/",
        "s%3D{}/",
        "%73={}/",
        "S={}/",
        "%73--{}--/",
        "s%2D%2d{}--/",
        "S--{}--/",
        "s--{}/",
        "s--{}-/",
        "s--{}--x/",
        "s--ab/{}--/",
        "s--ab/cd/{}==--/",
        "s=ab/{}/",
        "s=ab//{}/",
        "s=ab+/c+/{}=/",
        "s={0}/s={0}/",
        "s--{0}--/s--{0}--/",
        "s--{0}--/s={0}=/",
        "s={}{}/",
        "&s={}/",
        "w_300,s={}/",
        "w_300&s={}/",
        "w_300;s={}/",
    ],
)
def test_a_log_has_nothing_of_what_is_in_a_signatures_place(written: str, mount: str) -> None:
    told = loggable_path(f"{mount}/{written.format(CANARY, CANARY)}w_300/cats/tom.jpg".encode())
    assert "cAnArY" not in told
    assert told.startswith(mount)
    assert told.endswith("/w_300/cats/tom.jpg")


@pytest.mark.parametrize(
    "written", ["%3Fs={}", "%3fs%3d{}==", "&s={}", "%3Fx=1&s={}&s={}", "%3Bs={}", ";s={}/"]
)
def test_a_log_has_no_signature_that_was_written_after_the_key(written: str) -> None:
    told = loggable_path(b"/w_300/cats/tom.jpg" + written.format(CANARY, CANARY).encode())
    assert "cAnArY" not in told
    assert told.startswith("/w_300/cats/tom.jpg")


@pytest.mark.parametrize(
    "path",
    [
        "/s=300x200/a.jpg",
        "/s=300,f_webp/a.jpg",
        "/f_webp&s=300x200&q_80/a.jpg",
        "/s_300x200/as=b.jpg",
        "/_/c%C3%A9s--a.jpg",
    ],
)
def test_a_log_has_what_only_looks_like_a_signature(path: str) -> None:
    assert loggable_path(path.encode()) == path


@pytest.mark.parametrize("query", ["s={}", "s={}&s={}", "x=1&s={}==&s=junk", "s={}%3D", "%73={}", "s=&s={}"])
async def test_a_log_has_nothing_of_a_query(renderers: str, tmp_path: Path, query: str) -> None:
    with structlog.testing.capture_logs() as lines:
        async with client(renderers, origin=str(tmp_path), secrets="x" * 32 + "y") as http:
            answer = await http.get(f"/w_1/a.jpg?{query.format(CANARY, CANARY)}")
    assert answer.status_code == 403
    assert [line["path"] for line in lines if line["event"] == "request"] == ["/w_1/a.jpg"]
    assert "cAnArY" not in f"{lines} {answer.text}"


@pytest.mark.parametrize("private", [True, False])
async def test_where_a_configured_origin_is_is_not_told(
    renderers: str, unused_tcp_port: int, private: bool
) -> None:
    origin = f"http://canary:pw@localhost:{unused_tcp_port}/base"
    async with client(renderers, origin=origin, private_networks=private) as http:
        answer = await http.get("/w_1/a.jpg")
    assert answer.status_code == (502 if private else 403)
    said = f"{answer.headers} {answer.text}"
    assert not any(
        word in said for word in ("localhost", "127.0.0.1", "canary", str(unused_tcp_port), "base")
    )
