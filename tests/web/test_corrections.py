"""What an error about a URL suggests in its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.web.serving import client


@pytest.mark.parametrize(
    "path, status, meant",
    [
        ("/w_90/h_60/tom.png", 404, "/w_90,h_60/tom.png"),
        ("/tom/tom.png", 400, "/_/tom/tom.png"),
        ("/tom.png", 404, "/_/tom.png"),
        ("/_next/image?url=%2Ftom.png&w=64&q=75", 400, "/w_64,q_75/tom.png"),
    ],
)
async def test_an_error_says_what_was_probably_meant(
    renderers: str, tmp_path: Path, path: str, status: int, meant: str
) -> None:
    async with client(renderers, origin=str(tmp_path)) as http:
        answer = await http.get(path)
    assert (answer.status_code, answer.json().get("suggestion")) == (status, meant)
    assert answer.json()["detail"].endswith(f"did you mean {meant}?")
