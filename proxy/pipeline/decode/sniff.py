"""What bytes are, told from the bytes alone: neither a name nor a declared type is believed."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from proxy.model.errors import NotAnImage
from proxy.model.magic import HEAD_BYTES, format_by_magic
from proxy.model.media import Format, Incoming, InputOnly
from proxy.pipeline.decode import bmp_header
from proxy.pipeline.decode.svg_text import is_svg

FORMAT_NAMES: Mapping[Incoming, str] = {
    InputOnly.SVG: "an SVG image",
    InputOnly.HEIC: "a HEIC image",
    Format.JXL: "a JPEG XL image",
    InputOnly.BMP: "a BMP image",
    InputOnly.ICO: "an icon (ICO)",
}

_OTHER_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"%PDF", "a PDF"),
    (b"%!PS", "PostScript"),
    (b"8BPS", "a Photoshop document"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000 image"),
    (b"PK\3\4", "a ZIP archive"),
    (b"\x1f\x8b", "gzip-compressed data"),
    (b"qoif", "a QOI image"),
)

_MARKUP: tuple[tuple[bytes, str], ...] = (
    (b"<!doctype html", "an HTML page"),
    (b"<html", "an HTML page"),
    (b"<?xml", "an XML document"),
    (b"{", "JSON"),
)


ALL_INPUT_FORMATS: tuple[Incoming, ...] = (*Format, *InputOnly)


def sniff(body: bytes | memoryview, accepted: Collection[Incoming] = ALL_INPUT_FORMATS) -> Incoming:
    """
    Recognise the format of an original by its first bytes.

    Raises NotAnImage for all but `accepted` ones; its message names what was recognised instead.
    """
    head = bytes(body[:HEAD_BYTES])
    format = _recognise(head) or (InputOnly.SVG if is_svg(body) else None)
    if format is not None and format in accepted:
        return format
    known = ", ".join(format.value for format in ALL_INPUT_FORMATS if format in accepted)
    seen = FORMAT_NAMES.get(format, f"a {format} image") if format else _describe_other(head)
    raise NotAnImage(f"the original is {seen}; accepted are {known}", allowed=known)


def _recognise(head: bytes) -> Incoming | None:
    if (format := format_by_magic(head)) is not None:
        return format
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in bmp_header.HEADER_SIZES:
        return InputOnly.BMP
    return None


def _describe_other(head: bytes) -> str:
    if not head:
        return "empty"
    if head[4:8] == b"ftyp":
        return "a video or another ISO media file"
    for magic, name in _OTHER_MAGIC:
        if head.startswith(magic):
            return name
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    for start, name in _MARKUP:
        if text.startswith(start):
            return name
    return "no image that is known here"
