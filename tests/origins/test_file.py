from __future__ import annotations

import os
import random
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from proxy.model.errors import (
    OriginalNotFound,
    OriginalTooLarge,
    OriginalUnreadable,
    OriginFailed,
    ProxyError,
)
from proxy.model.limits import Limits
from proxy.origins.file import FileOrigin
from tests.origins.keys import TRAVERSALS
from tests.origins.versions import present_version

LIMITS = Limits(max_source_bytes=100_000)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """`root` holds cats/tom.jpg; beside it lie a secret and a folder whose name begins like the root's."""
    root = tmp_path / "root"
    (root / "cats").mkdir(parents=True)
    (root / "cats" / "tom.jpg").write_bytes(b"tom")
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    (tmp_path / "root-other").mkdir()
    (tmp_path / "root-other" / "secret.jpg").write_bytes(b"secret")
    return root


@pytest.fixture
def origin(root: Path) -> FileOrigin:
    return FileOrigin(root, LIMITS)


INSIDE: list[Callable[[Path], str | Path]] = [
    lambda root: "cats/tom.jpg",
    lambda root: "./cats/../cats/tom.jpg",
    lambda root: root / "cats" / "tom.jpg",
    lambda root: f"../{root.name}/cats/tom.jpg",
]


@pytest.mark.parametrize("target", INSIDE)
async def test_a_link_that_stays_inside_is_followed(
    origin: FileOrigin, root: Path, target: Callable[[Path], str | Path]
) -> None:
    (root / "link.jpg").symlink_to(target(root))
    original = await origin.fetch("link.jpg")
    assert original.body == b"tom"
    assert (
        await present_version(origin, "link.jpg")
        == await present_version(origin, "cats/tom.jpg")
        == original.version
    )


async def test_a_link_to_a_folder_inside_is_followed(origin: FileOrigin, root: Path) -> None:
    (root / "pets").symlink_to("cats")
    (root / "cats" / "home").symlink_to(root)
    (root / "cats" / "here").symlink_to(".")
    assert (await origin.fetch("pets/tom.jpg")).body == b"tom"
    assert (await origin.fetch("pets/home/cats/here/tom.jpg")).body == b"tom"


OUTSIDE: list[Callable[[Path], str | Path]] = [
    lambda root: "/etc/passwd",
    lambda root: "/dev/zero",
    lambda root: "../secret.jpg",
    lambda root: "cats/../../secret.jpg",
    lambda root: root.parent / "secret.jpg",
    lambda root: root.parent / "root-other" / "secret.jpg",
    lambda root: "../root-other/secret.jpg",
    lambda root: "absent.jpg",
    lambda root: "link.jpg",
    lambda root: "cats",
    lambda root: ".",
    lambda root: "..",
    lambda root: "/",
    lambda root: "/proc/self/root/etc/passwd",
    lambda root: "/proc/self/fd/0",
]


@pytest.mark.parametrize("target", OUTSIDE)
async def test_a_link_that_leads_nowhere_or_out_is_not_found(
    origin: FileOrigin, root: Path, target: Callable[[Path], str | Path]
) -> None:
    (root / "link.jpg").symlink_to(target(root))
    with pytest.raises(OriginalNotFound, match=r"no original 'link\.jpg'"):
        await origin.fetch("link.jpg")
    assert await present_version(origin, "link.jpg") is None


async def test_a_linked_folder_that_leads_out_is_not_entered(origin: FileOrigin, root: Path) -> None:
    (root / "out").symlink_to("..")
    (root / "other").symlink_to(root.parent / "root-other")
    for key in ("out/secret.jpg", "other/secret.jpg", "out/root/cats/tom.jpg"):
        with pytest.raises(OriginalNotFound):
            await origin.fetch(key)


async def test_links_that_go_in_circles_are_not_found(origin: FileOrigin, root: Path) -> None:
    (root / "a").symlink_to("b")
    (root / "b").symlink_to("a")
    (root / "c").symlink_to("c/c/c")
    for key in ("a", "b", "c", "a/tom.jpg"):
        with pytest.raises(OriginalNotFound):
            await origin.fetch(key)


async def test_a_link_swapped_without_end_never_leads_out(root: Path) -> None:
    """Somebody turns a name from a file to a link and back while it is read: the classic race."""
    origin = FileOrigin(root, LIMITS)
    (root / "good").symlink_to("cats/tom.jpg")
    (root / "evil").symlink_to("../secret.jpg")
    done = threading.Event()

    def swap() -> None:
        chosen = random.Random(0)
        while not done.is_set():
            os.link(
                root / chosen.choice(["good", "evil", "cats/tom.jpg"]), root / "next", follow_symlinks=False
            )
            os.rename(root / "next", root / "swapped")
            (root / "next").unlink(missing_ok=True)

    swapper = threading.Thread(target=swap)
    swapper.start()
    seen = set()
    try:
        for _ in range(500):
            try:
                seen.add((await origin.fetch("swapped")).body)
            except OriginalNotFound:
                seen.add(b"")
    finally:
        done.set()
        swapper.join()
    assert seen <= {b"tom", b""}
    assert b"tom" in seen


async def test_only_regular_files_are_originals_and_nothing_waits(
    origin: FileOrigin, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(root / "fifo.jpg")
    (root / "null.jpg").symlink_to("/dev/null")
    monkeypatch.chdir(root)  # the name of a unix socket is short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket.jpg")
        for key in ("fifo.jpg", "null.jpg", "socket.jpg", "cats", "cats/tom.jpg/x", "fifo.jpg/x"):
            with pytest.raises(OriginalNotFound):
                await origin.fetch(key)
            assert await present_version(origin, key) is None


@pytest.mark.parametrize("key", ["x" * 256, "x" * 300, "a/" * 3000 + "a", "é" * 200, "x" * 100_000])
async def test_a_name_that_no_disk_can_hold_is_not_found(origin: FileOrigin, key: str) -> None:
    with pytest.raises(OriginalNotFound):
        await origin.fetch(key)
    assert await present_version(origin, key) is None


@pytest.fixture
def stranger() -> Iterator[None]:
    """Root may read everything, so root becomes nobody."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    yield
    os.seteuid(user)


@pytest.mark.usefixtures("stranger")
async def test_what_may_not_be_read_is_told_apart_from_what_is_absent() -> None:
    """The operator's fault, not the URL's: its path is in the log, and not in the answer."""
    with tempfile.TemporaryDirectory() as folder:  # not in pytest's, which root keeps to itself
        origin = FileOrigin(Path(folder), LIMITS)
        tom = Path(folder) / "tom.jpg"
        tom.write_bytes(b"tom")
        assert (await origin.fetch("tom.jpg")).body == b"tom"
        tom.chmod(0)
        with capture_logs() as logs, pytest.raises(OriginalUnreadable) as caught:
            await origin.fetch("tom.jpg")
        assert folder not in caught.value.message
        assert logs == [{"event": "original_unreadable", "path": str(tom), "log_level": "warning"}]


async def test_a_folder_that_may_be_searched_and_not_listed_is_entered(
    origin: FileOrigin, root: Path
) -> None:
    (root / "cats").chmod(0o311)
    try:
        assert (await origin.fetch("cats/tom.jpg")).body == b"tom"
    finally:
        (root / "cats").chmod(0o755)


async def test_a_sparse_terabyte_is_too_large_at_once(origin: FileOrigin, root: Path) -> None:
    with (root / "huge.jpg").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(OriginalTooLarge):
        await origin.fetch("huge.jpg")


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
async def test_a_file_that_holds_more_than_its_size_is_not_read_to_the_end() -> None:
    """Files of /proc say that they are empty: what is read must be as long as what was promised."""
    origin = FileOrigin("/proc/self", LIMITS)
    with pytest.raises(OriginFailed, match="written to"):
        await origin.fetch("status")


async def last(origin: FileOrigin, key: str) -> None:
    while True:
        await origin.fetch(key)


async def test_a_file_that_grows_without_end_is_given_up(origin: FileOrigin, root: Path) -> None:
    done = threading.Event()

    def grow() -> None:
        with (root / "growing.jpg").open("ab", buffering=0) as file:
            while not done.is_set():
                file.write(b"x" * 100)

    writer = threading.Thread(target=grow)
    (root / "growing.jpg").touch()
    writer.start()
    try:
        with pytest.raises((OriginFailed, OriginalTooLarge)):
            await last(origin, "growing.jpg")
    finally:
        done.set()
        writer.join()


async def test_a_root_that_went_away_is_a_failure_and_not_a_missing_key(
    origin: FileOrigin, root: Path
) -> None:
    """An unmounted disk must not be remembered as ten thousand pictures that do not exist."""
    os.rename(root, root.parent / "elsewhere")
    with pytest.raises(OriginFailed) as failure:
        await origin.fetch("cats/tom.jpg")
    assert str(root) not in failure.value.message
    assert await present_version(origin, "cats/tom.jpg") is None


async def test_a_root_that_is_a_link_may_be_swapped(root: Path) -> None:
    """How releases are switched: one link, renamed over another."""
    (root.parent / "current").symlink_to(root)
    origin = FileOrigin(root.parent / "current", LIMITS)
    (root / "link.jpg").symlink_to(root.parent / "current" / "cats" / "tom.jpg")
    assert (await origin.fetch("cats/tom.jpg")).body == b"tom"
    assert (await origin.fetch("link.jpg")).body == b"tom"
    (root.parent / "next").symlink_to(root.parent / "root-other")
    (root.parent / "next").rename(root.parent / "current")
    assert (await origin.fetch("secret.jpg")).body == b"secret"


async def test_the_time_is_the_files_and_no_etag_is_made_up(origin: FileOrigin, root: Path) -> None:
    os.utime(root / "cats" / "tom.jpg", (1_700_000_000, 1_700_000_000.25))
    original = await origin.fetch("cats/tom.jpg")
    assert original.last_modified == 1_700_000_000.25
    assert original.etag is None


async def test_the_disk_is_asked_for_a_version_once_a_second(root: Path) -> None:
    now = 0.0
    origin = FileOrigin(root, LIMITS, clock=lambda: now)
    first = await present_version(origin, "cats/tom.jpg")
    assert await present_version(origin, "new.jpg") is None
    (root / "cats" / "tom.jpg").write_bytes(b"another tom")
    (root / "new.jpg").write_bytes(b"new")
    now = 0.9
    assert await present_version(origin, "cats/tom.jpg") == first
    assert await present_version(origin, "new.jpg") is None
    now = 1.1
    assert await present_version(origin, "cats/tom.jpg") not in (None, first)
    assert await present_version(origin, "new.jpg") is not None


async def test_a_fetch_makes_the_version_that_of_what_it_read(root: Path) -> None:
    origin = FileOrigin(root, LIMITS)
    first = await present_version(origin, "cats/tom.jpg")
    (root / "cats" / "tom.jpg").write_bytes(b"another tom")
    original = await origin.fetch("cats/tom.jpg")
    assert await present_version(origin, "cats/tom.jpg") == original.version != first


async def test_no_descriptor_is_left_open(origin: FileOrigin, root: Path) -> None:
    (root / "link.jpg").symlink_to("cats/tom.jpg")
    (root / "out.jpg").symlink_to("/etc/passwd")
    (root / "huge.jpg").write_bytes(b"x" * 100_001)
    os.mkfifo(root / "fifo.jpg")
    keys = ["cats/tom.jpg", "link.jpg", "out.jpg", "huge.jpg", "fifo.jpg", "cats/absent.jpg", *TRAVERSALS]

    async def ask() -> None:
        for key in keys:
            await present_version(origin, key)
            try:
                await origin.fetch(key)
            except ProxyError:
                continue

    await ask()
    before = os.listdir("/dev/fd")
    await ask()
    assert len(os.listdir("/dev/fd")) == len(before)


NAMES = st.one_of(
    st.sampled_from(["..", ".", "", "cats", "tom.jpg", "out", "in", "secret.jpg", "etc", "passwd", "%2e%2e"]),
    st.text(max_size=5),
)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    key=st.one_of(
        st.lists(NAMES, max_size=6).map("/".join), st.text(), st.text(st.characters(categories=["Cs"]))
    )
)
async def test_any_key_gives_something_inside_or_one_of_our_errors(root: Path, key: str) -> None:
    (root / "out").unlink(missing_ok=True)
    (root / "out").symlink_to("..")
    (root / "in").unlink(missing_ok=True)
    (root / "in").symlink_to("cats")
    origin = FileOrigin(root, LIMITS)
    try:
        original = await origin.fetch(key)
    except ProxyError:
        assert await present_version(origin, key) is None
    else:
        assert original.body == b"tom"
        assert await present_version(origin, key) == original.version
    await origin.close()


@pytest.mark.parametrize(
    "key", [".env", ".git/config.png", "cats/.hidden.jpg", "cats/.thumbs/tom.jpg", "...jpg", "..data/tom.jpg"]
)
async def test_names_that_begin_with_a_dot_are_not_there(tmp_path: Path, key: str) -> None:
    (tmp_path / key).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / key).write_bytes(b"not for others")
    rewritten = FileOrigin(tmp_path, Limits(), rewrite=lambda key: key.removeprefix("x"))
    for origin, asked in ((FileOrigin(tmp_path, Limits()), key), (rewritten, f"x{key}")):
        with pytest.raises(OriginalNotFound, match="no original"):
            await origin.fetch(asked)
        assert await present_version(origin, asked) is None
        assert (await origin.list_keys()).keys == ()
        await origin.close()


async def test_a_link_may_lead_through_such_a_name(tmp_path: Path) -> None:
    """As the volumes of Kubernetes do."""
    (tmp_path / "..2026").mkdir()
    (tmp_path / "..2026" / "tom.jpg").write_bytes(b"tom")
    (tmp_path / "..data").symlink_to("..2026")
    (tmp_path / "tom.jpg").symlink_to("..data/tom.jpg")
    origin = FileOrigin(tmp_path, Limits())
    assert (await origin.fetch("tom.jpg")).body == b"tom"
    await origin.close()
