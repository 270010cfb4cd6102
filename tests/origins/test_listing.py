"""What every origin that can be listed says of its keys, and how the others refuse."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.clients.object_store import open_store
from proxy.model.limits import Limits
from proxy.origins.bucket import BucketOrigin
from proxy.origins.file import FileOrigin
from proxy.origins.listing import CannotList, KeyPage, ListingFailed, all_keys
from proxy.origins.open import open_listing
from proxy.origins.sources import Rewrite, Source
from tests.origins.places import LISTED, Place, file_place
from tests.s3 import S3Server

KEYS = ["a.jpg", "b/1.jpg", "b/2.jpg", "b/c/3 ü+%41.jpg", "b.d/5.jpg", "größe/猫.jpg", "notes.txt", "z.PNG"]
HIDDEN = [".x.jpg", ".git/y.jpg", "b/.z.jpg", "b/.w/v.jpg"]

listed = pytest.mark.parametrize("place", LISTED, indirect=True)


async def found(place: Place, prefix: str = "", page_keys: int = 1000) -> list[str]:
    return [key async for key in all_keys(place.origin, prefix, page_keys)]


@listed
@pytest.mark.parametrize("page_keys", [1, 2, 3, len(KEYS) + len(HIDDEN), 1000])
async def test_pages_of_any_length_have_each_key_once(place: Place, page_keys: int) -> None:
    for key in (*KEYS, *HIDDEN):
        place.put(key, b"x")
    keys = await found(place, page_keys=page_keys)
    assert sorted(keys) == sorted(KEYS)
    assert keys == await found(place), "the order does not depend on the pages"


@listed
async def test_a_page_has_no_more_keys_than_the_limit(place: Place) -> None:
    for key in KEYS:
        place.put(key, b"x")
    cursor, seen = None, 0
    while True:
        keys, cursor = await place.origin.list_keys(cursor=cursor, limit=3)
        assert len(keys) <= 3
        seen += len(keys)
        if cursor is None:
            break
    assert seen == len(KEYS)


@listed
async def test_a_prefix_is_a_folder(place: Place) -> None:
    for key in (*KEYS, *HIDDEN):
        place.put(key, b"x")
    for page_keys in (1, 2, 1000):
        assert sorted(await found(place, "b/", page_keys)) == ["b/1.jpg", "b/2.jpg", "b/c/3 ü+%41.jpg"]
        assert await found(place, "b/c/", page_keys) == ["b/c/3 ü+%41.jpg"]
    with pytest.raises(ValueError, match="slash"):
        await place.origin.list_keys("b")


@listed
async def test_what_is_not_there_has_no_keys(place: Place) -> None:
    assert await place.origin.list_keys() == KeyPage((), None)
    place.put("cats/tom.jpg", b"tom")
    for prefix in ("dogs/", "cats/tom.jpg/", "cat/"):
        assert await place.origin.list_keys(prefix) == KeyPage((), None)


@listed
async def test_a_prefix_leads_nowhere_else_than_down(place: Place) -> None:
    place.put("cats/tom.jpg", b"tom")
    for prefix in ("../", "cats/../../", "./", ".git/", "cats/../", "..//"):
        assert await place.origin.list_keys(prefix) == KeyPage((), None), prefix


@listed
async def test_a_cursor_leads_on_even_when_its_key_is_gone_and_others_are_new(place: Place) -> None:
    for key in KEYS:
        place.put(key, b"x")
    first, cursor = await place.origin.list_keys(limit=2)
    assert cursor is not None
    place.put("zz/new.jpg", b"x")
    rest = [*(await place.origin.list_keys(cursor=f"{cursor}0")).keys]
    assert "zz/new.jpg" in rest
    assert not set(first) & set(rest)


@listed
async def test_every_key_can_be_fetched(place: Place) -> None:
    for key in KEYS:
        place.put(key, key.encode())
    for key in await found(place):
        assert (await place.origin.fetch(key)).body == key.encode()


@pytest.mark.parametrize("place", ["http", "remote"], indirect=True)
async def test_what_has_no_list_says_so(place: Place) -> None:
    with pytest.raises(CannotList, match="no list"):
        await place.origin.list_keys()


@pytest.mark.parametrize(
    "source, why",
    [
        (Source(url="http://origin.example/"), "no list"),
        (Source(url="https://origin.example/"), "no list"),
        (Source(url="/no/such/folder"), "not a folder"),
        (Source(url="file://host/folder"), "three slashes"),
        (Source(url="ftp://origin.example/"), "no origin of the kind"),
        (Source(url="/", rewrite=(Rewrite(match=re.compile("old"), to="new"),)), "rewritten"),
    ],
)
def test_why_an_origin_cannot_be_listed(source: Source, why: str) -> None:
    with pytest.raises(CannotList, match=why):
        open_listing(source, timeout=5.0)


async def test_a_folder_is_opened_for_its_list_however_it_is_written(tmp_path: Path) -> None:
    (tmp_path / "ü b").mkdir()
    (tmp_path / "ü b" / "tom.jpg").touch()
    for url in (str(tmp_path / "ü b"), f"file://{tmp_path}/%C3%BC%20b", f"file://localhost{tmp_path}/ü b"):
        listing = open_listing(Source(url=url), timeout=5.0)
        assert (await listing.list_keys()).keys == ("tom.jpg",)
        await listing.close()


async def test_a_bucket_that_is_not_there_has_failed(s3: S3Server) -> None:
    origin = BucketOrigin(open_store("s3://nowhere", s3.config, 30.0), Limits())
    with pytest.raises(ListingFailed, match=r"^\w+$"):
        await origin.list_keys()


async def test_a_store_that_cannot_be_reached_has_failed() -> None:
    config = {"endpoint": "http://127.0.0.1:1", "access_key_id": "a", "secret_access_key": "b", "region": "r"}
    with pytest.raises(ListingFailed, match=r"^\w+$"):
        await BucketOrigin(open_store("s3://bucket", config, 5.0), Limits()).list_keys()


@pytest.fixture
def folder(tmp_path: Path) -> Place:
    return file_place(tmp_path / "root")


async def test_files_come_before_subfolders_and_by_name(folder: Place) -> None:
    for key in ("b/c/1.jpg", "b/2.jpg", "a/3.jpg", "z.jpg", "Y.jpg", "a.jpg"):
        folder.put(key, b"")
    assert await found(folder) == ["Y.jpg", "a.jpg", "z.jpg", "a/3.jpg", "b/2.jpg", "b/c/1.jpg"]


async def test_links_to_files_are_keys_and_links_to_folders_are_not_followed(
    folder: Place, tmp_path: Path
) -> None:
    folder.put("cats/tom.jpg", b"tom")
    (tmp_path / "root" / "link.jpg").symlink_to("cats/tom.jpg")
    (tmp_path / "root" / "loop").symlink_to(".")
    (tmp_path / "root" / "out").symlink_to(tmp_path)
    assert await found(folder) == ["link.jpg", "cats/tom.jpg"]
    assert (await folder.origin.list_keys("out/")).keys == ()


async def test_names_that_are_no_text_are_no_keys(folder: Place, tmp_path: Path) -> None:
    folder.put("tom.jpg", b"tom")
    (tmp_path / "root" / os.fsdecode(b"\xff.jpg")).touch()
    assert await found(folder) == ["tom.jpg"]


async def test_what_may_not_be_read_is_left_out(folder: Place, tmp_path: Path) -> None:
    folder.put("a/tom.jpg", b"tom")
    folder.put("b/tom.jpg", b"tom")
    (tmp_path / "root" / "a").chmod(0)
    try:
        keys = await found(folder)
    finally:
        (tmp_path / "root" / "a").chmod(0o755)
    assert keys == (["a/tom.jpg", "b/tom.jpg"] if os.geteuid() == 0 else ["b/tom.jpg"])


async def test_three_keys_are_had_without_a_look_into_other_folders(
    folder: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in range(50):
        folder.put(f"{place:02}/tom.jpg", b"tom")
    looked = counted_scans(monkeypatch)
    assert (await folder.origin.list_keys(limit=3)).keys == ("00/tom.jpg", "01/tom.jpg", "02/tom.jpg")
    assert len(looked) == 4, "the root and the three"


def counted_scans(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    looked: list[int] = []
    scandir = os.scandir

    def counted(folder: int) -> Iterator[os.DirEntry[str]]:
        looked.append(folder)
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", counted)
    return looked


async def test_a_listing_leaves_no_descriptor_open(folder: Place) -> None:
    for key in KEYS:
        folder.put(key, b"x")
    await found(folder)
    before = len(os.listdir("/proc/self/fd"))
    for page_keys in (1, 2, 1000):
        await found(folder, page_keys=page_keys)
        await folder.origin.list_keys("nowhere/at/all/")
    assert len(os.listdir("/proc/self/fd")) == before


async def test_a_folder_that_is_gone_has_no_keys(tmp_path: Path) -> None:
    origin = FileOrigin(tmp_path / "gone", Limits())
    assert await origin.list_keys() == KeyPage((), None)
    await origin.close()


def test_a_process_may_end_right_after_a_listing() -> None:
    """One in six was aborted where obstore called back into an interpreter that was ending."""
    script = """
import asyncio
from proxy.origins.listing import ListingFailed
from proxy.origins.open import open_listing
from proxy.origins.sources import Source

async def main():
    options = {"endpoint": "http://127.0.0.1:1", "access_key_id": "a", "region": "r"}
    source = Source(url="s3://bucket", options=options, secrets={"secret_access_key": "b"})
    try:
        await open_listing(source, timeout=5.0).list_keys()
    except ListingFailed:
        pass

asyncio.run(main())
"""
    started = [subprocess.Popen([sys.executable, "-c", script]) for _ in range(8)]
    assert [each.wait(120) for each in started] == [0] * 8
