"""
The one place where libvips' errors become ours, and the only one that knows their wording: libvips tells
what went wrong by text alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pyvips

from proxy.model.errors import ProxyError

LIBVIPS_ERRORS = (pyvips.Error, UnicodeDecodeError)
"""`pyvips.Error` fails to make itself when libvips' message, which quotes the file, is not UTF-8."""

MISSING_ROWS = "premature end of data segment"
"""
libjpeg's warning, as libvips 8.18 quotes it, about a picture that ends before its last row and says that it
is whole. `tests/pipeline/decode/test_libvips.py` fails when a new libvips puts it in other words.
"""

GARBLED = ("bad Huffman code", "instead of RST")
"""libjpeg's warnings about data that do not decode."""


UNENDED = "premature end of JPEG image"
"""libjpeg's error about a picture without an end, which for a tile of a TIFF is only a warning of libvips."""


class GarbledRows(Exception):
    """Some of a JPEG's data are no code: libvips shows what it makes of the rest."""


class MissingRows(Exception):
    """A JPEG has fewer rows than its header says: libvips would show grey in place of the rest."""


@contextmanager
def libvips(kind: type[ProxyError], message: str) -> Iterator[None]:
    """Turn what libvips raises within into `kind`. Its own words go to the traceback, never to clients."""
    try:
        yield
    except LIBVIPS_ERRORS as error:
        raise kind(message) from error


@contextmanager
def jpeg_warnings(*, of_tiles: bool = False) -> Iterator[None]:
    """
    Raise MissingRows or GarbledRows in place of libvips' error about such a warning of libjpeg; `of_tiles`
    for those of a TIFF, which have to have an end.

    libvips fails for a warning when it reads on, so one about the last rows fails nothing: it is only left in
    the buffer of errors.
    """
    _error_text()
    try:
        yield
    except pyvips.Error as error:
        _raise_warning(str(error), error)
        raise
    text = _error_text()
    if of_tiles and UNENDED in text:
        raise MissingRows
    _raise_warning(text, None)


def _error_text() -> str:
    """What is in libvips' buffer of errors, which is emptied."""
    text: bytes = pyvips.ffi.string(pyvips.vips_lib.vips_error_buffer())
    pyvips.vips_lib.vips_error_clear()
    return text.decode("utf-8", "replace")


def _raise_warning(text: str, cause: Exception | None) -> None:
    if MISSING_ROWS in text:
        raise MissingRows from cause
    if any(warning in text for warning in GARBLED):
        raise GarbledRows from cause
