"""XMP packets (ISO 16684-1): the orientation that they name has been obeyed."""

from __future__ import annotations

import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Mapping
from xml.parsers import expat

TIFF_NAMESPACE = "http://ns.adobe.com/tiff/1.0/"
MAX_XMP_BYTES = 4_000_000

_ORIENTATION = f"{TIFF_NAMESPACE} Orientation"
_MAX_PREFIXES = 8


class UnsafeXmp(ValueError):
    """A packet whose orientation cannot be told, or not be rewritten."""


def with_upright_xmp(packet: bytes) -> bytes | None:
    """
    Return the packet with `tiff:Orientation` 1 where it names one, and as it came where it does not; `None`
    where that cannot be told. Entities are not resolved: a packet with a DOCTYPE is refused.
    """
    if len(packet) > MAX_XMP_BYTES:
        return None
    try:
        text, encoding = _decoded(packet)
        found = _read(text)
        if found.values_are_upright:
            return packet
        if len(found.prefixes) > _MAX_PREFIXES:
            return None
        changed = _rewritten(text, found.prefixes)
        if not _read(changed).values_are_upright:
            return None
        return changed.encode(encoding)
    except UnicodeError:
        return None
    except (UnsafeXmp, expat.ExpatError):
        # What is no XML has no orientation, but programs that read no XML look for the word.
        return None if _names_orientation(packet) else packet


def _names_orientation(packet: bytes) -> bool:
    return b"Orientation" in packet.replace(b"\0", b"") or b"<!" in packet.replace(b"\0", b"")


def _decoded(packet: bytes) -> tuple[str, str]:
    if packet.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        encoding = "utf-16-le" if packet.startswith(BOM_UTF16_LE) else "utf-16-be"
    elif packet[:2] in (b"<\0", b"\0<"):
        encoding = "utf-16-le" if packet[:1] == b"<" else "utf-16-be"
    else:
        encoding = "utf-8"
    return packet.decode(encoding), encoding


class _Reading:
    """What expat says of a packet's orientation: its values, and the prefixes of its namespace."""

    def __init__(self) -> None:
        self.prefixes: set[str] = set()
        self.values: list[str] = []
        self._depth = 0
        self._inside: int | None = None
        self._text = ""

    @property
    def values_are_upright(self) -> bool:
        return all(value == "1" for value in self.values)

    def namespace(self, prefix: str | None, uri: str) -> None:
        if uri == TIFF_NAMESPACE:
            self.prefixes.add(prefix or "")

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        self._depth += 1
        self.values += [value.strip() for key, value in attributes.items() if key == _ORIENTATION]
        if self._inside is not None:
            self.values.append("a structure")
        if name == _ORIENTATION:
            self._inside, self._text = self._depth, ""
            self.values += ["an attribute"] * bool(attributes)

    def end(self, name: str) -> None:
        if self._inside == self._depth:
            self.values.append(self._text.strip())
            self._inside = None
        self._depth -= 1

    def text(self, more: str) -> None:
        if self._inside is not None and len(self._text) < 100:
            self._text += more

    def refuse(self, *_: object) -> None:
        raise UnsafeXmp


def _read(text: str) -> _Reading:
    """Raises UnsafeXmp and ExpatError."""
    found = _Reading()
    parser = expat.ParserCreate("utf-8", namespace_separator=" ")
    parser.StartNamespaceDeclHandler = found.namespace
    parser.StartElementHandler = found.start
    parser.EndElementHandler = found.end
    parser.CharacterDataHandler = found.text
    parser.StartDoctypeDeclHandler = found.refuse
    parser.buffer_text = True
    # Some programs end a packet with NULs.
    parser.Parse(text.removeprefix(BOM_UTF8.decode()).rstrip("\0").encode(), True)
    return found


def _rewritten(text: str, prefixes: set[str]) -> str:
    """The text with 1 in each attribute and element of that name; callers look whether that was all."""
    for prefix in sorted(prefixes):
        name = re.escape(f"{prefix}:Orientation" if prefix else "Orientation")
        text = re.sub(
            rf"""(?<![\w:.-])({name}\s{{0,100}}=\s{{0,100}})("[^"<]{{0,100}}"|'[^'<]{{0,100}}')""",
            r'\1"1"',
            text,
        )
        text = re.sub(rf"(<{name}\s{{0,100}}>)[^<]{{0,100}}(</{name}\s{{0,100}}>)", r"\g<1>1\g<2>", text)
    return text
