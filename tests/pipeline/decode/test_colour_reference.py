"""Our colours against Little CMS called directly, on a cube of colours for each kind of original."""

from __future__ import annotations

from io import BytesIO

import pytest
import pyvips
from PIL import Image, ImageCms

from proxy.model.limits import Limits
from proxy.model.media import Format
from proxy.model.negotiation import Bucket
from proxy.options.spec import Icc, Keep, OutputFormat, Spec
from proxy.pipeline.describe.facts import describe
from proxy.pipeline.render import render
from tests.pictures import loaded, near, plain, saved, tagged
from tests.pipeline.difference import PUBLISHED, Lab, ciede2000, mean_difference
from tests.pipeline.profiles import ADOBE, gamma, grey, matrix

PROPHOTO = ((0.7977, 0.2880, 0.0), (0.1352, 0.7119, 0.0), (0.0313, 0.0001, 0.8249))


def built_in(name: str) -> bytes:
    return bytes(pyvips.Operation.call("profile_load", name))


SRGB, P3, CMYK = built_in("srgb"), built_in("p3"), built_in("cmyk")
ADOBE_RGB, WIDE = matrix(ADOBE, gamma(2.19921875)), matrix(PROPHOTO, gamma(1.8))


def cube(bands: int) -> bytes:
    """1296 pixels of 36 x 36: every mixture of evenly spaced values."""
    steps = {1: 1296, 3: 11, 4: 6}[bands]
    values = [round(at * 255 / (steps - 1)) for at in range(steps)]
    pixels = [values[at // steps**band % steps] for at in range(1296) for band in range(bands)]
    return bytes(pixels)


def cube_image(bands: int, profile: bytes | None) -> pyvips.Image:
    image = pyvips.Image.new_from_memory(cube(bands), 36, 36, bands, "uchar")
    image = image.copy(interpretation={1: "b-w", 3: "srgb", 4: "cmyk"}[bands])
    return tagged(image, icc_profile_data=profile) if profile else image


def reference(pixels: bytes, profile: bytes, target: bytes = SRGB, intent: int = 0) -> bytes:
    mode = {1: "L", 3: "RGB", 4: "CMYK"}[len(pixels) // 1296]
    image = Image.frombytes(mode, (36, 36), pixels)
    one, other = (ImageCms.ImageCmsProfile(BytesIO(each)) for each in (profile, target))
    transform = ImageCms.buildTransform(one, other, mode, "RGB", renderingIntent=ImageCms.Intent(intent))
    converted = ImageCms.applyTransform(image, transform)
    assert converted is not None
    return converted.tobytes()


def rendered(body: bytes, **asked: object) -> pyvips.Image:
    image = loaded(render(body, Spec(format=OutputFormat.PNG, **asked), Limits()).body)  # type: ignore[arg-type]  # fields
    assert (image.width, image.height, image.bands, image.format) == (36, 36, 3, "uchar")
    return image


@pytest.mark.parametrize(("one", "other", "wanted"), PUBLISHED)
def test_the_measure_is_the_published_one(one: Lab, other: Lab, wanted: float) -> None:
    assert ciede2000(one, other) == pytest.approx(wanted, abs=5e-5)
    assert ciede2000(other, one) == pytest.approx(wanted, abs=5e-5)


KINDS = {
    "display p3": (3, P3), "adobe rgb": (3, ADOBE_RGB), "prophoto": (3, WIDE), "cmyk": (4, CMYK),
    "grey of gamma 1": (1, grey(gamma(1.0))), "grey of gamma 1.8": (1, grey(gamma(1.8))),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_what_has_a_profile_becomes_srgb_as_little_cms_has_it(kind: str) -> None:
    bands, profile = KINDS[kind]
    body = saved(cube_image(bands, profile), Format.TIFF, keep="icc")
    wanted = reference(cube(bands), profile)
    assert mean_difference(bytes(rendered(body).write_to_memory()), wanted) < 0.2


@pytest.mark.parametrize("kind", ["display p3", "adobe rgb", "prophoto"])
@pytest.mark.parametrize("format", [Format.PNG, Format.TIFF])
def test_sixteen_bits_become_srgb_as_little_cms_has_it(kind: str, format: Format) -> None:
    profile = KINDS[kind][1]
    deep = (cube_image(3, None) * 257).cast("ushort").copy(interpretation="rgb16")
    body = saved(tagged(deep, icc_profile_data=profile), format, keep="icc")
    assert loaded(body).format == "ushort"
    assert mean_difference(bytes(rendered(body).write_to_memory()), reference(cube(3), profile)) < 0.2


def test_cmyk_without_a_profile_is_read_colorimetrically() -> None:
    body = saved(cube_image(4, None), Format.TIFF, keep="none")
    wanted = reference(cube(4), CMYK, intent=1)
    assert mean_difference(bytes(rendered(body).write_to_memory()), wanted) < 0.3


def test_a_palette_obeys_its_profile() -> None:
    few = bytes(round(value / 51) * 51 for value in cube(3))
    image = pyvips.Image.new_from_memory(few, 36, 36, 3, "uchar").copy(interpretation="srgb")
    picture = Image.frombytes("RGB", (36, 36), few).quantize(256)
    assert picture.convert("RGB").tobytes() == few
    file = BytesIO()
    picture.save(file, "PNG", icc_profile=P3)
    assert loaded(file.getvalue()).get("palette") == 1
    assert mean_difference(bytes(rendered(file.getvalue()).write_to_memory()), reference(few, P3)) < 0.2
    assert image.bands == 3


@pytest.mark.parametrize(("profile", "given"), [(SRGB, None), (ADOBE_RGB, ADOBE_RGB), (WIDE, WIDE)])
@pytest.mark.parametrize("wide", [False, True])
def test_display_p3_when_it_is_asked_for(profile: bytes, given: bytes | None, wide: bool) -> None:
    image = cube_image(3, None)
    if wide:
        image = (image * 257).cast("ushort").copy(interpretation="rgb16")
    body = saved(tagged(image, icc_profile_data=given) if given else image, Format.TIFF, keep="icc")
    ours = rendered(body, icc=Icc.P3)
    assert bytes(ours.get("icc-profile-data")) == P3
    assert mean_difference(bytes(ours.write_to_memory()), reference(cube(3), profile, P3)) < 0.2


@pytest.mark.parametrize("linear", [False, True])
@pytest.mark.parametrize("profile", [P3, ADOBE_RGB, WIDE])
def test_colours_that_are_kept_are_kept(profile: bytes, linear: bool) -> None:
    body = saved(cube_image(3, profile), Format.TIFF, keep="icc")
    ours = rendered(body, icc=Icc.KEEP, linear_light=linear)
    assert bytes(ours.get("icc-profile-data")) == profile
    assert (ours - cube_image(3, None)).abs().max() == 0


@pytest.mark.parametrize("profile", [SRGB, CMYK, grey(gamma(1.8))])
def test_what_is_not_rgb_cannot_be_kept(profile: bytes) -> None:
    bands = {SRGB: 3, CMYK: 4}.get(profile, 1)
    ours = rendered(saved(cube_image(bands, profile), Format.TIFF, keep="icc"), icc=Icc.KEEP)
    assert mean_difference(bytes(ours.write_to_memory()), reference(cube(bands), profile)) < 0.2
    assert not ours.get_typeof("icc-profile-data")


def test_no_step_of_a_deep_original_is_lost_before_its_colours_are_converted() -> None:
    """Linear light in 16 bits: through 8 of them, the darkest tenth would be some 20 tones of sRGB."""
    ramp = (pyvips.Image.xyz(1000, 1)[0] * 6.5).cast("ushort").copy(interpretation="grey16")
    body = saved(tagged(ramp, icc_profile_data=grey(gamma(1.0))), Format.PNG, keep="icc")
    image = loaded(render(body, Spec(format=OutputFormat.PNG), Limits()).body)
    tones = {int(image(x, 0)[0]) for x in range(1000)}
    assert tones == set(range(max(tones) + 1))
    assert max(tones) > 80


def halves(one: int, other: int, profile: bytes | None, deep: bool, alpha: bool) -> bytes:
    """Columns of two greys, turn about: half the size of it is their mean, in whatever is averaged."""
    columns = (pyvips.Image.xyz(64, 64)[0] % 2).ifthenelse([one] * 3, [other] * 3).cast("uchar")
    image = columns.bandjoin(255) if alpha else columns
    image = (image * 257).cast("ushort") if deep else image
    image = image.copy(interpretation="rgb16" if deep else "srgb")
    return saved(tagged(image, icc_profile_data=profile) if profile else image, Format.TIFF, keep="icc")


@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize(
    ("profile", "icc", "wanted"),
    [
        (None, Icc.SRGB, 188),
        (P3, Icc.SRGB, 188),
        (P3, Icc.KEEP, 188),
        (P3, Icc.P3, 188),
        (None, Icc.P3, 188),
        (ADOBE_RGB, Icc.SRGB, 188),
        (ADOBE_RGB, Icc.KEEP, round(255 * 0.5 ** (1 / 2.19921875))),
        (WIDE, Icc.KEEP, round(255 * 0.5 ** (1 / 1.8))),
    ],
)
def test_light_is_scaled_as_light(
    profile: bytes | None, icc: Icc, wanted: int, deep: bool, alpha: bool
) -> None:
    """Half black and half white is half the light, which every space writes in its own way."""
    body = halves(0, 255, profile, deep, alpha)
    spec = Spec(width=32, format=OutputFormat.PNG, linear_light=True, icc=icc, keep=Keep.NONE)
    image = loaded(render(body, spec, Limits()).body)
    assert all(abs(value - wanted) <= 2 for value in image(16, 16)[:3])
    assert image.bands == 3 or image(16, 16)[3] == 255


@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize(
    ("gamma", "wanted"), [((2.2,), 186), ((1.0, 1.0), 128), ((1.0, 2.2), 186), ((3.0, 1.0), 128)]
)
def test_gamma_darkens_before_scaling_and_brightens_after(
    gamma: tuple[float, ...], wanted: int, deep: bool, alpha: bool
) -> None:
    spec = Spec(width=32, format=OutputFormat.PNG, gamma=gamma)
    image = loaded(render(halves(0, 255, None, deep, alpha), spec, Limits()).body)
    assert all(abs(value - wanted) <= 2 for value in image(16, 16)[:3])


def test_gamma_keeps_the_shadows() -> None:
    """Through 8 bits, as elsewhere, everything below 14 would be black."""
    ramp = pyvips.Image.xyz(256, 8)[0].cast("uchar").copy(interpretation="b-w")
    image = loaded(
        render(saved(ramp, Format.PNG), Spec(format=OutputFormat.PNG, gamma=(2.2,)), Limits()).body
    )
    assert (image[0] - ramp).abs().max() == 0


@pytest.mark.parametrize("icc", [Icc.KEEP, Icc.P3])
def test_what_is_said_of_a_picture_is_said_in_srgb(icc: Icc) -> None:
    image = plain(40, 40, 200, 60, 60).icc_transform("p3", input_profile="srgb")
    body = saved(image, Format.PNG, keep="icc")
    said = describe(body, Spec(icc=icc, format=OutputFormat.PNG), Limits(), Bucket())
    assert said["source"]["profile"]
    colour = tuple(bytes.fromhex(said["dominant"][1:]))
    assert near(colour, (200, 60, 60), 3)
    assert near(tuple(bytes.fromhex(said["palette"][0][1:])), (200, 60, 60), 3)
