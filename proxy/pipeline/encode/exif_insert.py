"""Getting a finished EXIF block into a file, byte for byte."""

from __future__ import annotations

import secrets
from functools import cache
from zlib import crc32

import pyvips

from proxy.model.media import Format

_FIELD = "exif-ifd0-ImageDescription"
_MARK_BYTES = 32


def with_placeholder(image: pyvips.Image, block: bytes) -> tuple[pyvips.Image, bytes]:
    """
    Return `image` with a text in its EXIF that makes libvips write a block of the length of `block`, or of
    the shortest one, if that is longer; and the beginning of that text, which is found in no other place.
    """
    before, after = _lengths_around()
    mark = secrets.token_hex(_MARK_BYTES // 2).encode()
    length = max(len(block) + (len(block) & 1) - before - after, _MARK_BYTES)
    image = image.copy()
    image.set_type(pyvips.GValue.gstr_type, _FIELD, mark.decode().ljust(length, "."))
    return image, mark


def replace_placeholder(file: bytes, format: Format, block: bytes, mark: bytes) -> bytes:
    """
    Return `file` with `block` in the place that `with_placeholder` made for it. Zeros after it belong to
    nothing. Raises ValueError where libvips wrote no such place.
    """
    before, after = _lengths_around()
    start = file.find(mark) - before
    if start < 0 or file.find(mark, start + before + 1) != -1:
        raise ValueError("libvips wrote no EXIF block")
    length = max(len(block) + (len(block) & 1), before + after + _MARK_BYTES)
    end = start + length
    if file[start : start + 4] not in (b"II*\0", b"MM\0*"):
        raise ValueError("libvips wrote another EXIF block than it used to")
    file = file[:start] + block.ljust(length, b"\0") + file[end:]
    if format is Format.PNG:
        file = file[:end] + crc32(file[start - 4 : end]).to_bytes(4, "big") + file[end + 4 :]
    return file


@cache
def _lengths_around() -> tuple[int, int]:
    """How many bytes libvips writes before the text and after it, which only depends on its version."""
    image = pyvips.Image.black(1, 1, bands=3).copy(interpretation="srgb")
    text = b"." * _MARK_BYTES
    image.set_type(pyvips.GValue.gstr_type, _FIELD, text.decode())
    file: bytes = image.pngsave_buffer(keep="exif")
    chunk = file.index(b"eXIf")
    start, length = chunk + 4, int.from_bytes(file[chunk - 4 : chunk], "big")
    before = file.index(text) - start
    return before, length - before - len(text)
