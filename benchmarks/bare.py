"""
The limit of cold renditions: `thumbnail_buffer` and a saver in a loop, without a server.

Lines of JSON on stdin (`path, width, height, format, quality, count`) are answered with the CPU seconds.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import pyvips

SAVE: dict[str, dict[str, Any]] = {
    "jpeg": {"optimize_coding": True},
    "webp": {"effort": 2},
    "avif": {"effort": 1},
    "png": {},
}


def render(body: bytes, job: dict[str, Any]) -> bytes:
    crop = {"height": job["height"], "crop": "centre"} if job["height"] else {"height": 10_000_000}
    options = "n=-1" if job["path"].endswith(".gif") and job["format"] == "webp" else ""
    image = pyvips.Image.thumbnail_buffer(body, job["width"], option_string=options, **crop)
    save = dict(SAVE[job["format"]])
    if job["format"] != "png":
        save["Q"] = job["quality"]
    suffix = f".{job['format']}"
    return bytes(image.write_to_buffer(suffix, keep="none", **save))


def main() -> None:
    pyvips.cache_set_max(0)
    for line in sys.stdin:
        job = json.loads(line)
        body, before = Path(job["path"]).read_bytes(), time.process_time()
        for _ in range(job["count"]):
            render(body, job)
        print(time.process_time() - before, flush=True)


if __name__ == "__main__":
    main()
