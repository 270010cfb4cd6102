from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from proxy.model.errors import NotAnImage
from proxy.model.media import Document, Format, InputOnly
from proxy.pipeline.decode.sniff import sniff
from proxy.pipeline.tasks import TASKS
from proxy.renderers import Job, JobKind, Reply, SourceImage
from proxy.renderers.protocol import FRAME_PREFIX, RendererAnswer, pack_answer, parse_header
from proxy.renderers.replies import parse_answer
from tests.pictures import photo, plain, saved

JOB = Job(
    options="width_30,height_20,format_auto", accepted="webp", original=saved(photo(90, 80), Format.JPEG)
)


def crossed(job: Job) -> RendererAnswer:
    """What a web process reads of the reply to a job."""
    start, bodies = pack_answer(TASKS[job.kind](job))
    return parse_answer(job.kind, parse_header(start[FRAME_PREFIX.size :]), bodies)


def test_a_render_crosses_a_process_boundary_as_plain_values() -> None:
    reply = crossed(JOB)
    assert isinstance(reply, Reply)
    (file,) = reply.files
    assert (file.format, file.width, file.height) == (Format.WEBP, 30, 20)
    assert reply.source == SourceImage(format=Format.JPEG, width=90, height=80)
    assert set(reply.timings) == {"decode", "transform", "encode"}
    assert sniff(file.body) is Format.WEBP


def test_an_overlay_crosses_beside_the_picture() -> None:
    options = "width_30,height_20,overlay_logo,format_png"
    logo = saved(plain(10, 10, 200, 0, 0), Format.PNG)
    over, bare = (TASKS[JobKind.RENDER](replace(JOB, options=options, overlay=each)) for each in (logo, None))
    assert over.files[0].body != bare.files[0].body


def test_a_description_crosses_as_json_and_says_the_size_of_the_picture() -> None:
    reply = crossed(replace(JOB, kind=JobKind.DESCRIBE))
    assert isinstance(reply, Reply)
    (file,) = reply.files
    facts = json.loads(file.body)
    assert (file.format, file.width, file.height) == (Document.JSON, facts["width"], facts["height"])
    assert set(reply.timings) == {"describe"}


def test_the_formats_cross() -> None:
    reply = crossed(Job(kind=JobKind.FORMATS))
    assert isinstance(reply, Reply)
    assert reply.formats is not None
    assert {Format.JPEG, InputOnly.SVG} <= set(reply.formats.load)
    assert {Format.JPEG, Format.WEBP} <= set(reply.formats.save)


def test_a_refusal_is_ours() -> None:
    with pytest.raises(NotAnImage):
        TASKS[JobKind.RENDER](replace(JOB, original=b"<html>"))


def test_no_kind_of_job_is_forgotten() -> None:
    assert set(TASKS) == set(JobKind)


@pytest.mark.parametrize("loader", ["matrixload", "csvload", "rawload", "vipsload"])
def test_loaders_that_are_not_for_strangers_are_blocked(loader: str, tmp_path: Path) -> None:
    """In a process of its own: the block is for good, and other tests may draw with what it blocks."""
    picture = tmp_path / "picture"
    picture.write_text("3 3\n1 2 3\n4 5 6\n7 8 9\n")
    arguments = [str(picture), *([3, 3, 1] if loader == "rawload" else [])]
    program = f"import pyvips, proxy.pipeline.tasks; pyvips.Operation.call({loader!r}, *{arguments!r})"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=20
    )
    assert done.returncode == 1
    assert "blocked" in done.stderr
