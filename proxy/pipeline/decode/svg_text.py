"""
SVG as text: how it is encoded, what stands before its root element, and entities that stand for text.

All of it is linear in the length of the text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from xml.parsers import expat

from proxy.model.errors import BrokenImage, NotAnImage, TooCostly
from proxy.model.media import Body

MAX_SVG_BYTES = 1_000_000
"""40 kB have taken 5 s and 1.5 GB in the header alone."""

MAX_ENTITIES = 64
MAX_ENTITY_CHARACTERS = 1024

_SPACE = " \t\r\n"
_UTF16: Mapping[bytes, str] = {
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
    b"<\0": "utf-16-le",
    b"\0<": "utf-16-be",
}
_DECLARED_ENCODING = re.compile(rb"<\?xml[^>]*?\sencoding\s*=\s*[\"']([A-Za-z0-9._-]{1,20})[\"']")
_SINGLE_BYTES = re.compile(r"us-ascii|ascii|iso-8859-\d\d?|latin1|windows-125\d")
_DECLARATION_WITHIN = 256

_DOCTYPE_TOKEN = re.compile(r"[\"'\[\]>]|<!--|<\?")
_CLOSED_BY = {'"': '"', "'": "'", "<!--": "-->", "<?": "?>"}
_ROOT = re.compile(r"<(?:[\w.-]+:)?svg[\s/>]")
_DOCTYPE_NAME = re.compile(r"<!doctype\s+(?:[\w.-]+:)?svg[\s\[>]", re.IGNORECASE)

# What is not closed runs to the end, so that each character is looked at once.
_REFERENCE = re.compile(r"<!--(?:.*?-->|.*)|<!\[CDATA\[(?:.*?\]\]>|.*)|&([A-Za-z_:][\w.:-]*);", re.DOTALL)
_CHARACTER_REFERENCE = re.compile(r"&#(x[0-9A-Fa-f]{1,10}|[0-9]{1,10});")
_QUOTED = str.maketrans({'"': "&#34;", "'": "&#39;", ">": "&#62;"})
_PREDEFINED = frozenset({"amp", "lt", "gt", "quot", "apos"})


@dataclass(frozen=True, slots=True)
class Prolog:
    """What stands before a root element: `root` is where that begins, `doctype` is empty if there is none."""

    root: int
    doctype: str


def may_be_markup(body: Body) -> bool:
    """Whether a file may be XML, by its first characters."""
    head = bytes(body[:MAX_SVG_BYTES])
    return head[:2] in _UTF16 or head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"<"


def is_svg(body: Body) -> bool:
    """Whether a file is XML whose root element is called `svg`, as far as its first MAX_SVG_BYTES show."""
    if not may_be_markup(body):
        return False
    head = bytes(body[:MAX_SVG_BYTES])
    encoding = _UTF16.get(head[:2], "latin-1")
    text = head.removeprefix(b"\xef\xbb\xbf").decode(encoding, "replace").removeprefix("\ufeff")
    prolog = parse_prolog(text)
    return prolog is not None and (not prolog.doctype or bool(_DOCTYPE_NAME.match(prolog.doctype)))


def parse_prolog(text: str) -> Prolog | None:
    """Find the root element behind declaration, comments and DOCTYPE; `None` where it is not `svg`."""
    at, doctype = 0, ""
    while True:
        while at < len(text) and text[at] in _SPACE:
            at += 1
        if text.startswith("<?", at):
            end = text.find("?>", at + 2) + 2
        elif text.startswith("<!--", at):
            end = text.find("-->", at + 4) + 3
        elif not doctype and text[at : at + 9].lower() == "<!doctype":
            end = _doctype_end(text, at + 9)
            doctype = text[at:end]
        else:
            return Prolog(at, doctype) if _ROOT.match(text, at) else None
        if end <= at:
            return None
        at = end


def _doctype_end(text: str, at: int) -> int:
    """Where a DOCTYPE ends that began before `at`; 0 where it does not."""
    inside = False
    while token := _DOCTYPE_TOKEN.search(text, at):
        at = token.end()
        if (closing := _CLOSED_BY.get(token[0])) is not None:
            at = text.find(closing, at) + len(closing)
            if at < token.end():
                return 0
        elif token[0] == ">":
            if not inside:
                return at
        else:
            inside = token[0] == "["
    return 0


def root_only(body: Body) -> bytes:
    """
    Return the same drawing as UTF-8 that begins with its root element, its entities expanded.

    An entity may stand for text, as drawing programs define them for names of namespaces. Raises NotAnImage
    for any other, BrokenImage, and TooCostly for what is too long, before or after.
    """
    if len(body) > MAX_SVG_BYTES:
        raise TooCostly(f"the original is an SVG image of {len(body)} bytes; it may have {MAX_SVG_BYTES}")
    try:
        text = _decoded(bytes(body))
        prolog = parse_prolog(text)
        if prolog is None:
            raise NotAnImage("the original is XML, and no SVG image")
        defined = _entities(prolog.doctype) if prolog.doctype else {}
        entities = {name: value.translate(_QUOTED) for name, value in defined.items()}
        text = text[prolog.root :]
        expanded = _expanded(text, entities, MAX_SVG_BYTES) if entities else text
        if expanded is None:
            raise TooCostly("the original is an SVG image whose entities make it too long")
        return expanded.encode()
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise BrokenImage("the original is a damaged svg image") from error


def _decoded(body: bytes) -> str:
    encoding = _UTF16.get(body[:2])
    if encoding is None:
        body = body.removeprefix(b"\xef\xbb\xbf")
        declared = _DECLARED_ENCODING.match(body[:_DECLARATION_WITHIN].lstrip())
        name = declared[1].decode().lower() if declared else "utf-8"
        # A declaration in single bytes that says UTF-16 was left behind by a program that wrote UTF-8.
        encoding = name if _SINGLE_BYTES.fullmatch(name) else "utf-8"
    return body.decode(encoding).removeprefix("\ufeff")


def _entities(doctype: str) -> dict[str, str]:
    found: dict[str, str] = {}

    def declared(name: str, parameter: bool, value: str | None, *_: object) -> None:
        if parameter or value is None or len(found) >= MAX_ENTITIES:
            raise NotAnImage(
                f"the original is an SVG image that defines entities; at most {MAX_ENTITIES} are accepted, "
                "which stand for text"
            )
        text = _expanded(value, found, MAX_ENTITY_CHARACTERS)
        if text is None or "<" in text or "&" in text:
            raise NotAnImage(
                "the original is an SVG image with an entity that does not stand for at most "
                f"{MAX_ENTITY_CHARACTERS} characters of text"
            )
        if name not in _PREDEFINED:
            found.setdefault(name, text)

    parser = expat.ParserCreate("utf-8")
    parser.EntityDeclHandler = declared
    # The name of the root is not compared.
    parser.Parse(f"{doctype}<svg/>".encode(), True)
    return found


def _expanded(text: str, entities: Mapping[str, str], most: int) -> str | None:
    """Put text in place of entities that are known; `None` where that has more than `most` characters."""
    length = len(text)
    for found in _REFERENCE.finditer(text):
        length += len(entities.get(found[1], ""))
        if length > most:
            break
    if length > most:
        return None
    return _REFERENCE.sub(lambda found: entities.get(found[1], found[0]), text)


def without_characters(text: bytes, characters: str) -> bytes:
    """
    Return a drawing in UTF-8 without `characters`, written as they are or as references to them.

    They go from attributes as well, from all alike, so that names still lead to what they name.
    """
    if not characters:
        return text
    gone = set(map(ord, characters))

    def kept(reference: re.Match[str]) -> str:
        digits = reference[1]
        code = int(digits[1:], 16) if digits[0] == "x" else int(digits)
        return "" if code in gone else reference[0]

    return _CHARACTER_REFERENCE.sub(kept, text.decode().translate(dict.fromkeys(gone))).encode()
