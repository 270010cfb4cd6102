"""What is nobody's business is told by no answer and no log."""

from __future__ import annotations

import pytest

from proxy.web.access_log import loggable_path
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
    ],
)
def test_a_log_names_no_credentials_of_another_server(path: bytes, told: str) -> None:
    assert loggable_path({"raw_path": path}) == told


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
