"""What bytes begin with in each format of pixels: enough to tell one from another, whole or not."""

from __future__ import annotations

from proxy.model.media import Format, Incoming, InputOnly

HEAD_BYTES = 4096
"""How much of a file the functions here look at."""

_STARTS: tuple[tuple[bytes, Incoming], ...] = (
    (b"\xff\xd8\xff", Format.JPEG),
    (b"\x89PNG\r\n\x1a\n", Format.PNG),
    (b"GIF87a", Format.GIF),
    (b"GIF89a", Format.GIF),
    (b"II*\0", Format.TIFF),
    (b"MM\0*", Format.TIFF),
    (b"II+\0", Format.TIFF),
    (b"MM\0+", Format.TIFF),
    (b"\xff\x0a", Format.JXL),
    (b"\0\0\0\x0cJXL ", Format.JXL),
    (b"\0\0\1\0", InputOnly.ICO),
)
_AV1_BRANDS = frozenset({b"avif", b"avis"})
_HEVC_BRANDS = frozenset(
    {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
)


def format_by_magic(body: bytes | memoryview) -> Incoming | None:
    """Return the format that `body` begins like, of those that begin with fixed bytes: not of SVG and BMP."""
    head = bytes(body[:HEAD_BYTES])
    for start, format in _STARTS:
        if head.startswith(start):
            return format
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return Format.WEBP
    if head[4:8] == b"ftyp" and _brands(head) & (_AV1_BRANDS | _HEVC_BRANDS):
        return Format.AVIF if _brands(head) & _AV1_BRANDS else InputOnly.HEIC
    return None


def _brands(head: bytes) -> frozenset[bytes]:
    """Major and compatible brands of a `ftyp` box (ISO/IEC 14496-12, 4.3)."""
    end = min(int.from_bytes(head[:4], "big"), len(head))
    return frozenset({head[8:12], *(head[at : at + 4] for at in range(16, end - 3, 4))})
