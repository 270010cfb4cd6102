"""What a server prints when it starts: each URL of it can be clicked, or it says why there is none."""

from __future__ import annotations

import asyncio
import re
import time
from pathlib import Path

import httpx
import pytest

from proxy.app.announce import EXAMPLE_LIFETIME, announce, audience
from proxy.config.defaults import is_unspecified, url_host
from proxy.config.settings import load_settings
from proxy.model.media import Format
from tests.deployments import deployed
from tests.pictures import photo, saved
from tests.web.serving import client

SECRET = "printed-examples-are-signed-with-it"
PRESETS = """
presets:
  thumb: "w_150,h_150,f_auto"
  card: {options: "w_400,ar_4:3"}
listed: {width: [160, 320], height: [200], quality: [75]}
"""
NO_LISTS = "presets:\n  thumb: w_150\n"
ONLY_HEIGHTS = "listed: {height: [200]}\n"
SIZED = 'defaults: "c_pad,b_white"\npresets:\n  thumb: w_150\n'
POLICIES = {
    "signed": {"secrets": SECRET},
    "signed, and open": {"secrets": SECRET, "unsigned": "allow"},
    "signed, and presets": {"secrets": SECRET, "unsigned": "presets"},
    "allow": {"unsigned": "allow"},
    "presets": {"unsigned": "presets"},
    "listed": {"unsigned": "listed"},
    "below a mount": {"unsigned": "presets", "mount": "/_ipx"},
    "signed below a mount": {"secrets": SECRET, "mount": "/_ipx"},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "originals"
    (folder / "cats" / "ü %41+").mkdir(parents=True)
    (folder / "cats" / "ü %41+" / "tom & co.jpg").write_bytes(saved(photo(640, 480), Format.JPEG))
    (folder / "notes.txt").write_text("no picture")
    return folder


def printed(capsys: pytest.CaptureFixture[str], **given: object) -> tuple[list[str], str]:
    """The URLs that are printed as examples, and all that is."""
    announce(load_settings(**given), 8000, None)
    said = capsys.readouterr().out
    return re.findall(r"^  (http://\S+)$", said, re.MULTILINE), said


@pytest.mark.parametrize("presets", [PRESETS, NO_LISTS, ONLY_HEIGHTS, SIZED])
@pytest.mark.parametrize("place", ["default", "named"])
@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
async def test_each_url_that_is_printed_is_served(
    policy: dict[str, str],
    place: str,
    presets: str,
    folder: Path,
    renderers: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = folder.parent / "presets.yaml"
    file.write_text(presets)
    origin = (
        {"origin": str(folder)} if place == "default" else {"origins": f"web=http://127.0.0.1:9,my={folder}"}
    )
    given = {**policy, **origin, "presets": str(file)}
    urls, said = await asyncio.to_thread(printed, capsys, **given)
    if not urls:
        assert policy["unsigned"] == "presets"
        assert presets == ONLY_HEIGHTS
        assert "without a signature a URL names a preset" in said
        return
    async with client(renderers, **given) as web:
        for url in urls:
            answer = await web.get(url.removeprefix("http://127.0.0.1:8000"))
            assert (answer.status_code, answer.headers["content-type"][:6]) == (200, "image/"), (
                url,
                answer.text,
            )


def test_signed_urls_that_are_printed_end_in_an_hour(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    urls, _ = printed(capsys, origin=str(folder), secrets=SECRET)
    assert len(urls) == 3
    for url in urls:
        ends = re.search(r",exp_(\d+)/", url)
        assert ends is not None
        assert abs(int(ends[1]) - time.time() - EXAMPLE_LIFETIME) < 60


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
def test_what_lists_nothing_gets_words_and_no_url(
    policy: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "presets.yaml"
    file.write_text(PRESETS)
    for origin in ("http://origin.example/", "s3://bucket/prefix", str(tmp_path)):
        urls, said = printed(capsys, **policy, origin=origin, presets=str(file))
        assert urls == []
        assert "no example to click: " in said
        assert "image-proxy url " in said


@pytest.mark.parametrize(
    "host, shown, everywhere",
    [
        ("127.0.0.1", "127.0.0.1", False),
        ("localhost", "localhost", False),
        ("0.0.0.0", "127.0.0.1", True),
        ("0", "127.0.0.1", True),
        ("::", "[::1]", True),
        ("0:0:0:0:0:0:0:0", "[::1]", True),
        ("::1", "[::1]", False),
        ("192.168.1.7", "192.168.1.7", False),
        ("2001:db8::7", "[2001:db8::7]", False),
        ("images.example.com", "images.example.com", False),
    ],
)
def test_the_address_that_is_printed_can_be_clicked(host: str, shown: str, everywhere: bool) -> None:
    assert (url_host(host), is_unspecified(host)) == (shown, everywhere)


def test_a_server_at_every_address_is_reached_where_it_says(folder: Path) -> None:
    with deployed(host="0.0.0.0", origin=str(folder), unsigned="presets") as server:
        assert server.url.startswith("http://127.0.0.1:")
        assert httpx.get(f"{server.url}/healthz", timeout=30).status_code == 200


@pytest.mark.parametrize(
    "flags, told",
    [
        ({"dev": True}, "this machine"),
        ({}, "a reverse proxy"),
        ({"host": "0.0.0.0", "unsigned": "allow", "unsigned_public": True}, "anybody who reaches"),
    ],
)
def test_who_may_ask_without_a_signature_is_told(flags: dict[str, object], told: str) -> None:
    assert told in audience(load_settings(**flags))
