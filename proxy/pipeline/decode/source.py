"""What a picture is made from: an original as it came, or the pixels that another transformation left."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Protocol

import pyvips

from proxy.geometry.boxes import Box, Size
from proxy.model.errors import TooCostly
from proxy.model.limits import Limits
from proxy.options.spec import Spec
from proxy.pipeline.decode import pixels
from proxy.pipeline.decode.header import Header, read_header
from proxy.pipeline.decode.libvips import libvips
from proxy.pipeline.decode.pixels import PLAIN_SCALING
from proxy.pipeline.decode.scale import resampled


class PixelSource(Protocol):
    """
    Pixels that can be scaled. `region` is px of the upright picture (`header.upright`), `size` px of the
    result, which is 8-bit RGB with or without alpha, in memory. `spec` says by which kernel, in which light
    and to which colours.
    """

    @property
    def header(self) -> Header:
        """The facts that a plan is made from."""

    @property
    def body(self) -> bytes | memoryview | None:
        """The file that it is, if it is one."""

    def scaled(self, region: Box, size: Size, *, spec: Spec = PLAIN_SCALING) -> pyvips.Image:
        """`region` of the first frame in exactly `size`. Raises UnusableOriginal."""

    def frames(
        self, count: int, region: Box, size: Size, *, spec: Spec = PLAIN_SCALING
    ) -> Iterator[pyvips.Image]:
        """The same of `count` frames, decoded one by one as they are taken. Raises UnusableOriginal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedOriginal:
    """A file whose header was judged. Decoding it may still raise BrokenImage."""

    body: bytes | memoryview = field(repr=False)
    header: Header

    def scaled(self, region: Box, size: Size, *, spec: Spec = PLAIN_SCALING) -> pyvips.Image:
        return pixels.scaled(self.body, self.header, region, size, spec=spec)

    def frames(
        self, count: int, region: Box, size: Size, *, spec: Spec = PLAIN_SCALING
    ) -> Iterator[pyvips.Image]:
        return pixels.frames(self.body, self.header, count, region, size, spec=spec)


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """Upright 8-bit RGB pixels in memory, with or without alpha; frames lie on top of each other."""

    image: pyvips.Image = field(repr=False)
    header: Header
    body: None = None

    def scaled(self, region: Box, size: Size, *, spec: Spec = PLAIN_SCALING) -> pyvips.Image:
        return next(self.frames(1, region, size, spec=spec))

    def frames(
        self, count: int, region: Box, size: Size, *, spec: Spec = PLAIN_SCALING
    ) -> Iterator[pyvips.Image]:
        for at in range(count):
            top = (self.header.page + at) * self.header.height + region.top
            with libvips(TooCostly, "there was not enough memory to scale the picture again"):
                frame = self.image.crop(region.left, top, region.width, region.height)
                frame = resampled(frame, size, self.header.profile, spec).copy_memory()
            yield frame


def open_original(
    body: bytes | memoryview, limits: Limits, *, page: int = 0, autoorient: bool = True
) -> OpenedOriginal:
    """
    Open an original, or the one `page` of it, which counts from 0, and judge its header; no pixel is decoded.
    Unless `autoorient`, its EXIF orientation is taken for the usual one.

    Raises NotAnImage, BrokenImage, NoSuchPage, and TooManyPixels for what this deployment does not decode.
    """
    header = read_header(body, limits, page)
    return OpenedOriginal(body=body, header=header if autoorient else replace(header, orientation=1))
