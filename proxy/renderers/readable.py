"""What a renderer may read: code, libraries and fonts, and no file of the machine or of the service."""

from __future__ import annotations

import os
import re
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import suppress
from importlib.machinery import EXTENSION_SUFFIXES, PathFinder
from pathlib import Path

import proxy
from proxy.fonts.files import MAX_FONTS_FILE_BYTES, OWN_FONTS_FILE, fonts_conf

LIBRARIES = (
    "/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/local/lib64", "/nix/store",
    "/gnu/store", "/etc/ld.so.cache",
)  # fmt: skip
SYSTEM_FACTS = (
    "/dev/null", "/dev/urandom", "/etc/localtime", "/usr/share/zoneinfo", "/usr/share/locale",
    "/usr/share/mime", "/sys/devices/system/cpu", "/proc/cpuinfo", "/proc/meminfo",
)  # fmt: skip
"""What libraries ask of a machine: no more than how it counts time and how many cores it has."""

LIBRARY_FOLDERS = Path("/etc/ld.so.conf.d")
"""Files that name, one a line, where the machine has further libraries (ldconfig(8))."""

FONT_FOLDERS = ("/usr/share/fonts", "/usr/local/share/fonts", "/usr/share/fontconfig", "/etc/fonts")
FONT_CACHES = ("/var/cache/fontconfig",)

_FOLDER = re.compile(r"<(?:cache)?dir(?:\s[^<>]*)?>([^<>]+)</")

INSTALLED = ("site-packages", "dist-packages")
"""What folders are called that hold nothing but packages."""


def readable_paths() -> list[str]:
    """
    Return the files and folders, which need not exist, that Python, libvips and fontconfig read.

    Of a folder on `sys.path` that is not part of an installation (the current folder, a checkout) that is the
    modules and packages in it, and nothing that lies beside them.
    """
    paths = [
        *LIBRARIES, *SYSTEM_FACTS, *FONT_FOLDERS, *FONT_CACHES, *font_folders(),
        *library_folders(), str(Path(proxy.__file__).parent),
        *map(sysconfig.get_path, ("stdlib", "platstdlib", "purelib", "platlib")),
    ]  # fmt: skip
    paths += [path for name, path in os.environ.items() if name.startswith("FONTCONFIG_")]
    paths += os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep)
    for folder in sys.path:
        paths += [folder] if _is_installation(folder) else _modules(folder)
    return [path for path in dict.fromkeys(map(os.path.abspath, filter(None, paths))) if path != "/"]


def needed_paths() -> list[str]:
    """Return those without which no renderer can work, whatever user it runs as."""
    folders = [each for each in sys.path if os.path.exists(each)]
    return [os.__file__, os.path.abspath(proxy.__file__), str(OWN_FONTS_FILE), *folders]


def remember_modules() -> None:
    """
    Have Python list all folders of `sys.path` now: it remembers their names, and imports from those that can
    be read but not listed afterwards.
    """
    PathFinder.find_spec("no_module_has_this_name")


def library_folders() -> list[str]:
    """Return the folders that this machine's linker searches besides the usual ones."""
    lines: list[str] = []
    for file in LIBRARY_FOLDERS.glob("*.conf"):
        with suppress(OSError):
            lines += file.read_text("utf-8", "replace").splitlines()
    return [line.strip() for line in lines if line.startswith("/")]


def font_folders() -> list[str]:
    """Return the absolute folders of fonts and caches that the fonts.conf in use names."""
    file = fonts_conf()
    try:
        text = file.read_bytes()[:MAX_FONTS_FILE_BYTES].decode("utf-8", "replace")
    except OSError:
        return []
    folders = [os.path.expanduser(found.strip()) for found in _FOLDER.findall(text)]
    return [str(file.parent), *(each for each in folders if os.path.isabs(each))]


def _is_installation(folder: str) -> bool:
    """Whether it belongs to Python, or is where packages are installed."""
    standard = {sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")}
    return Path(folder).name in INSTALLED or any(Path(folder).is_relative_to(each) for each in standard)


def _modules(folder: str) -> Iterator[str]:
    suffixes = (".py", *EXTENSION_SUFFIXES)
    try:
        entries = list(os.scandir(folder))
    except OSError:  # an archive of the standard library, or nothing
        if os.path.isfile(folder):
            yield folder
        return
    for entry in entries:
        if entry.name.endswith(suffixes) or os.path.exists(os.path.join(entry.path, "__init__.py")):
            yield entry.path
