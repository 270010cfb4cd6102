"""Lines of requests, as people read them in a terminal."""

from __future__ import annotations

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from proxy.telemetry.logs import configure
from proxy.telemetry.request_lines import DEFAULT_WIDTH, request_line

EVENT = {
    "event": "request", "method": "GET", "path": "/w_300,h_200/cats/tom.jpg", "status": 200, "bytes": 4096,
    "ms": 12.3,
    "request_id": "348f0dcc64000001", "client": "127.0.0.1", "cache": "fwd=miss; stored",
    "timestamp": "2026-12-01T04:13:18.123456Z", "level": "info",
}  # fmt: skip


def test_status_and_path_come_first() -> None:
    assert request_line(EVENT, 80) == (
        "200 /w_300,h_200/cats/tom.jpg  12 ms  fwd=miss; stored  4096 B  04:13:18"
    )
    assert request_line({**EVENT, "method": "POST", "path": "/-/purge"}, 40) == ("200 POST /-/purge  12 ms")
    assert request_line(EVENT, 200).endswith("  127.0.0.1  348f0dcc64000001")


@given(
    path=st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=300),
    width=st.integers(1, 300),
    status=st.sampled_from([None, 200, 404, 503]),
    method=st.sampled_from(["GET", "HEAD", "POST"]),
)
def test_no_line_is_wider_than_the_terminal(path: str, width: int, status: int | None, method: str) -> None:
    line = request_line({**EVENT, "path": path, "status": status, "method": method}, width)
    assert len(line) < max(width, 2)
    if width >= 80:
        assert line.startswith(str(status or "---"))
        assert "ms" in line
        assert path[:20] in line


def test_requests_are_logged_so_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    configure("human", "info")
    structlog.get_logger().info(**{**EVENT, "path": "/w_300/" + "long/" * 40 + "end.jpg"})
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("200 /w_300/long/")
    assert "end.jpg" in line
    assert len(line) < DEFAULT_WIDTH
