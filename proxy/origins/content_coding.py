"""
Bodies that an origin compressed though it was asked not to, unpacked piece by piece: what a bomb unpacks to
is never there at once.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Protocol

import brotli

_PIECE = 1 << 18  # bytes


class Unpacker(Protocol):
    """Of one body in one coding. Both raise ValueError for what is none in that coding."""

    def pieces(self, part: bytes) -> Iterator[bytes]:
        """What `part` unpacks to, never much of it at a time."""

    def end(self) -> None:
        """To be called after the last part: something may be missing."""


class _Deflated:
    def __init__(self, bits: int, *, may_be_bare: bool = False) -> None:
        self._unpack = zlib.decompressobj(bits)
        self._may_be_bare = may_be_bare
        self._begun = False

    def pieces(self, part: bytes) -> Iterator[bytes]:
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
        if not self._unpack.eof:
            raise ValueError("it ends too early")


class _Brotli:
    def __init__(self) -> None:
        self._unpack = brotli.Decompressor()

    def pieces(self, part: bytes) -> Iterator[bytes]:
        while True:
            try:
                piece = self._unpack.process(part, output_buffer_limit=_PIECE)
            except brotli.error as failure:
                raise ValueError("no such coding, or it goes on after its end") from failure
            if piece:
                yield piece
            elif self._unpack.can_accept_more_data():
                return
            if self._unpack.is_finished():
                return
            part = b""

    def end(self) -> None:
        if not self._unpack.is_finished():
            raise ValueError("it ends too early")


CODINGS: Mapping[str, Callable[[], Unpacker]] = {
    "gzip": partial(_Deflated, 16 + zlib.MAX_WBITS),
    "x-gzip": partial(_Deflated, 16 + zlib.MAX_WBITS),
    "deflate": partial(_Deflated, zlib.MAX_WBITS, may_be_bare=True),
    "br": _Brotli,
}
