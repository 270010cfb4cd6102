from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from proxy.model.errors import NotAnImage
from proxy.model.limits import Limits
from proxy.model.media import Format
from proxy.pipeline.decode.sniff import sniff
from proxy.pipeline.tasks import TASKS
from tests.pictures import photo, saved

HEADER = {"options": "width_30,height_20,format_auto", "accepted": "webp", "limits": asdict(Limits())}


def test_a_render_crosses_a_process_boundary_as_plain_values() -> None:
    facts, body = TASKS["render"](HEADER, memoryview(saved(photo(90, 80), Format.JPEG)))
    assert json.loads(json.dumps(facts)) == facts
    assert (facts["format"], facts["width"], facts["height"]) == ("webp", 30, 20)
    assert facts["source"] == {"format": "jpeg", "width": 90, "height": 80}
    assert isinstance(body, bytes)
    assert sniff(body) is Format.WEBP


def test_a_refusal_is_ours() -> None:
    with pytest.raises(NotAnImage):
        TASKS["render"](HEADER, b"<html>")


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
