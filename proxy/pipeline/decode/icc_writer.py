"""ICC profiles of primaries and a curve (ICC.1:2022), for files that describe their colours otherwise."""

from __future__ import annotations

import struct

from proxy.pipeline.decode.colour_description import ColourDescription, TransferCurve
from proxy.pipeline.decode.rgb_matrix import D50, adapted_colorants

_VERSION = 0x04400000


def profile_for(description: ColourDescription) -> bytes | None:
    """
    Make a profile for RGB whose meaning is the description's.

    `None` where there is none: of PQ and HLG, and where primaries are not three colours.
    """
    if isinstance(description.transfer, int):
        return None
    curve = _curve(description.transfer)
    try:
        colorants = adapted_colorants(description.primaries)
    except ValueError:
        return None
    columns = dict(zip((b"rXYZ", b"gXYZ", b"bXYZ"), zip(*colorants, strict=True), strict=True))
    tags = {name: _xyz(*column) for name, column in columns.items()}
    curves = dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    return _profile(description.name, {**tags, **curves})


def _fixed(*values: float) -> bytes:
    """4.6: s15Fixed16Number."""
    return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))


def _xyz(*values: float) -> bytes:
    return b"XYZ \0\0\0\0" + _fixed(*values)


def _curve(curve: TransferCurve | tuple[float, ...]) -> bytes:
    """10.18, and 10.6 for tables."""
    if isinstance(curve, TransferCurve):
        if curve.split == 0:
            return b"para\0\0\0\0\0\0\0\0" + _fixed(curve.gamma)
        return b"para\0\0\0\0\0\3\0\0" + _fixed(*curve)
    levels = (round(light * 65535) for light in curve)
    return struct.pack(f">4s4xI{len(curve)}H", b"curv", len(curve), *levels)


def _text(text: str) -> bytes:
    """10.15: one record, in English."""
    encoded = text.encode("utf-16-be")
    return struct.pack(">4s4xII4sII", b"mluc", 1, 12, b"enUS", len(encoded), 28) + encoded


def _profile(name: str, tags: dict[bytes, bytes]) -> bytes:
    """7.2 and 7.3: a display's profile. Tags that are equal share their place."""
    tags = {b"desc": _text(name), b"cprt": _text("CC0"), b"wtpt": _xyz(*D50), **tags}
    at = 128 + 4 + 12 * len(tags)
    places: dict[bytes, int] = {}
    for content in tags.values():
        if content not in places:
            places[content] = at
            at += len(content) + -len(content) % 4
    table = b"".join(
        struct.pack(">4sII", tag, places[content], len(content)) for tag, content in tags.items()
    )
    contents = b"".join(content + bytes(-len(content) % 4) for content in places)
    date = struct.pack(">6H", 2026, 1, 1, 0, 0, 0)
    header = struct.pack(">I4xI4s4s4s12s4s", at, _VERSION, b"mntr", b"RGB ", b"XYZ ", date, b"acsp")
    header = header.ljust(68, b"\0") + _fixed(*D50)
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + contents
