"""
Whether a file was cut short, where libvips does not say: of a GIF that ends in the middle of a frame it shows
what is there, and counts the frames that are left.
"""

from __future__ import annotations

Body = bytes | memoryview

_TRAILER, _IMAGE, _EXTENSION = b";,!"


def is_cut_gif(body: Body) -> bool:
    """
    GIF89a, appendix B: blocks of a header and data sub-blocks, each with its length, and a trailer. Many
    files lack the trailer, and are whole. What is no block is for the decoder to judge.
    """
    try:
        at = 13 + _colours(body[10])
        while at < len(body) and body[at] != _TRAILER:
            if body[at] == _IMAGE:
                at += 11 + _colours(body[at + 9])
            elif body[at] == _EXTENSION:
                at += 2
            else:
                return False
            while length := body[at]:
                at += length + 1
            at += 1
    except IndexError:
        return True
    return at > len(body)


def _colours(packed: int) -> int:
    """Bytes of the colour table that a packed field announces."""
    return 3 << (packed & 7) + 1 if packed & 0x80 else 0
