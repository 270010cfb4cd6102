"""Font files: which ones fontconfig finds under the configuration that is in use, and what names them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from xml.etree import ElementTree

OWN_FONTS_FILE = Path(__file__).with_name("fonts.conf")
MAX_FONTS_FILE_BYTES = 1_000_000

FONT_SUFFIXES = (".ttf", ".otf", ".ttc", ".otc")
"""Of OpenType and TrueType, which is all that Pango draws."""

MAX_INCLUDES = 200
"""Files that one fonts.conf may bring in, directly or not."""

HEAD_BYTES = 4096
"""Of a font: its tables are listed there, each with a checksum."""


def fonts_conf() -> Path:
    """Return the fonts.conf in use."""
    return Path(os.environ.get("FONTCONFIG_FILE") or OWN_FONTS_FILE)


def font_files() -> list[Path]:
    """Return the fonts that can be read, each once, in the order in which fontconfig finds their folders."""
    found: dict[str, Path] = {}
    for folder in _font_folders(fonts_conf(), set()):
        for file in _fonts_below(folder):
            found.setdefault(os.path.realpath(file), file)
    return list(found.values())


def fonts_digest() -> str:
    """
    Name the fonts and their configuration: equal on machines that have the same ones, wherever and since
    whenever they lie there.
    """
    seen = set()
    for file in font_files():
        with suppress(OSError), file.open("rb") as font:
            head = hashlib.sha256(font.read(HEAD_BYTES)).hexdigest()
            seen.add(f"{file.name} {os.fstat(font.fileno()).st_size} {head}")
    digest = hashlib.sha256(_read(fonts_conf()))
    digest.update("\n".join(sorted(seen)).encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _font_folders(conf: Path, seen: set[Path]) -> Iterator[Path]:
    """The folders that a fonts.conf names, and those that it includes (fonts-conf(5))."""
    if conf in seen or len(seen) > MAX_INCLUDES:
        return
    seen.add(conf)
    if conf.is_dir():
        for each in sorted(conf.glob("[0-9]*.conf")):
            yield from _font_folders(each, seen)
        return
    try:
        root = ElementTree.fromstring(_read(conf))  # noqa: S314  the operator's own
    except ElementTree.ParseError:
        return
    for element in root:
        text = (element.text or "").strip()
        if not text or element.tag not in ("dir", "include"):
            continue
        path = _resolved(text, element.get("prefix", "default"), conf, is_file=element.tag == "include")
        if element.tag == "dir":
            yield path
        else:
            yield from _font_folders(path, seen)


def _resolved(text: str, prefix: str, conf: Path, *, is_file: bool) -> Path:
    if prefix == "xdg":
        name, default = ("XDG_CONFIG_HOME", "~/.config") if is_file else ("XDG_DATA_HOME", "~/.local/share")
        return Path(os.environ.get(name) or os.path.expanduser(default), text)
    path = Path(os.path.expanduser(text))
    return conf.parent / path if is_file or prefix == "relative" else Path(os.path.abspath(path))


def _fonts_below(folder: Path) -> Iterator[Path]:
    seen = set()
    for parent, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(parent)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders.sort()
        yield from (Path(parent, file) for file in sorted(files) if file.lower().endswith(FONT_SUFFIXES))


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(MAX_FONTS_FILE_BYTES)
    except OSError:
        return b""
