"""What a renderer process can be asked to do. Importing this sets libvips up, once, for the whole process."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from functools import partial
from time import perf_counter

import pyvips

from proxy.fonts.files import OWN_FONTS_FILE
from proxy.model.limits import Limits
from proxy.model.media import Document
from proxy.model.negotiation import Bucket, parse_bucket
from proxy.options.spec import Spec
from proxy.pipeline.batch import Batch
from proxy.pipeline.decode.loaders import loadable
from proxy.pipeline.describe.facts import describe
from proxy.pipeline.encode.savers import savable
from proxy.pipeline.find.faces import detector
from proxy.pipeline.fingerprint import fingerprint
from proxy.pipeline.render import render
from proxy.pipeline.stages import Rendered
from proxy.pipeline.warm_up import warm_up
from proxy.renderers import (
    BatchTask,
    Job,
    JobKind,
    RenderedFile,
    Reply,
    SourceImage,
    SupportedFormats,
    Task,
)
from proxy.url.grammar import parse_options


def prepare() -> None:
    """
    Set libvips up for hostile originals, and load what takes longer to load than a request should wait.

    Our fonts before those of the system, unless FONTCONFIG_FILE says otherwise. No operation cache: it has
    served stale pixels, and every job is another picture. No loader that is not meant for strangers' files;
    `block_untrusted` leaves four of those open. It closes SVG, which is judged by us (`decode.svg`) before
    libvips sees it, and JPEG XL, where one death of a renderer is the worst of it.
    """
    os.environ.setdefault("FONTCONFIG_FILE", str(OWN_FONTS_FILE))
    pyvips.cache_set_max(0)
    pyvips.block_untrusted_set(True)
    for loader in ("LoadSvg", "LoadJxl", "SaveJxl"):
        pyvips.operation_block_set(f"VipsForeign{loader}", False)
    for loader in ("Matrix", "Csv", "Raw", "Vips"):
        pyvips.operation_block_set(f"VipsForeignLoad{loader}", True)
    detector()


def render_task(job: Job) -> Reply:
    """The picture that a job asks for. Raises what `render` raises."""
    return _reply(render(*_arguments(job), background=job.background))


def batch_task(job: Job) -> list[Callable[[], Reply]]:
    """What makes the pictures that a batch asks for, one after another. Raises what `render` raises."""
    original, spec, limits, accepted, *_ = _arguments(job)
    more = [(parse_options(each.options), parse_bucket(each.accepted)) for each in job.variants]
    batch = Batch(original, limits, [(spec, accepted), *more])
    return [partial(_batched_reply, batch, number) for number in range(1 + len(more))]


def _batched_reply(batch: Batch, number: int) -> Reply:
    made = batch.render(number)
    return _reply(made.rendered, shared_decode=made.shared_decode)


def _reply(rendered: Rendered, *, shared_decode: bool = False) -> Reply:
    upright = rendered.source.upright
    file = RenderedFile(
        body=rendered.body,
        format=rendered.format,
        width=rendered.width,
        height=rendered.height,
        notes=rendered.notes,
        missing_letters=rendered.missing_letters,
        shared_decode=shared_decode,
    )
    return Reply(
        files=(file,),
        source=SourceImage(format=rendered.source.format, width=upright.width, height=upright.height),
        timings=rendered.timings,
    )


def describe_task(job: Job) -> Reply:
    """What can be said about the original and the picture of a job, as JSON. Raises what `render` raises."""
    started = perf_counter()
    facts = describe(*_arguments(job))
    file = RenderedFile(
        body=json.dumps(facts, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace"),
        format=Document.JSON,
        width=facts["width"],
        height=facts["height"],
    )
    return Reply(files=(file,), timings={"describe": perf_counter() - started})


def formats_task(_: Job) -> Reply:
    """What this libvips decodes and encodes."""
    return Reply(formats=SupportedFormats(load=tuple(sorted(loadable())), save=tuple(sorted(savable()))))


def _arguments(job: Job) -> tuple[bytes, Spec, Limits, Bucket, bytes | None, Limits | None]:
    """What `render` and `describe` take, in their order."""
    if job.original is None:
        raise ValueError(f"a job of the kind {job.kind} needs an original")
    spec, accepted = parse_options(job.options), parse_bucket(job.accepted)
    return job.original, spec, job.limits, accepted, job.overlay, job.overlay_limits


__all__ = ["BATCH_TASK", "TASKS", "fingerprint", "warm_up"]

TASKS: Mapping[JobKind, Task] = {
    JobKind.RENDER: render_task,
    JobKind.DESCRIBE: describe_task,
    JobKind.FORMATS: formats_task,
}

BATCH_TASK: BatchTask = batch_task

prepare()
