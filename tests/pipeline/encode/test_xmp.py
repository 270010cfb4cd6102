"""The orientation that XMP names is that of the picture as it is now, or none."""

from __future__ import annotations

import struct
from pathlib import Path
from time import process_time
from xml.etree import ElementTree
from zlib import crc32

import pytest
import pyvips

from proxy.model.limits import Limits
from proxy.model.media import Format, Note
from proxy.options.spec import Keep, OutputFormat, Spec
from proxy.pipeline.decode.loaders import open_image
from proxy.pipeline.encode.xmp import with_upright_xmp
from proxy.pipeline.render import render
from tests.pictures import photo, saved

CASE = Path(__file__).parents[2] / "data/pictures/jpeg-xmp-orientation.jpg"
TIFF, RDF = "http://ns.adobe.com/tiff/1.0/", "http://www.w3.org/1999/02/22-rdf-syntax-ns#"


def packet(inner: str, attributes: str = "", prefix: str = "tiff", before: str = "") -> str:
    named = f":{prefix}" if prefix else ""
    return (
        f'{before}<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{RDF}">'
        f'<rdf:Description rdf:about="" xmlns{named}="{TIFF}" {attributes}>{inner}</rdf:Description>'
        f"</rdf:RDF></x:xmpmeta>"
    )


XPACKET = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
REWRITTEN = {
    "attribute": packet("", 'tiff:Orientation="6"'),
    "single quotes": packet("", "tiff:Orientation = '8'"),
    "element": packet("<tiff:Orientation>6</tiff:Orientation>"),
    "element with space": packet("<tiff:Orientation >\n 3 </tiff:Orientation >"),
    "another prefix": packet("", 't0-x.y:Orientation="5"', prefix="t0-x.y"),
    "default namespace": packet("<Orientation>7</Orientation>", prefix=""),
    "both": packet("<tiff:Orientation>6</tiff:Orientation>", "tiff:Orientation='6'"),
    "reference": packet("", 'tiff:Orientation="&#54;"'),
    "nonsense": packet("", 'tiff:Orientation="top"'),
    "in a comment as well": packet("<!-- tiff:Orientation='6' --><tiff:Orientation>6</tiff:Orientation>"),
    "packet": packet("", 'tiff:Orientation="6"', before=XPACKET) + " " * 200 + '<?xpacket end="w"?>',
    "declaration": packet("", 'tiff:Orientation="6"', before='<?xml version="1.0" encoding="UTF-8"?>'),
    "NULs after it": packet("", 'tiff:Orientation="6"') + "\0\0",
    "beside others": packet("<tiff:Make>A (b)</tiff:Make>", 'tiff:Orientation="6" tiff:Model="&lt;6&gt;"'),
}
DROPPED = {
    "doctype": packet("", 'tiff:Orientation="&o;"', before='<!DOCTYPE x [<!ENTITY o "6">]>'),
    "laughs": packet("", before='<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>'),
    "structure": packet(f'<tiff:Orientation><rdf:value xmlns:rdf="{RDF}">6</rdf:value></tiff:Orientation>'),
    "value of an attribute": packet('<tiff:Orientation rdf:value="6"/>'),
    "no end": packet("", 'tiff:Orientation="6"')[:-12],
    "character data": packet("<tiff:Orientation><![CDATA[6]]></tiff:Orientation>"),
    "hidden name": packet("<tiff:Orientation>6<!-- --></tiff:Orientation>"),
    "many prefixes": packet("", " ".join(f'xmlns:p{n}="{TIFF}"' for n in range(99)) + ' p3:Orientation="6"'),
}
UNTOUCHED = {
    "upright": packet("", 'tiff:Orientation="1"'),
    "none": packet("<tiff:Make>A</tiff:Make>"),
    "another namespace": packet("", 'xmlns:e="urn:e" e:Orientation="6"'),
    "no XML": "<x:xmpmeta xmlns:x='adobe:ns:meta/'><a:b/></x:xmpmeta>",
    "text": packet("tiff:Orientation='6'"),
}


def orientations(xmp: bytes) -> list[str]:
    """As ElementTree reads them."""
    text = xmp.rstrip(b"\0")
    found = []
    for element in ElementTree.fromstring(text).iter():
        found += [value for name, value in element.attrib.items() if name == f"{{{TIFF}}}Orientation"]
        found += [element.text or ""] if element.tag == f"{{{TIFF}}}Orientation" else []
    return found


ENCODED = [
    (name, encoding)
    for name in REWRITTEN
    for encoding in ("utf-8", "utf-16-le", "utf-16-be")
    if name != "declaration" or encoding == "utf-8"  # which it declares
]


@pytest.mark.parametrize("bom", [True, False])
@pytest.mark.parametrize("name, encoding", ENCODED)
def test_it_is_rewritten_and_nothing_else_is(name: str, encoding: str, bom: bool) -> None:
    text = REWRITTEN[name]
    given = (("\ufeff" if bom else "") + text).encode(encoding)
    made = with_upright_xmp(given)
    assert made is not None
    assert set(orientations(made.decode(encoding).lstrip("\ufeff").encode())) == {"1"}
    assert made.decode(encoding).count("<") == given.decode(encoding).count("<")
    assert ("A (b)" in made.decode(encoding)) == ("A (b)" in text)


@pytest.mark.parametrize("name", DROPPED)
def test_what_cannot_be_rewritten_is_dropped(name: str) -> None:
    assert with_upright_xmp(DROPPED[name].encode()) is None
    assert with_upright_xmp(DROPPED[name].encode("utf-16-le")) is None


@pytest.mark.parametrize("name", UNTOUCHED)
def test_what_names_none_stays_byte_for_byte(name: str) -> None:
    assert with_upright_xmp(UNTOUCHED[name].encode()) == UNTOUCHED[name].encode()


@pytest.mark.parametrize(
    "wanted", [OutputFormat.JPEG, OutputFormat.PNG, OutputFormat.WEBP, OutputFormat.AVIF, OutputFormat.TIFF]
)
def test_a_turned_picture_says_so_no_more(wanted: OutputFormat) -> None:
    made = render(CASE.read_bytes(), Spec(format=wanted, keep=Keep.ALL), Limits())
    image = open_image(made.body, Format(wanted))
    assert (image.width, image.height) == (20, 40)
    assert orientations(image.get("xmp-data")) == ["1"]
    assert made.notes == ()


@pytest.mark.parametrize("name", DROPPED)
def test_a_note_tells_that_it_was_dropped(name: str) -> None:
    image = photo(20, 10).copy()
    image.set_type(pyvips.GValue.blob_type, "xmp-data", DROPPED[name].encode())
    made = render(saved(image, Format.JPEG), Spec(keep=Keep.ALL), Limits())
    assert made.notes == (Note.METADATA_DROPPED,)
    assert not open_image(made.body, Format.JPEG).get_typeof("xmp-data")


@pytest.mark.parametrize(
    "part",
    [
        'tiff:Orientation="', "tiff:Orientation='", "<tiff:Orientation>", "tiff:Orientation=",
        "<tiff:Orientation ",
        '<a tiff:Orientation="6"/>', "<tiff:Orientation>6</tiff:Orientation>", " ", "<a>", "&#54;", "<!--",
        "tiff:Orientation" + " " * 90,
    ],
)  # fmt: skip
@pytest.mark.parametrize("closed", [True, False])
def test_hostile_packets_take_linear_time(part: str, closed: bool) -> None:
    def seconds(count: int) -> float:
        text = (
            packet(part * (count // len(part))) if closed else packet("")[:-30] + part * (count // len(part))
        )
        best = 9.0
        for _ in range(3):
            start = process_time()
            with_upright_xmp(text.encode())
            best = min(best, process_time() - start)
        return best

    once, twice = seconds(150_000), seconds(300_000)
    assert twice < max(2.5 * once, 0.05)


def segment(marker: int, data: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(data) + 2) + data


def box(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", 8 + len(data)) + kind + data


MPF = segment(0xE2, b"MPF\0II*\0\x08\0\0\0\0\0")
C2PA = segment(0xEB, b"JP\0\1\0\0\0\1" + box(b"jumb", b"c2pa"))
GAIN_MAP = segment(0xE2, b"urn:iso:std:iso:ts:21496:-1\0\0\0\0\0")
GAIN_MAP_XMP = segment(
    0xE1,
    b'http://ns.adobe.com/xap/1.0/\0<x:xmpmeta xmlns:x="adobe:ns:meta/" '
    b'xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" hdrgm:Version="1.0"/>',
)
JPEG, PNG = saved(photo(20, 10), Format.JPEG), saved(photo(20, 10), Format.PNG)
CABX = struct.pack(">I", 4) + b"caBXjumb" + struct.pack(">I", 0)


@pytest.mark.parametrize(
    ("body", "notes"),
    [
        (JPEG, ()),
        (JPEG[:2] + MPF + JPEG[2:], (Note.PICTURES_DROPPED,)),
        (JPEG[:2] + C2PA + C2PA + JPEG[2:], (Note.CREDENTIALS_DROPPED,)),
        (JPEG[:2] + GAIN_MAP + JPEG[2:], (Note.GAIN_MAP_DROPPED,)),
        (
            JPEG[:2] + b"\xff\xff" + GAIN_MAP_XMP + MPF + JPEG[2:],
            (Note.GAIN_MAP_DROPPED, Note.PICTURES_DROPPED),
        ),
        (
            PNG[:33] + CABX[:-4] + crc32(CABX[4:-4]).to_bytes(4, "big") + PNG[33:],
            (Note.CREDENTIALS_DROPPED,),
        ),
    ],
)
def test_notes_tell_what_else_was_dropped(body: bytes, notes: tuple[Note, ...]) -> None:
    for keep in Keep:
        assert render(body, Spec(keep=keep), Limits()).notes == (() if keep is Keep.NONE else notes)
