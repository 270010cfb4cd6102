"""A renderer that a hostile image has taken over may say anything: that picture fails, and nothing else."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.model.errors import Overloaded, TooCostly
from proxy.model.media import Format, Note
from proxy.pipeline.decode.sniff import sniff
from proxy.renderers import Job, JobKind, RenderedFile, Reply
from proxy.renderers.client import RendererClient
from proxy.renderers.protocol import (
    ACCEPTANCE,
    FRAME_PREFIX,
    MAX_BODIES,
    MAX_HEADER_BYTES,
    RefusedJob,
    parse_header,
)
from proxy.renderers.replies import SAVED_FORMATS, parse_answer, receive_answer

PICTURE = {"format": "png", "width": 1, "height": 1, "notes": []}
REPLY = {"files": [PICTURE], "source": None, "formats": None, "timings": {"decode": 0.1}}
ERROR = {"error": "too_costly", "message": "", "facts": {}}


BODY = b"\x89PNG\r\n\x1a\nbody"
PAGE = b"<!doctype html><script>alert(1)</script>"


def frame(header: object, *bodies: bytes) -> bytes:
    packed = header if isinstance(header, bytes) else json.dumps(header).encode()
    return prefix(len(packed), *map(len, bodies)) + packed + b"".join(bodies)


def prefix(header_bytes: int, *sizes: int) -> bytes:
    return FRAME_PREFIX.pack(header_bytes, len(sizes), *sizes, *[0] * (MAX_BODIES - len(sizes)))


def picture(**fields: object) -> bytes:
    return frame(REPLY | {"files": [PICTURE | fields]}, BODY)


def timed(**timings: object) -> bytes:
    return frame(REPLY | {"timings": timings}, BODY)


def claimed(format: str, body: bytes, **fields: object) -> bytes:
    """A reply with one file: `body`, said to be of that format."""
    return frame(REPLY | {"files": [PICTURE | {"format": format} | fields]}, body)


NOT_THE_FORMAT = {
    "a page": PAGE,
    "a page after a blank": b"\n" + BODY,
    "another format": b"GIF89a" + b"body",
    "no bytes": b"",
    "half of what it begins with": BODY[:4],
    "what it begins with, later": PAGE + BODY,
    "a program": b"\x7fELF",
    "an SVG": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "a document": b"{}",
}

NONSENSE = {
    **{
        f"{format} that is {name}": claimed(format, body)
        for format in SAVED_FORMATS
        for name, body in NOT_THE_FORMAT.items()
        if (format, name) != ("gif", "another format")
    },
    "WebP that is a WAV": claimed("webp", b"RIFF\0\0\0\0WAVE"),
    "AVIF that is HEIC": claimed("avif", b"\0\0\0\x10ftypheic\0\0\0\0"),
    "AVIF that is a video": claimed("avif", b"\0\0\0\x10ftypisom\0\0\0\0"),
    "format that ends a header": claimed("png\r\nset-cookie: a=b", BODY),
    "the second of two files is a page": frame(REPLY | {"files": [PICTURE, PICTURE]}, BODY, PAGE),
    "a stage with a space": timed(**{"de code": 0.1}),
    "a stage in other letters": timed(décode=0.1),
    "a stage that ends a line": timed(**{"decode\n": 0.1}),
    "fact that is a header": frame(ERROR | {"facts": {"retry_after": 1}}),
    "fact of a header that is no number": frame(ERROR | {"facts": {"retry_after": "1\r\nset-cookie: a=b"}}),
    "fact of an origin": frame(ERROR | {"facts": {"origin_status": 200}}),
    "fact of no such name": frame(ERROR | {"facts": {"a\r\nb": "c"}}),
    "fact that is a fraction": frame(ERROR | {"facts": {"smallest": 1.5}}),
    "not JSON": frame(b"\xff{"),
    "not an object": frame([]),
    "nested": frame(b"[" * 60_000),
    "nothing": frame({}),
    "files that are text": frame(REPLY | {"files": "text"}),
    "a file that is text": frame(REPLY | {"files": ["text"]}, BODY),
    "no file": frame(REPLY | {"files": []}),
    "a file without a body": frame(REPLY),
    "a body without a file": frame(REPLY, BODY, b"more"),
    "another kind of reply": frame(REPLY | {"files": [], "formats": {"load": ["png"], "save": ["png"]}}),
    "a document for a picture": picture(format="json"),
    "unknown format": picture(format="exe"),
    "format of no name": picture(format=["png"]),
    "no width": frame(REPLY | {"files": [{"format": "png", "height": 1, "notes": []}]}, BODY),
    "width of 0": picture(width=0),
    "width below 0": picture(width=-1),
    "width beyond all": picture(width=2**64),
    "half a pixel": picture(width=1.5),
    "width that is true": picture(width=True),
    "height in words": picture(height="1"),
    "unknown note": picture(notes=["\r\nset-cookie: a=b"]),
    "notes that are text": picture(notes="first-frame"),
    "more letters than any text has": picture(missing_letters="x" * 257),
    "letters that are a list": picture(missing_letters=["x"]),
    "a fingerprint that is none": frame(REPLY | {"fingerprint": "../\n"}, BODY),
    "a fingerprint without end": frame(REPLY | {"fingerprint": "a" * 65}, BODY),
    "a fingerprint that is a number": frame(REPLY | {"fingerprint": 1}, BODY),
    "no timings": frame({"files": [PICTURE]}, BODY),
    "timings that are a list": frame(REPLY | {"timings": [1.0]}, BODY),
    "time that is not a number": timed(decode=float("nan")),
    "time without end": timed(decode=float("inf")),
    "time below 0": timed(decode=-0.1),
    "time in words": timed(decode="0.1"),
    "a stage that ends a header": timed(**{"decode\r\nset-cookie: a": 0.1}),
    "a stage of no name": timed(**{"": 0.1}),
    "stages without end": timed(**{"stage" + "x" * length: 0.1 for length in range(17)}),
    "unknown source": frame(REPLY | {"source": {"format": "exe", "width": 1, "height": 1}}, BODY),
    "source that is text": frame(REPLY | {"source": "png"}, BODY),
    "unknown error": frame(ERROR | {"error": "no_such"}),
    "error of no name": frame(ERROR | {"error": []}),
    "error of an origin": frame(ERROR | {"error": "original_not_found"}),
    "error of a queue": frame(ERROR | {"error": "overloaded", "facts": {"retry_after": 1e9}}),
    "no message": frame({"error": "too_costly", "facts": {}}),
    "no facts": frame(ERROR | {"facts": [1]}),
    "facts that overwrite": frame(ERROR | {"facts": {"message": "", "self": 1}}),
    "facts in facts": frame(ERROR | {"facts": {"allowed": {"more": 1}}}),
    "a crash without a name": frame({"crash": 1, "trace": ""}),
    "a crash without a trace": frame({"crash": "KeyError"}),
    "long header": prefix(2**32 - 1),
    "long body": prefix(2, 2**64 - 1) + b"{}",
    "long bodies": prefix(2, 150_000_000, 150_000_000) + b"{}",
    "many bodies": FRAME_PREFIX.pack(2, 255, *[0] * MAX_BODIES) + b"{}",
    "length of no body": FRAME_PREFIX.pack(2, 0, *[2**63] * MAX_BODIES) + b"{}",
}


@pytest.fixture
def victim() -> Iterator[subprocess.Popen[bytes]]:
    """The process that the rogue says it is."""
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


async def answered_by_rogue(folder: Path, *, pid: int, at: int, said: bytes) -> Reply:
    """Asks for a picture where the only renderer greets with `pid` and `at`, says `said` and leaves."""

    async def rogue(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        header_bytes, _, *sizes = FRAME_PREFIX.unpack(await reader.readexactly(FRAME_PREFIX.size))
        await reader.readexactly(header_bytes + sum(sizes))
        writer.write(ACCEPTANCE.pack(pid, at) + said)
        writer.close()

    async with await asyncio.start_unix_server(rogue, folder / "rogue"):
        client = RendererClient(str(folder / "rogue"), queue_timeout=1)
        return await client.run(Job(original=b"original"), timeout=5)


@pytest.mark.parametrize("said", NONSENSE.values(), ids=NONSENSE)
async def test_a_renderer_that_talks_nonsense_is_killed(
    said: bytes, tmp_path: Path, victim: subprocess.Popen[bytes]
) -> None:
    with pytest.raises(TooCostly, match="went wrong"):
        await answered_by_rogue(tmp_path, pid=victim.pid, at=time.monotonic_ns(), said=said)
    assert await asyncio.to_thread(victim.wait, 5) < 0


@pytest.mark.parametrize(
    "pid", [0, 1, os.getpid(), os.getppid(), 2**32 - 1], ids=["0", "1", "ours", "parent", "4294967295"]
)
async def test_a_renderer_cannot_turn_the_kill_against_others(pid: int, tmp_path: Path) -> None:
    """0 would mean our own process group."""
    with pytest.raises(TooCostly, match="went wrong"):
        await answered_by_rogue(tmp_path, pid=pid, at=2**64 - 1, said=NONSENSE["nothing"])


async def test_half_a_greeting_is_no_greeting(tmp_path: Path) -> None:
    async def mute(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"abc")
        writer.close()

    async with await asyncio.start_unix_server(mute, tmp_path / "mute"):
        client = RendererClient(str(tmp_path / "mute"), queue_timeout=0.1)
        with pytest.raises(Overloaded):
            await client.run(Job(original=b""), timeout=5)


async def test_a_rogue_that_talks_sense_is_believed_no_more_than_any_other(tmp_path: Path) -> None:
    """What the cases above differ from is a reply."""
    reply = await answered_by_rogue(tmp_path, pid=1, at=2**64 - 1, said=picture(notes=["first-frame"]))
    file = RenderedFile(body=BODY, format=Format.PNG, width=1, height=1, notes=(Note.FIRST_FRAME,))
    assert reply.files == (file,)
    with pytest.raises(TooCostly, match="told by it"):
        await answered_by_rogue(tmp_path, pid=1, at=0, said=frame(ERROR | {"message": "told by it"}))


@pytest.mark.parametrize("said", [prefix(MAX_HEADER_BYTES + 1), prefix(2, 11), prefix(2, 5, 6)])
async def test_nothing_is_read_for_what_is_too_large(said: bytes) -> None:
    """Refused by the prefix alone: nothing is received, or made room for, after it."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        theirs.sendall(said + b"{}")
        with pytest.raises(ValueError, match="larger than any answer"):
            await receive_answer(ours, JobKind.RENDER, max_body_bytes=10)
        assert ours.recv(100) == b"{}"


@given(st.binary(max_size=200) | st.text(alphabet='[]{}":,0e-9.ntf').map(str.encode))
def test_whatever_comes_is_an_object_or_a_value_error(packed: bytes) -> None:
    with suppress(ValueError):
        assert isinstance(parse_header(packed), dict)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(max_size=5), values, max_size=3),
    max_leaves=5,
)
FIELDS = sorted({*REPLY, *PICTURE, *ERROR, "crash", "trace", "load", "save"})


@given(
    header=st.dictionaries(st.sampled_from(FIELDS), JSON_VALUES),
    inner=st.dictionaries(st.sampled_from(FIELDS), JSON_VALUES),
    place=st.sampled_from(["files", "source", "formats", "timings", "facts"]),
    kind=st.sampled_from(JobKind),
)
def test_any_header_is_an_answer_or_a_value_error(
    header: dict[str, Any], inner: dict[str, Any], place: str, kind: JobKind
) -> None:
    with suppress(ValueError):
        parse_answer(kind, REPLY | header | {place: [inner] if place == "files" else inner}, [BODY])


@pytest.mark.parametrize("body", [PAGE, b"", b"{", b"}", b"[]", b"{}" + PAGE, BODY])
def test_a_description_is_an_object(body: bytes) -> None:
    with pytest.raises(ValueError, match="not a file of the format"):
        parse_answer(JobKind.DESCRIBE, REPLY | {"files": [PICTURE | {"format": "json"}]}, [body])


def test_half_a_surrogate_pair_can_be_sent_on() -> None:
    header = json.loads(json.dumps(ERROR | {"message": "\ud800", "facts": {"value": "\udfff"}}))
    answer = parse_answer(JobKind.RENDER, header, [])
    assert isinstance(answer, RefusedJob)
    assert (answer.error.message, answer.error.facts) == ("?", {"value": "?"})


@given(
    body=st.binary(max_size=40) | st.sampled_from([*NOT_THE_FORMAT.values()]),
    format=st.sampled_from(sorted(SAVED_FORMATS)),
)
def test_no_body_passes_for_a_format_that_an_original_would_not_pass_for(body: bytes, format: str) -> None:
    with suppress(ValueError):
        parse_answer(JobKind.RENDER, REPLY | {"files": [PICTURE | {"format": format}]}, [body])
        assert sniff(body) is SAVED_FORMATS[format]
