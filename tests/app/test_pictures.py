"""Which keys are warmed and which are shown as examples, of what origins list."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from proxy.app.pictures import example_keys, list_pictures
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


def test_three_examples_are_the_first_pictures_right_in_a_folder(folder: Path) -> None:
    assert example_keys(sources(folder)) == ["a.PNG", "b.jpg", "a.PNG"]
    (folder / "c.jpg").touch()
    (folder / "d.jpg").touch()
    assert example_keys(sources(folder)) == ["a.PNG", "b.jpg", "c.jpg"]


def test_examples_come_from_named_folders_too(folder: Path) -> None:
    assert example_keys(sources("http://origin.example", here=folder / "cats")) == ["here/tom.webp"] * 3
    assert example_keys(sources(None, one=folder, two=folder / "cats")) == [
        "one/a.PNG", "one/b.jpg", "two/tom.webp",
    ]  # fmt: skip


def test_without_a_local_picture_the_shape_of_a_key_is_shown(tmp_path: Path) -> None:
    assert example_keys(sources(tmp_path)) == ["path/of/an/original.jpg"] * 3
    assert example_keys(sources(None, shop="s3://bucket")) == ["shop/path/of/an/original.jpg"] * 3
    assert example_keys(sources(None)) == ["path/of/an/original.jpg"] * 3


def test_names_of_files_are_no_examples_where_keys_are_rewritten(folder: Path) -> None:
    rewrite = (Rewrite(match=re.compile("(.*)"), to=r"x/\1"),)
    rewriting = Sources(default=Source(url=str(folder), rewrite=rewrite))
    assert example_keys(rewriting) == ["path/of/an/original.jpg"] * 3
