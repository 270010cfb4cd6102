"""
Content codings (RFC 9110 section 8.4.1) of bodies that an origin compressed though it was asked not to. They
are decoded piece by piece, so that a decompression bomb is never in memory as a whole.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Protocol

import brotli

_PIECE = 1 << 18  # bytes


class ContentDecoder(Protocol):
    """Decodes one body in one coding. Both methods raise ValueError for data that are not in that coding."""

    def pieces(self, part: bytes) -> Iterator[bytes]:
        """Decode `part` into pieces of at most 256 KiB or so."""

    def end(self) -> None:
        """To be called after the last part, for the body may be incomplete."""


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


CODINGS: Mapping[str, Callable[[], ContentDecoder]] = {
    "gzip": partial(_Deflated, 16 + zlib.MAX_WBITS),
    "x-gzip": partial(_Deflated, 16 + zlib.MAX_WBITS),
    "deflate": partial(_Deflated, zlib.MAX_WBITS, may_be_bare=True),
    "br": _Brotli,
}
