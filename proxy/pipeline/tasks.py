"""What a renderer process can be asked to do. Importing this sets libvips up, once, for the whole process."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from time import perf_counter
from typing import Any

import pyvips

from proxy.model.limits import Limits
from proxy.model.media import Document
from proxy.model.negotiation import Bucket, parse_bucket
from proxy.options.spec import Spec
from proxy.pipeline.decode.loaders import loadable
from proxy.pipeline.describe.facts import describe
from proxy.pipeline.encode.savers import savable
from proxy.pipeline.find.faces import detector
from proxy.pipeline.render import render
from proxy.url.grammar import parse_options

FONTS = Path(__file__).parent.parent / "fonts/fonts.conf"

Job = tuple[bytes | memoryview, Spec, Limits, Bucket, bytes | memoryview | None, Limits | None]
Task = Callable[[Mapping[str, Any], bytes | memoryview], tuple[dict[str, Any], bytes]]


def prepare() -> None:
    """
    Our fonts before those of the system, unless FONTCONFIG_FILE says otherwise; and whatever takes longer to
    load than a request should wait.

    No operation cache: it has served stale pixels, and every job is another picture. No loader that is not
    meant for strangers' files; `block_untrusted` leaves four of those open. It closes SVG, which is judged
    by us (`vector`) before libvips sees it, and JPEG XL, where one death of a renderer is the worst of it.
    """
    os.environ.setdefault("FONTCONFIG_FILE", str(FONTS))
    pyvips.cache_set_max(0)
    pyvips.block_untrusted_set(True)
    for loader in ("LoadSvg", "LoadJxl", "SaveJxl"):
        pyvips.operation_block_set(f"VipsForeign{loader}", False)
    for loader in ("Matrix", "Csv", "Raw", "Vips"):
        pyvips.operation_block_set(f"VipsForeignLoad{loader}", True)
    detector()


def render_task(header: Mapping[str, Any], body: bytes | memoryview) -> tuple[dict[str, Any], bytes]:
    """
    `header` has `options` (canonical text), `accepted` (a bucket's text), `limits` (fields of Limits), and
    `overlay` when something lies over the picture: how many of the last bytes of `body` are its original,
    and `overlay_limits`. With `background`, no client waits for it.

    Raises what `render` raises.
    """
    rendered = render(*job(header, body), patient=header.get("background", False))
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
    facts = describe(*job(header, body))
    return {
        "format": Document.JSON.value,
        "width": facts["width"],
        "height": facts["height"],
        "timings": {"describe": perf_counter() - started},
    }, json.dumps(facts, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def job(header: Mapping[str, Any], body: bytes | memoryview) -> Job:
    """What `render` and `describe` take, in their order."""
    original, overlay = parted(body, header.get("overlay"))
    overlay_limits = header.get("overlay_limits")
    return (
        original,
        parse_options(header["options"]),
        Limits(**header["limits"]),
        parse_bucket(header["accepted"]),
        overlay,
        None if overlay_limits is None else Limits(**overlay_limits),
    )


def parted(
    body: bytes | memoryview, overlay: int | None
) -> tuple[bytes | memoryview, bytes | memoryview | None]:
    if overlay is None:
        return body, None
    view = memoryview(body)
    return view[: len(body) - overlay], view[len(body) - overlay :]


def formats_task(header: Mapping[str, Any], body: bytes | memoryview) -> tuple[dict[str, Any], bytes]:
    """What this libvips decodes and encodes."""
    return {"load": sorted(map(str, loadable())), "save": sorted(map(str, savable()))}, b""


TASKS: Mapping[str, Task] = {"render": render_task, "describe": describe_task, "formats": formats_task}

prepare()
