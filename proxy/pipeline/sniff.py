"""What bytes are, told from the bytes alone: neither a name nor a declared type is believed."""

from __future__ import annotations

from proxy.errors import NotAnImage
from proxy.media import Format

_AV1_BRANDS = frozenset({b"avif", b"avis"})
_HEVC_BRANDS = frozenset(
    {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
)

_MAGIC: tuple[tuple[bytes, Format], ...] = (
    (b"\xff\xd8\xff", Format.JPEG),
    (b"\x89PNG\r\n\x1a\n", Format.PNG),
    (b"GIF87a", Format.GIF),
    (b"GIF89a", Format.GIF),
    (b"II*\0", Format.TIFF),
    (b"MM\0*", Format.TIFF),
    (b"II+\0", Format.TIFF),
    (b"MM\0+", Format.TIFF),
)

_OTHERS: tuple[tuple[bytes, str], ...] = (
    (b"%PDF", "a PDF"),
    (b"%!PS", "PostScript"),
    (b"BM", "a BMP image"),
    (b"\0\0\1\0", "an icon (ICO)"),
    (b"8BPS", "a Photoshop document"),
    (b"\xff\x0a", "a JPEG XL image"),
    (b"\0\0\0\x0cJXL ", "a JPEG XL image"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000 image"),
    (b"PK\3\4", "a ZIP archive"),
    (b"\x1f\x8b", "gzip-compressed data"),
    (b"qoif", "a QOI image"),
)

_MARKUP: tuple[tuple[bytes, str], ...] = (
    (b"<svg", "an SVG image"),
    (b"<!doctype svg", "an SVG image"),
    (b"<!doctype html", "an HTML page"),
    (b"<html", "an HTML page"),
    (b"<?xml", "an XML document"),
    (b"{", "JSON"),
)


def sniff(body: bytes | memoryview) -> Format:
    """The format of an original. Raises NotAnImage, whose message names what was recognised instead."""
    head = bytes(body[:512])
    for magic, format in _MAGIC:
        if head.startswith(magic):
            return format
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return Format.WEBP
    if head[4:8] == b"ftyp" and _brands(head) & _AV1_BRANDS:
        return Format.AVIF
    accepted = ", ".join(format.value for format in Format)
    raise NotAnImage(f"the original is {_other(head)}; accepted are {accepted}", allowed=accepted)


def _brands(head: bytes) -> frozenset[bytes]:
    """Major and compatible brands of a `ftyp` box (ISO/IEC 14496-12, 4.3)."""
    end = min(int.from_bytes(head[:4], "big"), len(head))
    return frozenset({head[8:12], *(head[at : at + 4] for at in range(16, end - 3, 4))})


def _other(head: bytes) -> str:
    if not head:
        return "empty"
    if head[4:8] == b"ftyp":
        return "a HEIC image" if _brands(head) & _HEVC_BRANDS else "a video or another ISO media file"
    for magic, name in _OTHERS:
        if head.startswith(magic):
            return name
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith((b"<?xml", b"<!--")) and b"<svg" in text:
        return "an SVG image"
    for start, name in _MARKUP:
        if text.startswith(start):
            return name
    return "no image that is known here"
