"""
Bodies that an origin compressed though it was asked not to, unpacked piece by piece: what a bomb unpacks to
is never there at once.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

_PIECE = 1 << 18  # bytes
_WRAPPED = {"gzip": 16 + zlib.MAX_WBITS, "x-gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}


class Unpacker:
    """Of one body in one coding, see `takes`. ValueError for what is none in that coding."""

    def __init__(self, coding: str) -> None:
        self._unpack = zlib.decompressobj(_WRAPPED[coding])
        self._may_be_bare = coding == "deflate"
        self._begun = False

    @staticmethod
    def takes(coding: str) -> bool:
        return coding in _WRAPPED

    def pieces(self, part: bytes) -> Iterator[bytes]:
        """What `part` unpacks to, never much of it at a time."""
        while True:
            try:
                piece = self._unpack.decompress(part, _PIECE)
            except zlib.error as failure:
                if self._begun or not self._may_be_bare:
                    raise ValueError("no such coding") from failure
                # Some servers send `deflate` without the wrapping that RFC 9110, 8.4.1.2 asks for.
                self._unpack, self._begun = zlib.decompressobj(-zlib.MAX_WBITS), True
                continue
            self._begun = True
            part = self._unpack.unconsumed_tail
            if piece:
                yield piece
            if self._unpack.unused_data:
                raise ValueError("it goes on after its end")
            if not part and len(piece) < _PIECE:
                return

    def end(self) -> None:
        """To be called after the last part: ValueError when something is missing."""
        if not self._unpack.eof:
            raise ValueError("it ends too early")
