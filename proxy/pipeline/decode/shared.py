"""One decode for several renditions of an original: each is scaled from the same pixels in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pyvips

from proxy.geometry.boxes import Box, Size
from proxy.model.errors import BrokenImage
from proxy.model.media import Body, Format, Incoming, InputOnly
from proxy.options.spec import Spec
from proxy.pipeline.decode.header import Header
from proxy.pipeline.decode.libvips import LIBVIPS_ERRORS, GarbledRows, MissingRows, jpeg_warnings
from proxy.pipeline.decode.loader_scale import load_options, page_option, stored_size
from proxy.pipeline.decode.loaders import open_image
from proxy.pipeline.decode.pixels import PLAIN_SCALING, has_all_pixels, scaled_decoded
from proxy.pipeline.decode.scale import loaders_may_scale
from proxy.pipeline.decode.source import OpenedOriginal

MAX_SHARED_BYTES = 100_000_000
"""Of decoded pixels, which stay in memory until the last rendition is scaled."""

SHARED_FORMATS: frozenset[Incoming] = frozenset(
    {Format.JPEG, Format.PNG, Format.WEBP, Format.AVIF, Format.GIF, Format.JXL, InputOnly.HEIC}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedDecode:
    """The whole picture as the loader decodes it, or its JPEG loader with `shrink`, in memory."""

    image: pyvips.Image = field(repr=False)
    shrink: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedSource:
    """An original of which the whole of one frame is scaled from `decoded`. It is a `PixelSource`."""

    original: OpenedOriginal
    decoded: SharedDecode

    @property
    def header(self) -> Header:
        return self.original.header

    @property
    def body(self) -> Body:
        return self.original.body

    def scaled(self, region: Box, size: Size, *, spec: Spec = PLAIN_SCALING) -> pyvips.Image:
        if own_shrink(self.header, region, size, spec) is None:
            return self.original.scaled(region, size, spec=spec)
        return scaled_decoded(self.decoded.image, self.header, size, spec)

    def frames(
        self, count: int, region: Box, size: Size, *, spec: Spec = PLAIN_SCALING
    ) -> Iterator[pyvips.Image]:
        if count == 1:
            return iter([self.scaled(region, size, spec=spec)])
        return self.original.frames(count, region, size, spec=spec)


def own_shrink(header: Header, region: Box, size: Size, spec: Spec) -> int | None:
    """
    Return the shrink with which a rendition of the whole picture would be decoded for itself, which is 1 for
    all but JPEG; `None` where it cannot be made from what is decoded for others.
    """
    whole = region == Box(0, 0, header.upright.width, header.upright.height)
    if not whole or header.format not in SHARED_FORMATS or header.drawn_here:
        return None
    if not loaders_may_scale(spec):
        return None
    options = load_options(header, stored_size(header, size))
    # A loader that scales to any size at once decodes nothing that others could use.
    return None if "scale" in options else int(options.get("shrink", 1))


def decode_shared(original: OpenedOriginal, shrink: int) -> SharedDecode | None:
    """
    Decode the whole picture. Returns `None` for one that is too large to be held, or of which anything is
    damaged: the usual way judges that.
    """
    body, header = original.body, original.header
    options = page_option(header)
    if header.format is Format.JPEG:
        options = {"shrink": shrink, "fail_on": "warning"}
    try:
        with jpeg_warnings():
            image = open_image(body, header.format, **options)
            if (
                image.width * image.height * image.bands * _SAMPLE_BYTES.get(image.format, 4)
                > MAX_SHARED_BYTES
            ):
                return None
            image = image.copy_memory()
            return SharedDecode(image=image, shrink=shrink) if has_all_pixels(body, header) else None
    except (MissingRows, GarbledRows, BrokenImage, *LIBVIPS_ERRORS):
        return None


_SAMPLE_BYTES = {"uchar": 1, "ushort": 2}
