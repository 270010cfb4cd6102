"""ICC profiles made by hand: three primaries and one curve, as ICC.1 has them."""

from __future__ import annotations

import struct

SRGB = ((0.4360, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141))
ADOBE = ((0.6097, 0.3111, 0.0195), (0.2053, 0.6257, 0.0609), (0.1492, 0.0632, 0.7446))


def gamma(value: float) -> bytes:
    return b"curv" + struct.pack(">IIH", 0, 1, round(value * 256)) + b"\0\0"


def table(count: int = 1024) -> bytes:
    def linear(x: float) -> float:
        return x / 12.92 if x <= 0.04045 else float(((x + 0.055) / 1.055) ** 2.4)

    values = [round(linear(at / (count - 1)) * 65535) for at in range(count)]
    return b"curv" + struct.pack(f">II{count}H", 0, count, *values)


def formula(g: float = 2.4, a: float = 1 / 1.055, b: float = 0.055 / 1.055, c: float = 1 / 12.92) -> bytes:
    numbers = (g, a, b, c, 0.04045)
    return b"para" + struct.pack(">IHH5i", 0, 3, 0, *(round(number * 65536) for number in numbers))


def matrix(primaries: tuple[tuple[float, ...], ...], curve: bytes) -> bytes:
    white = (0.9642, 1.0, 0.8249)
    text = b"desc" + struct.pack(">II", 0, 5) + b"test\0" + bytes(78)
    contents = {b"desc": text, b"wtpt": xyz(white), b"cprt": b"text\0\0\0\0none\0"}
    for name, primary in zip((b"r", b"g", b"b"), primaries, strict=True):
        contents |= {name + b"XYZ": xyz(primary), name + b"TRC": curve}
    return assembled(b"RGB ", contents)


def grey(curve: bytes) -> bytes:
    contents = {
        b"desc": b"desc" + struct.pack(">II", 0, 2) + b"g\0" + bytes(78),
        b"wtpt": xyz((0.9642, 1.0, 0.8249)),
    }
    return assembled(b"GRAY", contents | {b"cprt": b"text\0\0\0\0none\0", b"kTRC": curve})


def xyz(numbers: tuple[float, ...]) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(number * 65536) for number in numbers))


def assembled(space: bytes, contents: dict[bytes, bytes]) -> bytes:
    offset = 128 + 4 + 12 * len(contents)
    rows, blocks = b"", b""
    for name, content in contents.items():
        content += bytes(-len(content) % 4)
        rows += struct.pack(">4sII", name, offset + len(blocks), len(content))
        blocks += content
    size = offset + len(blocks)
    head = struct.pack(">I4sI4s4s4s", size, b"test", 0x02400000, b"mntr", space, b"XYZ ")
    head += (
        struct.pack(">6H", 2026, 1, 1, 0, 0, 0)
        + b"acsp"
        + bytes(28)
        + struct.pack(">3i", 63190, 65536, 54061)
    )
    return head.ljust(128, b"\0") + struct.pack(">I", len(contents)) + rows + blocks
