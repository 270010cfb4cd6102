"""
GIF as browsers show it: https://www.w3.org/Graphics/GIF/spec-gif89a.txt, where pixels that no frame has
drawn, and those that a frame restores to the background, are transparent.

libvips shows the background's colour there, unless the frame has transparent pixels of its own.
"""

from __future__ import annotations

import struct
from collections.abc import Generator, Iterator
from typing import NamedTuple

import pyvips

from proxy.geometry.boxes import Box, Size
from proxy.model.media import Body, Format
from proxy.pipeline.decode.alpha import with_alpha
from proxy.pipeline.decode.loaders import open_image

_TRAILER, _IMAGE, _EXTENSION = b";,!"
_GRAPHIC_CONTROL = 0xF9
_TO_BACKGROUND, _TO_PREVIOUS = 2, 3
_TRANSPARENT_COLOUR_FLAG = 1
_INTERLACE_FLAG = 0x40
_OPAQUE, _WITH_ALPHA = 255, (2, 4)


class GifFrame(NamedTuple):
    """
    One frame: where it lies on the canvas, its bytes from its image descriptor on (`start` to `end`), and the
    four bytes of its graphic control extension.
    """

    box: Box
    start: int
    end: int
    control: bytes

    @property
    def disposal(self) -> int:
        """What becomes of it before the next frame is drawn (section 23, c, iv)."""
        return self.control[0] >> 2 & 7

    @property
    def has_transparency(self) -> bool:
        return bool(self.control[0] & _TRANSPARENT_COLOUR_FLAG)


def gif_frames(body: Body) -> Generator[GifFrame, None, int]:
    """
    Read where the frames of a GIF are, and return where they end. What is no block ends it, and is for the
    decoder to judge.

    Raises IndexError where it ends within a block; many files lack the trailer, and are whole.
    """
    at = 13 + _colours(body[10])
    control = bytes(4)
    while at < len(body) and body[at] != _TRAILER:
        start, is_image = at, body[at] == _IMAGE
        if is_image:
            at += 11 + _colours(body[at + 9])
        elif body[at] == _EXTENSION:
            if body[at + 1] == _GRAPHIC_CONTROL and body[at + 2] >= 4:
                control = bytes(body[at + 3 : at + 7])
            at += 2
        else:
            return at
        while length := body[at]:
            at += length + 1
        at += 1
        if is_image:
            if at > len(body) or len(control) < 4:
                raise IndexError(at)
            yield GifFrame(Box(*struct.unpack_from("<HHHH", body, start + 1)), start, at, control)
            control = bytes(4)
    if at > len(body):
        raise IndexError(at)
    return at


def ends_in_disorder(body: Body) -> bool:
    """Whether something else than the trailer or padding follows the last block that can be read."""
    frames = gif_frames(body)
    try:
        while True:
            next(frames)
    except StopIteration as stop:
        rest = bytes(body[stop.value :])
        return bool(rest.strip(b"\0")) and rest[0] != _TRAILER
    except IndexError:
        return True


def is_cut_gif(body: Body) -> bool:
    """Whether a GIF ends within one of its blocks (GIF89a, appendix B)."""
    try:
        for _ in gif_frames(body):
            pass
    except IndexError:
        return True
    return False


def is_drawn_here(body: Body, canvas: Size) -> bool:
    """Whether libvips would show some of a whole GIF in another way than browsers do."""
    opaque_outside = False
    disposed = False
    for at, frame in enumerate(gif_frames(body)):
        if disposed:
            return True
        box = frame.box
        covers = not (box.left or box.top) and box.width >= canvas.width and box.height >= canvas.height
        if at == 0:
            opaque_outside = not covers
        if frame.has_transparency:
            opaque_outside = False
        disposed = frame.disposal == _TO_BACKGROUND and not frame.has_transparency
    return opaque_outside


def canvases(body: Body, canvas: Size, first: int, count: int) -> Iterator[pyvips.Image]:
    """Draw `count` frames from `first` on, each a whole canvas of RGBA. Raises libvips' errors."""
    shown = pyvips.Image.black(canvas.width, canvas.height, bands=4).copy(interpretation="srgb").copy_memory()
    clear = shown
    for at, frame in enumerate(gif_frames(body)):
        if at >= first + count:
            return
        before = shown
        left, top = frame.box.left, frame.box.top
        width, height = min(frame.box.width, canvas.width - left), min(frame.box.height, canvas.height - top)
        inside = width > 0 and height > 0
        if inside:
            drawn = with_alpha(open_image(_alone(body, frame), Format.GIF)).crop(0, 0, width, height)
            under = shown.crop(left, top, width, height)
            shown = shown.insert(drawn[3].ifthenelse(drawn, under), left, top).copy_memory()
        if at >= first:
            yield shown
        if frame.disposal == _TO_PREVIOUS:
            shown = before
        elif frame.disposal == _TO_BACKGROUND and inside:
            shown = shown.insert(clear.crop(left, top, width, height), left, top).copy_memory()


def is_drawn_to_its_end(body: Body, decoded: pyvips.Image) -> bool:
    """
    Whether the last pixel of the first frame is certainly drawn, and with it all before: `decoded` is the
    canvas with that frame, as libvips opened it, and read as far as it is needed for other things.

    Pixels that were never drawn are black, or transparent where any frame may be, and those that look the
    same are not certain.
    """
    frame = next(gif_frames(body), None)
    if frame is None:
        return False
    left, top = _last_pixel(frame.box.size, body[frame.start + 9])
    left, top = frame.box.left + left, frame.box.top + top
    if not (0 <= left < decoded.width and 0 <= top < decoded.height):
        return False
    # Rows are read from the top down, and the last ones can still be had.
    pixel = decoded.getpoint(left, top)
    return bool(pixel[-1] == _OPAQUE if decoded.bands in _WITH_ALPHA else any(pixel))


def _last_pixel(size: Size, packed: int) -> tuple[int, int]:
    """The last pass of an interlaced frame draws its odd rows (appendix E)."""
    interlaced = packed & _INTERLACE_FLAG and size.height > 1
    return size.width - 1, (size.height // 2 * 2 if interlaced else size.height) - 1


def missing_share(body: Body, frame: GifFrame, canvas: Size) -> float:
    """
    Return how much of a frame its data lack, from 0 to 1: what is black once it is decoded with white as its
    only colour was never drawn. Raises libvips' errors.
    """
    data = bytearray(body[frame.start + 9 : frame.end])
    colours = slice(1, 1 + _colours(data[0]))
    table = _colours(body[10])
    too_large = frame.box.width > canvas.width or frame.box.height > canvas.height
    if too_large or not (frame.box.width and frame.box.height and (table or colours.stop > 1)):
        return 0.0
    data[colours] = b"\xff" * (colours.stop - 1)
    size = struct.pack("<HH", frame.box.width, frame.box.height)
    white = b"".join(
        (bytes(body[:6]), size, bytes(body[10:13]), b"\xff" * table, b",\0\0\0\0", size, data, b";")
    )
    if open_image(white, Format.GIF, fail_on="none").getpoint(*_last_pixel(frame.box.size, data[0]))[0]:
        return 0.0
    drawn = open_image(white, Format.GIF, fail_on="none")
    return 1 - float(drawn[0].avg()) / 255


def _alone(body: Body, frame: GifFrame) -> bytes:
    """A GIF of this frame alone, on a canvas of its size."""
    size = struct.pack("<HH", frame.box.width, frame.box.height)
    globals_end = 13 + _colours(body[10])
    control = bytes((frame.control[0] & _TRANSPARENT_COLOUR_FLAG, 0, 0, frame.control[3]))
    return b"".join(
        (
            bytes(body[:6]), size, bytes(body[10:globals_end]), b"!\xf9\4", control, b"\0,\0\0\0\0", size,
            bytes(body[frame.start + 9 : frame.end]), b";",
        )
    )  # fmt: skip


def _colours(packed: int) -> int:
    """Bytes of the colour table that a packed field announces."""
    return 3 << (packed & 7) + 1 if packed & 0x80 else 0
