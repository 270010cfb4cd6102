"""Logs: events with fields on stderr, one line each, with secrets masked and control characters escaped."""

from __future__ import annotations

import json
import logging
import re
import sys
import time
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Literal, TextIO, cast

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from proxy.telemetry.request_lines import REQUEST_EVENT, request_line, terminal_width

MAX_LOGGED_TEXT = 256
"""Characters of one field."""

MASK = "***"

_CONFIDENTIAL = re.compile(r"(?:secret|signature|token|authorization|cookie|password)s?")
# Libraries that log every request, credentials in its URL included, every changed file or every thread pool.
_CHATTY = ("httpx", "aiohttp", "watchfiles", "pyvips")


class Stderr:
    """A stream that writes to what `sys.stderr` is at that moment, in case it is replaced and closed."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


def configure(format: Literal["human", "json"], level: str) -> None:
    """
    Send all logs of this process to stderr, in lines for people or for machines, from `level` (`debug`,
    `info`, `warning`, `error`) up. uvicorn has to be given `log_config=None`; its access log is silenced.
    """
    threshold = logging.getLevelNamesMapping()[level.upper()]
    begin: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        add_timestamp,
    ]
    finish: list[Processor] = [structlog.processors.format_exc_info, mask_and_escape, _renderer(format)]
    structlog.configure(
        processors=begin + finish,
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.WriteLoggerFactory(file=cast(TextIO, Stderr())),
        cache_logger_on_first_use=False,
    )
    _adopt_standard_library(begin, finish, threshold)


def _renderer(format: Literal["human", "json"]) -> Processor:
    if format == "human":
        # The default traceback of structlog prints local variables, and with them secrets.
        plain = structlog.dev.plain_traceback
        console = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)

        def rendered(logger: WrappedLogger, method: str, event: EventDict) -> str:
            if event.get("event") == REQUEST_EVENT and {"path", "status"} <= event.keys():
                return request_line(event, terminal_width())
            return console(logger, method, event)

        return rendered
    encode = json.JSONEncoder(default=str).encode
    return lambda _logger, _method, event: encode(event)


def _adopt_standard_library(begin: list[Processor], finish: list[Processor], threshold: int) -> None:
    handler = logging.StreamHandler(Stderr())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=begin,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *finish],
        )
    )
    logging.root.handlers = [handler]
    logging.root.setLevel(threshold)
    for name in ("uvicorn", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate, logger.level = [], True, logging.NOTSET
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(threshold, logging.WARNING))
    access = logging.getLogger("uvicorn.access")
    access.handlers, access.propagate = [], False  # uvicorn asks hasHandlers() before it makes a line


def add_timestamp(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Add the time in UTC to the microsecond (RFC 3339). A structlog processor."""
    seconds, microseconds = divmod(time.time_ns() // 1000, 1_000_000)
    event["timestamp"] = f"{_second(seconds)}.{microseconds:06}Z"
    return event


@lru_cache(maxsize=2)
def _second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def mask_and_escape(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """
    Mask what has a confidential name (`admin_token`, `Authorization`) at any depth, and escape every text;
    a traceback keeps its lines. A structlog processor.
    """
    exception = event.pop("exception", None)
    for name, value in event.items():
        kind = type(value)  # nearly all are plain: every request has a line
        plain = kind in _NUMBERS or (kind is str and value.isprintable() and len(value) <= MAX_LOGGED_TEXT)
        if not plain or _is_confidential(name):
            event[name] = _cleaned(name, value)
    if isinstance(exception, str):
        event["exception"] = "\n".join(escape(line, 4 * MAX_LOGGED_TEXT) for line in exception.split("\n"))
    return event


_NUMBERS = frozenset({int, float, bool, type(None)})


def _cleaned(name: str, value: Any) -> Any:
    if _is_confidential(name):
        return MASK
    if isinstance(value, str):
        return escape(value)
    if isinstance(value, Mapping):
        return {escape(str(inner)): _cleaned(str(inner), each) for inner, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_cleaned(name, each) for each in value]
    return value


@lru_cache(maxsize=256)
def _is_confidential(name: str) -> bool:
    return any(_CONFIDENTIAL.fullmatch(word) for word in re.split(r"[^a-z]", name.lower()))


def escape(text: str, limit: int = MAX_LOGGED_TEXT) -> str:
    """
    Return `text` on one line of at most `limit` characters that cannot steer a terminal.

    Control, ANSI and bidirectional characters, lone surrogates and unusual spaces become Python escapes.
    Escaping what is escaped changes nothing.
    """
    if text.isprintable() and len(text) <= limit:
        return text
    safe = "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text[: limit + 1]
    )
    return safe if len(safe) <= limit else safe[: limit - 1] + "…"
