"""
JPEGs that decoders complain of: which have all of the picture, and which were cut short (ITU T.81, annex B).

Where a decoder runs out of data it fills the rest with grey and says so in a warning; that a file lacks the
two bytes of its end it calls an error. Neither tells whether anything is missing.
"""

from __future__ import annotations

import re
import struct
from contextlib import suppress
from dataclasses import dataclass, field

from proxy.model.media import Body, Format
from proxy.pipeline.decode.loaders import open_image

_EOI = b"\xff\xd9"
_PADDINGS = (bytes(63), b"\x55" * 63, b"\xb6\xd9\x2c" * 21)
_STARTS_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = 0xC2
_SCAN, _RESTARTS, _END = 0xDA, 0xDD, 0xD9
_NOT_OF_PIXELS = frozenset({0xFE, *range(0xE0, 0xF0)}) - {0xE0, 0xE2, 0xEE}
"""Comments and applications' own, but for JFIF, profiles, and what Adobe says of colours."""

_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD9)})
_MARKER_BEHIND_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_RESTART = re.compile(rb"\xff[\xd0-\xd7]")

_MAX_UNIT_SIDE = 16
"""px of what is decoded at once, from left to right."""

MIN_INTERVALS = 4
"""Of fewer restart intervals than these one is too much of a picture to be missing."""


@dataclass(slots=True)
class JpegScans:
    """
    What the scans of a file say that they have. `precision` is by component and coefficient the lowest bit
    that a scan brings, which is 0 once all are there; `gaps` are restart markers that are missing.
    """

    has_end: bool = False
    progressive: bool = False
    intervals: int = 0
    gaps: int = 0
    precision: dict[int, list[int | None]] = field(default_factory=dict)

    @property
    def all_begun(self) -> bool:
        """Whether no scan is missing, however much there is of the last one."""
        return bool(self.precision) and all(
            bit == 0 for component in self.precision.values() for bit in component
        )

    @property
    def lacks_component(self) -> bool:
        """Whether there is no scan of a component, which is a part of the colours."""
        return any(component[0] is None for component in self.precision.values())

    @property
    def lacks_little(self) -> bool:
        """
        Whether what a decoder misses is only of the last scan of a progressive file, which is detail, or of
        one restart interval among many.
        """
        if not self.all_begun:
            return False
        return self.progressive or (self.intervals >= MIN_INTERVALS and self.gaps <= 1 and self.has_end)


def jpeg_scans(body: Body) -> JpegScans:
    """Read what a file says of its scans, as far as it can be followed."""
    found = JpegScans()
    with suppress(struct.error, IndexError):
        _read(body, found)
    return found


def _read(body: Body, found: JpegScans) -> None:
    at, restarts = 2, 0
    sides, sampling = (0, 0), {}
    while True:
        if body[at] != 0xFF:
            at += 1
            continue
        marker = body[at + 1]
        if marker == _END:
            found.has_end = True
            return
        if marker == 0xFF or marker in _WITHOUT_LENGTH:
            at += 1 if marker == 0xFF else 2
            continue
        (length,) = struct.unpack_from(">H", body, at + 2)
        if marker in _STARTS_OF_FRAME:
            found.progressive = marker == _PROGRESSIVE
            sides = struct.unpack_from(">HH", body, at + 5)
            for place in range(at + 10, at + 10 + 3 * body[at + 9], 3):
                sampling[body[place]] = (body[place + 1] & 15, body[place + 1] >> 4)
                found.precision[body[place]] = [None] * 64
        elif marker == _RESTARTS:
            (restarts,) = struct.unpack_from(">H", body, at + 4)
        at, start = at + 2 + length, at
        if marker == _SCAN:
            count = body[start + 4]
            components = [body[start + 5 + 2 * number] for number in range(count)]
            first, last, bits = struct.unpack_from("BBB", body, start + 5 + 2 * count)
            for component in components:
                precision = found.precision.get(component, [])
                precision[first : last + 1] = [bits & 15] * (last + 1 - first)
            end = _MARKER_BEHIND_SCAN.search(body, at)
            stop = end.start() if end else len(body)
            if restarts:
                units = _units(sides, sampling, components)
                intervals = -(-units // restarts)
                found.intervals = max(found.intervals, intervals)
                found.gaps += max(0, intervals - 1 - len(_RESTART.findall(body, at, stop)))
            at = stop


def _units(sides: tuple[int, ...], sampling: dict[int, tuple[int, int]], components: list[int]) -> int:
    """How many units a scan is made of (A.2)."""
    most = [max((each[axis] for each in sampling.values()), default=1) for axis in (0, 1)]
    own = sampling.get(components[0], (1, 1)) if len(components) == 1 else (1, 1)
    per_side = [
        -(-side * (mine if len(components) == 1 else 1) // (8 * largest))
        for side, mine, largest in zip(sides, own, most, strict=True)
    ]
    return per_side[0] * per_side[1]


def tidied(body: Body) -> bytes:
    """
    Return a file of the segments alone that pixels need, without what lies between them: what a decoder still
    complains of is about these.
    """
    parts, at = [bytes(body[:2])], 2
    with suppress(struct.error, IndexError):
        while body[at + 1] != _END or body[at] != 0xFF:
            marker = body[at + 1]
            if body[at] != 0xFF or marker == 0xFF:
                at += 1
            elif marker in _WITHOUT_LENGTH or not marker:
                at += 2
            else:
                end = at + 2 + struct.unpack_from(">H", body, at + 2)[0]
                if marker == _SCAN:
                    behind = _MARKER_BEHIND_SCAN.search(body, end)
                    end = behind.start() if behind else len(body)
                if marker not in _NOT_OF_PIXELS:
                    parts.append(bytes(body[at:end]))
                at = end
        parts.append(_EOI)
    return b"".join(parts)


def with_end(body: Body) -> bytes:
    """Return a file that lacks its end marker, or half of it, with one."""
    return bytes(body).rstrip(b"\xff") + _EOI


def is_cut_short(body: Body) -> bool:
    """
    Whether a file without an end marker lacks data, too: then what is put behind it gets into the picture.

    Decodes it three times. Raises libvips' errors.
    """
    bare = bytes(body).rstrip(b"\xff")
    one, *others = (
        open_image(bare + padding + _EOI, Format.JPEG, fail_on="none").copy_memory() for padding in _PADDINGS
    )
    return any((one - other).abs().max() > 0 for other in others)


def missing_share(body: Body) -> float:
    """
    Return how much of a file with an end marker lacks data, from 0 to 1: what is put before the marker
    changes the picture from there on. Where it changes nothing, data are missing between restart markers,
    and that is 1, or some bits.

    Decodes it three times. Raises libvips' errors.
    """
    bare = tidied(body).removesuffix(_EOI).rstrip(b"\xff")
    one, *others = (
        open_image(bare + padding + _EOI, Format.JPEG, fail_on="none").copy_memory() for padding in _PADDINGS
    )
    apart = (one - others[0]).abs().bandjoin((one - others[1]).abs()).bandor()
    left, top, width, height = apart.find_trim(background=0, threshold=0, line_art=True)
    if not width or not height:
        return 1.0 if _RESTART.search(bare) else 0.0
    if top >= one.height - _MAX_UNIT_SIDE:
        missing = (one.width - left) * (one.height - top)
    else:
        missing = one.width * (one.height - top)
    return float(missing / (one.width * one.height))
