from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.model.errors import NotAnImage
from proxy.model.media import Format, Incoming, InputOnly
from proxy.pipeline.decode.sniff import sniff
from tests.pictures import HERE, plain, saved
from tests.timing import cpu


def ftyp(major: bytes, *compatible: bytes) -> bytes:
    content = b"ftyp" + major + b"\0\0\0\0" + b"".join(compatible)
    return (len(content) + 4).to_bytes(4, "big") + content


@pytest.mark.parametrize("format", HERE)
def test_what_libvips_saves_is_recognised(format: Format) -> None:
    assert sniff(saved(plain(16, 16), format)) is format


@pytest.mark.parametrize(
    "head", [ftyp(b"avif", b"mif1", b"miaf"), ftyp(b"avis", b"msf1"), ftyp(b"mif1", b"miaf", b"avif")]
)
def test_avif_is_told_by_any_of_its_brands(head: bytes) -> None:
    assert sniff(head) is Format.AVIF


SVG = b"<svg xmlns='http://www.w3.org/2000/svg'/>"


@pytest.mark.parametrize(
    ("body", "source"),
    [
        (ftyp(b"heic", b"mif1"), InputOnly.HEIC),
        (ftyp(b"mif1", b"heic"), InputOnly.HEIC),
        (SVG, InputOnly.SVG),
        (b"\xef\xbb\xbf <?xml version='1.0'?>\n" + SVG, InputOnly.SVG),
        (b"<!-- <html> -->\n<!-- two --><SVG:svg>", InputOnly.SVG),
        (b"<!DOCTYPE svg PUBLIC '-//W3C//DTD SVG 1.1//EN' 'svg11.dtd'>" + SVG, InputOnly.SVG),
        (b"<!DOCTYPE svg [<!ENTITY a 'b'> ]>" + SVG, InputOnly.SVG),
        (b"BM\x36\0\0\0" + bytes(8) + b"\x28\0\0\0", InputOnly.BMP),
        (b"\0\0\1\0\1\0", InputOnly.ICO),
        (b"\xff\x0a\xfa", Format.JXL),
    ],
)
def test_what_only_comes_in_is_recognised_too(body: bytes, source: Incoming) -> None:
    assert sniff(body) is source
    with pytest.raises(NotAnImage, match="accepted are jpeg, png"):
        sniff(body, frozenset(Format) - {Format.JXL})


def test_a_text_of_many_comments_takes_no_time() -> None:
    def refused(body: bytes) -> None:
        with pytest.raises(NotAnImage):
            sniff(body)

    many, one = b"<!---->" * 600, b"<!--" + b" " * 4193 + b"-->"
    assert cpu(lambda: refused(many)) < 20 * cpu(lambda: refused(one))


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (b"", "empty"),
        (ftyp(b"isom", b"mp41"), "video"),
        (b"%PDF-1.7", "PDF"),
        (b"\n<!DOCTYPE html><html>", "HTML"),
        (b"PK\3\4", "ZIP"),
        (b"BM is how this text begins", "no image"),
        (b"<?xml version='1.0'?><feed/>", "XML"),
        (b"\x1f\x8b\x08", "gzip"),
        (b'{"error": 1}', "JSON"),
        (b"3 3\n1 2 3\n", "no image"),
    ],
)
def test_a_refusal_names_what_was_seen_and_what_is_accepted(body: bytes, name: str) -> None:
    with pytest.raises(NotAnImage, match=name) as refused:
        sniff(body)
    assert "jpeg, png, webp, avif, gif, tiff" in refused.value.message


@given(st.binary(max_size=600))
def test_any_bytes_have_a_format_or_are_no_image(body: bytes) -> None:
    with contextlib.suppress(NotAnImage):
        assert isinstance(sniff(body), Format | InputOnly)
