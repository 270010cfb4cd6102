"""
Damage that decoders do not tell of: they fill what is missing, or leave it out, and call it a picture.

What no check sum, length or flag gives away cannot be known: `docs/formats.md` lists it.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from itertools import islice

import pyvips

from proxy.geometry.boxes import Size
from proxy.model.errors import BrokenImage
from proxy.model.media import Body, Format, Incoming, InputOnly
from proxy.pipeline.decode import gif, ico
from proxy.pipeline.decode.header import Header
from proxy.pipeline.decode.heif_items import HeifItems, read_items
from proxy.pipeline.decode.libvips import LIBVIPS_ERRORS
from proxy.pipeline.decode.loaders import open_image
from proxy.pipeline.decode.tiff import TiffPage
from proxy.pipeline.decode.tiff_directory import (
    BITS,
    COMPRESSION,
    HEIGHT,
    PLANAR,
    ROWS_PER_STRIP,
    SAMPLES_PER_PIXEL,
    STRIP_BYTE_COUNTS,
    STRIP_OFFSETS,
    TILE_BYTE_COUNTS,
    TILE_HEIGHT,
    TILE_OFFSETS,
    TILE_WIDTH,
    WIDTH,
)

MAX_MISSING_SHARE = 1 / 64
"""Of the pixels of a GIF's frame or a JPEG: less is a blemish, and the picture is shown."""

_ALPHA_FLAG, _ANIMATION_FLAG = 0x10, 0x02
_HEIF_ALPHA = (b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha", b"urn:mpeg:hevc:2015:auxid:1")
_HEIF_HEAD_BYTES, _MAX_TILES = 1 << 16, 256
_CHUNK, _SLACK = 1 << 12, 1 << 20
_DEFLATE = frozenset({8, 32_946})


def suspect(body: Body, header: Header, count: int = 1, *, decoded: pyvips.Image | None = None) -> bool:
    """
    Whether something is missing of what was decoded: of `count` frames from `header.page` on.

    `decoded` is the page of a GIF as libvips opened it, after its last use: the search for missing pixels
    decodes all once more, unless it shows that none are. Raises BrokenImage where much is missing.
    """
    if decoded is not None and header.page == 0 and gif.is_drawn_to_its_end(body, decoded):
        return gif.ends_in_disorder(body)
    check = _CHECKS.get(header.format)
    return check is not None and check(body, header, count)


def _lacks_gif_pixels(body: Body, header: Header, count: int) -> bool:
    """A frame's data may end before its last row, and all of its blocks be in order."""
    if header.cut:
        return False
    worst = 0.0
    with suppress(IndexError, struct.error):
        for frame in islice(gif.gif_frames(body), header.page + count):
            worst = max(worst, gif.missing_share(body, frame, header.stored))
    if worst > MAX_MISSING_SHARE and not header.show_damaged:
        raise BrokenImage("the original is a gif image that was cut short")
    return worst > 0 or gif.ends_in_disorder(body)


def _lacks_webp_chunks(body: Body, _header: Header, _count: int) -> bool:
    """
    RFC 9649, section 2.7: whether a still says that it is transparent, and has neither ALPH nor VP8L, or an
    animation has something else than a frame between its frames.
    """
    if body[12:16] != b"VP8X":
        return False
    flags = body[20]
    if flags & _ANIMATION_FLAG:
        chunks = b"".join(b"." if kind == b"ANMF" else b"x" for kind in _chunks(body))
        return b"x" in chunks.strip(b"x")
    return bool(flags & _ALPHA_FLAG) and not any(kind in (b"ALPH", b"VP8L") for kind in _chunks(body))


def _chunks(body: Body) -> Iterator[bytes]:
    at = 12
    while at + 8 <= len(body):
        yield bytes(body[at : at + 4])
        (length,) = struct.unpack_from("<I", body, at + 4)
        at += 8 + length + length % 2


def _lacks_heif_items(body: Body, header: Header, _count: int) -> bool:
    """
    ISO/IEC 23008-12: whether there is an auxiliary image for alpha that the decoder did not find (7.5.2).
    Tiles of a grid (6.6.2.3) that cannot be decoded are left empty by libheif, if only one can be.
    """
    items = read_items(body)
    if items is not None and header.page == 0 and _lacks_tiles(body, items):
        if not header.show_damaged:
            raise BrokenImage(f"the original is an {header.format} image of which tiles cannot be decoded")
        return True
    head = bytes(body[:_HEIF_HEAD_BYTES])
    return not header.alpha and any(name in head for name in _HEIF_ALPHA)


def _lacks_tiles(body: Body, items: HeifItems) -> bool:
    """Each tile is decoded alone, as if it was what the file is about."""
    shown = {items.primary, *items.describing(items.primary)}
    tiles = [to for kind, start, to in items.references if kind == b"dimg" and start in shown]
    whole = bytearray(body)
    at = whole.find(b"pitm", 0, _HEIF_HEAD_BYTES) + 4
    if not tiles or at < 4 or whole[at]:
        return False
    for entry in re.finditer(b"infe", whole[:_HEIF_HEAD_BYTES]):
        # Tiles are hidden, and no hidden item may be the primary one.
        whole[entry.end() + 3] &= 0xFE
    decoded = []
    for tile in tiles[:: -(-len(tiles) // _MAX_TILES)]:
        struct.pack_into(">H", whole, at + 4, tile & 0xFFFF)
        decoded.append(not _is_broken((Format.AVIF, bytes(whole))))
    return any(decoded) and not all(decoded)


def _lacks_icon(body: Body, _header: Header, _count: int) -> bool:
    return ico.lacks_larger_picture(body)


def _lacks_svg_pictures(_body: Body, header: Header, _count: int) -> bool:
    """Rasterisers leave out pictures that are elsewhere, or that they cannot decode."""
    drawing = header.drawing
    return drawing is not None and (drawing.lacks_pictures or any(map(_is_broken, drawing.pictures)))


def _is_broken(picture: tuple[Incoming, bytes]) -> bool:
    kind, body = picture
    try:
        open_image(body, kind).avg()
    except LIBVIPS_ERRORS:
        return True
    return False


_CHECKS: Mapping[Incoming, Callable[[Body, Header, int], bool]] = {
    Format.GIF: _lacks_gif_pixels,
    Format.WEBP: _lacks_webp_chunks,
    Format.AVIF: _lacks_heif_items,
    InputOnly.HEIC: _lacks_heif_items,
    InputOnly.ICO: _lacks_icon,
    InputOnly.SVG: _lacks_svg_pictures,
}


def refuse_bad_checksums(page: TiffPage) -> None:
    """
    Raise BrokenImage for a page with a strip or a tile whose zlib stream is damaged: libtiff stops at the
    last pixel, before the check sum.
    """
    directory = page.directory
    if directory.first(COMPRESSION, 1) not in _DEFLATE:
        return
    tiled = TILE_OFFSETS in directory.entries
    starts = directory.numbers(TILE_OFFSETS if tiled else STRIP_OFFSETS)
    lengths = directory.numbers(TILE_BYTE_COUNTS if tiled else STRIP_BYTE_COUNTS)
    height = directory.first(HEIGHT, 1)
    part = (
        Size(directory.first(TILE_WIDTH, 1), directory.first(TILE_HEIGHT, 1))
        if tiled
        else Size(directory.first(WIDTH, 1), min(height, directory.first(ROWS_PER_STRIP, height)))
    )
    planes = 1 if directory.first(PLANAR, 1) == 1 else directory.first(SAMPLES_PER_PIXEL, 1)
    row = -(-part.width * directory.first(SAMPLES_PER_PIXEL, 1) * directory.first(BITS, 1) // planes // 8)
    across = -(-directory.first(WIDTH, 1) // max(1, part.width))
    count = across * -(-height // max(1, part.height)) * planes
    whole = memoryview(directory.body)
    for start, length in zip(starts[:count], lengths, strict=False):
        if not _unpacks(whole[int(start) : int(start + length)], row * part.height):
            raise BrokenImage("the original is a damaged tiff image")


def _unpacks(stream: memoryview, expected: int) -> bool:
    """
    Whether there is no error up to the check sum, which may be that of a few more than the `expected` bytes.
    It may be missing, but not where there are more bytes.
    """
    unpacker, length, most = zlib.decompressobj(), 0, 2 * expected + _SLACK
    try:
        for at in range(0, len(stream), _CHUNK):
            part: Body = stream[at : at + _CHUNK]
            while part and not unpacker.eof and length < most:
                length += len(unpacker.decompress(part, _SLACK))
                part = unpacker.unconsumed_tail
    except zlib.error:
        return False
    return unpacker.eof or length <= expected
