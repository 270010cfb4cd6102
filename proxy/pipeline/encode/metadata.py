"""What may leave in a picture's metadata. The orientation was obeyed, so its tag never does."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pyvips

from proxy.options.spec import Keep

_EXIF, _XMP, _IPTC, ICC, _OTHER = (1 << bit for bit in range(5))

KEEP_FLAGS: Mapping[Keep, int] = {
    Keep.NONE: 0,
    Keep.COPYRIGHT: _EXIF,
    Keep.ICC: ICC,
    Keep.EXIF: _EXIF,
    Keep.ALL: _EXIF | _XMP | _IPTC | ICC | _OTHER,
}
"""libvips' VipsForeignKeep, which its savers take."""

RIGHTS_FIELDS = frozenset({"Artist", "Copyright"})

CAMERA_FIELDS = frozenset(
    re.findall(
        r"\w+",
        """
    Make Model LensMake LensModel LensSpecification Software ImageDescription
    DateTime DateTimeOriginal DateTimeDigitized SubSecTime SubSecTimeOriginal SubSecTimeDigitized
    OffsetTime OffsetTimeOriginal OffsetTimeDigitized
    ExposureTime FNumber ExposureProgram ExposureMode ExposureBiasValue ExposureIndex
    PhotographicSensitivity ISOSpeedRatings SensitivityType ShutterSpeedValue ApertureValue MaxApertureValue
    BrightnessValue MeteringMode LightSource Flash FocalLength FocalLengthIn35mmFilm SubjectDistanceRange
    WhiteBalance DigitalZoomRatio SceneCaptureType GainControl Contrast Saturation Sharpness
    """,
    )
)
"""
What `keep_exif` lets through, besides RIGHTS: an allow-list, since makers invent tags that tell who owns a
camera. Places (GPS), serial numbers, owners, maker notes, free text and the embedded thumbnail, which shows
what a crop has removed, are not on it.
"""

_ALLOWED: Mapping[Keep, frozenset[str]] = {
    Keep.COPYRIGHT: RIGHTS_FIELDS,
    Keep.EXIF: RIGHTS_FIELDS | CAMERA_FIELDS,
}

_FIELD = re.compile(r"exif-ifd[0-9]-(.+)")


def with_allowed_metadata(image: pyvips.Image, keep: Keep) -> pyvips.Image:
    """Return `image` with the metadata that a saver may write; it writes the kinds that KEEP_FLAGS names."""
    image = image.copy()
    # AVIF and TIFF write an orientation with or without metadata, AVIF by turning its picture.
    image.remove("orientation")
    if keep is Keep.NONE:
        return image
    for name in image.get_fields():
        if _is_dropped(name, keep):
            image.remove(name)
    if KEEP_FLAGS[keep] & ICC and not image.get_typeof("icc-profile-data"):
        image.set_type(
            pyvips.GValue.blob_type, "icc-profile-data", pyvips.Operation.call("profile_load", "srgb")
        )
    return image


def _is_dropped(name: str, keep: Keep) -> bool:
    if name in ("exif-ifd0-Orientation", "jpeg-thumbnail-data"):
        # A thumbnail shows what a crop has removed; libvips writes none without this field.
        return True
    allowed = _ALLOWED.get(keep)
    if allowed is None:
        return False
    if name == "exif-data":
        # Without the block as it came, libvips writes a new one from the fields that are left.
        return True
    tag = _FIELD.fullmatch(name)
    return tag is not None and tag[1] not in allowed
