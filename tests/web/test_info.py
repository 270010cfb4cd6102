"""What is said about a picture goes the road of the picture."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from proxy.model.media import Format
from proxy.pipeline.describe.placeholders import blurhash, thumbhash
from proxy.url.signing import sign
from tests.pictures import loaded, photo, plain, quadrants, saved
from tests.pipeline.animations import DELAYS, balls, gif
from tests.web.serving import client

SECRET = "a-secret-of-at-least-thirty-two-bytes"


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("originals")
    (folder / "tom.jpg").write_bytes(saved(photo(640, 480), Format.JPEG))
    (folder / "red.png").write_bytes(saved(plain(8, 8, 200, 10, 10), Format.PNG))
    (folder / "corners.png").write_bytes(saved(quadrants(64, 64), Format.PNG))
    (folder / "ball.gif").write_bytes(gif(balls()))
    (folder / "notes.txt").write_text("no picture")
    return folder


@pytest.fixture
async def web(renderers: str, originals: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with client(renderers, origin=str(originals)) as session:
        yield session


async def facts(web: httpx.AsyncClient, path: str) -> Any:
    answer = await web.get(path)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    return answer.json()


async def test_the_original_and_the_rendition_have_their_sizes(web: httpx.AsyncClient) -> None:
    said = await facts(web, "/-/info/w_300,h_200,f_webp,rotate_90/tom.jpg")
    source = said["source"]
    assert (said["width"], said["height"], said["format"]) == (300, 200, "webp")
    assert (source["width"], source["height"], source["format"], source["pages"]) == (640, 480, "jpeg", 1)
    assert source["space"] == "srgb"
    assert source["alpha"] is False


async def test_what_cannot_be_so_small_is_refused_as_the_picture_is(web: httpx.AsyncClient) -> None:
    for options in ("w_300,f_webp,mb_20", "w_300,mb_20", "w_300,f_best,mb_20"):
        picture, said = await web.get(f"/{options}/tom.jpg"), await web.get(f"/-/info/{options}/tom.jpg")
        assert (picture.status_code, said.status_code) == (422, 422)
        assert picture.json() == said.json()
    assert (await facts(web, "/-/info/w_300,mb_200000/tom.jpg"))["width"] == 300


async def test_that_of_an_animation_as_well(web: httpx.AsyncClient) -> None:
    for options in ("mb_20", "f_webp,mb_20", "f_auto,mb_20"):
        picture, said = await web.get(f"/{options}/ball.gif"), await web.get(f"/-/info/{options}/ball.gif")
        assert (picture.status_code, said.status_code) == (422, 422)
        assert picture.json() == said.json()
    assert (await facts(web, "/-/info/w_48,mb_200000/ball.gif"))["frames"] == 4


async def test_an_animation_tells_its_frames(web: httpx.AsyncClient) -> None:
    said = await facts(web, "/-/info/w_48,f_webp/ball.gif")
    assert said["frames"] == 4
    assert said["source"]["pages"] == 4
    assert (said["source"]["delays"], said["source"]["loop"]) == ([*DELAYS], 0)
    still = await facts(web, "/-/info/w_48,f_png,page_2/ball.gif")
    assert (still["frames"], still["source"]["pages"]) == (1, 4)
    assert "delays" not in (await facts(web, "/-/info/_/tom.jpg"))["source"]


async def test_hashes_are_of_the_pixels_that_the_same_options_give(web: httpx.AsyncClient) -> None:
    said = await facts(web, "/-/info/w_90,h_60,f_png/tom.jpg")
    picture = loaded((await web.get("/w_90,h_60,f_png/tom.jpg")).content)
    rgba = bytes(picture.addalpha().write_to_memory())
    assert said["blurhash"] == blurhash(rgba, 90, 60)
    assert b64decode(said["thumbhash"]) == thumbhash(rgba, 90, 60)


async def test_colours_are_those_one_sees(web: httpx.AsyncClient) -> None:
    said = await facts(web, "/-/info/_/red.png")
    assert said["dominant"] == "#c80a0a"
    assert said["palette"] == ["#c80a0a"]
    assert len((await facts(web, "/-/info/_/corners.png"))["palette"]) >= 4


async def test_the_placeholder_is_a_tiny_picture(web: httpx.AsyncClient) -> None:
    kind, _, packed = (await facts(web, "/-/info/_/tom.jpg"))["lqip"].partition(";base64,")
    assert kind == "data:image/webp"
    picture = loaded(b64decode(packed))
    assert (picture.width, picture.height) == (24, 18)
    assert len(packed) < 800


async def test_it_is_kept_and_told_apart_from_the_picture(web: httpx.AsyncClient) -> None:
    first = await web.get("/-/info/w_77/tom.jpg")
    picture = await web.get("/w_77/tom.jpg")
    again = await web.get("/-/info/width_77/tom.jpg")
    assert again.headers["cache-status"] == "image-proxy; hit"
    assert again.content == first.content
    assert picture.headers["content-type"] == "image/jpeg"
    assert picture.headers["etag"] != first.headers["etag"]
    assert first.headers["content-disposition"] == 'inline; filename="tom.json"'
    unchanged = await web.get("/-/info/w_77/tom.jpg", headers={"if-none-match": first.headers["etag"]})
    assert unchanged.status_code == 304


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/-/info/w_0/tom.jpg", 400),
        ("/-/info/w_3", 400),
        ("/-/info/_/gone.jpg", 404),
        ("/-/info/_/notes.txt", 415),
    ],
)
async def test_errors_are_those_of_pictures(web: httpx.AsyncClient, path: str, status: int) -> None:
    answer = await web.get(path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_signature_is_good_for_one_task(renderers: str, originals: Path) -> None:
    path = "/-/info/w_70/tom.jpg"
    signature, of_picture = sign(SECRET, path.encode()), sign(SECRET, b"/w_70/tom.jpg")
    async with client(renderers, origin=str(originals), secrets=SECRET, mount="/img") as web:
        assert (await web.get(f"/img/s--{signature}--{path}")).json()["width"] == 70
        assert (await web.get(f"/img{path}?s={signature}")).json()["width"] == 70
        for wrong in (f"/img{path}", f"/img/s--{of_picture}--{path}", f"/img/s--{signature}--/w_70/tom.jpg"):
            assert (await web.get(wrong)).status_code == 403
