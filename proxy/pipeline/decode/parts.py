"""
The parts that files are made of: segments of JPEG (ITU T.81 annex B), chunks of PNG and of RIFF, boxes of
ISO/IEC 14496-12. Bounds come first: what is not as it should be ends the walk.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from proxy.model.media import Body

_MAX_PARTS = 100_000

_SOI, _EOI, _SOS = 0xD8, 0xD9, 0xDA


@dataclass(frozen=True, slots=True)
class FilePart:
    """
    One part: its kind, and the bytes of `body` from `start` to `end`, with its header; `content` is where
    its data begin, `data` the first bytes of these.
    """

    kind: bytes
    start: int
    content: int
    end: int
    data: bytes = field(repr=False)


_PEEK = 64


def jpeg_segments(body: Body) -> Iterator[FilePart]:
    """Each segment up to the first scan, its kind the marker's second byte; the scan's header is the last."""
    at = 2
    for _ in range(_MAX_PARTS):
        if at + 4 > len(body) or body[at] != 0xFF:
            return
        if body[at + 1] == 0xFF:
            # Any marker may be preceded by such (B.1.1.2).
            at += 1
            continue
        marker = body[at + 1]
        length = body[at + 2] << 8 | body[at + 3]
        end = at + 2 + length
        if marker in (0x00, 0x01, _EOI) or 0xD0 <= marker <= _SOI or length < 2 or end > len(body):
            return
        yield FilePart(bytes((marker,)), at, at + 4, end, bytes(body[at + 4 : min(end, at + 4 + _PEEK)]))
        if marker == _SOS:
            return
        at = end


def png_chunks(body: Body) -> Iterator[FilePart]:
    """Each chunk up to and with IEND; its last 4 bytes are the CRC."""
    at = 8
    for _ in range(_MAX_PARTS):
        if at + 12 > len(body):
            return
        end = at + 12 + int.from_bytes(body[at : at + 4], "big")
        if end > len(body):
            return
        kind = bytes(body[at + 4 : at + 8])
        yield FilePart(kind, at, at + 8, end, bytes(body[at + 8 : min(end - 4, at + 8 + _PEEK)]))
        if kind == b"IEND":
            return
        at = end


def webp_chunks(body: Body) -> Iterator[FilePart]:
    """Each chunk of the RIFF that begins the file, without what pads it."""
    at, stop = 12, min(len(body), 8 + int.from_bytes(body[4:8], "little"))
    for _ in range(_MAX_PARTS):
        if at + 8 > stop:
            return
        end = at + 8 + int.from_bytes(body[at + 4 : at + 8], "little")
        if end > stop:
            return
        yield FilePart(
            bytes(body[at : at + 4]), at, at + 8, end, bytes(body[at + 8 : min(end, at + 8 + _PEEK)])
        )
        at = end + (end & 1)


def iso_boxes(body: Body) -> Iterator[FilePart]:
    """Each box of the first level."""
    at = 0
    for _ in range(_MAX_PARTS):
        if at + 8 > len(body):
            return
        size, header = int.from_bytes(body[at : at + 4], "big"), 8
        if size == 1:
            size, header = int.from_bytes(body[at + 8 : at + 16], "big"), 16
        end = at + size if size else len(body)
        if end < at + header or end > len(body):
            return
        kind = bytes(body[at + 4 : at + 8])
        content = at + header
        yield FilePart(kind, at, content, end, bytes(body[content : min(end, content + _PEEK)]))
        at = end
