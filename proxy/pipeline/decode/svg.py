"""
SVG: what of it may reach the rasteriser.

It draws and runs nothing, and from a buffer it loads nothing but pictures in `data:` URLs. Entities, which
multiply, pictures that are bombs and files that are long are what is left to refuse.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Mapping
from urllib.parse import unquote_to_bytes
from xml.parsers import expat

from proxy.geometry.boxes import Size
from proxy.model.errors import BrokenImage, NotAnImage, TooCostly, TooManyPixels
from proxy.model.limits import Limits
from proxy.model.media import Body, Format
from proxy.pipeline.decode.containers import declared_size
from proxy.pipeline.decode.sniff import sniff

MAX_SVG_BYTES = 1_000_000
"""40 kB have taken 5 s and 1.5 GB in the header alone."""

EMBEDDABLE_FORMATS = frozenset({Format.JPEG, Format.PNG, Format.GIF, Format.WEBP})

_DOCTYPE = re.compile(rb"<!DOCTYPE[^\[\]<>]*>")
_LENGTH = re.compile(r"\s*([0-9]*\.?[0-9]+(?:[eE][+-]?[0-9]+)?)(?:px)?\s*")
_PICTURES = frozenset({"image", "feImage", "use"})


def without_doctype(body: Body) -> bytes:
    """Remove the DOCTYPE that drawing programs write. One that defines anything stays, to be refused."""
    return _DOCTYPE.sub(b"", bytes(body), count=1)


def judge_svg(body: Body, limits: Limits) -> Size | None:
    """
    Check an SVG for what may not reach the rasteriser, and return the size in px that it declares, if it
    does.

    Raises NotAnImage, BrokenImage, TooCostly and TooManyPixels.
    """
    if len(body) > MAX_SVG_BYTES:
        raise TooCostly(f"the original is an SVG image of {len(body)} bytes; it may have {MAX_SVG_BYTES}")
    reader = _Reader(limits)
    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = reader.doctype
    parser.StartElementHandler = reader.element
    try:
        parser.Parse(without_doctype(body), True)
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise BrokenImage("the original is a damaged svg image") from error
    return reader.size


class _Reader:
    """What is gathered on one way through a drawing."""

    def __init__(self, limits: Limits) -> None:
        self.size: Size | None = None
        self._most = limits.max_interlaced_pixels
        self._pixels = 0
        self._depth = 0

    def doctype(self, *_: object) -> None:
        raise NotAnImage("the original is an SVG image that defines entities, which is not accepted")

    def element(self, name: str, attributes: Mapping[str, str]) -> None:
        local = name.rpartition(":")[2]
        if not self._depth:
            if local != "svg":
                raise NotAnImage("the original is XML, and no SVG image")
            self.size = _declared_size(attributes)
        self._depth += 1
        if local == "include":
            raise NotAnImage("the original is an SVG image that includes others, which is not accepted")
        if local in _PICTURES:
            for attribute, value in attributes.items():
                if attribute.rpartition(":")[2] == "href":
                    self._embedded(value.strip())

    def _embedded(self, url: str) -> None:
        """Nothing else than `data:` is ever loaded, so nothing else is looked at."""
        if url[:5].lower() != "data:":
            return
        about, _, content = url[5:].partition(",")
        try:
            raw = unquote_to_bytes(content)
            picture = base64.b64decode(raw) if about.lower().rstrip().endswith("base64") else raw
            kind = sniff(picture, EMBEDDABLE_FORMATS)
            size = declared_size(picture, kind)
        except (binascii.Error, NotAnImage):
            size = None
        if size is None:
            known = ", ".join(sorted(EMBEDDABLE_FORMATS))
            raise NotAnImage(f"the original is an SVG image with something else in it than {known}")
        self._pixels += size.pixels
        if self._pixels > self._most:
            raise TooManyPixels(f"the pictures in the original, an svg, may have {self._most} px")


def _declared_size(attributes: Mapping[str, str]) -> Size | None:
    """Its width and height, else those of its viewBox."""
    texts = [attributes.get("width", ""), attributes.get("height", "")]
    if not any(texts):
        texts = re.split(r"[\s,]+", attributes.get("viewBox", "").strip())[2:]
    sides = [_LENGTH.fullmatch(text) for text in texts]
    found = [math.ceil(min(float(side[1]), 1e9)) for side in sides if side is not None]
    return Size(found[0], found[1]) if len(found) == 2 else None
