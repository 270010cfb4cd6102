"""Answers of a renderer, which hostile bytes may own by then: read in turns, and nothing in them believed."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from proxy.model.errors import InvalidRequest, ProxyError, ResultTooLarge, UnusableOriginal, errors_by_code
from proxy.model.magic import format_by_magic
from proxy.model.media import Document, Format, Incoming, InputOnly, Note
from proxy.renderers.protocol import (
    FRAME_PREFIX,
    MAX_BODIES,
    MAX_HEADER_BYTES,
    CrashedJob,
    JobKind,
    RefusedJob,
    RenderedFile,
    RendererAnswer,
    Reply,
    SourceImage,
    SupportedFormats,
    parse_header,
)

Named = TypeVar("Named")

CHUNK_BYTES = 262_144
"""What moves in one turn of the event loop: less than 0.1 ms, so that hits do not wait for originals."""

MAX_REPLY_SIDE = 10_000_000
"""px; that of libvips itself."""

MAX_MISSING_LETTERS = 256
"""As many as the longest text has."""

MAX_STAGES = 16
MAX_STAGE_SECONDS = 3_600.0
STAGE_NAME = re.compile(r"[a-z][a-z_]{0,31}")
"""Names of stages stand in a header of ours."""

FINGERPRINT = re.compile(r"[0-9a-f]{0,64}")

FILE_FORMATS: Mapping[str, Format | Document] = {each.value: each for each in (*Format, *Document)}
SOURCE_FORMATS: Mapping[str, Incoming] = {each.value: each for each in (*Format, *InputOnly)}
SAVED_FORMATS: Mapping[str, Format] = {each.value: each for each in Format}
NOTES: Mapping[str, Note] = {each.value: each for each in Note}

REFUSALS = {
    code: kind
    for family in (InvalidRequest, UnusableOriginal, ResultTooLarge)
    for code, kind in errors_by_code(family).items()
}
"""What a renderer may say of an original and of options: it knows nothing of origins, and of our load."""

FACTS = frozenset({"option", "value", "allowed", "reason", "smallest"})
"""Of these refusals: others speak of origins and of load, and stand in headers."""


async def receive_answer(connection: socket.socket, kind: JobKind, max_body_bytes: int) -> RendererAnswer:
    """
    The answer to a job of that `kind`, with at most `max_body_bytes` in all its bodies. Raises EOFError when
    the renderer is gone, ValueError when it says what no renderer of ours does.
    """
    header_bytes, count, *sizes = FRAME_PREFIX.unpack(await receive(connection, FRAME_PREFIX.size))
    if header_bytes > MAX_HEADER_BYTES or count > MAX_BODIES or sum(sizes) > max_body_bytes:
        raise ValueError("larger than any answer")
    header = parse_header(await receive(connection, header_bytes))
    return parse_answer(kind, header, [await receive(connection, size) for size in sizes[:count]])


def parse_answer(kind: JobKind, header: Mapping[str, Any], bodies: Sequence[bytes]) -> RendererAnswer:
    """The answer that `protocol.pack_answer` wrote. Raises ValueError for anything else."""
    if "error" in header:
        return RefusedJob(error=_refusal(header))
    if "crash" in header:
        return CrashedJob(exception=_text(header["crash"]), trace=_text(header.get("trace")))
    files = _list(header.get("files"))
    if len(files) != len(bodies):
        raise ValueError("not as many files as bodies")
    source, formats = header.get("source"), header.get("formats")
    reply = Reply(
        files=tuple(_file(file, body) for file, body in zip(files, bodies, strict=True)),
        source=None if source is None else _source(_object(source)),
        formats=None if formats is None else _formats(_object(formats)),
        timings=_timings(header.get("timings")),
        fingerprint=_fingerprint(header.get("fingerprint", "")),
    )
    if not _fits(kind, reply):
        raise ValueError(f"not a reply to a job of the kind {kind}")
    return reply


async def receive(connection: socket.socket, size: int) -> bytes:
    """Exactly `size` bytes. Raises EOFError when the other side ends before."""
    loop = asyncio.get_running_loop()
    parts = []
    while size:
        try:
            part = await loop.sock_recv(connection, min(size, CHUNK_BYTES))
        except ConnectionError:
            raise EOFError from None
        if not part:
            raise EOFError
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _fits(kind: JobKind, reply: Reply) -> bool:
    if kind is JobKind.FORMATS:
        return reply.formats is not None and not reply.files
    written = Format if kind is JobKind.RENDER else Document
    return bool(reply.files) and all(isinstance(file.format, written) for file in reply.files)


def _file(fields: object, body: bytes) -> RenderedFile:
    fields = _object(fields)
    format = _named(fields.get("format"), FILE_FORMATS)
    if not _begins_as(body, format):
        raise ValueError("not a file of the format that it is said to have")
    return RenderedFile(
        body=body,
        format=format,
        width=_side(fields.get("width")),
        height=_side(fields.get("height")),
        notes=tuple(_named(note, NOTES) for note in _list(fields.get("notes"))),
        missing_letters=_letters(fields.get("missing_letters", "")),
        shared_decode=_flag(fields.get("shared_decode", False)),
    )


def _begins_as(body: bytes, format: Format | Document) -> bool:
    if isinstance(format, Document):
        return body.startswith(b"{") and body.endswith(b"}")
    return format_by_magic(body) is format


def _source(fields: Mapping[str, Any]) -> SourceImage:
    return SourceImage(
        format=_named(fields.get("format"), SOURCE_FORMATS),
        width=_side(fields.get("width")),
        height=_side(fields.get("height")),
    )


def _formats(fields: Mapping[str, Any]) -> SupportedFormats:
    return SupportedFormats(
        load=tuple(_named(name, SOURCE_FORMATS) for name in _list(fields.get("load"))),
        save=tuple(_named(name, SAVED_FORMATS) for name in _list(fields.get("save"))),
    )


def _timings(value: object) -> dict[str, float]:
    timings = _object(value)
    if len(timings) > MAX_STAGES or not all(map(STAGE_NAME.fullmatch, timings)):
        raise ValueError("not names of stages")
    return {name: _seconds(seconds) for name, seconds in timings.items()}


def _letters(value: object) -> str:
    text = _text(value)
    if len(text) > MAX_MISSING_LETTERS:
        raise ValueError("more letters than any text has")
    return text


def _fingerprint(value: object) -> str:
    text = _text(value)
    if not FINGERPRINT.fullmatch(text):
        raise ValueError("not a fingerprint")
    return text


def _refusal(header: Mapping[str, Any]) -> ProxyError:
    kind = _named(header["error"], REFUSALS)
    facts = _object(header.get("facts"))
    if not facts.keys() <= FACTS:
        raise ValueError("not facts of such an error")
    return kind(_text(header.get("message")), **{name: _fact(value) for name, value in facts.items()})


def _fact(value: object) -> object:
    if value is None or isinstance(value, int):
        return value
    return _text(value) if isinstance(value, str) else [_text(each) for each in _list(value)]


def _named(name: object, table: Mapping[str, Named]) -> Named:
    found = table.get(_text(name))
    if found is None:
        raise ValueError("not a name that renderers use")
    return found


def _side(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_REPLY_SIDE:
        raise ValueError("not a number of pixels")
    return value


def _seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < MAX_STAGE_SECONDS:
        raise ValueError("not a number of seconds")
    return float(value)


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("neither true nor false")  # noqa: TRY004
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("not a text")  # noqa: TRY004  one error for one rule
    return value.encode(errors="replace").decode()  # half a surrogate pair could not be sent on


def _list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError("not a list")  # noqa: TRY004
    return value


def _object(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("not an object")  # noqa: TRY004
    return value
