from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import httpx
import pytest

from proxy.model.media import Format
from proxy.url.signing import sign
from tests.origins.server import reply, running
from tests.paths import PICTURES
from tests.pictures import loaded, near, photo, pixel, plain, quadrants, saved
from tests.pipeline.animations import balls, gif, shown
from tests.web.serving import client

SECRET = "a-secret-of-at-least-thirty-two-bytes"


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("originals")
    (folder / "cats").mkdir()
    (folder / "cats/tom.jpg").write_bytes(saved(photo(640, 480), Format.JPEG))
    (folder / "corners.png").write_bytes(saved(quadrants(64, 64), Format.PNG))
    (folder / "cut.jpg").write_bytes(saved(photo(640, 480), Format.JPEG)[:9000])
    (folder / "three.gif").write_bytes(gif(balls()[:3]))
    (folder / "four.gif").write_bytes(gif(balls()))
    (folder / "notes.txt").write_text("no picture")
    (folder / "ü b+c.png").write_bytes(saved(plain(8, 8, 200, 10, 10), Format.PNG))
    return folder


@pytest.fixture
async def web(renderers: str, originals: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with client(renderers, origin=str(originals)) as session:
        yield session


async def test_a_url_becomes_a_picture(web: httpx.AsyncClient) -> None:
    answer = await web.get("/w_300,h_200/cats/tom.jpg")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/jpeg"
    assert int(answer.headers["content-length"]) == len(answer.content)
    picture = loaded(answer.content)
    assert (picture.width, picture.height) == (300, 200)


async def test_an_animation_moves_unless_there_is_too_much_of_it(renderers: str, originals: Path) -> None:
    async with client(renderers, origin=str(originals), max_frames=3) as web:
        moving = await web.get("/w_20,f_auto/three.gif", headers={"accept": "image/webp"})
        assert moving.headers["content-type"] == "image/webp"
        assert len(shown(moving.content).frames) == 3
        assert "image-proxy-note" not in moving.headers
        for hit in (False, True):
            still = await web.get("/w_20/four.gif")
            assert len(shown(still.content).frames) == 1
            assert still.headers["image-proxy-note"] == "first-frame"
            assert still.headers["cache-status"].startswith("image-proxy; hit") is hit
        assert "image-proxy-note" not in (await web.get("/w_20,frames_3/four.gif")).headers
        missing = await web.get("/page_4/four.gif")
        assert (missing.status_code, missing.json()["code"]) == (422, "no_such_page")


async def test_the_visible_region_is_the_one_that_was_asked_for(web: httpx.AsyncClient) -> None:
    whole = loaded((await web.get("/_/corners.png")).content)
    cut = loaded((await web.get("/c_crop,w_32,h_32,g_south_east/corners.png")).content)
    assert near(pixel(cut, 0.5, 0.5), pixel(whole, 0.9, 0.9))
    assert not near(pixel(cut, 0.5, 0.5), pixel(whole, 0.1, 0.1))


async def test_a_rendition_says_everything_a_cdn_wants_to_know(web: httpx.AsyncClient) -> None:
    headers = (await web.get("/w_30,p_thumb,f_webp/cats/tom.jpg")).headers
    assert headers["cache-control"] == (
        "public, max-age=86400, s-maxage=31536000, stale-while-revalidate=86400, stale-if-error=604800"
    )
    assert re.fullmatch(r'"[0-9a-f]{32}"', headers["etag"])
    assert headers["accept-ranges"] == "bytes"
    assert headers["content-disposition"] == 'inline; filename="tom.webp"'
    assert headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in headers["content-security-policy"]
    assert headers["cross-origin-resource-policy"] == "cross-origin"
    assert headers["access-control-allow-origin"] == "*"
    assert headers["cache-status"] == "image-proxy; fwd=miss; stored"
    assert {"fetch", "decode", "encode", "queue"} <= set(re.findall(r"(\w+);dur", headers["server-timing"]))
    assert headers["cache-tag"].split(",") == headers["surrogate-key"].split(" ")
    assert "preset-thumb" in headers["cache-tag"]
    assert not {"age", "set-cookie", "transfer-encoding", "content-encoding", "vary"} & set(headers)


async def test_the_second_time_it_is_a_hit_with_the_same_bytes(web: httpx.AsyncClient) -> None:
    first = await web.get("/w_301/cats/tom.jpg")
    again = await web.get("/width=301&fit:cover/cats/tom.jpg")
    assert again.headers["cache-status"] == "image-proxy; hit"
    assert again.content == first.content
    assert again.headers["etag"] == first.headers["etag"]


async def test_without_a_cache_nothing_is_called_stored(renderers: str, originals: Path) -> None:
    async with client(renderers, origin=str(originals), cache="none") as web:
        for _ in range(2):
            answer = await web.get("/w_301/cats/tom.jpg")
            assert answer.headers["cache-status"] == "image-proxy; fwd=miss"
            assert "s-maxage=31536000" in answer.headers["cache-control"], "others may keep it"


async def test_what_may_not_live_at_all_is_not_called_stored(renderers: str, originals: Path) -> None:
    never = dict.fromkeys(("s_maxage", "stale_while_revalidate", "stale_if_error"), 0)
    async with client(renderers, origin=str(originals), **never) as web:
        for _ in range(2):
            assert (await web.get("/w_301/cats/tom.jpg")).headers["cache-status"] == "image-proxy; fwd=miss"


async def test_every_representation_has_its_own_etag(web: httpx.AsyncClient) -> None:
    urls = ["/w_30/cats/tom.jpg", "/w_31/cats/tom.jpg", "/w_30,f_webp/cats/tom.jpg", "/w_30/corners.png"]
    assert len({(await web.get(url)).headers["etag"] for url in urls}) == len(urls)


async def test_etags_outlive_a_restart(renderers: str, originals: Path) -> None:
    tags = set()
    for _ in range(2):
        async with client(renderers, origin=str(originals)) as session:
            tags.add((await session.get("/w_30/cats/tom.jpg")).headers["etag"])
    assert len(tags) == 1


async def test_a_changed_original_is_seen(renderers: str, tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(saved(plain(8, 8, 255, 0, 0), Format.PNG))
    async with client(renderers, origin=str(tmp_path)) as session:
        before = await session.get("/_/a.png")
        file.write_bytes(saved(plain(9, 9, 0, 0, 255), Format.PNG))
        await asyncio.sleep(1.1)  # for so long the folder's answer is believed
        after = await session.get("/_/a.png")
    assert before.headers["etag"] != after.headers["etag"]
    assert loaded(after.content).width == 9


@pytest.mark.parametrize("condition", ['"{}"', 'W/"{}"', ',"{}"', '"x", , "{}"', '"x",W/"{}" , "y"', "*"])
async def test_a_client_that_has_it_gets_a_304(web: httpx.AsyncClient, condition: str) -> None:
    url = "/w_40,f_auto/cats/tom.jpg"
    names = ("etag", "cache-control", "vary")
    tag = (await web.get(url)).headers["etag"].strip('"')
    conditional = {"if-none-match": condition.replace("{}", tag)}
    async with asyncio.timeout(60):
        while True:
            before, found, after = [await web.get(url, headers=sent) for sent in ({}, conditional, {})]
            # Else a second ended between them, and the time that is left is less by one.
            if before.headers["cache-control"] == after.headers["cache-control"]:
                break
    assert (found.status_code, found.content) == (304, b"")
    assert [found.headers[name] for name in names] == [before.headers[name] for name in names]


@pytest.mark.parametrize("condition", ['"x"', "x", '"', ""])
async def test_a_client_that_has_another_gets_the_picture(web: httpx.AsyncClient, condition: str) -> None:
    modified = formatdate(time.time() + 10, usegmt=True)
    answer = await web.get(
        "/w_40/cats/tom.jpg", headers={"if-none-match": condition, "if-modified-since": modified}
    )
    assert answer.status_code == 200


async def test_several_lines_of_a_condition_are_one_list(web: httpx.AsyncClient) -> None:
    first = await web.get("/w_40/cats/tom.jpg")
    lines = [("if-none-match", tag) for tag in ('"x"', first.headers["etag"], '"y"')]
    assert (await web.get("/w_40/cats/tom.jpg", headers=lines)).status_code == 304


async def test_a_date_that_we_never_gave_is_no_condition(web: httpx.AsyncClient) -> None:
    tomorrow = {"if-modified-since": formatdate(time.time() + 86_400, usegmt=True)}
    assert (await web.get("/w_40/cats/tom.jpg", headers=tomorrow)).status_code == 200


async def test_if_modified_since_is_answered_by_date(web: httpx.AsyncClient) -> None:
    first = await web.get("/w_40/cats/tom.jpg")
    since = {"if-modified-since": first.headers["last-modified"]}
    assert (await web.get("/w_40/cats/tom.jpg", headers=since)).status_code == 304
    long_ago = {"if-modified-since": formatdate(0, usegmt=True)}
    assert (await web.get("/w_40/cats/tom.jpg", headers=long_ago)).status_code == 200
    assert (await web.get("/w_40/cats/tom.jpg", headers={"if-modified-since": "nonsense"})).status_code == 200


@pytest.mark.parametrize(
    "url", ["/w_44/cats/tom.jpg", "/w_44,f_auto/cats/tom.jpg", "/blurr/cats/tom.jpg", "/w_1/no.jpg"]
)
async def test_head_is_get_without_the_body(web: httpx.AsyncClient, url: str) -> None:
    await web.get(url)
    get, head = await web.get(url), await web.head(url)
    assert head.content == b""
    assert head.status_code == get.status_code
    own = {"date", "x-request-id"}
    assert {k: v for k, v in head.headers.items() if k not in own} == {
        k: v for k, v in get.headers.items() if k not in own
    }


async def test_a_cold_head_has_the_true_length(web: httpx.AsyncClient) -> None:
    head = await web.head("/w_45/cats/tom.jpg")
    assert int(head.headers["content-length"]) == len((await web.get("/w_45/cats/tom.jpg")).content)


@pytest.mark.parametrize(
    "asked, status, part",
    [
        ("bytes=0-9", 206, slice(0, 10)), ("bytes=10-", 206, slice(10, None)),
        ("bytes=-7", 206, slice(-7, None)),
        ("bytes=0-0,5-6", 200, slice(None)), ("lines=1-2", 200, slice(None)), ("bytes=9-3", 200, slice(None)),
        ("bytes=-", 200, slice(None)), ("bytes=99999999-", 416, None),
    ],
)  # fmt: skip
async def test_one_range_is_served(
    web: httpx.AsyncClient, asked: str, status: int, part: slice | None
) -> None:
    whole = (await web.get("/w_50/cats/tom.jpg")).content
    answer = await web.get("/w_50/cats/tom.jpg", headers={"range": asked})
    assert answer.status_code == status
    if part is None:
        assert answer.headers["content-range"] == f"bytes */{len(whole)}"
    else:
        assert answer.content == whole[part]
        assert int(answer.headers["content-length"]) == len(answer.content)


async def test_a_range_of_something_else_gets_the_whole(web: httpx.AsyncClient) -> None:
    url = "/w_50/cats/tom.jpg"
    tag = (await web.get(url)).headers["etag"]
    for validator, status in ((tag, 206), ('"other"', 200), (f"W/{tag}", 200)):
        answer = await web.get(url, headers={"range": "bytes=0-1", "if-range": validator})
        assert answer.status_code == status


@pytest.mark.parametrize(
    "accept, media_type",
    [
        ("image/avif,image/webp,*/*", "image/avif"), ("image/webp,*/*", "image/webp"), ("*/*", "image/jpeg"),
        ("image/avif;q=0,image/webp", "image/webp"), (None, "image/jpeg"), ("image/*", "image/jpeg"),
    ],
)  # fmt: skip
async def test_an_open_format_is_negotiated(
    web: httpx.AsyncClient, accept: str | None, media_type: str
) -> None:
    answer = await web.get(
        "/w_60,f_auto/cats/tom.jpg", headers={"accept": accept} if accept else {"accept": ""}
    )
    assert answer.headers["content-type"] == media_type
    assert answer.headers["vary"] == "Accept"


async def test_the_best_format_is_kept_for_each_kind_of_client(web: httpx.AsyncClient) -> None:
    url = "/w_62,f_best/cats/tom.jpg"
    old, new = [
        await web.get(url, headers={"accept": accept}) for accept in ("image/jpeg", "image/webp,image/avif")
    ]
    assert old.headers["content-type"] in ("image/jpeg", "image/png")
    assert old.headers["vary"] == new.headers["vary"] == "Accept"
    assert len(new.content) <= len(old.content)
    again = await web.get(url, headers={"accept": "image/jpeg"})
    assert (again.content, again.headers["cache-status"]) == (old.content, "image-proxy; hit")


async def test_an_avif_that_follows_is_told_and_not_kept_long(renderers: str, originals: Path) -> None:
    async with client(renderers, origin=str(originals), avif_budget=0) as web:
        accept = {"accept": "image/avif,image/webp"}
        now = await web.get("/w_63,v_1,f_auto/cats/tom.jpg", headers=accept)
        assert now.headers["content-type"] == "image/webp"
        assert now.headers["image-proxy-note"] == "avif-follows"
        assert re.match(r"public, max-age=10, s-maxage=10, ", now.headers["cache-control"])
        assert "immutable" not in now.headers["cache-control"]
        assert now.headers["vary"] == "Accept"
        async with asyncio.timeout(20):
            later = now
            while later.headers["content-type"] != "image/avif":
                await asyncio.sleep(0.02)
                later = await web.get("/w_63,v_1,f_auto/cats/tom.jpg", headers=accept)
        assert later.headers["etag"] != now.headers["etag"]
        assert "image-proxy-note" not in later.headers
        assert later.headers["cache-control"].endswith(", immutable")
        named = await web.get("/w_63,f_avif/cats/tom.jpg")
        assert named.headers["content-type"] == "image/avif"
        assert "max-age=86400" in named.headers["cache-control"]


async def test_a_damaged_original_is_told_and_not_kept_long(renderers: str, tmp_path: Path) -> None:
    (tmp_path / "cut.jpg").write_bytes((PICTURES / "jpeg-no-eoi.jpg").read_bytes())
    async with client(renderers, origin=str(tmp_path)) as web:
        for _ in range(2):
            answer = await web.get("/w_20,v_1/cut.jpg")
            assert (answer.status_code, answer.headers["image-proxy-note"]) == (200, "damaged")
            assert re.match(r"public, max-age=60, s-maxage=60, ", answer.headers["cache-control"])
            assert "immutable" not in answer.headers["cache-control"]


async def test_bytes_that_are_too_few_are_refused_with_those_that_would_do(web: httpx.AsyncClient) -> None:
    answer = await web.get("/w_62,mb_10,f_jpeg/cats/tom.jpg")
    assert (answer.status_code, answer.json()["code"]) == (422, "result_too_large")
    enough = answer.json()["smallest"]
    assert len((await web.get(f"/w_62,mb_{enough},f_jpeg/cats/tom.jpg")).content) <= enough


@pytest.mark.parametrize(
    "url", ["/w_1,f_auto/no.jpg", "/w_1,f_best/no.jpg", "/f_auto,blurr_3/cats/tom.jpg", "/f_auto,w_3/cut.jpg"]
)
async def test_errors_of_an_open_format_vary_too(web: httpx.AsyncClient, url: str) -> None:
    assert (await web.get(url)).headers["vary"] == "Accept"


@pytest.mark.parametrize("url", ["/f_auto,w_60/cats/tom.jpg", "/w_60,f_png/cats/tom.jpg"])
async def test_errors_of_the_request_vary_as_the_picture_does(web: httpx.AsyncClient, url: str) -> None:
    varies = (await web.get(url)).headers.get("vary")
    refused = await web.get(url, headers={"range": "bytes=9999999-"})
    assert refused.status_code == 416
    assert refused.headers.get("vary") == varies
    assert (await web.post(url)).headers.get("vary") == varies


async def test_nothing_but_accept_changes_an_answer(web: httpx.AsyncClient) -> None:
    url = "/w_61,f_auto/cats/tom.jpg"
    plainly = await web.get(url)
    odd = {"host": "evil.test", "x-forwarded-host": "evil.test", "cookie": "a=b", "authorization": "x",
           "cache-control": "no-cache", "dpr": "3", "accept-encoding": "gzip", "user-agent": "x"}  # fmt: skip
    oddly = await web.get(url + "?w=9&x=1", headers=odd)
    assert oddly.content == plainly.content
    assert oddly.headers["cache-status"] == "image-proxy; hit"


PROBLEMS = [
    ("/blurr_3/cats/tom.jpg", 400, "unknown_option", "public, max-age=60"),
    ("/w_0/cats/tom.jpg", 400, "invalid_value", "public, max-age=60"),
    ("/w_1,w_2/cats/tom.jpg", 400, "repeated_option", "public, max-age=60"),
    ("/p_nope/cats/tom.jpg", 400, "unknown_preset", "public, max-age=60"),
    ("/w_3/cats/%2e%2e/tom.jpg", 400, "invalid_key", "public, max-age=60"),
    ("/w_3", 400, "invalid_key", "public, max-age=60"),
    ("/w_3/%ff.jpg", 400, "invalid_request", "public, max-age=60"),
    ("/w_3/no/such.jpg", 404, "original_not_found", "public, max-age=60"),
    ("/favicon.ico", 404, "not_found", "public, max-age=60"),
    ("/", 404, "not_found", "public, max-age=60"),
    ("/-/nothing", 404, "not_found", "public, max-age=60"),
    ("/w_3/notes.txt", 415, "not_an_image", "public, max-age=60"),
    ("/w_300/cut.jpg", 422, "broken_image", "public, max-age=60"),
    ("/w_8192,h_8192,enlarge/cats/tom.jpg", 422, "result_too_large", "public, max-age=60"),
    ("/w_3,exp_1/cats/tom.jpg", 410, "expired", "public, max-age=60"),
    ("/w_3/https://other.example/a.jpg", 403, "source_not_allowed", "public, max-age=60"),
    ("/w_3/" + "a" * 9000, 414, "too_long", "no-store"),
]  # fmt: skip


@pytest.mark.parametrize("url, status, code, lifetime", PROBLEMS)
async def test_a_problem_is_told_in_a_form_programs_read(
    web: httpx.AsyncClient, url: str, status: int, code: str, lifetime: str
) -> None:
    answer = await web.get(url)
    told = answer.json()
    assert (answer.status_code, told["status"], told["code"]) == (status, status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == lifetime
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert told["detail"]
    assert "/tmp" not in answer.text
    assert "vips" not in answer.text


async def test_a_bad_option_is_named_with_what_is_allowed(web: httpx.AsyncClient) -> None:
    told = (await web.get("/w_0/cats/tom.jpg")).json()
    assert (told["option"], told["value"]) == ("w", "0")
    assert "from 1 to 8192" in told["allowed"]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "BREW"])
async def test_other_methods_are_refused(web: httpx.AsyncClient, method: str) -> None:
    answer = await web.request(method, "/w_3/cats/tom.jpg")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS"
    assert answer.headers["cache-control"] == "no-store"
    assert (await web.options("/w_3/cats/tom.jpg")).status_code == 204


async def test_a_loop_is_cut(web: httpx.AsyncClient) -> None:
    answer = await web.get("/w_3/cats/tom.jpg", headers={"cdn-loop": "cdn.test, image-proxy"})
    assert answer.status_code == 508
    assert answer.headers["cache-control"] == "no-store"


async def test_a_version_makes_it_immutable(web: httpx.AsyncClient) -> None:
    assert "immutable" in (await web.get("/w_3,v_7/cats/tom.jpg")).headers["cache-control"]


@pytest.mark.parametrize(
    "options, key, disposition",
    [
        ("w_3,dl", "cats/tom.jpg", 'attachment; filename="tom.jpg"'),
        ("w_3,fn_My%20cat.png,f_webp", "cats/tom.jpg", 'inline; filename="My cat.webp"'),
        ("w_3", "%C3%BC%20b+c.png", "inline; filename=\"_ b+c.png\"; filename*=UTF-8''%C3%BC%20b%2Bc.png"),
        ("w_3,fn_5%25", "cats/tom.jpg", "inline; filename=\"5_.jpg\"; filename*=UTF-8''5%25.jpg"),
        ('w_3,fn_a"b', "cats/tom.jpg", "inline; filename=\"a_b.jpg\"; filename*=UTF-8''a%22b.jpg"),
    ],
)  # fmt: skip
async def test_browsers_are_told_a_name(
    web: httpx.AsyncClient, options: str, key: str, disposition: str
) -> None:
    assert (await web.get(f"/{options}/{key}")).headers["content-disposition"] == disposition


async def test_health_readiness_and_the_table(web: httpx.AsyncClient) -> None:
    assert (await web.get("/healthz")).status_code == 200
    assert (await web.get("/readyz")).status_code == 200
    table = (await web.get("/-/options.json")).json()
    assert {"width", "w"} <= {name for row in table["options"] for name in row["names"]}
    assert {"jpeg", "png", "webp", "avif", "gif", "tiff", "svg"} <= set(table["formats"]["load"])
    assert {"jpeg", "png", "webp", "avif", "gif", "tiff"} == set(table["formats"]["save"])
    assert (await web.post("/healthz")).status_code == 405


class TestSigned:
    @pytest.fixture
    async def signed(self, renderers: str, originals: Path) -> AsyncIterator[httpx.AsyncClient]:
        async with client(renderers, origin=str(originals), secrets=f"new:{SECRET},old-{SECRET}") as session:
            yield session

    async def test_a_signature_opens_in_the_path_and_in_the_query(self, signed: httpx.AsyncClient) -> None:
        path = "/w_30/cats/tom.jpg"
        for secret in (SECRET, f"old-{SECRET}"):
            signature = sign(secret, path.encode())
            for url in (
                f"/s--{signature}--{path}",
                f"/s={signature}{path}",
                f"{path}?s={signature}",
                f"{path}?s={signature[:22]}",
            ):
                assert (await signed.get(url)).status_code == 200

    @pytest.mark.parametrize("signature", ["", "short", "x" * 43, "%C3%A9" * 8, "=" * 43])
    async def test_no_other_signature_does(self, signed: httpx.AsyncClient, signature: str) -> None:
        for url in (f"/s--{signature}--/w_30/cats/tom.jpg", f"/w_30/cats/tom.jpg?s={signature}"):
            answer = await signed.get(url)
            assert answer.status_code == 403
            assert answer.json()["code"] == "bad_signature"

    async def test_a_signature_is_checked_before_the_options(self, signed: httpx.AsyncClient) -> None:
        assert (await signed.get("/blurr/cats/tom.jpg")).status_code == 403

    async def test_no_lifetime_is_longer_than_the_urls_own(self, signed: httpx.AsyncClient) -> None:
        path = f"/w_30,exp_{int(time.time()) + 30}/cats/tom.jpg"
        url = f"/s--{sign(SECRET, path.encode())}--{path}"
        for _ in range(2):
            answer = await signed.get(url)
            lengths = [int(seconds) for seconds in re.findall(r"=(\d+)", answer.headers["cache-control"])]
            assert answer.status_code == 200
            assert max(lengths) <= 30

    async def test_an_error_lives_no_longer_than_its_url_either(self, signed: httpx.AsyncClient) -> None:
        path = f"/w_30,exp_{int(time.time()) + 30}/cats/gone.jpg"
        answer = await signed.get(f"/s--{sign(SECRET, path.encode())}--{path}")
        assert answer.status_code == 404
        said = re.fullmatch(r"public, max-age=(\d+)", answer.headers["cache-control"])
        assert said is not None
        assert 0 < int(said[1]) <= 30

    async def test_an_expired_url_is_gone_even_when_the_rendition_is_at_hand(
        self, signed: httpx.AsyncClient
    ) -> None:
        def until(seconds: int) -> str:
            path = f"/w_30,exp_{int(time.time()) + seconds}/cats/tom.jpg"
            return f"/s--{sign(SECRET, path.encode())}--{path}"

        assert (await signed.get(until(600))).status_code == 200
        url = until(2)
        found = await signed.get(url)
        assert (found.status_code, found.headers["cache-status"]) == (200, "image-proxy; hit")
        await asyncio.sleep(2.1)
        assert (await signed.get(url)).status_code == 410


@pytest.mark.parametrize(
    "policy, url, status",
    [
        ("presets", "/p_thumb/cats/tom.jpg", 200), ("presets", "/p_thumb,dpr_2/cats/tom.jpg", 200),
        ("presets", "/p_thumb,v_1/cats/tom.jpg", 403),
        ("presets", "/p_thumb,w_9/cats/tom.jpg", 403), ("presets", "/_/cats/tom.jpg", 403),
        ("listed", "/w_160/cats/tom.jpg", 200), ("listed", "/w_161/cats/tom.jpg", 403),
    ],
)  # fmt: skip
async def test_what_unsigned_urls_may(
    renderers: str, originals: Path, tmp_path: Path, policy: str, url: str, status: int
) -> None:
    presets = tmp_path / "presets.yaml"
    presets.write_text("presets: {thumb: 'w_50,h_50'}\nlisted: {width: [160]}\n")
    async with client(
        renderers, origin=str(originals), unsigned=policy, secrets=SECRET, presets=presets
    ) as session:
        assert (await session.get(url)).status_code == status


async def test_everything_may_live_below_a_prefix(renderers: str, originals: Path) -> None:
    async with client(renderers, origin=str(originals), mount="/_ipx") as session:
        assert (await session.get("/_ipx/w_30/cats/tom.jpg")).status_code == 200
        assert (await session.get("/w_30/cats/tom.jpg")).status_code == 404
        assert (await session.get("/healthz")).status_code == 200


async def test_a_preset_sets_lifetimes_and_a_picture_for_errors(
    renderers: str, originals: Path, tmp_path: Path
) -> None:
    presets = tmp_path / "presets.yaml"
    presets.write_text(
        "presets:\n  card: {options: 'w_20,h_10', max_age: 7, s_maxage: 9, on_error: corners.png}\n"
    )
    async with client(renderers, origin=str(originals), presets=presets) as session:
        fine = await session.get("/p_card/cats/tom.jpg")
        assert "max-age=7, s-maxage=9" in fine.headers["cache-control"]
        instead = await session.get("/p_card/no.jpg")
        assert instead.status_code == 404
        assert instead.headers["cache-control"] == "public, max-age=60"
        assert loaded(instead.content).width == 20


async def test_the_admin_surface_wants_its_token(renderers: str, originals: Path) -> None:
    token = "an-admin-token-of-thirty-two-bytes-or-so"
    async with client(renderers, origin=str(originals), admin_token=token) as session:
        assert (await session.get("/metrics")).status_code == 401
        wrong = await session.get("/metrics", headers={"authorization": "Bearer no"})
        assert wrong.status_code == 403
        right = await session.get("/metrics", headers={"authorization": f"Bearer {token}"})
        assert right.status_code == 200
        assert (await session.get("/-/options.json")).status_code == 200


SPELLINGS = ["/w_300,h_200/a.jpg", "/h_200&w_300/a.jpg", "/s_300x200/a.jpg", "/w_150,h_100,dpr_2/a.jpg"]


async def test_a_thousand_askers_make_one_fetch_and_one_render(renderers: str) -> None:
    async with running() as origin:
        origin.put("/a.jpg", reply(saved(photo(640, 480), Format.JPEG)))
        settings: dict[str, Any] = {"origin": origin.url + "/", "private_networks": True}
        async with client(renderers, **settings) as session:
            answers = await asyncio.gather(*(session.get(SPELLINGS[n % 4]) for n in range(1000)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert len(origin.asked) == 1
    statuses = [answer.headers["cache-status"] for answer in answers]
    assert sum("stored" in status and "collapsed" not in status for status in statuses) == 1


async def test_ten_widths_at_once_make_one_fetch(renderers: str) -> None:
    async with running() as origin:
        origin.put("/a.jpg", reply(saved(photo(640, 480), Format.JPEG)))
        async with client(renderers, origin=origin.url + "/", private_networks=True) as session:
            answers = await asyncio.gather(*(session.get(f"/w_{width}/a.jpg") for width in range(100, 110)))
    assert {answer.status_code for answer in answers} == {200}
    assert len(origin.asked) == 1


async def test_one_passenger_leaving_does_not_bring_the_flight_down(renderers: str) -> None:
    async with running() as origin:
        origin.put("/a.jpg", reply(saved(photo(2000, 1500), Format.JPEG)))
        async with client(renderers, origin=origin.url + "/", private_networks=True) as session:
            asking = [asyncio.create_task(session.get("/w_300/a.jpg")) for _ in range(10)]
            await asyncio.sleep(0.01)
            asking[0].cancel()
            answers = await asyncio.gather(*asking[1:])
    assert {answer.status_code for answer in answers} == {200}
    assert len(origin.asked) == 1


async def test_a_bad_original_is_decoded_once(renderers: str) -> None:
    async with running() as origin:
        origin.put("/cut.jpg", reply(saved(photo(640, 480), Format.JPEG)[:9000]))
        async with client(renderers, origin=origin.url + "/", private_networks=True) as session:
            statuses = [(await session.get("/w_300/cut.jpg")).status_code for _ in range(5)]
    assert statuses == [422] * 5
    assert len(origin.asked) == 1


async def test_what_is_known_of_one_key_is_not_said_of_another(renderers: str) -> None:
    async with running() as origin:
        origin.put("/a.jpg", reply(saved(photo(64, 48), Format.JPEG)))
        async with client(renderers, origin=origin.url + "/", private_networks=True) as session:
            answers = [await session.get(f"/w_30/{key}") for key in ("no.jpg", "a.jpg", "no.jpg")]
    assert [answer.status_code for answer in answers] == [404, 200, 404]


@pytest.mark.parametrize("status, code", [(404, 404), (500, 502), (503, 502), (403, 404)])
async def test_the_origins_failure_is_told_apart(renderers: str, status: int, code: int) -> None:
    async with running() as origin:
        origin.put("/a.jpg", reply(b"secret words", status=status))
        async with client(renderers, origin=origin.url + "/", private_networks=True) as session:
            answer = await session.get("/w_300/a.jpg")
    assert answer.status_code == code
    assert answer.json().get("origin_status", status) == status
    assert "secret words" not in answer.text
    assert str(origin.port) not in answer.text


async def test_a_page_of_widths_is_one_fetch_and_a_tag_of_either_decode_is_known(
    renderers: str, originals: Path
) -> None:
    widths = (60, 90, 120, 180, 240, 300)
    async with running() as origin:
        origin.put("/photo.jpg", reply(saved(photo(1600, 1200), Format.JPEG)))
        async with client(renderers, origin=origin.url, private_networks=True) as web:
            answers = await asyncio.gather(*(web.get(f"/w_{width}/photo.jpg") for width in widths))
            assert [loaded(answer.content).width for answer in answers] == [*widths]
            assert len(origin.asked) == 1
            tags = [answer.headers["etag"] for answer in answers]
            assert len({*tags}) == len(tags)
            assert any(tag.endswith('-s"') for tag in tags)
            for width, tag in zip(widths, tags, strict=True):
                alone = tag.replace('-s"', '"')
                shared = alone[:-1] + '-s"'
                for known in (alone, shared):
                    again = await web.get(f"/w_{width}/photo.jpg", headers={"if-none-match": known})
                    assert (again.status_code, again.headers["etag"]) == (304, tag)
                # A range of a file is of that very file.
                for known in (alone, shared):
                    headers = {"range": "bytes=0-9", "if-range": known}
                    part = await web.get(f"/w_{width}/photo.jpg", headers=headers)
                    assert part.status_code == (206 if known == tag else 200)
