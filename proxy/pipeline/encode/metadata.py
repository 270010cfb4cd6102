"""What may leave in a picture's metadata. The orientation was obeyed, so no tag says another one."""

from __future__ import annotations

from collections.abc import Mapping

import pyvips

from proxy.options.spec import Keep
from proxy.pipeline.encode.exif import MAX_EXIF_BYTES, Exif, build_exif, keep_tags, parse_exif, within_bytes
from proxy.pipeline.encode.xmp import with_upright_xmp

EXIF, XMP, _IPTC, ICC, _OTHER = (1 << bit for bit in range(5))

KEEP_FLAGS: Mapping[Keep, int] = {
    Keep.NONE: 0,
    Keep.COPYRIGHT: EXIF,
    Keep.ICC: ICC,
    Keep.EXIF: EXIF,
    Keep.ALL: EXIF | XMP | _IPTC | ICC | _OTHER,
}
"""libvips' VipsForeignKeep, which its savers take."""

RIGHTS_FIELDS: Mapping[str, int] = {"Artist": 0x013B, "Copyright": 0x8298}

CAMERA_FIELDS: Mapping[str, int] = {
    "Make": 0x010F, "Model": 0x0110, "LensMake": 0xA433, "LensModel": 0xA434, "LensSpecification": 0xA432,
    "Software": 0x0131, "ImageDescription": 0x010E,
    "DateTime": 0x0132, "DateTimeOriginal": 0x9003, "DateTimeDigitized": 0x9004,
    "SubSecTime": 0x9290, "SubSecTimeOriginal": 0x9291, "SubSecTimeDigitized": 0x9292,
    "OffsetTime": 0x9010, "OffsetTimeOriginal": 0x9011, "OffsetTimeDigitized": 0x9012,
    "ExposureTime": 0x829A, "FNumber": 0x829D, "ExposureProgram": 0x8822, "ExposureMode": 0xA402,
    "ExposureBiasValue": 0x9204, "ExposureIndex": 0xA215,
    "PhotographicSensitivity": 0x8827, "ISOSpeedRatings": 0x8827, "SensitivityType": 0x8830,
    "ShutterSpeedValue": 0x9201, "ApertureValue": 0x9202, "MaxApertureValue": 0x9205,
    "BrightnessValue": 0x9203, "MeteringMode": 0x9207, "LightSource": 0x9208, "Flash": 0x9209,
    "FocalLength": 0x920A, "FocalLengthIn35mmFilm": 0xA405, "SubjectDistanceRange": 0xA40C,
    "WhiteBalance": 0xA403, "DigitalZoomRatio": 0xA404, "SceneCaptureType": 0xA406, "GainControl": 0xA407,
    "Contrast": 0xA408, "Saturation": 0xA409, "Sharpness": 0xA40A,
}  # fmt: skip
"""
What `keep_exif` lets through, besides RIGHTS: an allow-list, since makers invent tags that tell who owns a
camera. Places (GPS), serial numbers, owners, maker notes, free text and the embedded thumbnail, which shows
what a crop has removed, are not on it.
"""

_ALLOWED: Mapping[Keep, frozenset[int] | None] = {
    Keep.COPYRIGHT: frozenset(RIGHTS_FIELDS.values()),
    Keep.EXIF: frozenset({*RIGHTS_FIELDS.values(), *CAMERA_FIELDS.values()}),
    Keep.ALL: None,
}


def allowed_exif(image: pyvips.Image, keep: Keep) -> bytes:
    """Return the EXIF block that may stay beside `image`; nothing where there is none."""
    exif = _allowed(image, keep)
    return b"" if exif is None else build_exif(exif)


def _allowed(image: pyvips.Image, keep: Keep) -> Exif | None:
    if keep not in _ALLOWED or not image.get_typeof("exif-data"):
        return None
    exif = parse_exif(image.get("exif-data"))
    if exif is None:
        return None
    kept = keep_tags(exif, _ALLOWED[keep], image.width, image.get_page_height())
    return within_bytes(kept, MAX_EXIF_BYTES)


def loses_metadata(image: pyvips.Image, keep: Keep) -> bool:
    """Whether EXIF or XMP that was asked for cannot stay, because it cannot be read or is too long."""
    if keep in _ALLOWED and image.get_typeof("exif-data"):
        exif, kept = parse_exif(image.get("exif-data")), _allowed(image, keep)
        if exif is None or kept is None or kept.partial or (exif.partial and keep is Keep.ALL):
            return True
    return (
        bool(KEEP_FLAGS[keep] & XMP)
        and bool(image.get_typeof("xmp-data"))
        and with_upright_xmp(image.get("xmp-data")) is None
    )


def with_allowed_metadata(image: pyvips.Image, keep: Keep) -> pyvips.Image:
    """
    Return `image` with the metadata that a saver may write, but for EXIF (see `allowed_exif`); it writes the
    kinds that KEEP_FLAGS names.
    """
    image = image.copy()
    # AVIF and TIFF write an orientation with or without metadata, AVIF by turning its picture.
    image.remove("orientation")
    if keep is Keep.NONE:
        return image
    for name in image.get_fields():
        # A thumbnail shows what a crop has removed; libvips writes none without this field.
        if name.startswith("exif-") or name == "jpeg-thumbnail-data":
            image.remove(name)
    if KEEP_FLAGS[keep] & XMP and image.get_typeof("xmp-data"):
        packet = with_upright_xmp(image.get("xmp-data"))
        image.remove("xmp-data")
        if packet is not None:
            image.set_type(pyvips.GValue.blob_type, "xmp-data", packet)
    if KEEP_FLAGS[keep] & ICC and not image.get_typeof("icc-profile-data"):
        image.set_type(
            pyvips.GValue.blob_type, "icc-profile-data", pyvips.Operation.call("profile_load", "srgb")
        )
    return image
