"""
SVG: what of it may reach the rasteriser.

It draws and runs nothing, and from a buffer it loads nothing but pictures in `data:` URLs. Entities, which
multiply, pictures that are bombs and files that are long are what is left to refuse.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes
from xml.parsers import expat

from proxy.fonts.letters import boxes, font_coverage, is_letter
from proxy.geometry.boxes import ExactSize
from proxy.model.errors import BrokenImage, NotAnImage, TooManyPixels
from proxy.model.limits import Limits
from proxy.model.media import Body, Format, Incoming
from proxy.pipeline.decode import svg_size
from proxy.pipeline.decode.containers import declared_size
from proxy.pipeline.decode.sniff import sniff
from proxy.pipeline.decode.svg_text import root_only, without_characters

EMBEDDABLE_FORMATS = frozenset({Format.JPEG, Format.PNG, Format.GIF, Format.WEBP})

_PICTURES = frozenset({"image", "feImage", "use"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """
    An SVG that may be rasterised: `text` is UTF-8 from the root element on, whose `attributes` are told.
    `pictures` are the files in it; `lacks_pictures` says that it names others, which are never loaded.
    `missing_letters` are those of its texts that no font has, each once; they are no more in `text`.
    """

    text: bytes
    attributes: Mapping[str, str]
    pictures: tuple[tuple[Incoming, bytes], ...] = field(default=(), repr=False)
    lacks_pictures: bool = False
    missing_letters: str = ""

    @property
    def size(self) -> ExactSize | None:
        """The size in px that it declares, if it does."""
        return svg_size.extent(self.attributes).size

    def at(self, width: float, height: float, *, fills: bool = False) -> bytes:
        """
        Return the drawing at another size, which has to be its own scaled; with `fills` what that lacks is
        stretched.
        """
        return svg_size.sized(self.text, self.attributes, width, height, fills=fills)


def judge_svg(body: Body, limits: Limits) -> Drawing:
    """
    Check an SVG for what may not reach the rasteriser.

    Raises NotAnImage, BrokenImage, TooCostly and TooManyPixels.
    """
    text = root_only(body)
    reader = _Reader(limits)
    parser = expat.ParserCreate("utf-8")
    parser.StartElementHandler = reader.element
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.characters
    try:
        parser.Parse(text, True)
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise BrokenImage("the original is a damaged svg image") from error
    gone = boxes(reader.letters, font_coverage())
    return Drawing(
        text=without_characters(text, gone),
        attributes=reader.attributes,
        pictures=tuple(reader.pictures),
        lacks_pictures=reader.lacks_pictures,
        missing_letters="".join(filter(is_letter, gone)),
    )


class _Reader:
    """What is gathered on one way through a drawing."""

    def __init__(self, limits: Limits) -> None:
        self.attributes: Mapping[str, str] = {}
        self.pictures: list[tuple[Incoming, bytes]] = []
        self.lacks_pictures = False
        self._most = limits.max_interlaced_pixels
        self.letters: dict[str, None] = {}
        """Those of its texts, each once."""
        self._pixels = 0
        self._depth = 0
        self._text_depth = 0

    def element(self, name: str, attributes: Mapping[str, str]) -> None:
        local = name.rpartition(":")[2]
        if not self._depth:
            if local != "svg":
                raise NotAnImage("the original is XML, and no SVG image")
            self.attributes = attributes
        self._depth += 1
        if self._text_depth or local == "text":
            self._text_depth += 1
        if local == "include":
            raise NotAnImage("the original is an SVG image that includes others, which is not accepted")
        if local in _PICTURES:
            for attribute, value in attributes.items():
                if attribute.rpartition(":")[2] == "href":
                    self._embedded(value.strip())

    def end(self, _: str) -> None:
        self._text_depth = max(0, self._text_depth - 1)

    def characters(self, data: str) -> None:
        if self._text_depth:
            self.letters.update(dict.fromkeys(data))

    def _embedded(self, url: str) -> None:
        """Nothing else than `data:` is ever loaded, so nothing else is looked at."""
        if url[:5].lower() != "data:":
            self.lacks_pictures |= bool(url) and not url.startswith("#")
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
        self.pictures.append((kind, picture))
        self._pixels += size.pixels
        if self._pixels > self._most:
            raise TooManyPixels(f"the pictures in the original, an svg, may have {self._most} px")
