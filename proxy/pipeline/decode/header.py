"""What an original's header says, and whether it may be decoded at all."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pyvips

from proxy.geometry.boxes import ExactSize, Size
from proxy.model.errors import BrokenImage, NoSuchPage, NotAnImage, TooManyPixels
from proxy.model.limits import Limits
from proxy.model.media import Body, Format, Incoming, InputOnly
from proxy.options.values.positions import round_px
from proxy.pipeline.decode import svg, tiff
from proxy.pipeline.decode.colour_signal import ColourSignal, is_dcf_adobe_rgb, read_colour_signal
from proxy.pipeline.decode.containers import declared_size
from proxy.pipeline.decode.gif import is_cut_gif, is_drawn_here
from proxy.pipeline.decode.libvips import libvips
from proxy.pipeline.decode.loaders import DECODED_WHOLE, PAGED_FORMATS, loadable, open_image
from proxy.pipeline.decode.orientation import ORIENTATIONS
from proxy.pipeline.decode.sniff import sniff
from proxy.pipeline.decode.tiff_directory import count_pages

MAX_IGNORED_DELAY, DEFAULT_DELAY = 10, 100
"""
Milliseconds, of every format: https://searchfox.org/mozilla-central/source/image/FrameTimeout.h, and
Chromium's `ImageFrame` alike.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """
    What is known of an original before any pixel. `width` and `height` are px as stored, of the one frame or
    page that is shown (first), `page`, which counts from 0; `pages` and `delays` (milliseconds) are all that
    there are; `loop` is how often they are shown, 0 for ever. `whole` says that decoding holds the whole
    picture in memory; `drawing` is what is rasterised of an SVG,
    and `drawn_here` says that the frames of a GIF are put on their canvas by us. `cut` is a GIF that
    is known to be truncated, and `show_damaged` whether that is shown. `signal` is what a file says of its
    colours where that is not, or not only, `profile`, which is the ICC profile that counts;
    `dcf_adobe_rgb` is what its EXIF says.
    """

    format: Incoming
    width: int
    height: int
    orientation: int = 1
    page: int = 0
    pages: int = 1
    delays: tuple[int, ...] = ()
    loop: int = 0
    alpha: bool = False
    whole: bool = False
    drawn_here: bool = False
    show_damaged: bool = False
    cut: bool = False
    drawing: svg.Drawing | None = field(default=None, repr=False)
    signal: ColourSignal | None = None
    dcf_adobe_rgb: bool = False
    interpretation: str = "srgb"
    profile: bytes | None = field(default=None, repr=False)

    @property
    def stored(self) -> Size:
        return Size(self.width, self.height)

    @property
    def exact(self) -> ExactSize | None:
        """The size of a drawing before it is rounded, where it declares one."""
        return self.drawing.size if self.drawing else None

    @property
    def upright(self) -> Size:
        """The size after EXIF orientation."""
        return self.stored.swapped if ORIENTATIONS[self.orientation].transposed else self.stored


def read_header(body: bytes | memoryview, limits: Limits, page: int = 0) -> Header:
    """
    Open and judge an original, or one page of it, without decoding it.

    Raises NotAnImage, BrokenImage, NoSuchPage, and TooManyPixels for what this deployment does not decode.
    """
    format = sniff(body, loadable())
    if limits.formats is not None and format not in limits.formats:
        accepted = ", ".join(limits.formats)
        raise NotAnImage(f"the original is {format}; its origin may have {accepted}", allowed=accepted)
    if format is InputOnly.SVG:
        return _svg_header(svg.judge_svg(body, limits), limits, page)
    declared = declared_size(body, format)
    if declared is not None:
        _gate(declared, limits)
    cut = format is Format.GIF and is_cut_gif(body)
    if cut and not limits.show_damaged:
        raise BrokenImage("the original is a gif image that was cut short")
    with libvips(BrokenImage, f"the original's {format} header cannot be read"):
        strictness = {"fail_on": "none"} if limits.show_damaged else {}
        if format is Format.TIFF:
            found = _tiff_header(body, page, **strictness)
        else:
            found = _header(open_image(body, format, **strictness), format)
            if 0 < page < found.pages and format in PAGED_FORMATS:
                found = replace(_header(open_image(body, format, page=page, **strictness), format), page=page)
    _refuse_page(page, found)
    _gate(found.stored, limits)
    found = replace(found, cut=cut, show_damaged=limits.show_damaged)
    signal = read_colour_signal(
        body, format, found.interpretation, found.profile, dcf_adobe_rgb=found.dcf_adobe_rgb
    )
    if signal is not None:
        found = replace(found, signal=signal, profile=signal.profile)
    if format is Format.GIF and not cut and is_drawn_here(body, found.stored):
        found = replace(found, alpha=True, drawn_here=True)
    if page == 0 and declared is not None and found.stored == Size(1, 1) and declared != Size(1, 1):
        raise BrokenImage(f"the original's {format} header contradicts itself")
    if found.whole and found.stored.pixels > limits.max_interlaced_pixels:
        raise TooManyPixels(
            f"the original has {found.width}x{found.height} px; progressive, interlaced, avif, heic and "
            f"jxl images may have {limits.max_interlaced_pixels} px"
        )
    return found


def _tiff_header(body: Body, page: int, **strictness: str) -> Header:
    shown = tiff.read_page(body, page if page < count_pages(body) else 0)
    found = _header(open_image(shown.body, Format.TIFF, **strictness), Format.TIFF)
    orientation = shown.orientation if shown.orientation in ORIENTATIONS else 1
    return replace(found, page=page, pages=shown.pages, orientation=orientation)


def _svg_header(drawing: svg.Drawing, limits: Limits, page: int) -> Header:
    """A drawing that declares no size has that of its ink, which libvips finds."""
    if drawing.size is not None:
        stored = Size(*(max(1, round_px(side)) for side in (drawing.size.width, drawing.size.height)))
        _gate(stored, limits)
    text = drawing.text if drawing.size is None else drawing.at(stored.width, stored.height)
    with libvips(BrokenImage, "the original's svg header cannot be read"):
        found = _header(open_image(text, InputOnly.SVG), InputOnly.SVG)
    _refuse_page(page, found)
    _gate(found.stored, limits)
    if drawing.size is not None and found.stored != stored:
        raise BrokenImage("the original's svg header contradicts itself")
    return replace(found, drawing=drawing)


def _refuse_page(page: int, found: Header) -> None:
    if page >= found.pages:
        raise NoSuchPage(
            f"the original has no page {page}: it has {found.pages}, and the first one is page 0",
            option="page", value=str(page), allowed=f"0 to {found.pages - 1}",
        )  # fmt: skip


def _gate(size: Size, limits: Limits) -> None:
    if size.pixels > limits.max_source_pixels:
        raise TooManyPixels(
            f"the original has {size.width}x{size.height} px; at most {limits.max_source_pixels} are decoded"
        )
    if max(size.width, size.height) > limits.max_source_side:
        raise TooManyPixels(
            f"the original has {size.width}x{size.height} px; its sides may have {limits.max_source_side} px"
        )


def as_browsers_play(delay: int) -> int:
    """Milliseconds for which browsers show a frame whose file says `delay`: none shows it for 10 or less."""
    return delay if delay > MAX_IGNORED_DELAY else DEFAULT_DELAY


def _header(image: pyvips.Image, format: Incoming) -> Header:
    def told(name: str, default: Any) -> Any:
        return image.get(name) if image.get_typeof(name) else default

    # Of a JPEG XL the codec has obeyed its own, and that of its EXIF does not count (ISO/IEC 18181-2).
    orientation = 1 if format is Format.JXL else told("orientation", 1)
    return Header(
        format=format,
        width=image.width,
        height=image.height,
        orientation=orientation if orientation in ORIENTATIONS else 1,
        pages=told("n-pages", 1),
        delays=tuple(as_browsers_play(delay) for delay in told("delay", ())),
        loop=told("loop", 0),
        alpha=bool(image.hasalpha()),
        whole=format in DECODED_WHOLE or bool(told("interlaced", 0) or told("jpeg-multiscan", 0)),
        interpretation=image.interpretation,
        dcf_adobe_rgb=is_dcf_adobe_rgb(image),
        profile=told("icc-profile-data", None),
    )
