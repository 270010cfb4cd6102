"""PurgeMarks over every tier at once, on a real Redis and a real S3: who starts later must not know less."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import obstore
import pytest

from proxy.clients.object_store import open_store
from proxy.model.media import Format
from proxy.purges.bucket_ledger import LEDGER_PREFIX, BucketLedger
from proxy.purges.file_ledger import FileLedger
from proxy.purges.log import PurgeLog
from proxy.purges.marks import EVERYTHING, PurgeMark, key_tag
from tests.deployments import Deployed, deployed
from tests.origins.server import Server, reply, running
from tests.pictures import plain, saved
from tests.s3 import S3Server
from tests.services import free_port, redis_server

TOKEN = "an-admin-token-of-more-than-thirty-two-bytes"
OLD = saved(plain(64, 48, 200, 0, 0), Format.PNG)
NEW = saved(plain(64, 48, 0, 0, 200), Format.PNG)
WIDTHS = (20, 21)

PURGES: Mapping[str, Mapping[str, list[str]]] = {
    "/w_{},f_png/cats/tom.png": {"keys": ["cats/tom.png"]},
    "/w_{},f_png/dogs/rex.png": {"prefixes": ["dogs/"]},
    "/p_thumb,w_{},f_png/owl.png": {"presets": ["thumb"]},
    "/w_{},f_png/cow.png": {"tags": [key_tag("cow.png")]},
}
KEPT = "/w_{},f_png/fox.png"


@pytest.fixture
async def origin() -> AsyncIterator[Server]:
    async with running() as server:
        server.put("*", reply(OLD, etag='"old"'))
        yield server


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=60, trust_env=False) as client:
        yield client


@pytest.fixture
def started(
    s3: S3Server, origin: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, str | int]:
    for name, told in s3.config.items():
        monkeypatch.setenv(f"AWS_{name.upper()}", told)
    presets = tmp_path / "presets.yaml"
    presets.write_text("presets:\n  thumb: h_20\n")
    return {"origin": origin.url, "admin_token": TOKEN, "presets": str(presets)}


async def purge(http: httpx.AsyncClient, server: Deployed, **what: Any) -> httpx.Response:
    headers = {"authorization": f"Bearer {TOKEN}"}
    return await http.post(f"{server.url}/-/purge", json=what, headers=headers)


async def got(http: httpx.AsyncClient, server: Deployed, path: str) -> tuple[bytes, str]:
    answer = await http.get(server.url + path)
    assert answer.status_code == 200, answer.text
    return answer.content, answer.headers["cache-status"].removeprefix("image-proxy; ")


async def filled(s3: S3Server, prefix: str, least: int) -> None:
    """Until what is written behind the readers is in the bucket."""
    store = open_store(f"s3://{s3.bucket}/{prefix}", s3.config, 30.0)
    async with asyncio.timeout(60):
        while sum(len(page) for page in obstore.list(store)) < least:  # noqa: ASYNC110 - other processes write
            await asyncio.sleep(0.1)


async def test_a_purge_reaches_all_tiers_of_all_processes_and_of_those_to_come(
    s3: S3Server, origin: Server, http: httpx.AsyncClient, started: dict[str, str | int], tmp_path: Path
) -> None:
    paths = [path.format(width) for path in (*PURGES, KEPT) for width in WIDTHS]
    with redis_server() as redis, ExitStack() as stack:

        def start(name: str) -> Deployed:
            cache = f"memory://64MB,disk://{tmp_path / name},{redis.url},s3://{s3.bucket}/all-tiers"
            return stack.enter_context(deployed(cache=cache, **started))

        servers = [start(name) for name in "abc"]
        old = {path: (await got(http, servers[0], path))[0] for path in paths}
        await filled(s3, "all-tiers", len(paths))
        for server in servers[1:]:
            assert [await got(http, server, path) for path in paths] == [(old[path], "hit") for path in paths]
        origin.put("*", reply(NEW, etag='"new"'))
        for what in PURGES.values():
            assert (await purge(http, servers[0], **what)).status_code == 200
        # Of each the first width is asked for everywhere, the second only at who starts after the purge.
        servers.append(start("d"))
        for server, width in [*((server, 20) for server in servers), (servers[-1], 21)]:
            for path in (path.format(width) for path in PURGES):
                assert (await got(http, server, path))[0] != old[path], (path, server.url)
            assert await got(http, server, KEPT.format(width)) == (old[KEPT.format(width)], "hit")

        assert (await purge(http, servers[1], tags=[EVERYTHING], soft=True)).status_code == 200
        servers.append(start("e"))
        for server in servers[::-1]:
            body, said = await got(http, server, KEPT.format(21))
            assert body != old[KEPT.format(21)] or said.startswith("hit; ttl=-"), said


@pytest.mark.parametrize("soft", [False, True], ids=["hard", "soft"])
async def test_a_bucket_remembers_a_purge_when_all_else_has_forgotten(
    s3: S3Server, origin: Server, http: httpx.AsyncClient, started: dict[str, str | int], soft: bool
) -> None:
    prefix, path = f"alone-{soft}", "/w_20,f_png/cats/tom.png"
    cache = f"memory://64MB,s3://{s3.bucket}/{prefix}"
    with deployed(cache=cache, **started) as server:
        old, _ = await got(http, server, path)
        await filled(s3, prefix, 1)
        assert (await purge(http, server, keys=["cats/tom.png"], soft=soft)).status_code == 200
    origin.put("*", reply(NEW, etag='"new"'))
    with deployed(cache=cache, **started) as server:
        body, said = await got(http, server, path)
        assert (body == old, said.partition("=")[0]) == ((True, "hit; ttl") if soft else (False, "fwd"))
        async with asyncio.timeout(30):
            while (await got(http, server, path))[0] == old:  # noqa: ASYNC110 - another process renews
                await asyncio.sleep(0.05)


async def test_ledgers_in_one_bucket_lose_nothing_and_leave_little(s3: S3Server) -> None:
    store = open_store(f"s3://{s3.bucket}/ledgers", s3.config, 30.0)

    def mark(number: int) -> PurgeMark:
        return PurgeMark(number, False, f"key-{number}")

    known: list[set[PurgeMark]] = [set(), set(), set()]
    ledgers = [BucketLedger(store) for _ in known]
    for number in range(4):
        for ledger, marks in zip(ledgers, known, strict=True):
            marks.add(mark(10 * number + ledgers.index(ledger)))
        assert all(
            await asyncio.gather(*(each.keep(marks) for each, marks in zip(ledgers, known, strict=True)))
        )
    late = BucketLedger(store)
    everything = set(await late.read() or [])
    assert everything == set().union(*known)
    assert sum(len(page) for page in obstore.list(store, LEDGER_PREFIX)) == len(ledgers)
    # Who has read them all may put one in their place.
    assert await late.keep(everything)
    assert sum(len(page) for page in obstore.list(store, LEDGER_PREFIX)) == 1
    assert set(await BucketLedger(store).read() or []) == everything


async def test_a_bucket_that_takes_no_note_is_told_to_who_purges(
    http: httpx.AsyncClient, started: dict[str, str | int]
) -> None:
    cache = f"memory://64MB,s3://gone/x?endpoint=http://127.0.0.1:{free_port()}"
    with deployed(cache=cache, **started) as server:
        answer = await purge(http, server, keys=["cats/tom.png"])
        assert (answer.status_code, answer.json()["code"]) == (503, "purge_incomplete")
        assert "the bucket took no note" in answer.json()["detail"]
        assert (await http.get(f"{server.url}/w_20/cats/tom.png")).status_code == 200


async def test_a_bucket_that_is_not_there_is_no_error(s3: S3Server) -> None:
    ledger = BucketLedger(open_store("s3://no-such-bucket", s3.config, 30.0))
    assert await ledger.read() is None
    assert not await ledger.keep([PurgeMark(1, False, EVERYTHING)])


async def test_a_bucket_that_is_there_late_is_heard_then(
    s3: S3Server, http: httpx.AsyncClient, tmp_path: Path
) -> None:
    store = open_store("s3://born-late", s3.config, 30.0)
    purging = PurgeLog(FileLedger(tmp_path / "purges"), bucket=BucketLedger(store))
    await purging.open()
    assert purging.latest == 0
    user = {"x-auth-user": s3.access_key_id, "x-auth-key": s3.secret_access_key}
    token = (await http.get(f"{s3.endpoint}/auth/v1.0", headers=user)).headers["x-auth-token"]
    made = await http.put(f"{s3.endpoint}/v1/AUTH_test/born-late", headers={"x-auth-token": token})
    assert made.is_success
    async with asyncio.timeout(60):
        while not await BucketLedger(store).keep([PurgeMark(7, False, EVERYTHING)]):  # noqa: ASYNC110 - Swift says when
            await asyncio.sleep(0.5)
        while purging.latest != 7:  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.05)
    await purging.close()
