"""Presets whose widths are made together."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from proxy.model.media import Format
from tests.origins.server import reply, running
from tests.pictures import loaded, photo, saved
from tests.web.serving import client

PRESETS = """
presets:
  page:
    options: f_jpeg
    responsive: {widths: [60, 90, 120, 150], together: true}
  alone:
    options: f_jpeg
    responsive: {widths: [60, 90, 120, 150]}
"""


async def is_hit(web: httpx.AsyncClient, path: str) -> bool:
    answer = await web.get(path)
    assert answer.status_code == 200
    return "; hit" in answer.headers["cache-status"]


@pytest.fixture
def presets(tmp_path: Path) -> Path:
    file = tmp_path / "presets.yaml"
    file.write_text(PRESETS)
    return file


async def test_the_first_width_makes_all_of_one_fetch(renderers: str, presets: Path) -> None:
    async with running() as origin:
        origin.put("/a.jpg", reply(saved(photo(640, 480), Format.JPEG)))
        settings: dict[str, Any] = {"origin": origin.url, "private_networks": True, "presets": str(presets)}
        async with client(renderers, **settings) as web:
            assert loaded((await web.get("/p_page,w_90/a.jpg")).content).width == 90
            await asyncio.sleep(3)
            for width in (60, 120, 150):
                assert await is_hit(web, f"/p_page,w_{width}/a.jpg"), width
            assert len(origin.asked) == 1


@pytest.mark.parametrize("path", ["/p_alone,w_90", "/p_page,w_91", "/p_page", "/w_90,f_jpeg"])
async def test_nothing_else_is_made_that_was_not_asked_for(
    path: str, renderers: str, presets: Path, tmp_path: Path
) -> None:
    (tmp_path / "a.jpg").write_bytes(saved(photo(640, 480), Format.JPEG))
    async with client(renderers, origin=str(tmp_path), presets=str(presets)) as web:
        assert (await web.get(f"{path}/a.jpg")).status_code == 200
        await asyncio.sleep(0.5)
        # Asked of either it would be the same picture.
        assert not await is_hit(web, "/p_alone,w_120/a.jpg")
