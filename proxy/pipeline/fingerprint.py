"""What the bytes of a rendition depend on besides the job, named: libraries, encoders, detectors, fonts."""

from __future__ import annotations

import ctypes
import hashlib
import locale
import os
import platform
import sys
from collections.abc import Iterator
from importlib import metadata

import pyvips

from proxy.fonts.files import fonts_digest
from proxy.pipeline.decode.loaders import loadable
from proxy.pipeline.encode.savers import savable
from proxy.pipeline.find.faces import detector

LIBVIPS_WHEEL = "pyvips-binary"
"""All of libvips and its codecs in one library: its version pins theirs."""

_UNSHAPING = frozenset({"VIPS_CONCURRENCY", "VIPS_INFO", "VIPS_LEAK", "VIPS_MAX_COORD", "VIPS_WARNING"})
"""Variables of libvips that change how long it takes, what it refuses and what it logs, and no pixel."""


def fingerprint() -> str:
    """
    Return 64 hex digits, equal for all renderers whose equal jobs give equal bytes.

    To be called after `warm_up`, when all libraries are loaded.
    """
    return hashlib.sha256("\n".join(fingerprint_facts()).encode("utf-8", "surrogateescape")).hexdigest()


def fingerprint_facts() -> Iterator[str]:
    """Yield what goes into the fingerprint, one fact a line."""
    yield f"machine {platform.machine()}"  # vector code rounds differently on each kind
    yield f"libvips {'.'.join(str(pyvips.version(place)) for place in range(3))}"
    yield f"pyvips {pyvips.__version__}"
    yield from _codecs()
    yield f"load {' '.join(sorted(loadable()))}"
    yield f"save {' '.join(sorted(savable()))}"
    for name, value in sorted(os.environ.items()):
        if name.startswith("VIPS_") and name not in _UNSHAPING:
            yield f"{name} {value}"
    yield f"faces {getattr(sys.modules['dlib'], '__version__', '?') if detector() else 'none'}"
    # Pango takes letters that languages share (those of Chinese and Japanese) from the locale's own fonts.
    yield f"language {locale.setlocale(locale.LC_CTYPE)} {os.environ.get('PANGO_LANGUAGE', '')}"
    yield f"fonts {fonts_digest()}"


def _codecs() -> Iterator[str]:
    """The version of the wheel that brings them, else of each library that is loaded."""
    try:
        yield f"{LIBVIPS_WHEEL} {metadata.version(LIBVIPS_WHEEL)}"
    except metadata.PackageNotFoundError:
        yield from sorted(f"library {os.path.basename(path)}" for path in _loaded_libraries())


class _Library(ctypes.Structure):
    """The beginning of struct dl_phdr_info (dl_iterate_phdr(3))."""

    _fields_ = (("address", ctypes.c_void_p), ("name", ctypes.c_char_p))


def _loaded_libraries() -> set[str]:
    """Files of the libraries in this process, links followed to where the version is in the name."""
    found: set[str] = set()
    if sys.platform != "linux":
        return found

    def take(library: ctypes._Pointer[_Library], _size: int, _data: None) -> int:
        name = os.fsdecode(library.contents.name or b"")
        if os.path.basename(name).startswith("lib"):  # the others are modules of Python
            found.add(os.path.realpath(name))
        return 0

    callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(_Library), ctypes.c_size_t, ctypes.c_void_p)
    ctypes.CDLL(None).dl_iterate_phdr(callback(take), None)
    return found
