"""Colours that neither a PNG's chunks nor an AVIF's boxes say."""

from __future__ import annotations

import struct
from io import BytesIO

import pytest
from PIL import Image, ImageCms

from proxy.model.limits import Limits
from proxy.model.media import Format
from proxy.model.negotiation import Bucket
from proxy.options.spec import Icc, OutputFormat, Spec
from proxy.pipeline.describe.facts import describe
from proxy.pipeline.render import render
from tests.pictures import gradient, loaded, near, pixel, plain, saved, tagged
from tests.pipeline import light
from tests.pipeline.difference import ciede2000, lab
from tests.pipeline.light import srgb_sample, to_srgb
from tests.pipeline.profiles import SRGB, assembled, formula, gamma, grey, matrix, xyz

COLOUR = (200, 60, 60)
CAMERA = {"exif_ifd4_InteroperabilityIndex": "R03", "exif_ifd2_ColorSpace": "65535"}
ADOBE_RGB = tuple(round(value) for value in to_srgb(COLOUR, light.ADOBE, lambda v: v ** (563 / 256)))


def middle(body: bytes, **asked: object) -> tuple[int, ...]:
    spec = Spec(format=OutputFormat.PNG, **asked)  # type: ignore[arg-type]  # fields
    return pixel(loaded(render(body, spec, Limits()).body).colourspace("srgb"), 0.5, 0.5)


def with_exif(fields: dict[str, str], profile: bytes | None = None) -> bytes:
    image = tagged(plain(32, 32, *COLOUR), **fields)
    if profile:
        image = tagged(image, icc_profile_data=profile)
    return saved(image, Format.JPEG, keep="all", Q=100)


@pytest.mark.parametrize("fields", [CAMERA, {"exif_ifd4_InteroperabilityIndex": "R03"}])
def test_a_camera_says_adobe_rgb_in_exif(fields: dict[str, str]) -> None:
    body = with_exif({**fields, "exif_ifd2_ColorSpace": "65535"})
    assert near(middle(body), ADOBE_RGB, 2)
    assert near(middle(body, width=8), ADOBE_RGB, 2)
    assert near(middle(body, icc=Icc.KEEP), COLOUR, 2)
    assert describe(body, Spec(), Limits(), Bucket())["source"]["profile"] == "Adobe RGB (1998)"


@pytest.mark.parametrize(
    ("fields", "profile"),
    [
        ({}, None),
        ({"exif_ifd4_InteroperabilityIndex": "R98"}, None),
        ({"exif_ifd2_ColorSpace": "65535"}, None),
        ({"exif_ifd4_InteroperabilityIndex": "R03", "exif_ifd2_ColorSpace": "1"}, None),
        (CAMERA, matrix(SRGB, formula())),
    ],
)
def test_other_exif_and_a_profile_are_no_adobe_rgb(fields: dict[str, str], profile: bytes | None) -> None:
    assert near(middle(with_exif(fields, profile)), COLOUR, 1)


def dot_gain(share: float) -> tuple[bytes, list[float]]:
    """A grey that prints with more ink than was asked for: by 20 % in the middle, as newspapers have it."""
    inks = [1 - at / 255 for at in range(256)]
    lights = [1 - min(1.0, ink + 4 * share * ink * (1 - ink)) for ink in inks]
    levels = struct.pack(">256H", *(round(each * 65_535) for each in lights))
    return b"curv" + struct.pack(">II", 0, 256) + levels, lights


GREYS: dict[str, tuple[bytes, list[float]]] = {
    "dot gain 20 %": dot_gain(0.2),
    "dot gain 15 %": dot_gain(0.15),
    "gamma 2.2": (gamma(2.2), [(at / 255) ** (563 / 256) for at in range(256)]),
    "gamma 1.8": (gamma(1.8), [(at / 255) ** (461 / 256) for at in range(256)]),
    "sRGB's curve": (formula(), [light.srgb_light(at / 255) for at in range(256)]),
}


@pytest.mark.parametrize("kind", GREYS)
@pytest.mark.parametrize("format", [Format.JPEG, Format.PNG, Format.TIFF])
def test_grey_obeys_its_profile(kind: str, format: Format) -> None:
    curve, lights = GREYS[kind]
    image = gradient(256, 16)[0].copy(interpretation="b-w")
    more = {"Q": 100} if format is Format.JPEG else {}
    body = saved(tagged(image, icc_profile_data=grey(curve)), format, keep="icc", **more)
    seen = loaded(render(body, Spec(format=OutputFormat.PNG), Limits()).body).colourspace("srgb")
    for at in range(256):
        wanted = 255 * srgb_sample(lights[at])
        assert ciede2000(lab(wanted, wanted, wanted), lab(*seen(at, 8)[:3])) < 1


def test_grey_whose_profile_says_lightness_obeys_it() -> None:
    """Its connection space is CIELAB: the curve is one of lightness, as Little CMS reads it."""
    profile = bytearray(grey(gamma(1.0)))
    profile[20:24] = b"Lab "
    image = gradient(256, 16)[0].copy(interpretation="b-w")
    body = saved(tagged(image, icc_profile_data=bytes(profile)), Format.PNG, keep="icc")
    seen = loaded(render(body, Spec(format=OutputFormat.PNG), Limits()).body).colourspace("srgb")
    one, other = ImageCms.ImageCmsProfile(BytesIO(bytes(profile))), ImageCms.createProfile("sRGB")
    reference = ImageCms.profileToProfile(Image.new("L", (1, 1), 128), one, other, outputMode="RGB")
    assert reference is not None
    wanted = reference.getpixel((0, 0))
    assert isinstance(wanted, tuple)
    assert near(pixel(seen, 0.502, 0.5), tuple(round(each) for each in wanted), 1)


def test_a_grey_profile_without_its_curve_is_ignored() -> None:
    profile = assembled(b"GRAY", {b"wtpt": xyz((0.9642, 1.0, 0.8249))})
    body = saved(tagged(plain(8, 8, 128), icc_profile_data=profile), Format.TIFF, keep="icc")
    assert near(middle(body), (128, 128, 128), 0)
