"""`image-proxy warm` as it is run, and what a server finds afterwards."""

from __future__ import annotations

import asyncio
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import obstore
import pytest
from redis import Redis

from proxy.cli.warm import STOPPED, progress
from proxy.clients.object_store import open_store
from proxy.model.media import Format
from tests.deployments import deployed
from tests.origins.server import reply, running, silence
from tests.paths import ROOT
from tests.pictures import photo, plain, saved
from tests.s3 import S3Server
from tests.services import redis_server

SAID_WHEN_STOPPED = "stopped before the end: the same command goes on from here\n"
COUNTS = re.compile(r"renditions: made (\d+), made elsewhere (\d+), there already (\d+), failed (\d+)\n")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "originals"
    (folder / "cats").mkdir(parents=True)
    (folder / ".hidden").mkdir()
    for place in range(8):
        picture = saved(plain(64, 48, 30 * place, 0, 0), Format.PNG)
        (folder / "cats" / f"ü {place}.png").write_bytes(picture)
    (folder / "tom.PNG").write_bytes(saved(photo(200, 100), Format.PNG))
    (folder / "notes.txt").write_text("no picture")
    (folder / ".hidden" / "no.png").write_bytes(b"no")
    return folder


def fill(folder: Path, count: int) -> None:
    for place in range(count):
        (folder / f"{place}.png").write_bytes(saved(plain(400, 300, place, place, 0), Format.PNG))


def wait_for(holds: Callable[[], bool]) -> None:
    """At most a minute: what follows says what is wrong then."""
    deadline = time.monotonic() + 60
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.01)


def settings(folder: Path, tmp_path: Path, **more: str) -> dict[str, str]:
    cache = f"memory://8MB,disk://{tmp_path / 'cache'}?size=100MB"
    return {"origin": str(folder), "cache": cache, "originals_cache": "none", "renderers": "1", **more}


@contextmanager
def warm(
    given: dict[str, str],
    *arguments: str,
    stderr: int = subprocess.PIPE,
    environ: Mapping[str, str] | None = None,
) -> Iterator[subprocess.Popen[str]]:
    settings = {f"IMAGE_PROXY_{name.upper()}": text for name, text in given.items()}
    with subprocess.Popen(
        [sys.executable, "-c", "from proxy.cli import main; main()", "warm", *arguments],
        env=os.environ | {"PYTHONPATH": str(ROOT)} | settings | dict(environ or {}),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
    ) as started:
        try:
            yield started
        finally:
            if started.poll() is None:
                started.kill()


def known_to(s3: S3Server) -> dict[str, str]:
    """Variables with which its buckets can be had."""
    return {
        "AWS_ACCESS_KEY_ID": s3.access_key_id,
        "AWS_SECRET_ACCESS_KEY": s3.secret_access_key,
        "AWS_REGION": s3.region,
        "AWS_ENDPOINT_URL": s3.endpoint,
    }


def kept_in(cache: Path) -> int:
    return sum(not path.name.startswith(".") for path in cache.glob("*/*"))


def counts(printed: str) -> list[int]:
    """Made, made elsewhere, there already, failed."""
    found = COUNTS.fullmatch(printed)
    assert found, printed
    return [int(each) for each in found.groups()]


def warmed(
    given: dict[str, str], *arguments: str, keys: str = "", environ: Mapping[str, str] | None = None
) -> tuple[list[int], str, int]:
    with warm(given, *arguments, environ=environ) as started:
        printed, said = started.communicate(keys, timeout=120)
    return counts(printed), sentences(said), started.returncode


def sentences(said: str) -> str:
    """
    Without the log, which tells what this system does not offer to lock renderers in, and without how far it
    is, which is told every half a minute.
    """
    lines = said.splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith(("{", "warming: ")))


def test_a_server_finds_what_was_warmed_for_every_kind_of_browser(folder: Path, tmp_path: Path) -> None:
    given = settings(folder, tmp_path)
    # Nine pictures: each as webp, and as what three kinds of browsers accept.
    assert warmed(given, "w_20,f_webp", "w_30,f_auto") == ([36, 0, 0, 0], "", 0)
    with deployed(**given) as server:
        for path, accept in (
            ("/w_20,f_webp/tom.PNG", "*/*"),
            ("/w_20,f_webp/cats/%C3%BC%203.png", "*/*"),
            ("/w_30,f_auto/tom.PNG", "image/avif,image/webp,*/*"),
            ("/f_auto,w_30/tom.PNG", "image/webp,*/*"),
            ("/w_30,f_auto/tom.PNG", "*/*"),
        ):
            answer = httpx.get(server.url + path, headers={"accept": accept}, timeout=30)
            assert (answer.status_code, answer.headers["cache-status"]) == (200, "image-proxy; hit")


def test_a_second_run_makes_nothing(folder: Path, tmp_path: Path) -> None:
    given = settings(folder, tmp_path)
    assert warmed(given, "w_20")[0] == [9, 0, 0, 0]
    assert warmed(given, "w_20", "w_21")[0] == [9, 0, 9, 0]


async def test_a_run_that_was_stopped_is_taken_up(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text("".join(f"{place}.png\n" for place in range(9)))
    async with running() as origin:
        origin.put("*", reply(saved(photo(400, 300), Format.PNG)))
        origin.put("/3.png", silence)
        given = settings(tmp_path, tmp_path, origin=origin.url, private_networks="true", fetch_timeout="60s")
        command = ("w_390,f_webp", "--at-once", "2", "--keys", str(keys))
        with warm(given, *command) as started:
            # Of two at once one waits for the picture that never comes.
            await asyncio.to_thread(wait_for, lambda: kept_in(tmp_path / "cache") == 8)
            started.send_signal(signal.SIGINT)
            printed, said = await asyncio.to_thread(started.communicate, timeout=60)
        assert (started.returncode, sentences(said)) == (STOPPED, SAID_WHEN_STOPPED)
        # The last of them may be there without having been counted.
        assert counts(printed) in ([8, 0, 0, 0], [7, 0, 0, 0])
        origin.put("/3.png", reply(saved(photo(400, 300), Format.PNG)))
        assert (await asyncio.to_thread(warmed, given, *command))[0] == [1, 0, 8, 0]


def test_ctrl_c_while_keys_are_read_stops_it_too(folder: Path, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    os.mkfifo(keys)
    with warm(settings(folder, tmp_path), "w_20", "--keys", str(keys)) as started, keys.open("w"):
        # To open it took until the command read it.
        started.send_signal(signal.SIGINT)
        printed, said = started.communicate(timeout=60)
    assert (started.returncode, printed, said) == (STOPPED, "", SAID_WHEN_STOPPED)


def test_ctrl_c_while_renderers_start_leaves_nothing_behind(folder: Path, tmp_path: Path) -> None:
    with (
        TemporaryDirectory() as temporary,  # the path of a socket must be short
        warm(settings(folder, tmp_path), "w_20", environ={"TMPDIR": temporary}) as started,
    ):
        wait_for(lambda: any(Path(temporary).glob("*/renderers")))
        started.send_signal(signal.SIGINT)
        printed, said = started.communicate(timeout=60)
        left = list(Path(temporary).iterdir())
    assert (started.returncode, sentences(said)) == (STOPPED, SAID_WHEN_STOPPED)
    assert counts(printed) == [0, 0, 0, 0]
    assert left == []


def test_what_was_made_before_a_crash_is_not_made_again(folder: Path, tmp_path: Path) -> None:
    fill(folder, 60)
    given = settings(folder, tmp_path)
    with warm(given, "w_390,f_avif", "--at-once", "1") as started:
        wait_for(lambda: kept_in(tmp_path / "cache") >= 5)
        started.kill()
        started.communicate(timeout=60)
    kept = kept_in(tmp_path / "cache")
    assert kept >= 5
    made, _, there, failed = warmed(given, "w_390,f_avif")[0]
    assert (made, there, failed) == (69 - kept, kept, 0)
    assert made > 0


def test_more_at_once_than_an_origin_lets_wait_are_made_all_the_same(folder: Path, tmp_path: Path) -> None:
    fill(folder, 150)
    assert warmed(settings(folder, tmp_path), "w_20", "--at-once", "150") == ([159, 0, 0, 0], "", 0)


def test_a_log_gets_a_line_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    for every, lines in ((0.0, ["warming: 1 of 2", "warming: 2 of 2"]), (1000.0, [])):
        with progress(2, every) as done:
            done()
            done()
        assert capsys.readouterr().err.splitlines() == lines


def test_the_keys_of_a_bucket_are_listed_too(s3: S3Server, tmp_path: Path) -> None:
    store = open_store(f"s3://{s3.bucket}/to-be-warmed", s3.config, 30.0)
    picture = saved(photo(64, 48), Format.PNG)
    for key in ("tom.PNG", "cats/ü 1+2%.png", ".hidden/no.png", "cats/notes.txt"):
        obstore.put(store, key, picture)
    given = {
        "origins": f"shop=s3://{s3.bucket}/to-be-warmed,other=http://127.0.0.1:9",
        "cache": f"disk://{tmp_path / 'cache'}",
        "renderers": "1",
        "private_networks": "true",
        "fetch_timeout": "30s",
    }
    assert warmed(given, "w_20", environ=known_to(s3)) == ([2, 0, 0, 0], "", 0)


def test_a_bucket_that_cannot_be_listed_is_one_line(s3: S3Server) -> None:
    given = {"origin": "s3://no-such-bucket", "cache": "disk:///tmp/never-written"}
    with warm(given, "w_20", environ=known_to(s3)) as started:
        printed, said = started.communicate(timeout=120)
    assert started.returncode == 2
    assert printed == ""
    assert re.fullmatch(r"image-proxy: the origin 's3://no-such-bucket' cannot be listed: \w+\n", said), said


def test_two_machines_share_the_work(folder: Path, tmp_path: Path) -> None:
    """Of nearly nothing in common but one Redis. There is work enough for the one that starts later."""
    for place in range(31):
        (folder / f"{place}.png").write_bytes(saved(photo(400, 300), Format.PNG))
    options = [f"w_{width},f_png" for width in range(385, 395)]
    with redis_server() as redis:
        given = settings(folder, tmp_path, cache=redis.url)
        with warm(given, *options) as one, warm(given, *options) as other:
            both = [counts(each.communicate(timeout=300)[0]) for each in (one, other)]
    made = [each[0] for each in both]
    assert sum(made) == 400, "each is made once"
    assert min(made) > 0, "and not all by one"
    assert all(sum(each) == 400 and each[3] == 0 for each in both)


def test_what_a_killed_machine_left_is_made_by_the_other(folder: Path, tmp_path: Path) -> None:
    for place in range(31):
        (folder / f"{place}.png").write_bytes(saved(photo(400, 300), Format.PNG))
    options = [f"w_{width},f_png" for width in range(385, 395)]
    with redis_server() as redis:
        given = settings(folder, tmp_path, cache=redis.url)
        with warm(given, *options) as one, warm(given, *options) as other, Redis(port=redis.port) as client:
            wait_for(lambda: int(client.dbsize()) >= 20)
            one.kill()
            made, elsewhere, there, failed = counts(other.communicate(timeout=300)[0])
    assert (made + elsewhere + there, failed) == (400, 0)
    assert made > 0


def test_keys_come_from_a_file_or_from_stdin_and_those_that_fail_are_named(
    folder: Path, tmp_path: Path
) -> None:
    given = settings(folder, tmp_path)
    said = "gone.png w_20: no original 'gone.png'\n"
    assert warmed(given, "w_20", "--keys", "-", keys="tom.PNG\ngone.png\n\ntom.PNG\n") == (
        [1, 0, 0, 1],
        said,
        1,
    )
    keys = tmp_path / "keys"
    keys.write_text("tom.PNG\ncats/ü 1.png\n")
    assert warmed(given, "w_20", "--keys", str(keys)) == ([1, 0, 1, 0], "", 0)


def test_options_that_no_url_may_have_are_refused_before_any_work(folder: Path, tmp_path: Path) -> None:
    with warm(settings(folder, tmp_path), "w_20", "blurr") as started:
        printed, said = started.communicate(timeout=60)
    assert (started.returncode, printed, said) == (
        2,
        "",
        "image-proxy: no option 'blurr'; did you mean 'blur'?\n",
    )


def test_an_origin_that_cannot_be_listed_wants_keys(tmp_path: Path) -> None:
    given = settings(tmp_path, tmp_path, origin="http://origin.example")
    with warm(given, "w_20") as started:
        _, said = started.communicate(timeout=60)
    assert started.returncode == 2
    assert "--keys" in said


def test_a_terminal_gets_a_bar(folder: Path, tmp_path: Path) -> None:
    main, side = pty.openpty()
    with warm(settings(folder, tmp_path), "w_20", stderr=side) as started:
        os.close(side)
        printed, _ = started.communicate(timeout=60)
    shown = os.read(main, 100_000).decode()
    os.close(main)
    assert counts(printed) == [9, 0, 0, 0]
    assert "warming" in shown
    assert "100%" in shown


@pytest.mark.parametrize("cache", ["none", "memory://8MB", "memory://8MB,memory://64MB"])
def test_what_would_be_lost_is_not_made(folder: Path, cache: str) -> None:
    with warm({"origin": str(folder), "cache": cache}, "w_20") as started:
        printed, said = started.communicate(timeout=120)
    assert (started.returncode, printed) == (2, "")
    assert said.startswith(f"image-proxy: IMAGE_PROXY_CACHE is {cache!r}, which no server shares")
    assert "disk:///path" in said


def test_its_numbers_are_of_renditions(folder: Path, tmp_path: Path) -> None:
    """Two sets of options, of which one is three renditions, of three keys, of which two fail."""
    given = settings(folder, tmp_path)
    counted, said, code = warmed(
        given,
        "w_20,f_auto",
        "w_20,f_png",
        "w_20,f_png",
        "--keys",
        "-",
        keys="tom.PNG\ngone.png\na/../b.png\n",
    )
    assert (counted, code) == ([4, 0, 0, 8], 1)
    assert sorted(line.partition(":")[0] for line in said.splitlines()) == [
        "a/../b.png w_20,f_auto", "a/../b.png w_20,f_png", "gone.png w_20,f_auto", "gone.png w_20,f_png",
    ]  # fmt: skip
    assert warmed(given, "w_20,f_auto", "w_20,f_png", "--keys", "-", keys="tom.PNG\n")[0] == [0, 0, 4, 0]
