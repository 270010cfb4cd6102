"""What is packed on one side is the same value on the other; and the door is cheap for a renderer."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.model.errors import NotAnImage, ProxyError, ResultTooLarge, TooManyPixels
from proxy.model.media import Document, Format, InputOnly, Note
from proxy.renderers import Job, JobKind, RenderedFile, Reply, SourceImage, SupportedFormats
from proxy.renderers.protocol import (
    FRAME_PREFIX,
    MAX_BODIES,
    CrashedJob,
    RefusedJob,
    RendererAnswer,
    pack_answer,
    pack_job,
    parse_header,
)
from proxy.renderers.replies import MAX_REPLY_SIDE, parse_answer
from tests.paths import ROOT

SIDES = st.integers(1, MAX_REPLY_SIDE)
TIMINGS = st.dictionaries(
    st.text("abc_", min_size=1, max_size=9).map("x".__add__), st.floats(0, 3_599), max_size=5
)
SOURCES = st.builds(SourceImage, format=st.sampled_from([*Format, *InputOnly]), width=SIDES, height=SIDES)


STARTS = {
    Format.JPEG: b"\xff\xd8\xff",
    Format.PNG: b"\x89PNG\r\n\x1a\n",
    Format.WEBP: b"RIFF\0\0\0\0WEBP",
    Format.AVIF: b"\0\0\0\x10ftypavif\0\0\0\0",
    Format.GIF: b"GIF89a",
    Format.TIFF: b"II*\0",
    Format.JXL: b"\xff\x0a",
}


def begun_as(format: Format | Document, content: bytes) -> bytes:
    """What a web process takes for a file of that format."""
    return b"{" + content + b"}" if isinstance(format, Document) else STARTS[format] + content


def files(formats: st.SearchStrategy[Format | Document]) -> st.SearchStrategy[tuple[RenderedFile, ...]]:
    notes = st.lists(st.sampled_from(Note)).map(tuple)
    file = st.builds(
        RenderedFile, body=st.binary(max_size=99), format=formats, width=SIDES, height=SIDES, notes=notes
    )
    file = file.map(lambda any_file: replace(any_file, body=begun_as(any_file.format, any_file.body)))
    return st.lists(file, min_size=1, max_size=MAX_BODIES).map(tuple)


def crossed(kind: JobKind, answer: RendererAnswer) -> RendererAnswer:
    start, bodies = pack_answer(answer)
    header_bytes, count, *sizes = FRAME_PREFIX.unpack(start[: FRAME_PREFIX.size])
    packed = start[FRAME_PREFIX.size :]
    assert (header_bytes, count) == (len(packed), len(bodies))
    assert sizes == [*map(len, bodies)] + [0] * (MAX_BODIES - count)
    return parse_answer(kind, parse_header(packed), bodies)


@given(files=files(st.sampled_from(Format)), source=st.none() | SOURCES, timings=TIMINGS)
def test_any_picture_crosses(
    files: tuple[RenderedFile, ...], source: SourceImage | None, timings: dict[str, float]
) -> None:
    reply = Reply(files=files, source=source, timings=timings)
    assert crossed(JobKind.RENDER, reply) == reply


@given(files=files(st.sampled_from(Document)), timings=TIMINGS)
def test_any_description_crosses(files: tuple[RenderedFile, ...], timings: dict[str, float]) -> None:
    reply = Reply(files=files, timings=timings)
    assert crossed(JobKind.DESCRIBE, reply) == reply


def test_formats_cross() -> None:
    reply = Reply(formats=SupportedFormats(load=(*Format, *InputOnly), save=tuple(Format)))
    assert crossed(JobKind.FORMATS, reply) == reply


@pytest.mark.parametrize(
    "error",
    [
        TooManyPixels("60 megapixels", value="60", allowed=["50"], option=None),
        NotAnImage("text"),
        ResultTooLarge("too large", smallest=12_345),
    ],
)
@pytest.mark.parametrize("kind", JobKind)
def test_a_refusal_crosses_with_its_facts(kind: JobKind, error: ProxyError) -> None:
    answer = crossed(kind, RefusedJob(error=error))
    assert isinstance(answer, RefusedJob)
    assert type(answer.error) is type(error)
    assert (answer.error.message, answer.error.facts) == (error.message, error.facts)


@given(exception=st.text(max_size=50), trace=st.text(max_size=500))
def test_a_crash_crosses(exception: str, trace: str) -> None:
    crash = CrashedJob(exception=exception, trace=trace)
    assert crossed(JobKind.RENDER, crash) == crash


def test_bodies_cross_as_they_are() -> None:
    """Originals are large: none is copied on its way to the socket."""
    job = Job(original=b"original", overlay=b"overlay")
    _, bodies = pack_job(job, timeout=1)
    assert all(sent is own for sent, own in zip(bodies, (job.original, job.overlay), strict=True))


def test_what_is_too_large_to_cross_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot cross"):
        pack_job(Job(options="x" * 70_000), timeout=1)
    file = RenderedFile(body=b"", format=Format.PNG, width=1, height=1)
    with pytest.raises(ValueError, match="5 bodies cannot cross"):
        pack_answer(Reply(files=(file,) * 5))


HEAVY = ["asyncio", "structlog", "prometheus_client", "proxy.telemetry", "proxy.options", "pyvips"]


@pytest.mark.parametrize("module", ["proxy.renderers", "proxy.renderers.process"])
def test_a_renderer_imports_nothing_for_web_processes(module: str) -> None:
    program = f"import sys, json, {module}; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, check=True, timeout=20
    )
    assert set(json.loads(done.stdout)).isdisjoint(HEAVY)
