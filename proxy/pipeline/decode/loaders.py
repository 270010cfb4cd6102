"""What the linked libvips can decode, and the one way to open an original with it."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import pyvips

from proxy.model.media import Format, Incoming, InputOnly
from proxy.pipeline.decode import bmp_pixels
from proxy.pipeline.decode.svg_size import DPI

LOADERS: Mapping[Incoming, str] = {
    Format.JPEG: "jpegload_source",
    Format.PNG: "pngload_source",
    Format.WEBP: "webpload_source",
    Format.AVIF: "heifload_source",
    Format.GIF: "gifload_source",
    Format.TIFF: "tiffload_source",
    InputOnly.SVG: "svgload_source",
    InputOnly.HEIC: "heifload_source",
    Format.JXL: "jxlload_source",
}
"""Explicit ones: libvips' own guess would also try loaders that are not meant for hostile files."""

OWN_DECODERS: Mapping[Incoming, Callable[[bytes | memoryview], pyvips.Image]] = {
    InputOnly.BMP: bmp_pixels.decode_bmp,
    InputOnly.ICO: bmp_pixels.decode_ico,
}
"""What is decoded here: libvips would hand it to ImageMagick, where it has that."""

_LIBVIPS_DPI = 72

PAGED_FORMATS = frozenset({Format.WEBP, Format.AVIF, Format.GIF, Format.TIFF, Format.JXL, InputOnly.HEIC})

DECODED_WHOLE = frozenset({Format.AVIF, InputOnly.HEIC, Format.JXL})
"""They are decoded whole, whatever part is needed."""

LOADER_SAMPLES: Mapping[Incoming, bytes] = {
    InputOnly.SVG: b"<svg xmlns='http://www.w3.org/2000/svg' width='2' height='2'><path d='M0 0h1v1'/></svg>",
    InputOnly.HEIC: b64decode(
        """
        AAAAHGZ0eXBoZWljAAAAAG1pZjFoZWljbWlhZgAAAVZtZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAAAAAAAAAA
        AA5waXRtAAAAAAABAAAAImlsb2MAAAAAREAAAQABAAAAAAF6AAEAAAAAAAAAGQAAACNpaW5mAAAAAAABAAAAFWluZmUCAAAAAAEA
        AGh2YzEAAAAA1mlwcnAAAAC3aXBjbwAAAHhodmNDAQNwAAAAAAAAAAAAHvAA/P34+AAADwMgAAEAGEABDAH//wNwAAADAJAAAAMA
        AAMAHroCQCEAAQArQgEBA3AAAAMAkAAAAwAAAwAeoCCBBZbqSSmubgQEDAgAAAMACAAAAwAIQCIAAQAHRAHBcrAiQAAAABRpc3Bl
        AAAAAAAAAEAAAABAAAAAE2NvbHJuY2x4AAIAAgAGgAAAABBwaXhpAAAAAAMICAgAAAAXaXBtYQAAAAAAAAABAAEEgQKDhAAAACFt
        ZGF0AAAAFSgBrwtg+sbB1//5ZXv1FEHQh+07cA==
        """
    ),
    Format.JXL: b64decode(
        "/woIkAEAEwgCAMwAk2EJAIAKlVHGDV7O9Xz5ocNi2sZ1hrbatrAkUWQcm6QTOCSJ5LBxEYwBYJg5mDlAU0kC"
    ),
}
"""Tiny pictures of the formats that not every libvips decodes: a loader may be there and its codec not."""


def open_image(body: bytes | memoryview, format: Incoming, **options: Any) -> pyvips.Image:
    """
    Open a file with the loader of `format`; `options` are libvips' own. Pixels are decoded later, once, from
    the top down.

    Raises libvips' errors, and BrokenImage and TooCostly where the decoder is ours.
    """
    if format in OWN_DECODERS:
        return OWN_DECODERS[format](body)
    if format is InputOnly.SVG:
        # libvips scales by the resolution, too.
        options = {"dpi": DPI, "scale": options.get("scale", 1.0) * _LIBVIPS_DPI / DPI}
    return load_from_memory(body, format, access="sequential", **{"fail_on": "error", **options})


def load_from_memory(body: bytes | memoryview, format: Incoming, **options: Any) -> pyvips.Image:
    """
    Load a file with libvips' loader of `format`, and no copy: of a buffer, libvips makes one at each opening.
    """
    source = pyvips.Source.new_from_memory(body)
    image: pyvips.Image = getattr(pyvips.Image, LOADERS[format])(source, **options)
    # As `new_from_source` does, which would guess the loader: the memory stays for as long as the image.
    image._references.append(source)  # noqa: SLF001
    return image


@cache
def loadable() -> frozenset[Incoming]:
    """
    Return the formats that the linked libvips decodes, found by decoding samples.

    Formats without a sample are those that libvips is never built without.
    """
    return (
        frozenset(format for format in LOADERS if format not in LOADER_SAMPLES or _loads(format))
        | OWN_DECODERS.keys()
    )


def _loads(format: Incoming) -> bool:
    try:
        open_image(LOADER_SAMPLES[format], format).avg()
    except (pyvips.Error, AttributeError):
        return False
    return True
