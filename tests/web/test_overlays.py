"""Overlays on their whole road: named in presets.yaml, fetched from the origin, laid by a renderer."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from proxy.model.media import Format
from proxy.purges.marks import key_tag
from proxy.url.signing import sign
from tests.pictures import loaded, near, photo, pixel, plain, saved
from tests.web.serving import client

SECRET = "a-secret-of-at-least-thirty-two-bytes"
RED, BLUE = (200, 30, 30), (30, 30, 200)

PRESETS = """\
presets:
  branded: "w_200,f_png,l_logo"
listed: {width: [200]}
overlays:
  logo: {key: "brand/logo.png", gravity: northwest, width: 0.5}
  gone: {key: "brand/gone.png"}
  notes: {key: "notes.txt"}
  caption: {text: "Tom", size: 40}
overlay_keys: ["brand/"]
"""


@pytest.fixture
def originals(tmp_path: Path) -> Path:
    (tmp_path / "cats").mkdir()
    (tmp_path / "brand").mkdir()
    (tmp_path / "cats/tom.jpg").write_bytes(saved(photo(640, 480), Format.JPEG))
    (tmp_path / "brand/logo.png").write_bytes(saved(plain(40, 20, *RED), Format.PNG))
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / "presets.yaml").write_text(PRESETS)
    return tmp_path


@pytest.fixture
async def web(renderers: str, originals: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with client(renderers, origin=str(originals), presets=str(originals / "presets.yaml")) as session:
        yield session


async def test_a_named_overlay_lies_over_the_picture(web: httpx.AsyncClient) -> None:
    answer = await web.get("/p_branded/cats/tom.jpg")
    assert answer.status_code == 200, answer.text
    assert near(pixel(loaded(answer.content), 0.1, 0.1), RED)
    moved = await web.get("/p_branded,lg_southeast/cats/tom.jpg")
    assert near(pixel(loaded(moved.content), 0.95, 0.95), RED)
    by_key = await web.get("/w_200,f_png,l_brand:logo.png,lg_nw,lw_0.5/cats/tom.jpg")
    assert by_key.headers["etag"] == answer.headers["etag"]
    assert by_key.headers["cache-status"] == "image-proxy; hit"


async def test_a_text_lies_over_the_picture(web: httpx.AsyncClient) -> None:
    without = (await web.get("/w_200/cats/tom.jpg")).content
    named = (await web.get("/w_200,l_caption/cats/tom.jpg")).content
    written = (await web.get("/w_200,text_Tom,ts_40/cats/tom.jpg")).content
    assert named == written != without
    comma = await web.get("/w_200,text_Tom%2C%20the%20cat%20%26%20co/cats/tom.jpg")
    assert comma.status_code == 200


async def test_another_overlay_under_the_same_key_is_another_rendition(
    web: httpx.AsyncClient, originals: Path
) -> None:
    before = await web.get("/p_branded/cats/tom.jpg")
    logo = originals / "brand/logo.png"
    logo.write_bytes(saved(plain(40, 20, *BLUE), Format.PNG))
    os.utime(logo, (1_900_000_000, 1_900_000_000))
    after = before
    for _ in range(100):  # a folder is looked at again after a moment
        after = await web.get("/p_branded/cats/tom.jpg")
        if after.headers["etag"] != before.headers["etag"]:
            break
        await asyncio.sleep(0.1)
    assert near(pixel(loaded(after.content), 0.1, 0.1), BLUE)
    assert after.headers["last-modified"].endswith("2030 17:46:40 GMT")


async def test_a_purge_of_the_overlay_reaches_what_it_lies_on(web: httpx.AsyncClient) -> None:
    tags = (await web.get("/p_branded/cats/tom.jpg")).headers["cache-tag"].split(",")
    assert {key_tag("cats/tom.jpg"), key_tag("brand/logo.png")} <= set(tags)


async def test_many_at_once_are_one_rendition(web: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(*(web.get("/p_branded,w_150/cats/tom.jpg") for _ in range(8)))
    assert {answer.status_code for answer in answers} == {200}
    assert sum("fwd=miss" in answer.headers["cache-status"] for answer in answers) >= 1
    assert len({answer.headers["etag"] for answer in answers}) == 1


@pytest.mark.parametrize(
    "path, status, code, words",
    [
        ("/w_200,l_gone/cats/tom.jpg", 422, "unusable_overlay", "the overlay 'brand/gone.png': no original"),
        ("/w_200,l_notes/cats/tom.jpg", 422, "unusable_overlay", "the overlay 'notes.txt': "),
        ("/w_200,l_logo/cats/none.jpg", 404, "original_not_found", "no original 'cats/none.jpg'"),
        ("/w_200,l_gone/cats/none.jpg", 404, "original_not_found", "no original 'cats/none.jpg'"),
        ("/w_200,l_lgoo/cats/tom.jpg", 400, "unknown_overlay", "no overlay 'lgoo'"),
        ("/w_200,l_cats:tom.jpg/cats/tom.jpg", 400, "unknown_overlay", "no overlay 'cats/tom.jpg'"),
        ("/w_200,l_logo,text_Hi/cats/tom.jpg", 400, "conflicting_options", "is a picture"),
        ("/w_200,text_%E2%80%8B/cats/tom.jpg", 400, "invalid_value", "nothing in it that can be drawn"),
    ],
)
async def test_what_is_wrong_with_an_overlay_is_said_of_the_overlay(
    web: httpx.AsyncClient, path: str, status: int, code: str, words: str
) -> None:
    answer = await web.get(path)
    assert answer.status_code == status
    assert answer.json()["code"] == code
    assert words in answer.json()["detail"]


async def test_in_development_it_is_said_which_overlays_there_are(renderers: str, originals: Path) -> None:
    presets = originals / "presets.yaml"
    presets.write_text('overlays: {logo: {text: "z"}}\noverlay_keys: ["brand/"]')
    async with client(renderers, origin=str(originals), presets=str(presets), dev=True) as web:
        for overlay, words in (("lgoo", "did you mean 'logo'"), ("cats:tom.jpg", "begin with brand/")):
            answer = await web.get(f"/w_200,l_{overlay}/cats/tom.jpg")
            assert (answer.status_code, answer.json()["code"]) == (400, "unknown_overlay")
            assert words in answer.json()["detail"]


async def test_hosts_that_are_not_allowed_are_not_for_overlays_either(
    renderers: str, originals: Path
) -> None:
    presets = originals / "presets.yaml"
    presets.write_text('overlay_keys: ["*"]')
    async with client(renderers, origin=str(originals), presets=str(presets)) as web:
        answer = await web.get("/w_200,l_http%3A%2F%2F127.0.0.1%2Fa.png/cats/tom.jpg")
        assert answer.status_code == 403
        assert "the overlay 'http://127.0.0.1/a.png'" in answer.json()["detail"]


@pytest.mark.parametrize("broken", ["absent", "no-picture", "elsewhere"])
async def test_the_key_of_a_preset_s_overlay_is_not_for_strangers(
    renderers: str, originals: Path, broken: str
) -> None:
    key = {"absent": "hidden/logo.png", "no-picture": "hidden.txt", "elsewhere": "http://10.0.0.1/hidden.png"}
    (originals / "hidden.txt").write_text("no picture")
    presets = originals / "hidden.yaml"
    presets.write_text(f"overlays: {{mark: {{key: '{key[broken]}'}}}}\npresets: {{card: 'w_20,l_mark'}}\n")
    flags = {"origin": str(originals), "presets": str(presets), "secrets": SECRET, "unsigned": "presets"}
    path = "/p_card/cats/tom.jpg"
    async with client(renderers, **flags) as web:
        stranger = await web.get(path)
        signed = await web.get(f"/s--{sign(SECRET.encode(), path.encode())}--{path}")
        assert stranger.status_code == signed.status_code >= 400
        assert "hidden" not in stranger.text
        assert broken == "no-picture" or "hidden" in signed.text


async def test_what_is_said_about_a_picture_counts_its_overlay(web: httpx.AsyncClient) -> None:
    red = (await web.get("/-/info/w_200,l_logo,lw_1.0,lt/cats/tom.jpg")).json()
    assert red["dominant"] == "#c81e1e"


async def test_who_signs_nothing_writes_no_text(renderers: str, originals: Path) -> None:
    flags = {"origin": str(originals), "presets": str(originals / "presets.yaml"), "secrets": SECRET}
    text = "/w_200,text_Hi/cats/tom.jpg"
    for policy in ("presets", "listed"):
        async with client(renderers, unsigned=policy, **flags) as web:
            answer = await web.get(text)
            assert answer.status_code == 403
            assert "'text' needs a signature" in answer.json()["detail"] or policy == "presets"
            signature = sign(SECRET.encode(), text.encode())
            assert (await web.get(f"/s--{signature}--{text}")).status_code == 200
            assert (await web.get("/p_branded/cats/tom.jpg")).status_code == 200
        async with client(renderers, unsigned="listed", **flags) as web:
            refused = await web.get("/w_200,l_caption/cats/tom.jpg")
            assert (refused.status_code, refused.json()["option"]) == (403, "l")


async def test_a_picture_without_a_face_says_so_each_time(renderers: str, originals: Path) -> None:
    # On a busy machine a renderer takes seconds to load what finds faces.
    async with client(renderers, origin=str(originals), render_timeout=60) as web:
        for cache in ("fwd=miss; stored", "hit"):
            answer = await web.get("/w_100,h_100,g_face/cats/tom.jpg")
            assert answer.status_code == 200, answer.text
            assert answer.headers["image-proxy-note"] == "no-face"
            assert cache in answer.headers["cache-status"]


async def test_letters_that_no_font_has_are_told_and_cached_for_a_minute(
    renderers: str, originals: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with client(renderers, origin=str(originals)) as web:
        for cache in ("fwd=miss; stored", "hit"):
            answer = await web.get("/w_200,text_Hi%F4%8F%BF%BD%F3%B0%80%80,v_3/cats/tom.jpg")
            assert answer.status_code == 200, answer.text
            assert answer.headers["image-proxy-note"] == "missing-letters"
            assert "max-age=60" in answer.headers["cache-control"]
            assert "immutable" not in answer.headers["cache-control"]
            assert cache in answer.headers["cache-status"]
        assert "image-proxy-note" not in (await web.get("/w_200,text_Hi/cats/tom.jpg")).headers
    told = [line for line in capsys.readouterr().err.splitlines() if "letters_missing" in line]
    assert len(told) == 1, "once for each render"
    assert "U+10FFFD U+F0000" in told[0]
    assert "cats/tom.jpg" in told[0]
