"""What a renderer process can be asked to do. Importing this sets libvips up, once, for the whole process."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from time import perf_counter
from typing import Any

import pyvips

from proxy.grammar import parse_options
from proxy.limits import Limits
from proxy.media import Document
from proxy.negotiation import parse_bucket
from proxy.pipeline import render
from proxy.pipeline.describe import describe

Task = Callable[[Mapping[str, Any], bytes | memoryview], tuple[dict[str, Any], bytes]]


def prepare() -> None:
    """
    No operation cache: it has served stale pixels, and every job is another picture. No loader that is not
    meant for strangers' files; `block_untrusted` leaves four of those open.
    """
    pyvips.cache_set_max(0)
    pyvips.block_untrusted_set(True)
    for loader in ("Matrix", "Csv", "Raw", "Vips"):
        pyvips.operation_block_set(f"VipsForeignLoad{loader}", True)


def render_task(header: Mapping[str, Any], body: bytes | memoryview) -> tuple[dict[str, Any], bytes]:
    """
    `header` has `options` (canonical text), `accepted` (a bucket's text) and `limits` (fields of Limits).

    Raises what `render` raises.
    """
    spec = parse_options(header["options"])
    rendered = render(body, spec, Limits(**header["limits"]), parse_bucket(header["accepted"]))
    source = rendered.source
    return {
        "format": rendered.format.value,
        "width": rendered.width,
        "height": rendered.height,
        "timings": rendered.timings,
        "notes": [*rendered.notes],
        "source": {
            "width": source.upright.width,
            "height": source.upright.height,
            "format": source.format.value,
        },
    }, rendered.body


def describe_task(header: Mapping[str, Any], body: bytes | memoryview) -> tuple[dict[str, Any], bytes]:
    """`header` is that of `render_task`. Raises what `render` raises."""
    started = perf_counter()
    spec = parse_options(header["options"])
    facts = describe(body, spec, Limits(**header["limits"]), parse_bucket(header["accepted"]))
    return {
        "format": Document.JSON.value,
        "width": facts["width"],
        "height": facts["height"],
        "timings": {"describe": perf_counter() - started},
    }, json.dumps(facts, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


TASKS: Mapping[str, Task] = {"render": render_task, "describe": describe_task}

prepare()
