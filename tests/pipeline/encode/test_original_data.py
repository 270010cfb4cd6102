"""The original's own data as a rendition: when they leave, and that nothing else of its file does."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO

import pytest
import pyvips
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from proxy.model.errors import ProxyError
from proxy.model.limits import Limits
from proxy.model.media import Format
from proxy.pipeline.encode.original_data import plain_data
from proxy.pipeline.render import render
from proxy.url.grammar import parse_options
from tests.pictures import loaded, photo, quadrants, saved

PAYLOADS = [
    b"<script>alert('secret')</script>", b"<!DOCTYPE html><html><body>secret", b"<?php secret(); ?>",
    b"PK\x03\x04secret" + bytes(20) + b"PK\x05\x06" + bytes(18), b"*/=1;secret();/*", b"%PDF-1.4 secret",
    b"GIF89a/*secret*/", b"\x7fELFsecret",
]  # fmt: skip


def squeezed_jpeg(**more: object) -> bytes:
    """By an encoder that ours cannot beat: optimal codes in many scans."""
    file = BytesIO()
    options: dict[str, object] = {"quality": 60, "optimize": True, "progressive": True, **more}
    picture().save(file, "JPEG", **options)
    return file.getvalue()


def picture() -> Image.Image:
    return NOISE.copy()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def squeezed_png() -> bytes:
    """Five grey levels of two bits and no filter: smaller than what we write."""
    image = Image.effect_noise((200, 100), 90).convert("P", palette=Image.Palette.ADAPTIVE, colors=4)
    file = BytesIO()
    image.save(file, "PNG", bits=2, optimize=True)
    return file.getvalue()


NOISE = Image.effect_noise((160, 120), 60).convert("RGB")
JPEG, PNG = squeezed_jpeg(), squeezed_png()


def made(body: bytes, options: str = "_") -> bytes:
    return render(body, parse_options(options), Limits()).body


def segment(marker: int, data: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(data) + 2) + data


def scans(jpeg: bytes) -> bytes:
    return jpeg[jpeg.index(b"\xff\xda") :]


def same_pixels(one: bytes, other: bytes) -> bool:
    return bool((loaded(one) - loaded(other)).abs().max() == 0)


@pytest.mark.parametrize("options", ["_", "f_jpeg", "q_100", "q_95", "w_160", "q_auto:best", "v_2", "w_500"])
def test_a_jpeg_that_we_cannot_beat_keeps_its_data(options: str) -> None:
    found = made(JPEG, options)
    assert len(found) <= len(JPEG)
    assert same_pixels(found, JPEG)
    assert scans(found)[-2000:] == scans(JPEG)[-2000:]


@pytest.mark.parametrize("options", ["_", "f_png", "w_200"])
def test_a_png_that_we_cannot_beat_keeps_its_data(options: str) -> None:
    assert made(PNG, options) == PNG


@pytest.mark.parametrize(
    "options", ["q_20", "w_80", "sharpen_2", "f_webp", "keep_all", "flip", "progressive", "chroma_444"]
)
def test_whatever_else_is_asked_is_encoded(options: str) -> None:
    assert scans(made(JPEG, options))[-500:] != scans(JPEG)[-500:] if options != "f_webp" else True
    if options == "q_20":
        assert len(made(JPEG, options)) < len(JPEG)


@pytest.mark.parametrize("quality", [15, 40, 75])
def test_encoding_again_at_its_own_quality_costs_what_it_does_not_save(quality: int) -> None:
    body = saved(photo(360, 240), Format.JPEG, Q=quality, optimize_coding=True, subsample_mode="on", keep=0)
    assert same_pixels(made(body), body)
    assert len(made(body)) <= len(body)


def test_a_turned_jpeg_is_encoded() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    found = made(squeezed_jpeg(exif=exif))
    assert (loaded(found).width, loaded(found).height) == (120, 160)


def adobe_rgb() -> bytes:
    image = photo(160, 120).icc_transform("p3", input_profile="srgb", embedded=False)
    image = pyvips.Image.new_from_memory(bytes(image.cast("uchar").write_to_memory()), 160, 120, 3, "uchar")
    file = BytesIO()
    profile = pyvips.Operation.call("profile_load", "p3")
    Image.frombytes("RGB", (160, 120), bytes(image.write_to_memory())).save(
        file, "JPEG", quality=60, optimize=True, progressive=True, icc_profile=bytes(profile)
    )
    return file.getvalue()


@pytest.mark.parametrize("options", ["_", "icc_keep", "icc_p3"])
def test_other_colours_than_srgb_are_encoded(options: str) -> None:
    body = adobe_rgb()
    assert scans(made(body, options))[-300:] != scans(body)[-300:]


def test_a_png_of_another_gamma_is_converted() -> None:
    body = PNG[:33] + chunk(b"gAMA", struct.pack(">I", 100_000)) + PNG[33:]
    found = made(body)
    assert loaded(body).width == loaded(found).width
    assert b"IDAT" in found
    assert found[33:] != PNG[33:]


def jpeg_hiding(payload: bytes) -> dict[str, bytes]:
    first = JPEG.index(b"\xff\xda")
    baseline = squeezed_jpeg(progressive=False)
    restarts = squeezed_jpeg(progressive=False, restart_marker_blocks=4)
    second = JPEG.index(b"\xff\xda", first + 2)
    between = JPEG.rindex(b"\xff\xc4", 0, second)
    reset = restarts.index(b"\xff\xd0", restarts.index(b"\xff\xda"))
    table = bytes((0x0F,)) + payload.ljust(64, b"A")[:64]
    symbols = bytes((3,)) + bytes(7) + bytes((len(payload),)) + bytes(8) + payload
    return {
        **{f"APP{n}": JPEG[:2] + segment(0xE0 + n, payload) + JPEG[2:] for n in range(16)},
        "JFIF": JPEG[:2] + segment(0xE0, b"JFIF\0\1\2\0\0\1\0\1" + bytes((9, 9)) + payload) + JPEG[2:],
        "Adobe": JPEG[:2] + segment(0xEE, b"Adobe\0\x64\0\0\0\0\1" + payload) + JPEG[2:],
        "ICC": JPEG[:2] + segment(0xE2, b"ICC_PROFILE\0\1\1" + payload) + JPEG[2:],
        "EXIF": JPEG[:2] + segment(0xE1, b"Exif\0\0" + payload) + JPEG[2:],
        "comment": JPEG[:2] + segment(0xFE, payload) + JPEG[2:],
        "comment between scans": JPEG[:between] + segment(0xFE, payload) + JPEG[between:],
        "after EOI": JPEG + payload,
        "after EOI twice": JPEG + payload + b"\xff\xd9",
        "before EOI": JPEG[:-2] + payload + JPEG[-2:],
        "before EOI of one scan": baseline[:-2] + payload + baseline[-2:],
        "between scans": JPEG[:between] + payload + JPEG[between:],
        "before RST": restarts[:reset] + payload + restarts[reset:],
        "unused DQT": JPEG[:2] + segment(0xDB, table) + JPEG[2:],
        "DQT twice": JPEG[:2] + segment(0xDB, bytes(1) + table[1:]) + JPEG[2:],
        "unused DHT": JPEG[:first] + segment(0xC4, symbols) + JPEG[first:],
        "DRI": JPEG[:2] + segment(0xDD, b"\0\0" + payload) + JPEG[2:],
        "DNL": JPEG[:2] + segment(0xDC, payload) + JPEG[2:],
        "another JPEG": JPEG + JPEG[:2] + segment(0xFE, payload) + JPEG[2:],
        "fill": JPEG[:2] + b"\xff" * 9 + segment(0xFE, payload) + JPEG[2:],
    }


def png_hiding(payload: bytes) -> dict[str, bytes]:
    at, end = PNG.index(b"IDAT") - 4, PNG.index(b"IEND") - 4
    idat = PNG[at + 8 : end - 4]
    inflated = zlib.decompress(idat)
    palette = PNG.index(b"PLTE") - 4
    size = int.from_bytes(PNG[palette : palette + 4], "big")
    after = palette + 12 + size
    colours = PNG[palette + 8 : palette + 8 + size]
    text = (payload + b"   ")[: len(payload) // 3 * 3]
    return {
        **{
            kind.decode(): PNG[:33] + chunk(kind, payload) + PNG[33:]
            for kind in (b"tEXt", b"zTXt", b"iTXt", b"eXIf", b"iCCP", b"tIME", b"sPLT", b"hIST",
                         b"prVt", b"caBX")
        },
        "after IDAT": PNG[:end] + chunk(b"tEXt", payload) + PNG[end:],
        "between IDATs": PNG[:at] + chunk(b"IDAT", idat[:50])
        + chunk(b"tEXt", payload) + chunk(b"IDAT", idat[50:]) + PNG[end:],
        "after IEND": PNG + payload,
        "in IEND": PNG[:end] + chunk(b"IEND", payload),
        "after the stream": PNG[:at] + chunk(b"IDAT", idat + payload) + PNG[end:],
        "in another IDAT": PNG[:end] + chunk(b"IDAT", payload) + PNG[end:],
        "too many pixels": PNG[:at] + chunk(b"IDAT", zlib.compress(inflated + payload, 0)) + PNG[end:],
        "unused palette": PNG[:24] + b"\x08" + PNG[25:29]
        + zlib.crc32(PNG[12:24] + b"\x08" + PNG[25:29]).to_bytes(4, "big")
        + chunk(b"PLTE", (colours + text)[:768]) + chunk(b"IDAT", zlib.compress(inflated, 9)) + PNG[end:],
        "palette": PNG[:palette] + chunk(b"PLTE", (colours + text)[: len(colours)]) + PNG[after:],
        "more palette": PNG[:palette] + chunk(b"PLTE", colours + text) + PNG[after:],
        "tRNS": PNG[:after] + chunk(b"tRNS", payload) + PNG[after:],
        "critical": PNG[:33] + chunk(b"SEcT", payload) + PNG[33:],
    }  # fmt: skip


@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.parametrize("where", jpeg_hiding(b"x" * 30))
def test_nothing_hidden_in_a_jpeg_leaves(where: str, payload: bytes) -> None:
    _nothing_leaves(jpeg_hiding(payload)[where], payload)


@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.parametrize("where", png_hiding(b"x" * 30))
def test_nothing_hidden_in_a_png_leaves(where: str, payload: bytes) -> None:
    _nothing_leaves(png_hiding(payload)[where], payload)


def _nothing_leaves(body: bytes, payload: bytes) -> None:
    try:
        found = made(body)
    except ProxyError:
        return
    assert b"secret" not in found
    assert payload not in found
    shown = Image.open(BytesIO(found))
    assert found.endswith(b"\xff\xd9" if shown.format == "JPEG" else chunk(b"IEND", b""))


@pytest.mark.parametrize("where", ["APP1", "comment", "after EOI", "ICC", "comment between scans", "fill"])
def test_what_is_hidden_outside_of_the_data_costs_no_quality(where: str) -> None:
    assert same_pixels(made(jpeg_hiding(b"x" * 200)[where]), JPEG)
    assert made(jpeg_hiding(b"x" * 200)[where]) == made(JPEG)


@pytest.mark.parametrize("where", ["tEXt", "prVt", "after IDAT", "after IEND"])
def test_what_is_hidden_outside_of_pixels_costs_no_bytes(where: str) -> None:
    assert made(png_hiding(b"x" * 200)[where]) == PNG


def test_damaged_data_are_not_passed_on() -> None:
    for at in range(len(JPEG) // 2, len(JPEG) - 2, 97):
        body = JPEG[:at] + b"\xff\xd9"
        try:
            found = made(body)
        except ProxyError:
            continue
        assert scans(found) != scans(body)


def test_cmyk_and_deep_samples_have_no_plain_data() -> None:
    cmyk, deep = BytesIO(), saved(photo(20, 20).cast("ushort").copy(interpretation="rgb16"), Format.PNG)
    picture().convert("CMYK").save(cmyk, "JPEG")
    assert plain_data(cmyk.getvalue(), Format.JPEG) is None
    assert plain_data(deep, Format.PNG) is None
    assert plain_data(saved(photo(20, 20), Format.WEBP), Format.WEBP) is None


def test_an_interlaced_png_has() -> None:
    for image in (photo(37, 23), photo(1, 1), photo(3, 5), quadrants(90, 70)):
        body = saved(image, Format.PNG, interlace=True, keep="none")
        plain = plain_data(body, Format.PNG)
        assert plain is not None
        assert same_pixels(plain, body)


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_no_bytes_break_the_walkers(data: st.DataObject) -> None:
    format, body = data.draw(st.sampled_from([(Format.JPEG, JPEG), (Format.PNG, PNG)]))
    at = data.draw(st.integers(0, min(len(body), 900)))
    noise = data.draw(st.binary(max_size=12))
    for changed in (
        body[:at] + noise + body[at:],
        body[:at] + noise + body[at + len(noise) :],
        body[:at] + noise,
    ):
        plain = plain_data(changed, format)
        assert plain is None or len(plain) <= len(changed) + 40


def test_text_beside_the_picture_of_a_png_is_not_there() -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "secret " * 50)
    file = BytesIO()
    Image.open(BytesIO(PNG)).save(file, "PNG", pnginfo=text, bits=2, optimize=True)
    assert b"secret" in file.getvalue()
    assert b"secret" not in made(file.getvalue())
