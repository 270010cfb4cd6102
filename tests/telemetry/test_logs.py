"""Logs hold one line an event, no secret, and nothing that a terminal obeys."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import sys
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from proxy.telemetry.logs import (
    MAX_DELAY,
    MAX_WAITING,
    StructlogRequests,
    add_timestamp,
    configure,
    escape,
    mask_and_escape,
    request_log,
)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NAUGHTY = "a\x1b[31m\n\r\u202eb\x00"


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_a_replaced_stderr_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stderr", first)
    configure("json", "info")
    log = structlog.get_logger()
    log.info("one")
    monkeypatch.setattr(sys, "stderr", second)
    first.close()
    log.info("two")
    logging.getLogger("uvicorn.error").warning("three")
    assert [json.loads(line)["event"] for line in second.getvalue().splitlines()] == ["two", "three"]


def test_an_event_is_one_json_line_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    configure("json", "info")
    structlog.get_logger().info("request", status=200, key="cats/tom.jpg", seconds=0.25)
    (line,) = lines(capsys)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "request",
        "level": "info",
        "status": 200,
        "key": "cats/tom.jpg",
        "seconds": 0.25,
    }


@given(st.integers(0, 4_000_000_000_000_000))
def test_a_line_says_when_to_the_microsecond(microseconds: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("proxy.telemetry.logs.time.time_ns", lambda: microseconds * 1000 + 999)
        stamped = add_timestamp(None, "info", {})["timestamp"]
    assert datetime.fromisoformat(stamped) == EPOCH + timedelta(microseconds=microseconds)


@pytest.mark.parametrize("format", ["human", "json"])
def test_a_url_cannot_forge_a_line_or_steer_a_terminal(
    format: Literal["human", "json"], capsys: pytest.CaptureFixture[str]
) -> None:
    configure(format, "info")
    structlog.get_logger().info("request", key=NAUGHTY, tried=[NAUGHTY], headers={NAUGHTY: NAUGHTY})
    logging.getLogger("uvicorn.error").warning("bad request: %s", NAUGHTY)
    written = capsys.readouterr().err
    assert len(written.splitlines()) == 2
    assert written.replace("\n", "").isprintable()


@pytest.mark.parametrize("format", ["human", "json"])
def test_a_traceback_is_kept_without_locals_or_control_characters(
    format: Literal["human", "json"], capsys: pytest.CaptureFixture[str]
) -> None:
    configure(format, "info")
    hidden = "".join(["s3", "cr3t"])

    def fail(secret: str) -> None:
        raise ValueError(NAUGHTY + str(len(secret)))

    try:
        fail(hidden)
    except ValueError:
        structlog.get_logger().exception("bug")
        logging.getLogger("uvicorn.error").exception("bug")
    written = capsys.readouterr().err
    assert written.count("Traceback (most recent call last)") == 2
    assert "ValueError" in written
    assert hidden not in written
    assert written.replace("\n", "").isprintable()


@pytest.mark.parametrize(
    "name",
    ["secret", "secrets", "signature", "token", "admin_token", "Authorization", "Set-Cookie", "password"],
)
@pytest.mark.parametrize("format", ["human", "json"])
def test_what_is_confidential_is_masked_by_its_name(
    format: Literal["human", "json"], name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(format, "info")
    structlog.get_logger().info(
        "request", **{name: "hidden"}, headers={name: ["hidden"]}, tried=[{name: b"hidden"}]
    )
    written = capsys.readouterr().err
    assert "hidden" not in written
    assert written.count("***") == 3


@pytest.mark.parametrize("name", ["key", "secretary", "tokenizer", "status"])
def test_other_names_are_not_masked(name: str) -> None:
    assert mask_and_escape(None, "info", {name: "shown"}) == {name: "shown"}


def test_what_json_does_not_know_is_written_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    configure("json", "info")
    structlog.get_logger().info("request", error=ValueError(NAUGHTY), body=b"\x1b")
    (line,) = lines(capsys)
    assert line["body"] == r"b'\x1b'"


def test_lower_levels_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    configure("json", "warning")
    structlog.get_logger().info("request")
    logging.getLogger("uvicorn.error").info("Started server process")
    structlog.get_logger().warning("cache failed")
    assert [line["event"] for line in lines(capsys)] == ["cache failed"]


def test_uvicorn_speaks_in_our_lines_and_its_access_log_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    configure("json", "info")
    logging.getLogger("uvicorn.error").info("Started server process [%d]", 7)
    logging.getLogger("uvicorn.access").info('"GET /s--signature--/w_3/a.jpg" 200')
    assert [line["event"] for line in lines(capsys)] == ["Started server process [7]"]
    assert not logging.getLogger("uvicorn.access").hasHandlers()


def test_urls_of_fetches_stay_out(capsys: pytest.CaptureFixture[str]) -> None:
    """httpx logs each request with its URL, and a URL may hold credentials."""
    configure("json", "debug")
    logging.getLogger("httpx").info("HTTP Request: GET https://user:password@example.com/")
    assert lines(capsys) == []


def test_a_second_configuration_replaces_the_first(capsys: pytest.CaptureFixture[str]) -> None:
    log = structlog.get_logger()
    configure("human", "error")
    log.error("one")
    capsys.readouterr()
    configure("json", "info")
    log.info("two")
    logging.getLogger("uvicorn.error").info("three")
    assert [line["event"] for line in lines(capsys)] == ["two", "three"]


def test_fields_bound_to_a_request_are_on_all_its_lines(capsys: pytest.CaptureFixture[str]) -> None:
    configure("json", "info")
    with structlog.contextvars.bound_contextvars(request="r-1"):
        structlog.get_logger().info("fetch")
        logging.getLogger("uvicorn.error").warning("closed")
    assert [line["request"] for line in lines(capsys)] == ["r-1", "r-1"]


@pytest.mark.parametrize(
    "text, expected",
    [
        ("cats/tom.jpg", "cats/tom.jpg"),
        ("žluťoučký/猫.jpg", "žluťoučký/猫.jpg"),
        ("a\nb", r"a\nb"),
        ("\x1b[31m", r"\x1b[31m"),
        ("\u202egpj.exe", r"\u202egpj.exe"),
        ("\udcff", r"\udcff"),
        ("\u2028\xa0\ufeff", r"\u2028\xa0\ufeff"),
    ],
)
def test_what_does_not_print_is_escaped(text: str, expected: str) -> None:
    assert escape(text) == expected


def test_long_text_is_cut_and_says_so() -> None:
    assert escape("a" * 256) == "a" * 256
    assert escape("a" * 257) == "a" * 255 + "…"


@given(st.text(st.characters(exclude_categories=[])), st.integers(1, 40))
def test_escaped_text_is_printable_short_and_stays_as_it_is(text: str, limit: int) -> None:
    escaped = escape(text, limit)
    assert escaped.isprintable()
    assert len(escaped) <= limit
    assert escape(escaped, limit) == escaped


@pytest.mark.parametrize("format", ["json", "human"])
def test_the_line_of_a_request_is_as_structlog_writes_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, format: Literal["json", "human"]
) -> None:
    configure(format, "info")
    monkeypatch.setattr("proxy.telemetry.logs.time.time_ns", lambda: 1_700_000_000_123_456_789)
    path = NAUGHTY + '/w_300/100% "%(ms)s" <client>.png'
    fields = {"method": "GET", "path": path, "status": 200, "bytes": 7, "ms": 0.25, "request_id": "one"}
    fields |= {"client": "192.0.2.1", "cache": "hit"}
    structlog.get_logger().info("request", **fields)
    written = capsys.readouterr().err
    for log in (request_log(), StructlogRequests()):
        log.write(dict(fields))
        assert capsys.readouterr().err == written
        log.prepare(fields | {"ms": None})(0.25, "one", "192.0.2.1")
        assert capsys.readouterr().err == written


async def test_lines_of_requests_are_written_together_and_before_others(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure("json", "info")
    log = request_log()
    log.write({"status": 1})
    log.write({"status": 2})
    assert capsys.readouterr().err == ""
    structlog.get_logger().info("other")
    assert [line.get("status") for line in lines(capsys)] == [1, 2, None]
    log.write({"status": 3})
    await asyncio.sleep(4 * MAX_DELAY)
    assert [line["status"] for line in lines(capsys)] == [3]
    for _ in range(2_000):
        log.write({"path": "x" * 60})
    assert len(capsys.readouterr().err) > MAX_WAITING
    structlog.get_logger().info("the last of them")


def test_above_info_no_request_has_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure("json", "warning")
    request_log().write({"status": 1})
    request_log().prepare({"status": 1})(0.0, "", "")
    assert capsys.readouterr().err == ""
