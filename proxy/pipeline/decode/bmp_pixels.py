"""
The pixels of BMP images and icons, which no libvips decodes by itself.

Pillow 13 was weighed in place of this and `bmp_header`. It refuses 2-bit pictures, masks such as 4-4-4-4 and
10-10-10 and runs that end before the last pixel, ignores profiles, and shows nothing where an announced alpha
is zero. A BMP of 24 megapixels takes it 0.50 s and 235 MB to 300 px (0.32 s and 15 MB here), 2.4 MB of runs
0.6 s (1.2 s here). Importing it costs each renderer 40 ms and 2.6 MB, and installing it 22 MB.
"""

from __future__ import annotations

from dataclasses import replace

import pyvips

from proxy.model.errors import BrokenImage, TooCostly
from proxy.model.media import Body
from proxy.pipeline.decode import ico
from proxy.pipeline.decode.bmp_header import Bitmap, parse_bmp, parse_icon_bitmap

MAX_RLE_BYTES = 4_000_000
"""Bytes of run-length encoded rows: they take a second."""


def decode_bmp(body: Body) -> pyvips.Image:
    """Decode a BMP file to 8-bit RGB, with alpha where it has any. Raises BrokenImage and TooCostly."""
    return _decode(parse_bmp(body), "bmp")


def decode_ico(body: Body) -> pyvips.Image:
    """Decode the largest picture of an icon to 8-bit RGB, with alpha. Raises BrokenImage and TooCostly."""
    part, size = ico.best_picture(body)
    if part[:8] == ico.PNG_SIGNATURE:
        image: pyvips.Image = pyvips.Image.pngload_buffer(part, access="sequential", fail_on="error")
        return image
    bitmap = parse_icon_bitmap(part)
    image = _decode(bitmap, "ico")
    mask = replace(bitmap, depth=1, pixels=bitmap.pixels[bitmap.stride * size.height :])
    if image.bands == 4 or len(mask.pixels) < mask.stride * size.height:
        return image
    shown = (_top_down(_indices(mask, mask.pixels), mask) ^ 1) * 255
    return image.bandjoin(shown.cast("uchar")).copy(interpretation="srgb")


def _decode(bitmap: Bitmap, format: str) -> pyvips.Image:
    """8-bit RGB, with alpha where there is any."""
    height = bitmap.height
    pixels = bitmap.pixels
    if bitmap.runs:
        rows = decode_rle(pixels, bitmap.width, height, bitmap.depth)
        indices = pyvips.Image.new_from_memory(rows, bitmap.width, height, 1, "uchar")
        image = _apply_palette(indices, bitmap, format)
    else:
        missing = bitmap.stride * height - len(pixels)
        if missing > 3:
            # The last row may lack what fills it up to four bytes.
            raise BrokenImage(f"the original is a {format} image that was cut short")
        if missing > 0:
            pixels = bytes(pixels) + bytes(missing)
        if bitmap.depth <= 8:
            image = _apply_palette(_indices(bitmap, pixels), bitmap, format)
        else:
            image = _direct_colour(bitmap, pixels)
    image = _top_down(image, bitmap).copy(interpretation="srgb")
    if bitmap.profile:
        image.set_type(pyvips.GValue.blob_type, "icc-profile-data", bitmap.profile)
    return image


def _top_down(image: pyvips.Image, bitmap: Bitmap) -> pyvips.Image:
    return image if bitmap.downwards else image.flipver()


def _indices(bitmap: Bitmap, pixels: Body) -> pyvips.Image:
    """One band of places in the palette."""
    packed = pyvips.Image.new_from_memory(pixels, bitmap.stride, bitmap.height, 1, "uchar")
    if bitmap.depth < 8:
        shifts = range(8 - bitmap.depth, -1, -bitmap.depth)
        each = [(packed >> shift) & ((1 << bitmap.depth) - 1) for shift in shifts]
        packed = each[0].bandjoin(each[1:]).bandunfold()
    return packed.crop(0, 0, bitmap.width, bitmap.height).cast("uchar")


def _apply_palette(indices: pyvips.Image, bitmap: Bitmap, format: str) -> pyvips.Image:
    """Places that the palette does not have are black."""
    entries = bytes(bitmap.palette)
    count = len(entries) // bitmap.entry
    if not count:
        raise BrokenImage(f"the original is a {format} image without a palette")
    colours = b"".join(entries[at * bitmap.entry :][:3][::-1] for at in range(count))
    table = pyvips.Image.new_from_memory(colours + bytes(3 * (256 - count)), 256, 1, 3, "uchar")
    return indices.maplut(table)


def _direct_colour(bitmap: Bitmap, pixels: Body) -> pyvips.Image:
    width, height, depth = bitmap.width, bitmap.height, bitmap.depth
    if depth == 24:
        row = pyvips.Image.new_from_memory(pixels, bitmap.stride, height, 1, "uchar")
        blue, green, red = row.crop(0, 0, 3 * width, height).bandfold(factor=3).bandsplit()
        return red.bandjoin([green, blue])
    wide, format = (bitmap.stride // 2, "ushort") if depth == 16 else (width, "uint")
    packed = pyvips.Image.new_from_memory(pixels, wide, height, 1, format).crop(0, 0, width, height)
    red, *others = (_band(packed, mask) for mask in bitmap.masks if mask)
    image = red.bandjoin(others)
    # Many programs announce transparency and leave it zero: nothing would be seen.
    return image.extract_band(0, n=3) if image.bands == 4 and image[3].max() == 0 else image


def _band(packed: pyvips.Image, mask: int) -> pyvips.Image:
    low = (mask & -mask).bit_length() - 1
    maximum = mask >> low
    values = (packed >> low) & maximum
    return (values if maximum == 255 else (values * (255 / maximum)).rint()).cast("uchar")


def decode_rle(packed: Body, width: int, height: int, depth: int) -> bytes:
    """
    Unpack RLE8 or RLE4 (`depth` 8 or 4) to rows of 8-bit indices. Skipped pixels are index 0, as in most
    programs.

    Raises BrokenImage, and TooCostly for more than MAX_RLE_BYTES.
    """
    if len(packed) > MAX_RLE_BYTES:
        raise TooCostly(
            f"the original is a bmp image of {len(packed)} run-length encoded bytes; "
            f"it may have {MAX_RLE_BYTES}"
        )
    data = bytes(packed)
    pixels = bytearray(width * height)
    x = y = at = 0
    try:
        while y < height:
            count, value = data[at], data[at + 1]
            at += 2
            if count:
                run = bytes((value,)) if depth == 8 else bytes((value >> 4, value & 15))
                x = _put(pixels, y * width, x, width, (run * count)[:count])
            elif value == 0:
                x, y = 0, y + 1
            elif value == 1:
                break
            elif value == 2:
                x, y = x + data[at], y + data[at + 1]
                at += 2
            else:
                length = value if depth == 8 else (value + 1) // 2
                part = data[at : at + length]
                if depth == 4:
                    part = bytes(half for byte in part for half in (byte >> 4, byte & 15))
                x = _put(pixels, y * width, x, width, part[:value])
                at += length + length % 2
    except IndexError as error:
        raise BrokenImage("the original is a bmp image that was cut short") from error
    return bytes(pixels)


def _put(pixels: bytearray, row: int, x: int, width: int, part: bytes) -> int:
    """What would run over the end of a row is dropped."""
    part = part[: max(0, width - x)]
    pixels[row + x : row + x + len(part)] = part
    return x + len(part)
