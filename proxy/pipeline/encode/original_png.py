"""A PNG's own compressed data, and nothing else of its file (PNG third edition, 5 and 11)."""

from __future__ import annotations

import struct
import zlib

from proxy.model.media import Body
from proxy.pipeline.decode.parts import png_chunks
from proxy.pipeline.encode.original_jpeg import NotPlain

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""Of each pass: where it begins, and its steps (8.1)."""

_PALETTE = 3
_INFLATED_AT_ONCE = 1 << 20


def plain_png(body: Body) -> bytes:
    """
    Return the file with its header, palette, transparency and pixels alone.

    Raises NotPlain for samples of 16 bits, a critical chunk that is unknown, out of place, or of a wrong CRC,
    and where the compressed data are not exactly those of the pixels.
    """
    if bytes(body[:8]) != _SIGNATURE:
        raise NotPlain
    found: dict[bytes, bytes] = {}
    pixels: list[bytes] = []
    after_pixels = ended = False
    for chunk in png_chunks(body):
        if chunk.kind in (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"):
            data = bytes(body[chunk.content : chunk.end - 4])
            if zlib.crc32(chunk.kind + data) != int.from_bytes(body[chunk.end - 4 : chunk.end], "big"):
                raise NotPlain
            if chunk.kind == b"IDAT":
                if after_pixels:
                    raise NotPlain
                pixels.append(data)
                continue
            if chunk.kind in found or (pixels and chunk.kind != b"IEND"):
                raise NotPlain
            found[chunk.kind] = data
            ended = chunk.kind == b"IEND"
        elif not chunk.kind[0] & 0x20:
            raise NotPlain
        after_pixels = bool(pixels)
    header = found.get(b"IHDR", b"")
    if len(header) != 13 or not ended or found[b"IEND"]:
        raise NotPlain
    _check_pixels(header, pixels)
    _check_colours(header[9], header[8], found)
    kept = [(kind, found[kind]) for kind in (b"IHDR", b"PLTE", b"tRNS") if kind in found]
    return _SIGNATURE + b"".join(
        _chunk(*each) for each in (*kept, (b"IDAT", b"".join(pixels)), (b"IEND", b""))
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _check_colours(colour: int, depth: int, found: dict[bytes, bytes]) -> None:
    palette, transparency = found.get(b"PLTE"), found.get(b"tRNS", b"")
    if colour != _PALETTE:
        # A palette beside colours is a suggestion.
        found.pop(b"PLTE", None)
        if len(transparency) not in {0: (0, 2), 2: (0, 6)}.get(colour, (0,)):
            raise NotPlain
        return
    size = len(palette or b"") // 3
    if not palette or len(palette) % 3 or size > 1 << depth or len(transparency) > size:
        raise NotPlain


def _check_pixels(header: bytes, parts: list[bytes]) -> None:
    """Inflate all, as much as the header says and no more."""
    width, height, depth, colour, *methods = struct.unpack(">IIBBBBB", header)
    if depth > 8 or colour not in _CHANNELS or methods[:2] != [0, 0] or methods[2] > 1:
        raise NotPlain
    bits = depth * _CHANNELS[colour]
    passes = _ADAM7 if methods[2] else ((0, 0, 1, 1),)
    left = 0
    for x, y, across, down in passes:
        columns, rows = max(0, -(-(width - x) // across)), max(0, -(-(height - y) // down))
        left += rows * (1 + (columns * bits + 7) // 8) if columns else 0
    stream = zlib.decompressobj()
    try:
        for part in parts:
            if stream.eof and part:
                raise NotPlain
            while part:
                left -= len(stream.decompress(part, _INFLATED_AT_ONCE))
                part = stream.unconsumed_tail
                if left < 0:
                    raise NotPlain
        while not stream.eof and left >= 0 and (more := stream.decompress(b"", _INFLATED_AT_ONCE)):
            left -= len(more)
    except zlib.error as error:
        raise NotPlain from error
    if left or not stream.eof or stream.unused_data:
        raise NotPlain


def palette_of(png: bytes) -> list[tuple[int, int, int, int]]:
    """Return the colours of what `plain_png` gave, with their alpha; none where it has no palette."""
    chunks = {chunk.kind: png[chunk.content : chunk.end - 4] for chunk in png_chunks(png)}
    if png[25] != _PALETTE:
        return []
    palette, alpha = chunks[b"PLTE"], chunks.get(b"tRNS", b"")
    alpha = alpha.ljust(len(palette) // 3, b"\xff")
    return [(*palette[3 * at : 3 * at + 3], alpha[at]) for at in range(len(alpha))]
