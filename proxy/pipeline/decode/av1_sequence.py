"""
The colours in the sequence header of an AV1 bitstream: AV1 Bitstream & Decoding Process Specification, 5.5.1
and 5.5.2 (https://aomediacodec.github.io/av1-spec/).
"""

from __future__ import annotations

from dataclasses import dataclass

from proxy.model.media import Body

_SEQUENCE_HEADER = 1
_MAX_UNITS = 16
_MAX_HEADER_BYTES = 1024
"""With 32 operating points it is shorter than that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Av1Colour:
    """Code points of H.273, and whether samples take the whole of their range."""

    primaries: int
    transfer: int
    matrix: int
    full_range: bool


def read_sequence_colour(units: Body) -> Av1Colour | None:
    """Read the first sequence header among open bitstream units; `None` where there is none to be read."""
    at = 0
    try:
        for _ in range(_MAX_UNITS):
            head = units[at]
            at += 2 if head & 4 else 1
            size = len(units) - at
            if head & 2:
                size, at = _leb128(units, at)
            if head >> 3 & 15 == _SEQUENCE_HEADER:
                return _colour(_Bits(bytes(units[at : at + min(size, _MAX_HEADER_BYTES)])))
            at += size
    except IndexError:
        pass
    return None


def _leb128(units: Body, at: int) -> tuple[int, int]:
    """4.10.5: a number, and where it ends."""
    value = 0
    for step in range(8):
        byte = units[at + step]
        value |= (byte & 0x7F) << 7 * step
        if not byte & 0x80:
            return value, at + step + 1
    raise IndexError(at)


def _colour(bits: _Bits) -> Av1Colour:
    profile = bits.take(3)
    bits.take(1)
    if reduced := bits.take(1):
        bits.take(5)
    else:
        _skip_operating_points(bits)
    width_bits, height_bits = bits.take(4) + 1, bits.take(4) + 1
    bits.take(width_bits + height_bits)
    if not reduced and bits.take(1):
        bits.take(4 + 3)
    bits.take(3)
    if not reduced:
        _skip_inter_tools(bits)
    bits.take(3)
    deep = bits.take(1)
    if profile == 2 and deep:
        bits.take(1)
    monochrome = bits.take(1) if profile != 1 else 0
    described = bits.take(1)
    primaries, transfer, matrix = (bits.take(8), bits.take(8), bits.take(8)) if described else (2, 2, 2)
    srgb = not monochrome and (primaries, transfer, matrix) == (1, 13, 0)
    full_range = True if srgb else bool(bits.take(1))
    return Av1Colour(primaries=primaries, transfer=transfer, matrix=matrix, full_range=full_range)


def _skip_operating_points(bits: _Bits) -> None:
    delay_bits = 0
    if bits.take(1):
        bits.take(32 + 32)
        if bits.take(1):
            bits.skip_uvlc()
        if bits.take(1):
            delay_bits = bits.take(5) + 1
            bits.take(32 + 5 + 5)
    display_delays = bits.take(1)
    for _ in range(bits.take(5) + 1):
        bits.take(12)
        if bits.take(5) > 7:
            bits.take(1)
        if delay_bits and bits.take(1):
            bits.take(2 * delay_bits + 1)
        if display_delays and bits.take(1):
            bits.take(4)


def _skip_inter_tools(bits: _Bits) -> None:
    bits.take(4)
    order_hints = bits.take(1)
    if order_hints:
        bits.take(2)
    chosen_by_frame = bits.take(1)
    if (chosen_by_frame or bits.take(1)) and not bits.take(1):
        bits.take(1)
    if order_hints:
        bits.take(3)


class _Bits:
    """The highest bit of a byte comes first. Raises IndexError at the end."""

    def __init__(self, body: bytes) -> None:
        self._value, self._left = int.from_bytes(body, "big"), 8 * len(body)

    def take(self, count: int) -> int:
        if count > self._left:
            raise IndexError(count)
        self._left -= count
        return self._value >> self._left & ((1 << count) - 1)

    def skip_uvlc(self) -> None:
        """4.10.3."""
        zeros = 0
        while not self.take(1):
            zeros += 1
        if zeros < 32:
            self.take(zeros)
