"""
A JPEG's own compressed data, and nothing else of its file (ITU T.81 annex B): segments are written anew from
an allow-list, and what no decoder needs does not leave.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field

from proxy.model.media import Body

_SOI, _EOI, _SOS, _DQT, _DHT, _DRI, _COM = 0xD8, 0xD9, 0xDA, 0xDB, 0xC4, 0xDD, 0xFE
_FRAMES = frozenset({0xC0, 0xC1, 0xC2})
"""Huffman-coded, sequential and progressive."""

_APP0, _APP14, _APPS = 0xE0, 0xEE, range(0xE0, 0xF0)
_JFIF = b"JFIF\0\1\1\0\0\1\0\1\0\0"
_MAX_SEGMENTS = 2000
_MAX_LOW_NIBBLE = 10
"""Of a code for 8-bit samples (F.1.2.2): more bits than that no coefficient has."""

_MAX_DC_CODE = 11
_SCAN_END = re.compile(rb"\xff[^\x00\xd0-\xd7]")
_RESTART = re.compile(rb"\xff[\xd0-\xd7]")


class NotPlain(ValueError):
    """A file whose data are not of the usual kind, or hold more than a picture."""


@dataclass(slots=True)
class _Walk:
    parts: list[bytes] = field(default_factory=lambda: [b"\xff\xd8"])
    components: dict[int, int] = field(default_factory=dict)
    """The quantisation table of each, by the component's number."""
    tables: dict[int, bytes] = field(default_factory=dict)
    frame: bytes | None = None
    restarts: int = 0
    has_jfif: bool = False
    transform: int | None = None
    begun: bool = False


def plain_jpeg(body: Body) -> bytes:
    """
    Return the file with its frame, tables and scans alone, without metadata and profiles.

    Raises NotPlain for one that has anything else which a decoder may need or a scan may hide.
    """
    walk, at = _Walk(), 2
    if bytes(body[:2]) != b"\xff\xd8":
        raise NotPlain
    for _ in range(_MAX_SEGMENTS):
        while bytes(body[at : at + 2]) == b"\xff\xff":
            at += 1
        if at + 2 > len(body) or body[at] != 0xFF:
            raise NotPlain
        marker = body[at + 1]
        if marker == _EOI:
            if not walk.begun:
                raise NotPlain
            return b"".join((*walk.parts, b"\xff\xd9"))
        if at + 4 > len(body):
            raise NotPlain
        end = at + 2 + (body[at + 2] << 8 | body[at + 3])
        if end < at + 4 or end > len(body):
            raise NotPlain
        at = _take(walk, marker, bytes(body[at + 4 : end]), body, end)
    raise NotPlain


def last_scan_cut(jpeg: bytes, count: int) -> bytes:
    """Return what `plain_jpeg` gave without the last `count` bytes of its last scan."""
    return jpeg[: -2 - count].rstrip(b"\xff") + b"\xff\xd9"


def _take(walk: _Walk, marker: int, data: bytes, body: Body, end: int) -> int:
    """Add what may leave of one segment; return where the next one begins."""
    if marker == _APP0 and not walk.begun:
        walk.has_jfif = walk.has_jfif or data.startswith(b"JFIF\0")
    elif marker == _APP14 and not walk.begun and data.startswith(b"Adobe") and len(data) >= 12:
        walk.transform = data[11]
    elif marker in _APPS or marker == _COM:
        pass
    elif marker in _FRAMES and walk.frame is None:
        _take_frame(walk, marker, data)
    elif marker == _DQT:
        _take_quantisation(walk, data)
    elif marker == _DHT:
        walk.parts.append(_segment(marker, _huffman(data)))
    elif marker == _DRI and len(data) == 2:
        (walk.restarts,) = struct.unpack(">H", data)
        walk.parts.append(_segment(marker, data))
    elif marker == _SOS and walk.frame is not None:
        return _take_scan(walk, data, body, end)
    else:
        raise NotPlain
    return end


def _take_frame(walk: _Walk, marker: int, data: bytes) -> None:
    if len(data) < 6 or data[0] != 8 or data[5] not in (1, 3) or len(data) != 6 + 3 * data[5]:
        raise NotPlain
    walk.components = {data[at]: data[at + 2] for at in range(6, len(data), 3)}
    walk.frame = _segment(marker, data)
    if len(walk.components) != data[5]:
        raise NotPlain


def _take_quantisation(walk: _Walk, data: bytes) -> None:
    at = 0
    while at < len(data):
        size = 129 if data[at] >> 4 else 65
        # A table that is there twice is there for another purpose.
        if data[at] >> 4 > 1 or data[at] & 15 in walk.tables or at + size > len(data) or walk.begun:
            raise NotPlain
        walk.tables[data[at] & 15] = data[at : at + size]
        at += size


def _huffman(data: bytes) -> bytes:
    at = 0
    while at < len(data):
        codes = data[at + 17 : at + 17 + sum(data[at + 1 : at + 17])]
        is_dc, place = data[at] >> 4 == 0, data[at] & 15
        if len(data) < at + 17 + len(codes) or len(set(codes)) < sum(data[at + 1 : at + 17]):
            raise NotPlain
        if data[at] >> 4 > 1 or place > 3:
            raise NotPlain
        if any(code > _MAX_DC_CODE if is_dc else code & 15 > _MAX_LOW_NIBBLE for code in codes):
            raise NotPlain
        at += 17 + len(codes)
    return data


def _take_scan(walk: _Walk, data: bytes, body: Body, start: int) -> int:
    count = data[0] if data else 0
    if not 1 <= count <= 3 or len(data) != 4 + 2 * count:
        raise NotPlain
    if any(data[at] not in walk.components for at in range(1, 1 + 2 * count, 2)):
        raise NotPlain
    found = _SCAN_END.search(body, start)
    if found is None or body[found.start() + 1] == 0xFF:
        raise NotPlain
    scan = bytes(body[start : found.start()])
    if not scan or (not walk.restarts and _RESTART.search(scan)):
        raise NotPlain
    if not walk.begun:
        walk.parts[1:1] = _heads(walk)
        walk.begun = True
    walk.parts += (_segment(_SOS, data), scan)
    return found.start()


def _heads(walk: _Walk) -> list[bytes]:
    """What comes before the first scan, in one order: the tables that are used, and the frame."""
    heads = [_segment(_APP0, _JFIF)] if walk.has_jfif else []
    if walk.transform is not None:
        heads.append(_segment(_APP14, b"Adobe\0\x64\0\0\0\0" + bytes((walk.transform,))))
    for number in sorted(set(walk.components.values())):
        if number not in walk.tables:
            raise NotPlain
        heads.append(_segment(_DQT, walk.tables[number]))
    assert walk.frame is not None, "a scan was only taken with its frame"
    return [*heads, walk.frame]


def _segment(marker: int, data: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data
