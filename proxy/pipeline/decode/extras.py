"""What a file holds beside its picture, and no rendition: gain maps, Content Credentials, more pictures."""

from __future__ import annotations

from collections.abc import Iterator

from proxy.model.media import Body, Format, Incoming, InputOnly, Note
from proxy.pipeline.decode.parts import FilePart, iso_boxes, jpeg_segments, png_chunks, webp_chunks

_C2PA_BOX = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
"""C2PA 2.1, A.5: the `uuid` box."""

_GAIN_MAP_URN = b"urn:iso:std:iso:ts:21496:-1\0"
_GAIN_MAP_XMP = b"http://ns.adobe.com/hdr-gain-map/1.0/"
_APPLE_GAIN_MAP = b"HDRGainMap"
_XMP_HEAD = b"http://ns.adobe.com/xap/1.0/\0"


def extras_of(body: Body, format: Incoming) -> tuple[Note, ...]:
    """Name what of the file is in no rendition of it, each once."""
    notes: Iterator[Note]
    if format is Format.JPEG:
        notes = _jpeg(body)
    elif format is Format.PNG:
        notes = (Note.CREDENTIALS_DROPPED for chunk in png_chunks(body) if chunk.kind == b"caBX")
    elif format is Format.WEBP:
        notes = (Note.CREDENTIALS_DROPPED for chunk in webp_chunks(body) if chunk.kind == b"C2PA")
    elif format in (Format.AVIF, InputOnly.HEIC, Format.JXL):
        notes = _boxes(body)
    else:
        return ()
    return tuple(dict.fromkeys(notes))


def _jpeg(body: Body) -> Iterator[Note]:
    for segment in jpeg_segments(body):
        if segment.kind == b"\xe2" and segment.data.startswith(b"MPF\0"):
            yield Note.PICTURES_DROPPED
        elif segment.kind == b"\xe2" and segment.data.startswith(_GAIN_MAP_URN):
            yield Note.GAIN_MAP_DROPPED
        elif segment.kind == b"\xeb" and segment.data.startswith(b"JP"):
            yield Note.CREDENTIALS_DROPPED
        elif segment.kind == b"\xe1" and segment.data.startswith(_XMP_HEAD):
            packet = bytes(body[segment.content : segment.end])
            if _GAIN_MAP_XMP in packet or _APPLE_GAIN_MAP in packet:
                yield Note.GAIN_MAP_DROPPED


def _boxes(body: Body) -> Iterator[Note]:
    for box in iso_boxes(body):
        if box.kind == b"jumb" or (box.kind == b"uuid" and box.data.startswith(_C2PA_BOX)):
            yield Note.CREDENTIALS_DROPPED
        elif box.kind == b"jhgm" or (box.kind == b"ftyp" and _has_brand(box, b"tmap")):
            yield Note.GAIN_MAP_DROPPED


def _has_brand(box: FilePart, brand: bytes) -> bool:
    return brand in (box.data[at : at + 4] for at in range(0, len(box.data), 4))
