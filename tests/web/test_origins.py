"""Named origins, as they are asked for over HTTP."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from typer.testing import CliRunner

from proxy.cli.main import app
from proxy.model.media import Format
from proxy.origins.limited import MAX_QUEUED
from tests.origins.server import reply, running
from tests.pictures import photo, saved
from tests.web.serving import client


async def test_the_first_segment_of_a_key_chooses_the_origin(renderers: str, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(saved(photo(40, 30), Format.PNG))
    async with running() as server:
        server.put("/a.png", reply(saved(photo(60, 30), Format.PNG)))
        names = f"folder={tmp_path},web={server.url}"
        async with client(renderers, origins=names, private_networks=True) as http:
            for name, width in (("folder", 40), ("web", 60)):
                answer = await http.get(f"/-/info/_/{name}/a.png")
                assert answer.json()["width"] == width
                assert f"origin-{name}" in answer.headers["cache-tag"].split(",")
            assert (await http.get("/_/a.png")).status_code == 404
        async with client(renderers, origins=names, origin=str(tmp_path), private_networks=True) as http:
            answer = await http.get("/_/a.png")
            assert answer.status_code == 200
            assert "origin-default" in answer.headers["surrogate-key"].split(" ")


async def test_an_origin_may_be_held_to_formats(renderers: str, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(saved(photo(40, 30), Format.PNG))
    file = tmp_path / "origins.yaml"
    file.write_text(f"origins:\n  web: {{url: {tmp_path}, formats: [jpeg]}}\n  all: {tmp_path}\n")
    async with client(renderers, origins=str(file)) as http:
        answer = await http.get("/_/web/a.png")
        assert (answer.status_code, answer.json()["allowed"]) == (415, "jpeg")
        assert (await http.get("/_/all/a.png")).status_code == 200


async def test_which_side_failed_is_told_by_code(renderers: str) -> None:
    async with running() as server:
        for status in (401, 403, 404, 500):
            server.put(f"/{status}.png", reply(b"its own words", status=status))
        async with client(renderers, origin=server.url, private_networks=True) as http:
            found = {}
            for status in (401, 403, 404, 500):
                answer = await http.get(f"/_/{status}.png")
                problem = answer.json()
                assert problem["origin_status"] == status
                assert "words" not in answer.text
                found[status] = (answer.status_code, problem["code"])
    assert found == {
        401: (502, "origin_refused"),
        403: (404, "original_forbidden"),
        404: (404, "original_not_found"),
        500: (502, "origin_failed"),
    }


def test_a_mistake_in_the_file_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "origins.yaml"
    file.write_text("origins:\n  web: {url: /x, timeot: 5s}\n")
    outcome = CliRunner().invoke(app, ["serve", "--port", "0", "--origins", str(file)])
    assert outcome.exit_code == 2
    assert f"{file}:2:18" in outcome.stderr


async def test_what_is_refused_in_a_burst_costs_the_origin_nothing(renderers: str) -> None:
    """Without a wait, and where a page asks for no more than a burst's worth, nothing is refused."""
    async with running() as server:
        server.put("*", reply(saved(photo(60, 30), Format.PNG)))
        async with client(renderers, origin=server.url, private_networks=True, queue_size=8) as http:
            answers = await asyncio.gather(*(http.get(f"/w_30/{n}.png") for n in range(200)))
            refused = [each for each in answers if each.status_code == 503]
            assert {each.status_code for each in answers} == {200, 503}
            assert {each.headers["cache-control"] for each in refused} == {"no-store"}
            assert all(int(each.headers["retry-after"]) >= 1 for each in refused)
            assert len(server.asked) <= 32 + MAX_QUEUED
        async with client(renderers, origin=server.url, private_networks=True) as http:
            page = await asyncio.gather(*(http.get(f"/w_31/{n}.png") for n in range(60)))
            assert {each.status_code for each in page} == {200}
