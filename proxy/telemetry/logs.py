"""Logs: events with fields on stderr, one line each, with secrets masked and control characters escaped."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import sys
import threading
import time
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from multiprocessing.util import Finalize
from typing import Any, Literal, Protocol, TextIO, cast

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from proxy.telemetry.request_lines import REQUEST_EVENT, request_line, terminal_width

MAX_LOGGED_TEXT = 256
"""Characters of one field."""

MASK = "***"

MAX_DELAY = 0.05
"""Seconds until the line of a request is written, if no other one makes it go out earlier."""

MAX_WAITING = 65_536
"""Characters of such lines."""

_CONFIDENTIAL = re.compile(r"(?:secret|signature|token|authorization|cookie|password)s?")
# Libraries that log every request, credentials in its URL included, every changed file or every thread pool.
_CHATTY = ("httpx", "aiohttp", "watchfiles", "pyvips")


class Stderr:
    """
    A stream that writes to what `sys.stderr` is at that moment, in case it is replaced and closed.

    What is to be written later goes out with the next line, or within MAX_DELAY, or at MAX_WAITING.
    """

    def __init__(self) -> None:
        self._waiting: list[str] = []
        self._waiting_size = 0
        self._lock = threading.Lock()
        # Not `atexit`, which does not run in processes of multiprocessing.
        Finalize(None, self.flush, exitpriority=0)

    def write(self, text: str) -> int:
        with self._lock:
            self._write_waiting()
            return sys.stderr.write(text)

    def write_later(self, text: str) -> None:
        """Write `text` in one call with others; at once where no event loop is running."""
        with self._lock:
            self._waiting.append(text)
            self._waiting_size += len(text)
            if self._waiting_size > MAX_WAITING:
                self._write_waiting()
            elif len(self._waiting) == 1:
                try:
                    asyncio.get_running_loop().call_later(MAX_DELAY, self.flush)
                except RuntimeError:
                    self._write_waiting()

    def flush(self) -> None:
        with self._lock:
            self._write_waiting()
            sys.stderr.flush()

    def _write_waiting(self) -> None:
        if self._waiting:
            text = "".join(self._waiting)
            self._waiting.clear()
            self._waiting_size = 0
            sys.stderr.write(text)


_stderr = Stderr()


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
        logger_factory=structlog.WriteLoggerFactory(file=cast(TextIO, _stderr)),
        cache_logger_on_first_use=False,
    )
    _adopt_standard_library(begin, finish, threshold)
    direct = DirectRequests(finish[-1], is_json=format == "json")
    _configured[:] = [direct if threshold <= logging.INFO else NoRequests()]


class RequestLog(Protocol):
    """Writes one line a request, of which it is given the fields."""

    def write(self, fields: EventDict) -> None: ...

    def prepare(self, fields: EventDict) -> Callable[[float, str, str], None]:
        """
        Return what writes the line of a request with these `fields` and its own `ms`, `request_id` and
        `client`, of which the two texts are plain.
        """


class StructlogRequests:
    """Lines of requests as all others."""

    def write(self, fields: EventDict) -> None:
        structlog.get_logger().info("request", **fields)

    def prepare(self, fields: EventDict) -> Callable[[float, str, str], None]:
        return partial(_write_varied, self.write, fields)


class DirectRequests:
    """
    The same lines, without the layers of structlog, which cost more than all the rest of a hit, and written
    together (see Stderr). `render` is the last processor.
    """

    def __init__(self, render: Processor, *, is_json: bool) -> None:
        self._render = render
        self._is_json = is_json

    def write(self, fields: EventDict) -> None:
        _stderr.write_later(self._line(add_timestamp(None, "info", {**fields, **_REQUEST})))

    def prepare(self, fields: EventDict) -> Callable[[float, str, str], None]:
        if not self._is_json:
            return partial(_write_varied, self.write, fields)
        varied = {**fields, **_VARIED, **_REQUEST, "timestamp": "<timestamp>"}
        template = self._line(varied).replace("%", "%%")
        for name in (*_VARIED, "timestamp"):
            value = f"%({name})s" if name == "ms" else f'"%({name})s"'
            template = template.replace(f'"<{name}>"', value)

        def write(ms: float, request_id: str, client: str) -> None:
            found = {"ms": ms, "request_id": request_id, "client": client, "timestamp": timestamp()}
            _stderr.write_later(template % found)

        return write

    def _line(self, event: EventDict) -> str:
        return str(self._render(None, "info", mask_and_escape(None, "info", event))) + "\n"


class NoRequests:
    """Where the level is above `info`."""

    def write(self, fields: EventDict) -> None:
        pass

    def prepare(self, fields: EventDict) -> Callable[[float, str, str], None]:
        return lambda ms, request_id, client: None


_REQUEST = {"event": "request", "level": "info"}
_VARIED = {name: f"<{name}>" for name in ("ms", "request_id", "client")}

_configured: list[RequestLog] = []


def request_log() -> RequestLog:
    """Return what writes the lines of requests as `configure` said; before that it is structlog."""
    return _configured[0] if _configured else StructlogRequests()


def _write_varied(
    write: Callable[[EventDict], None], fields: EventDict, ms: float, request_id: str, client: str
) -> None:
    write({**fields, "ms": ms, "request_id": request_id, "client": client})


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
    handler = logging.StreamHandler(cast(TextIO, _stderr))
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
    event["timestamp"] = timestamp()
    return event


def timestamp() -> str:
    """Return the time in UTC to the microsecond (RFC 3339)."""
    seconds, microseconds = divmod(time.time_ns() // 1000, 1_000_000)
    return f"{_second(seconds)}.{microseconds:06}Z"


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
