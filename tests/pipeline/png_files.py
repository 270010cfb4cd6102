"""PNG files with chunks put in."""

from __future__ import annotations

import struct
import zlib

HEAD_SIZE = 33
"""Bytes of the signature and IHDR."""


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def gama(gamma: float) -> bytes:
    return chunk(b"gAMA", struct.pack(">I", round(gamma * 100_000)))


def chrm(*pairs: tuple[float, float]) -> bytes:
    """White, red, green and blue."""
    return chunk(b"cHRM", struct.pack(">8I", *(round(value * 100_000) for pair in pairs for value in pair)))


def cicp(primaries: int, transfer: int, matrix: int = 0, full: int = 1) -> bytes:
    return chunk(b"cICP", bytes((primaries, transfer, matrix, full)))


def iccp(profile: bytes) -> bytes:
    return chunk(b"iCCP", b"icc\0\0" + zlib.compress(profile))


def png(width: int, height: int, colour_type: int, rows: bytes, *chunks: bytes, depth: int = 8) -> bytes:
    """Of samples as PNG has them, without filters."""
    head = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    stride = len(rows) // height
    lines = b"".join(b"\0" + rows[at : at + stride] for at in range(0, len(rows), stride))
    parts = (chunk(b"IHDR", head), *chunks, chunk(b"IDAT", zlib.compress(lines)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def with_chunks(body: bytes, *chunks: bytes) -> bytes:
    """Right after IHDR."""
    return body[:HEAD_SIZE] + b"".join(chunks) + body[HEAD_SIZE:]
