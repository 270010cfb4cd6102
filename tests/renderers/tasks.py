"""What renderers are asked to do in these tests: the work of an image, good, bad and hostile."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from proxy.model.errors import InvalidValue, OriginalNotFound, TooManyPixels
from proxy.model.media import Document, Format
from proxy.renderers import Job, JobKind, RenderedFile, Reply

Outcome = tuple[dict[str, Any], bytes]

PNG_START = b"\x89PNG\r\n\x1a\n"

_leaked: list[bytes] = []


def make_job(task: str, body: bytes = b"", *, background: bool = False, **arguments: Any) -> Job:
    """What has a renderer call the function `task` below: its options are the name and the arguments."""
    return Job(options=json.dumps([task, arguments]), original=body, background=background)


def picture_of(body: bytes) -> RenderedFile:
    """What begins like a picture, as all do that may leave a renderer, and then is `body`."""
    return RenderedFile(body=PNG_START + body, format=Format.PNG, width=1, height=1)


def document_of(body: bytes) -> RenderedFile:
    return RenderedFile(body=b"{" + body + b"}", format=Document.JSON, width=1, height=1)


def content_of(file: RenderedFile) -> bytes:
    """The `body` of `picture_of` and of `document_of`."""
    return file.body[1:-1] if file.format is Document.JSON else file.body.removeprefix(PNG_START)


def body_of(reply: Reply) -> bytes:
    return content_of(reply.files[0])


def facts_of(reply: Reply) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads(content_of(reply.files[1]))
    return facts


def perform(job: Job) -> Reply:
    """The function that the job's options name, with the pid besides what it answers."""
    assert job.original is not None
    name, arguments = json.loads(job.options)
    facts, body = CALLABLE[name](job.original, **arguments)
    said = json.dumps({"pid": os.getpid(), **facts}).encode()
    return Reply(files=(picture_of(body), picture_of(said)))


def repeat(job: Job) -> Reply:
    """All of a job: its fields as JSON, then its bodies."""
    fields = asdict(job)
    bodies = [fields.pop(name) for name in ("original", "overlay")]
    files = [json.dumps(fields | {"absent": bodies.count(None)}).encode()]
    files += [body for body in bodies if body is not None]
    return Reply(files=tuple(map(document_of, files)))


def echo(body: bytes, **arguments: Any) -> Outcome:
    return arguments, body


def sleep(body: bytes, seconds: float) -> Outcome:
    time.sleep(seconds)
    return {}, body[:10]


def spin(body: bytes, **_: Any) -> Outcome:
    """Native code that neither returns to the interpreter nor lets another thread of it run."""
    re.match(r"(a+)+$", "a" * 64 + "b")
    return {}, b""


def spin_deaf(body: bytes, **_: Any) -> Outcome:
    """As a renderer that an attacker owns: it has switched its own deadline off."""
    for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_IGN)
    signal.setitimer(signal.ITIMER_REAL, 0)
    time.sleep(60)
    return {}, b""


def abort(body: bytes, **_: Any) -> Outcome:
    os.abort()


def leave(body: bytes) -> Outcome:
    os._exit(0)


def fill_memory(body: bytes) -> Outcome:
    filled = []
    while True:
        filled.append(b"x" * 10_000_000)


def leak(body: bytes, size: int) -> Outcome:
    _leaked.append(b"x" * size)
    return {}, b""


def refuse(body: bytes) -> Outcome:
    raise TooManyPixels("this picture has 60 megapixels, 50 are allowed", value="60", allowed=["50"])


def refuse_option(body: bytes) -> Outcome:
    raise InvalidValue("'w' takes a whole number", option="w")


def refuse_as_an_origin(body: bytes) -> Outcome:
    raise OriginalNotFound("of which a renderer knows nothing")


def fail(body: bytes) -> Outcome:
    raise KeyError("a bug of ours")


def answer_too_much(job: Job) -> Reply:
    return Reply(timings={"x" * 100_000: 0.0})


def zeros(body: bytes, size: int) -> Outcome:
    """As many bytes in all: 10 of them are those of the facts, and both files begin like pictures."""
    return {"pid": 0}, bytes(size - 10 - 2 * len(PNG_START))


def describe(body: bytes) -> Outcome:
    """What the renderer knows of where it runs."""
    return {"environment": dict(os.environ)}, b""


CALLABLE: dict[str, Callable[..., Outcome]] = {
    each.__name__: each
    for each in (
        echo,
        sleep,
        spin,
        spin_deaf,
        abort,
        leave,
        fill_memory,
        leak,
        refuse,
        refuse_option,
        refuse_as_an_origin,
        fail,
        zeros,
        describe,
    )
}

TASKS = {JobKind.RENDER: perform, JobKind.DESCRIBE: repeat, JobKind.FORMATS: answer_too_much}
