"""Pixels at the planned size: scaled while they are decoded, where the format allows it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace

import pyvips

from proxy.geometry.boxes import Box, Size
from proxy.model.errors import BrokenImage
from proxy.model.media import Body, Format, InputOnly
from proxy.options.spec import Spec
from proxy.pipeline.decode import gif, jpeg, tiff, tiff_samples
from proxy.pipeline.decode.alpha import ImageFunction
from proxy.pipeline.decode.damage import MAX_MISSING_SHARE, refuse_bad_checksums, suspect
from proxy.pipeline.decode.header import Header
from proxy.pipeline.decode.libvips import LIBVIPS_ERRORS, GarbledRows, MissingRows, jpeg_warnings, libvips
from proxy.pipeline.decode.loader_scale import (
    load_options,
    page_option,
    shrink_of_part,
    shrunk_box,
    stored_size,
)
from proxy.pipeline.decode.loaders import open_image
from proxy.pipeline.decode.orientation import ORIENTATIONS, to_stored, to_upright
from proxy.pipeline.decode.scale import loaders_may_scale, resampled
from proxy.pipeline.decode.svg_pixels import rasterised

PLAIN_SCALING = Spec()

_DAMAGED = "image-proxy-damaged"


def scaled(
    body: bytes | memoryview,
    header: Header,
    region: Box,
    size: Size,
    *,
    spec: Spec = PLAIN_SCALING,
) -> pyvips.Image:
    """
    Decode `region` of the upright picture, scaled to exactly `size`: 8-bit RGB with or without alpha, in
    memory.

    Both are px in the frame of `header.upright`. `spec` says by which kernel, in which light and to which
    colours. Raises BrokenImage.
    """
    if header.format is Format.JPEG:
        return _scaled_jpeg(body, header, region, size, spec)
    if header.format is Format.TIFF:
        return _scaled_tiff(tiff.read_page(body, header.page), header, region, size, spec)
    try:
        with _decoding(header):
            decoded = None
            if header.format is Format.GIF and not header.drawn_here:
                decoded = open_image(body, Format.GIF, **page_option(header))
            image = _scaled(body, header, region, size, spec, decoded=decoded)
            return _noted(image) if suspect(body, header, decoded=decoded) else image
    except BrokenImage:
        if not header.show_damaged:
            raise
    with _decoding(header):
        return _noted(_scaled(body, header, region, size, spec, fail_on="none"))


def is_damaged(image: pyvips.Image) -> bool:
    """Whether `scaled` made the picture from what is left of a damaged original."""
    return bool(image.get_typeof(_DAMAGED))


def _noted(image: pyvips.Image) -> pyvips.Image:
    image = image.copy()
    image.set_type(pyvips.GValue.gint_type, _DAMAGED, 1)
    return image


def scaled_decoded(image: pyvips.Image, header: Header, size: Size, spec: Spec) -> pyvips.Image:
    """As `scaled`, of the whole picture, which was decoded already. Raises BrokenImage."""
    with _decoding(header):
        picture = _resampled(image, stored_size(header, size), header, spec).copy_memory()
        return to_upright(picture, ORIENTATIONS[header.orientation])


def has_all_pixels(body: Body, header: Header) -> bool:
    """Whether `scaled` would have nothing to note of a picture that decodes. Raises BrokenImage."""
    if header.format is not Format.JPEG:
        return not suspect(body, header)
    if not header.whole:
        return True
    scans = jpeg.jpeg_scans(body)
    return scans.all_begun and not scans.lacks_component


def _scaled_tiff(page: tiff.TiffPage, header: Header, region: Box, size: Size, spec: Spec) -> pyvips.Image:
    with _decoding(header):
        strictness = tiff.strictness(page)
    try:
        refuse_bad_checksums(page)
        with _decoding(header), _whole_tiles(), jpeg_warnings(of_tiles=True):
            image = _tiff_as(page, header, region, size, spec, strictness)
            return image if strictness == "warning" else _noted(image)
    except BrokenImage:
        if not header.show_damaged:
            raise
    with _decoding(header):
        return _noted(_tiff_as(page, header, region, size, spec, "none"))


@contextmanager
def _whole_tiles() -> Iterator[None]:
    """libvips decodes JPEG in tiles by itself, and lets warnings pass."""
    try:
        yield
    except (MissingRows, GarbledRows) as error:
        raise BrokenImage("the original is a tiff image of which tiles cannot be decoded") from error


def _tiff_as(
    page: tiff.TiffPage, header: Header, region: Box, size: Size, spec: Spec, strictness: str
) -> pyvips.Image:
    samples = tiff_samples.measure_samples(open_image(page.body, Format.TIFF, fail_on=strictness), page)

    def usual(image: pyvips.Image) -> pyvips.Image:
        return tiff_samples.to_usual(tiff.to_rgb_samples(image, page), page, samples)

    alone = replace(header, page=0, profile=None if page.lab else header.profile)
    return _scaled(page.body, alone, region, size, spec, usual, fail_on=strictness)


def _scaled_jpeg(body: Body, header: Header, region: Box, size: Size, spec: Spec) -> pyvips.Image:
    missing = garbled = False
    for tidy in (False, True):
        # Most warnings are about files that are odd, and shown as their makers meant. Others hide behind.
        try:
            whole = jpeg.tidied(body) if tidy else body
            with jpeg_warnings():
                image = _scaled(whole, header, region, size, spec, fail_on="warning")
            return _with_all_scans(image, body, header)
        except MissingRows:
            missing = True
            break
        except GarbledRows:
            garbled = True
            break
        except LIBVIPS_ERRORS:
            continue
    scans = jpeg.jpeg_scans(body)
    if scans.has_end and not missing:
        with _decoding(header):
            image = _scaled(body, header, region, size, spec)
        return _with_all_scans(_noted(image) if garbled or scans.gaps else image, body, header)
    whole = body if scans.has_end else jpeg.with_end(body)
    with _decoding(header):
        if _lacks_much(body, scans) and not header.show_damaged:
            raise BrokenImage("the original is a jpeg image that was cut short")
        return _noted(_scaled(whole, header, region, size, spec, fail_on="none"))


def _with_all_scans(image: pyvips.Image, body: Body, header: Header) -> pyvips.Image:
    """A JPEG of several scans may lack some before its end marker: no decoder complains."""
    if not header.whole:
        return image
    scans = jpeg.jpeg_scans(body)
    if scans.lacks_component and not header.show_damaged:
        raise BrokenImage("the original is a jpeg image that was cut short")
    return image if scans.all_begun else _noted(image)


def _lacks_much(body: Body, scans: jpeg.JpegScans) -> bool:
    if scans.lacks_little:
        return False
    if scans.progressive:
        return True
    return jpeg.missing_share(body) > MAX_MISSING_SHARE if scans.has_end else jpeg.is_cut_short(body)


def _scaled(
    body: bytes | memoryview,
    header: Header,
    region: Box,
    size: Size,
    spec: Spec,
    usual: ImageFunction | None = None,
    decoded: pyvips.Image | None = None,
    **strictness: str,
) -> pyvips.Image:
    """`usual` converts samples as they were decoded; `decoded` is what `body` is already opened as."""
    turned = ORIENTATIONS[header.orientation]
    target = size.swapped if turned.transposed else size
    if header.format is InputOnly.SVG:
        image = rasterised(body, header, region, target)
    elif header.drawn_here:
        part = to_stored(region, turned, header.stored)
        (canvas,) = gif.canvases(body, header.stored, header.page, 1)
        image = canvas.crop(part.left, part.top, part.width, part.height)
    elif decoded is not None:
        part = to_stored(region, turned, header.stored)
        image = decoded.crop(part.left, part.top, part.width, part.height)
    elif region == Box(0, 0, header.upright.width, header.upright.height):
        on_load = load_options(header, target if loaders_may_scale(spec) else header.stored)
        image = open_image(body, header.format, **on_load, **strictness)
    else:
        part = to_stored(region, turned, header.stored)
        factor = shrink_of_part(part, header, target if loaders_may_scale(spec) else part.size)
        on_load = {"shrink": factor} if factor > 1 else page_option(header)
        image = open_image(body, header.format, **on_load, **strictness)
        part = shrunk_box(part, factor, Size(image.width, image.height))
        image = image.crop(part.left, part.top, part.width, part.height)
    if usual:
        image = usual(image)
    return to_upright(_resampled(image, target, header, spec).copy_memory(), turned)


def _resampled(image: pyvips.Image, target: Size, header: Header, spec: Spec) -> pyvips.Image:
    if header.signal is None:
        return resampled(image, target, header.profile, spec)
    return resampled(header.signal.applied(image), target, header.profile, spec, header.signal.hdr)


def frames(
    body: bytes | memoryview,
    header: Header,
    count: int,
    region: Box,
    size: Size,
    *,
    spec: Spec = PLAIN_SCALING,
) -> Iterator[pyvips.Image]:
    """
    Decode a still picture, or `count` frames of an animation from `header.page` on, each as `scaled` returns
    one.

    They are whole frames: what a file says of disposal and blending is done. They are decoded one by one,
    since all of one animation may be hundreds of megabytes. Raises BrokenImage.
    """
    if count == 1:
        yield scaled(body, header, region, size, spec=spec)
        return
    turned = ORIENTATIONS[header.orientation]
    target = size.swapped if turned.transposed else size
    part = to_stored(region, turned, header.stored)
    shown = _frames(body, header, count)
    with _decoding(header):
        damaged = header.cut or suspect(body, header, count)
    while True:
        with _decoding(header):
            if (frame := next(shown, None)) is None:
                return
            frame = frame.crop(part.left, part.top, part.width, part.height)
            frame = to_upright(_resampled(frame, target, header, spec).copy_memory(), turned)
        yield _noted(frame) if damaged else frame


def _frames(body: Body, header: Header, count: int) -> Iterator[pyvips.Image]:
    if header.drawn_here:
        yield from gif.canvases(body, header.stored, header.page, count)
        return
    # libvips stands frames on top of each other.
    strictness = {"fail_on": "none"} if header.cut else {}
    column = open_image(body, header.format, page=header.page, n=count, **strictness)
    for at in range(count):
        yield column.crop(0, at * header.height, header.width, header.height)


def _decoding(header: Header) -> AbstractContextManager[None]:
    return libvips(BrokenImage, f"the original is a damaged {header.format} image")
