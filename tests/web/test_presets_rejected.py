"""What clients and operators see while the presets file as it is now is refused, and whom names are told."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from proxy.url.signing import sign
from tests.web.serving import client

SECRET = "tells-names-of-presets-to-who-signs"
NAMES = "zebra-card", "zebra-logo", "zebra-two", "zebras/"
PRESETS = """
presets: {zebra-card: w_20, zebra-two: w_21}
listed: {width: [20], combinations: ["zebra-card:zebra-two"]}
overlays: {zebra-logo: {text: "z"}}
overlay_keys: ["zebras/"]
"""
UNKNOWN = ("p_zebra-cart", "p_zebra-card:zebra-cart", "w_20,l_zebra-logs", "w_20,l_x", "p_x")
UNSIGNED = (*UNKNOWN, "p_zebra-two:zebra-card", "p_zebra-card,w_33", "w_33", "l_zebra-l", "_")


@pytest.fixture
def presets(tmp_path: Path) -> Path:
    file = tmp_path / "presets.yaml"
    file.write_text(PRESETS)
    return file


def names_in(text: str, asked: str) -> set[str]:
    """The names of the file in an answer beyond those that were asked for."""
    return {name for name in NAMES if name in text and name not in asked}


@pytest.mark.parametrize("policy", ["deny", "presets", "listed", "allow"])
async def test_strangers_are_told_no_names_of_the_presets_file(
    renderers: str, presets: Path, policy: str
) -> None:
    given: dict[str, Any] = {"origin": str(presets.parent), "presets": presets, "unsigned": policy}
    async with client(renderers, **given, secrets=SECRET) as web:
        for options in UNSIGNED:
            for below in ("", "/-/info"):
                answer = await web.get(f"{below}/{options}/a.jpg")
                assert answer.status_code in (400, 403, 404)
                assert not names_in(answer.text, options), answer.text
        for options in UNKNOWN:
            path = f"/{options}/a.jpg"
            answer = await web.get(f"/s--{sign(SECRET, path.encode())}--{path}")
            assert answer.status_code == 400
            assert names_in(answer.text, options), "whoever signs is told what there is"


async def test_in_development_names_are_told(renderers: str, presets: Path) -> None:
    async with client(renderers, origin=str(presets.parent), presets=presets, dev=True) as web:
        for options in UNKNOWN:
            assert names_in((await web.get(f"/{options}/a.jpg")).text, options)


async def detail_of(web: httpx.AsyncClient, path: str, wanted: str) -> str:
    """The detail of the problem at `path`, when it has `wanted`."""
    async with asyncio.timeout(30):
        while wanted not in (detail := (await web.get(path)).json()["detail"]):  # noqa: ASYNC110  a file's
            await asyncio.sleep(0.05)
    return str(detail)


async def test_who_asks_for_a_preset_of_a_refused_file_is_told_so(renderers: str, presets: Path) -> None:
    async with client(
        renderers, origin=str(presets.parent), presets=presets, secrets=SECRET, unsigned="allow",
        admin_token="t" * 32,
    ) as web:  # fmt: skip
        path = "/p_newer/a.jpg"
        signed = f"/s--{sign(SECRET, path.encode())}--{path}"
        metrics = {"authorization": f"Bearer {'t' * 32}"}
        assert "no preset 'newer'" in (await web.get(signed)).json()["detail"]
        await asyncio.to_thread(presets.write_text, "presets:\n  newer: w_20\n  wrong: wdth_20\n")
        detail = await detail_of(web, signed, "refused")
        assert detail.startswith("no preset 'newer'")
        assert "presets.yaml:3:10: " in detail
        assert str(presets.parent) not in detail
        assert "refused" not in (await web.get(path)).text, "strangers are not told"
        assert "image_proxy_presets_rejected 1.0" in (await web.get("/metrics", headers=metrics)).text
        await asyncio.to_thread(presets.write_text, "presets:\n  other: w_20\n")
        for _ in range(400):
            if "refused" not in (text := (await web.get(signed)).text):
                break
            await asyncio.sleep(0.05)
        assert "refused" not in text
        assert "image_proxy_presets_rejected 0.0" in (await web.get("/metrics", headers=metrics)).text
