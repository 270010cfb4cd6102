from __future__ import annotations

import pytest
import pyvips

from proxy.model.limits import Limits
from proxy.model.media import Format
from proxy.model.negotiation import Bucket
from proxy.options.spec import Keep, OutputFormat, Spec
from proxy.pipeline.describe.facts import describe
from proxy.pipeline.render import render
from tests.pictures import loaded, photo, saved, tagged

PUBLIC = {"exif-ifd0-Copyright": "(c) Ann", "exif-ifd0-Artist": "Ann"}
SHOOTING = {"exif-ifd0-Make": "Cameraworks", "exif-ifd2-FNumber": "28/10", "exif-ifd2-ISOSpeedRatings": "200"}
PRIVATE = {
    "exif-ifd3-GPSLatitude": "52/1 31/1 0/1",
    "exif-ifd3-GPSLatitudeRef": "N",
    "exif-ifd2-MakerNote": "secret-maker",
    "exif-ifd2-UserComment": "secret-comment",
    "exif-ifd2-BodySerialNumber": "secret-body",
    "exif-ifd2-LensSerialNumber": "secret-lens",
    "exif-ifd2-CameraOwnerName": "secret-owner",
    "exif-ifd0-HostComputer": "secret-host",
}
FORMATS = [OutputFormat.JPEG, OutputFormat.PNG, OutputFormat.WEBP, OutputFormat.AVIF]


def source() -> bytes:
    image = tagged(photo(40, 30), orientation=6)
    image = tagged(image, **(PUBLIC | SHOOTING | PRIVATE))
    image.set_type(pyvips.GValue.blob_type, "xmp-data", b"<x:xmpmeta>secret-xmp <script></x:xmpmeta>")
    image.set_type(pyvips.GValue.blob_type, "iptc-data", b"secret-iptc")
    return saved(image, Format.JPEG)


SOURCE = source()


def told(format: OutputFormat, keep: Keep) -> tuple[bytes, dict[str, str]]:
    body = render(SOURCE, Spec(format=format, keep=keep), Limits()).body
    image = loaded(body)
    return body, {name: str(image.get(name)) for name in image.get_fields()}


def test_the_source_has_it_all() -> None:
    found = loaded(SOURCE)
    assert {"exif-ifd0-Make", "exif-ifd3-GPSLatitude", "xmp-data", "orientation"} <= set(found.get_fields())
    assert b"secret-body" in SOURCE


@pytest.mark.parametrize("format", [*FORMATS, OutputFormat.GIF, OutputFormat.TIFF])
@pytest.mark.parametrize("keep", [Keep.NONE, Keep.ICC, Keep.COPYRIGHT, Keep.EXIF])
def test_places_and_serials_never_leave(format: OutputFormat, keep: Keep) -> None:
    body, found = told(format, keep)
    assert b"secret" not in body
    assert b"script" not in body
    assert not [name for name in found if "GPS" in name or "Serial" in name or "xmp" in name]


@pytest.mark.parametrize("format", [*FORMATS, OutputFormat.GIF, OutputFormat.TIFF])
@pytest.mark.parametrize("keep", Keep)
def test_the_orientation_was_obeyed_and_is_gone(format: OutputFormat, keep: Keep) -> None:
    """libvips writes a neutral tag of its own whenever it writes EXIF: 1 says nothing."""
    body, found = told(format, keep)
    image = loaded(body)
    assert (image.width, image.height) == (30, 40)
    assert found.get("orientation", "1") == "1"
    assert found.get("exif-ifd0-Orientation", "1")[0] == "1"


@pytest.mark.parametrize("format", [*FORMATS, OutputFormat.GIF])
def test_by_default_nothing_stays(format: OutputFormat) -> None:
    body, found = told(format, Keep.NONE)
    assert not [name for name in found if name.startswith(("exif", "icc", "xmp", "iptc"))]
    assert b"Ann" not in body


@pytest.mark.parametrize("format", FORMATS)
def test_copyright_keeps_who_made_it_and_nothing_else(format: OutputFormat) -> None:
    _, found = told(format, Keep.COPYRIGHT)
    for name, text in PUBLIC.items():
        assert found[name].startswith(text)
    assert "exif-ifd0-Make" not in found
    assert "exif-ifd2-FNumber" not in found
    assert "icc-profile-data" not in found


@pytest.mark.parametrize("format", FORMATS)
def test_exif_keeps_how_it_was_taken(format: OutputFormat) -> None:
    _, found = told(format, Keep.EXIF)
    for name in PUBLIC | SHOOTING:
        assert name in found


@pytest.mark.parametrize("format", [*FORMATS, OutputFormat.TIFF])
@pytest.mark.parametrize("keep", [Keep.ICC, Keep.ALL])
def test_a_profile_that_stays_is_srgb(format: OutputFormat, keep: Keep) -> None:
    _, found = told(format, keep)
    assert "icc-profile-data" in found


@pytest.mark.parametrize("format", [OutputFormat.JPEG, OutputFormat.WEBP])
def test_all_means_all(format: OutputFormat) -> None:
    body, found = told(format, Keep.ALL)
    assert "exif-ifd3-GPSLatitude" in found
    assert "xmp-data" in found
    assert b"secret-body" in body


def test_what_is_said_of_a_picture_is_public() -> None:
    said = describe(SOURCE, Spec(), Limits(), Bucket())["source"]
    assert said["orientation"] == 6
    assert (said["width"], said["height"]) == (30, 40)
    assert said["exif"] == {name.split("-")[-1]: value for name, value in (PUBLIC | SHOOTING).items()}
    assert "secret" not in str(said)
