"""Which keys are warmed and which are shown as examples, of what origins list."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from proxy.app.pictures import NoExamples, example_keys, list_pictures
from proxy.config.settings import load_settings
from proxy.origins.sources import Rewrite, Source, Sources

PICTURES = ("b.jpg", "a.PNG", "cats/tom.webp", "cats/c/1.gif")
OTHERS = ("notes.txt", ".hidden.jpg", ".hidden/no.jpg", "cats/.no/no.jpg", "jpg")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "originals"
    for key in (*PICTURES, *OTHERS):
        (folder / key).parent.mkdir(parents=True, exist_ok=True)
        (folder / key).touch()
    (folder / "folder.jpg").mkdir()
    return folder


def sources(default: Path | str | None, **named: Path | str) -> Sources:
    return Sources(
        default=None if default is None else Source(url=str(default)),
        named={name: Source(url=str(url)) for name, url in named.items()},
    )


def test_pictures_are_told_by_their_suffix_and_nothing_hidden_is_one(folder: Path) -> None:
    assert list_pictures(load_settings(origin=str(folder))) == [
        "a.PNG",
        "b.jpg",
        "cats/tom.webp",
        "cats/c/1.gif",
    ]


def test_origins_without_a_list_are_passed_over_where_another_has_one(folder: Path) -> None:
    origins = f"shop=http://127.0.0.1:9/,here={folder / 'cats'},gone={folder / 'gone'}"
    assert list_pictures(load_settings(origins=origins)) == ["here/tom.webp", "here/c/1.gif"]


def test_without_any_list_keys_must_be_given(folder: Path, tmp_path: Path) -> None:
    rewriting = tmp_path / "origins.yaml"
    rewriting.write_text(f"origins:\n  here:\n    url: {folder}\n    rewrite:\n      '(.*)': x/\\1\n")
    for settings in (
        load_settings(origin="http://origin.example"),
        load_settings(origin=str(folder / "gone")),
        load_settings(origins=str(rewriting)),
    ):
        with pytest.raises(ValueError, match=r"no origin is a folder or a bucket .* --keys"):
            list_pictures(settings)


OTHERWISE = "image-proxy url w_300 KEY"


def test_three_examples_are_the_first_pictures_right_in_a_folder(folder: Path) -> None:
    assert example_keys(sources(folder), OTHERWISE) == ["a.PNG", "b.jpg"]
    (folder / "c.jpg").touch()
    (folder / "d.jpg").touch()
    assert example_keys(sources(folder), OTHERWISE) == ["a.PNG", "b.jpg", "c.jpg"]


def test_examples_come_from_subfolders_where_a_folder_has_no_picture_itself(folder: Path) -> None:
    (folder / "a.PNG").unlink()
    (folder / "b.jpg").unlink()
    assert example_keys(sources(folder), OTHERWISE) == ["cats/tom.webp", "cats/c/1.gif"]
    (folder / "cats/tom.webp").unlink()
    assert example_keys(sources(None, here=folder), OTHERWISE) == ["here/cats/c/1.gif"]


def test_examples_come_from_named_folders_too(folder: Path) -> None:
    assert example_keys(sources("http://origin.example", here=folder / "cats"), OTHERWISE) == [
        "here/tom.webp"
    ]
    assert example_keys(sources(None, one=folder, two=folder / "cats"), OTHERWISE) == [
        "one/a.PNG", "one/b.jpg", "two/tom.webp",
    ]  # fmt: skip


def refused(sources: Sources) -> str:
    with pytest.raises(NoExamples) as raised:
        example_keys(sources, OTHERWISE)
    return str(raised.value)


def test_without_a_local_picture_it_is_said_why_there_is_no_example(folder: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    rewriting = Source(url=str(folder), rewrite=(Rewrite(match=re.compile("(.*)"), to=r"x/\1"),))
    for origins, reason in (
        (sources(empty), f"no picture is in the folder {str(empty)!r}"),
        (sources(None, shop="s3://bucket"), "a bucket is not searched for the sake of an example"),
        (sources("https://a.example", b="http://b.example"), "an HTTP server does not list its originals"),
        (sources(None), "there is no origin"),
        (Sources(default=rewriting), "keys are rewritten, so names of files are not the keys"),
    ):
        assert refused(origins) == f"{reason}. Write the URL of a picture: {OTHERWISE}"
