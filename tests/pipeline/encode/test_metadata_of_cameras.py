"""Originals whose EXIF, XMP and text another program wrote, and renditions that it reads."""

from __future__ import annotations

import struct
from functools import cache
from io import BytesIO
from typing import Any

import pytest
from PIL import ExifTags, Image, PngImagePlugin
from PIL.TiffImagePlugin import IFDRational

from proxy.model.limits import Limits
from proxy.model.media import Format
from proxy.model.negotiation import Bucket
from proxy.options.spec import Keep, OutputFormat, Spec
from proxy.pipeline.describe.facts import describe
from proxy.pipeline.render import render
from tests.pictures import HERE, photo, saved, tagged

Tag, Place = ExifTags.Base, ExifTags.GPS
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><secret-xmp exif:GPSLatitude="52,31N"/></x:xmpmeta>'
ORIGINALS = ["JPEG", "PNG", "WEBP", "AVIF"]
OUTPUTS = [OutputFormat(format) for format in HERE if format is not Format.JXL]
"""What the other program reads."""

WITH_EXIF = [OutputFormat.JPEG, OutputFormat.PNG, OutputFormat.WEBP, OutputFormat.AVIF]
"""libvips writes no EXIF into GIF, which has no place for it, nor into TIFF."""


@cache
def original(format: str) -> bytes:
    exif = Image.Exif()
    exif[Tag.Make], exif[Tag.Orientation] = "Cameraworks", 6
    exif[Tag.Copyright], exif[Tag.Artist] = "(c) Ann", "Ann"
    exif[Tag.HostComputer] = "secret-host"
    camera = exif.get_ifd(ExifTags.IFD.Exif)
    camera[Tag.FNumber], camera[Tag.ISOSpeedRatings] = IFDRational(28, 10), 200
    camera[Tag.DateTimeOriginal] = "2026:01:02 03:04:05"
    for tag in (Tag.BodySerialNumber, Tag.LensSerialNumber, Tag.CameraOwnerName, Tag.ImageUniqueID):
        camera[tag] = f"secret-{tag.name}"
    camera[Tag.UserComment], camera[Tag.MakerNote] = b"ASCII\0\0\0secret-comment", b"secret-maker"
    place = exif.get_ifd(ExifTags.IFD.GPSInfo)
    place[Place.GPSLatitudeRef], place[Place.GPSLatitude] = "N", (52.0, 31.0, 12.5)
    place[Place.GPSLongitudeRef], place[Place.GPSLongitude] = "E", (13.0, 24.0, 0.0)
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "secret-text")
    text.add_itxt("XML:com.adobe.xmp", XMP.decode())
    more: dict[str, Any] = {"pnginfo": text} if format == "PNG" else {"xmp": XMP}
    if format == "JPEG":
        more["comment"] = b"secret-text"
    file = BytesIO()
    Image.effect_noise((60, 40), 60).convert("RGB").save(file, format, exif=exif, **more)
    return file.getvalue()


def read(body: bytes) -> tuple[Image.Image, dict[str, Any], dict[int, Any]]:
    """The picture, its EXIF by the names of the tags, and its place."""
    image = Image.open(BytesIO(body))
    exif = image.getexif()
    tags = {**exif, **exif.get_ifd(ExifTags.IFD.Exif)}
    return image, {ExifTags.TAGS.get(tag, str(tag)): value for tag, value in tags.items()}, dict(
        exif.get_ifd(ExifTags.IFD.GPSInfo)
    )  # fmt: skip


@pytest.mark.parametrize("given", ORIGINALS)
def test_the_originals_have_it_all(given: str) -> None:
    image, tags, place = read(original(given))
    assert image.size == (60, 40)
    assert {"BodySerialNumber", "CameraOwnerName", "MakerNote", "FNumber"} <= tags.keys()
    assert place[Place.GPSLatitude] == (52.0, 31.0, 12.5)
    assert b"secret-xmp" in original(given)


@pytest.mark.parametrize("keep", [keep for keep in Keep if keep is not Keep.ALL])
@pytest.mark.parametrize("wanted", OUTPUTS)
@pytest.mark.parametrize("given", ORIGINALS)
def test_nothing_private_leaves(given: str, wanted: OutputFormat, keep: Keep) -> None:
    body = render(original(given), Spec(format=wanted, keep=keep), Limits()).body
    image, tags, place = read(body)
    assert image.size == (40, 60)
    assert tags.get("Orientation", 1) == 1
    assert not place
    assert not [name for name in tags if "Serial" in name or "Owner" in name or name == "MakerNote"]
    assert b"secret" not in body
    assert not [text for text in image.info.values() if "secret" in str(text)]


@pytest.mark.parametrize("wanted", WITH_EXIF)
@pytest.mark.parametrize("given", ORIGINALS)
def test_what_is_kept_is_there(given: str, wanted: OutputFormat) -> None:
    def kept(keep: Keep) -> dict[str, Any]:
        return read(render(original(given), Spec(format=wanted, keep=keep), Limits()).body)[1]

    assert kept(Keep.COPYRIGHT).keys() >= {"Artist", "Copyright"}
    assert not kept(Keep.COPYRIGHT).keys() & {"Make", "FNumber", "DateTimeOriginal"}
    assert kept(Keep.EXIF)["Artist"] == "Ann"
    assert kept(Keep.EXIF)["FNumber"] == pytest.approx(2.8)
    assert kept(Keep.EXIF).keys() >= {"Make", "ISOSpeedRatings", "DateTimeOriginal"}
    assert not {"Artist", "Make"} & kept(Keep.ICC).keys()


@pytest.mark.parametrize("wanted", WITH_EXIF)
@pytest.mark.parametrize("given", ORIGINALS)
def test_all_but_the_orientation_leaves_when_all_is_asked_for(given: str, wanted: OutputFormat) -> None:
    image, tags, place = read(render(original(given), Spec(format=wanted, keep=Keep.ALL), Limits()).body)
    assert image.size == (40, 60)
    assert tags["Orientation"] == 1
    assert tags["BodySerialNumber"] == "secret-BodySerialNumber"
    assert place[Place.GPSLatitude] == (52.0, 31.0, 12.5)


@pytest.mark.parametrize("keep", Keep)
@pytest.mark.parametrize("wanted", OUTPUTS)
def test_the_orientation_of_a_tiff_is_obeyed_too(wanted: OutputFormat, keep: Keep) -> None:
    body = saved(tagged(photo(60, 40), orientation=6), Format.TIFF)
    image, tags, _ = read(render(body, Spec(format=wanted, keep=keep), Limits()).body)
    assert image.size == (40, 60)
    assert tags.get("Orientation", 1) == 1


@pytest.mark.parametrize("given", ORIGINALS)
def test_what_is_said_of_it_is_what_keep_exif_would_keep(given: str) -> None:
    said = describe(original(given), Spec(), Limits(), Bucket())
    assert said["source"]["exif"] == {
        "Artist": "Ann", "Copyright": "(c) Ann", "Make": "Cameraworks", "FNumber": "14/5",
        "ISOSpeedRatings": "200", "DateTimeOriginal": "2026:01:02 03:04:05",
    }  # fmt: skip
    assert "secret" not in str(said)


def with_thumbnail(jpeg: bytes) -> bytes:
    """Exif 2.32, 4.5.7: a second directory, and in it where the thumbnail is and how long."""
    thumbnail = saved(photo(16, 12), Format.JPEG, keep="none") + b"secret-thumbnail"
    first = struct.pack("<HHHIII", 1, Tag.Make, 2, 4, int.from_bytes(b"Me\0\0", "little"), 26)
    at = 8 + len(first) + 2 + 3 * 12 + 4
    rows = ((0x0103, 3, 1, 6), (0x0201, 4, 1, at), (0x0202, 4, 1, len(thumbnail)))
    second = struct.pack("<H", 3) + b"".join(struct.pack("<HHII", *row) for row in rows) + bytes(4)
    exif = b"Exif\0\0" + struct.pack("<2sHI", b"II", 42, 8) + first + second + thumbnail
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:]


@pytest.mark.parametrize("keep", Keep)
@pytest.mark.parametrize("wanted", OUTPUTS)
def test_a_thumbnail_of_the_whole_never_leaves(wanted: OutputFormat, keep: Keep) -> None:
    body = with_thumbnail(saved(photo(60, 40), Format.JPEG, keep="none"))
    assert dict(Image.open(BytesIO(body)).getexif().get_ifd(ExifTags.IFD.IFD1))
    made = render(body, Spec(width=20, height=20, format=wanted, keep=keep), Limits()).body
    assert b"secret-thumbnail" not in made
    exif = Image.open(BytesIO(made)).getexif()
    assert not exif.get_ifd(ExifTags.IFD.IFD1).keys() & {0x0201, 0x0202}
    if wanted in WITH_EXIF and keep in (Keep.EXIF, Keep.ALL):
        assert exif[Tag.Make].startswith("Me")
