"""
What crosses the socket between a web process and a renderer: values on both sides, frames in between.

    job          web process -> renderer   a frame: JSON {kind, timeout, ...}, originals
    acceptance   renderer -> web process   its pid, and when it took the job
    answer       renderer -> web process   a frame: JSON, files; of a batch one for each rendition, in order

A frame is a prefix of fixed size with all lengths, then JSON, then the bodies one after another. Never
pickle, and nothing shared: who owns a renderer through a hostile image must not own the web process. So a web
process reads answers with `proxy.renderers.replies`, which believes nothing; renderers trust their jobs.

Bodies go through the socket because that is the fastest way, too: new pages of a memfd, written here and
mapped there, cost twice the time of the copy through the kernel's own buffers (3 MB: 2.5 ms against 1.2 ms).
"""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from proxy.model.errors import ProxyError
from proxy.model.limits import Limits
from proxy.model.media import Document, Format, Incoming, Note

READY = b"ready"
"""
The first word of the line that a renderer writes to its standard output, for the supervisor, when it can take
jobs; then come its fingerprint, or NO_FINGERPRINT, and the locks around it (`sandbox.Lock`).
"""

NO_FINGERPRINT = b"-"
"""In that line, of renderers whose tasks have none."""

ACCEPTANCE = struct.Struct("!IQ")
"""The renderer's pid, and `time.monotonic_ns()`, a clock that all processes of one machine share."""

MAX_BODIES = 4
FRAME_PREFIX = struct.Struct(f"!IB{MAX_BODIES}Q")
"""Bytes of JSON, how many bodies follow it, and the bytes of each; 0 for those that do not."""

MAX_HEADER_BYTES = 65_536
"""Of JSON: a third of what a fresh Unix socket takes without blocking."""


# One encoder for all: `json.dumps` makes a new one for each call that wants anything else than its defaults.
# What JSON does not know crosses as text.
_encode = json.JSONEncoder(separators=(",", ":"), default=str).encode


class JobKind(StrEnum):
    """What a renderer can be asked to do."""

    RENDER = "render"
    """Make a picture."""

    DESCRIBE = "describe"
    """Say as JSON what the original is, and the picture that would be made of it."""

    FORMATS = "formats"
    """Tell which formats are decoded and encoded here; needs no original."""


class JobVariant(NamedTuple):
    """One more rendition of a job's original: `options` and `accepted` are as those of the job."""

    options: str
    accepted: str = "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """
    What one renderer is asked to do, once.

    `options` are the canonical text of a spec. `accepted` is what `f_auto` and `f_best` may choose among, as
    `format_bucket` writes it. `overlay` is the original of what lies over the picture, decoded under limits
    of its own. A `background` job is one for which no client waits: it begins when there is nothing else to
    do, and takes its time. `fingerprint` is the one that the renderer is thought to have. `cost` is how many
    seconds of a renderer it is expected to take: what counts for the order in which jobs are done, and does
    not cross.

    A job with `variants` is a batch: these are made of the same original after its own rendition, each
    answered as soon as it is made. `batchable`, which does not cross, says that jobs may be put together so.
    """

    kind: JobKind = JobKind.RENDER
    options: str = ""
    accepted: str = "-"
    limits: Limits = field(default_factory=Limits)
    overlay_limits: Limits | None = None
    background: bool = False
    fingerprint: str = ""
    cost: float = 0.1
    variants: tuple[JobVariant, ...] = ()
    batchable: bool = False
    original: bytes | None = field(default=None, repr=False)
    overlay: bytes | None = field(default=None, repr=False)

    @property
    def bodies(self) -> dict[str, bytes]:
        """Those that it has, by the field's name, in the order in which they cross."""
        found = {"original": self.original, "overlay": self.overlay}
        return {name: body for name, body in found.items() if body is not None}

    @property
    def body_bytes(self) -> int:
        return sum(map(len, self.bodies.values()))


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedFile:
    """
    One file that was made: `width` and `height` are px of one frame of what it shows, or is about.
    `missing_letters` are those of its text that no font has, each once. `shared_decode`: it was made from
    pixels that were decoded for others, and has other bytes than if it had been made alone.
    """

    body: bytes = field(repr=False)
    format: Format | Document
    width: int
    height: int
    notes: tuple[Note, ...] = ()
    missing_letters: str = ""
    shared_decode: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceImage:
    """The original as it was read: px, upright."""

    format: Incoming
    width: int
    height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SupportedFormats:
    """Names of the formats that are decoded (`load`) and encoded (`save`)."""

    load: tuple[Incoming, ...]
    save: tuple[Format, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """
    The result of a job.

    A job of JobKind.FORMATS has `formats` and no `files`, any other the reverse. `timings` are seconds by
    stage; `queue_seconds` is the time from the request until a renderer took the job. `fingerprint` names all
    that the renderer works with: where it is equal, equal jobs give equal bytes.
    """

    files: tuple[RenderedFile, ...] = ()
    source: SourceImage | None = None
    formats: SupportedFormats | None = None
    timings: Mapping[str, float] = field(default_factory=dict)
    queue_seconds: float = 0.0
    fingerprint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedJob:
    """The answer to a job that ended with an error which is about its original or its options."""

    error: ProxyError


@dataclass(frozen=True, slots=True, kw_only=True)
class CrashedJob:
    """The answer to a job that met a bug of ours: the exception's name, and the end of its traceback."""

    exception: str
    trace: str


RendererAnswer = Reply | RefusedJob | CrashedJob

Task = Callable[[Job], Reply]
"""What does jobs of one kind in a renderer; may raise ProxyError."""

BatchTask = Callable[[Job], Sequence[Callable[[], Reply]]]
"""
What does a batch in a renderer: calls for the job's own rendition and for each of its variants, made in this
order. Each may raise ProxyError.
"""


def pack_job(job: Job, *, timeout: float) -> tuple[bytes, list[bytes]]:
    """A frame's start and its bodies. `timeout` is in seconds. Raises ValueError when it is too large."""
    bodies = job.bodies
    header = {
        "kind": job.kind,
        "timeout": timeout,
        "options": job.options,
        "accepted": job.accepted,
        "limits": _fields(job.limits),
        "overlay_limits": None if job.overlay_limits is None else _fields(job.overlay_limits),
        "background": job.background,
        "fingerprint": job.fingerprint,
        "variants": job.variants,
        "bodies": [*bodies],
    }
    return _frame_start(header, [*bodies.values()]), [*bodies.values()]


def receive_job(connection: socket.socket) -> tuple[Job, float]:
    """
    A job and its timeout in seconds, as `pack_job` wrote them. Blocks; raises OSError or EOFError when the
    web process leaves or stalls.
    """
    header_bytes, count, *sizes = FRAME_PREFIX.unpack(receive_exactly(connection, FRAME_PREFIX.size))
    header = parse_header(receive_exactly(connection, header_bytes))
    # Each straight into an object of its own: neither is copied again.
    bodies = [receive_exactly(connection, size) for size in sizes[:count]]
    overlay_limits = header["overlay_limits"]
    job = Job(
        kind=JobKind(header["kind"]),
        options=header["options"],
        accepted=header["accepted"],
        limits=_limits(header["limits"]),
        overlay_limits=None if overlay_limits is None else _limits(overlay_limits),
        background=header["background"],
        fingerprint=header["fingerprint"],
        variants=tuple(JobVariant(*each) for each in header["variants"]),
        **dict(zip(header["bodies"], bodies, strict=True)),
    )
    return job, header["timeout"]


def pack_answer(answer: RendererAnswer) -> tuple[bytes, list[bytes]]:
    """A frame's start and its bodies. Raises ValueError when it is too large."""
    match answer:
        case RefusedJob(error=error):
            return _frame_start({"error": error.code, "message": error.message, "facts": error.facts}, []), []
        case CrashedJob():
            return _frame_start({"crash": answer.exception, "trace": answer.trace}, []), []
    bodies = [file.body for file in answer.files]
    header = {
        "files": [
            {
                "format": file.format,
                "width": file.width,
                "height": file.height,
                "notes": file.notes,
                "missing_letters": file.missing_letters,
                "shared_decode": file.shared_decode,
            }
            for file in answer.files
        ],
        "source": None if answer.source is None else _fields(answer.source),
        "formats": None if answer.formats is None else _fields(answer.formats),
        "timings": dict(answer.timings),
        "fingerprint": answer.fingerprint,
    }
    return _frame_start(header, bodies), bodies


def parse_header(packed: bytes) -> dict[str, Any]:
    """A JSON object. Raises ValueError for all else, however deeply nested."""
    try:
        header = json.loads(packed)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(header, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004  one error for one rule
    return header


def receive_exactly(connection: socket.socket, size: int) -> bytes:
    """Blocks for `size` bytes. Raises EOFError when the other side ends or stalls before."""
    received = connection.recv(size, socket.MSG_WAITALL) if size else b""
    if len(received) < size:
        raise EOFError
    return received


def _frame_start(header: dict[str, Any], bodies: Sequence[bytes]) -> bytes:
    packed = _encode(header).encode()
    if len(packed) > MAX_HEADER_BYTES:
        raise ValueError(f"a header of {len(packed)} bytes cannot cross, {MAX_HEADER_BYTES} can")
    if len(bodies) > MAX_BODIES:
        raise ValueError(f"{len(bodies)} bodies cannot cross, {MAX_BODIES} can")
    sizes = [len(body) for body in bodies] + [0] * (MAX_BODIES - len(bodies))
    return FRAME_PREFIX.pack(len(packed), len(bodies), *sizes) + packed


def _fields(value: Limits | SourceImage | SupportedFormats) -> dict[str, Any]:
    """As `dataclasses.asdict`, for flat ones, in a tenth of the time."""
    return {name: getattr(value, name) for name in value.__slots__}


def _limits(fields: dict[str, Any]) -> Limits:
    formats = fields["formats"]
    return Limits(**{**fields, "formats": None if formats is None else tuple(formats)})
