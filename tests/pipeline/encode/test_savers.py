from __future__ import annotations

import struct

import pytest

from proxy.model.errors import ConflictingOptions
from proxy.model.limits import Limits
from proxy.model.media import ENCODER, FORMATS, Format
from proxy.model.negotiation import Bucket
from proxy.options.spec import OPTIONS, OutputFormat
from proxy.pipeline.render import render
from proxy.url.grammar import canonical_text, parse_options
from tests.pictures import HERE, disc, loaded, photo, saved

LIMITS = Limits()
PHOTO = saved(photo(160, 120), Format.PNG)
GLASS = saved(disc(64, 48, 200, 120, 40), Format.PNG)
ASKED = {"lossless": "lossless", "progressive": "progressive", "effort": "effort_9", "chroma": "chroma_444"}


def made(options: str, body: bytes = PHOTO) -> bytes:
    return render(body, parse_options(options), LIMITS, Bucket()).body


@pytest.mark.parametrize("format", ["webp", "avif", "png", "tiff"])
def test_lossless_keeps_every_pixel(format: str) -> None:
    image = loaded(made(f"f_{format},lossless"))
    assert (image[:3].cast("float") - loaded(PHOTO).cast("float")).abs().max() == 0


def test_lossless_keeps_transparency() -> None:
    glass = loaded(GLASS)
    shown = loaded(made("f_webp,lossless", GLASS))
    assert (shown[3].cast("float") - glass[3].cast("float")).abs().max() == 0


@pytest.mark.parametrize(
    ("accepted", "format"),
    [(Bucket(), Format.PNG), (Bucket(webp=True), Format.WEBP), (Bucket(avif=True), Format.AVIF)],
)
def test_lossless_chooses_no_format_that_is_lossy(accepted: Bucket, format: Format) -> None:
    rendered = render(PHOTO, parse_options("f_auto,lossless"), LIMITS, accepted)
    assert rendered.format is format
    assert (loaded(rendered.body)[:3].cast("float") - loaded(PHOTO).cast("float")).abs().max() == 0


def test_progressive_is_what_the_file_says() -> None:
    assert b"\xff\xc2" in made("f_jpeg,progressive")
    assert b"\xff\xc2" not in made("f_jpeg")
    assert made("f_png,progressive")[28] == 1
    assert made("f_png")[28] == 0
    assert interlaced_gif(made("f_gif,progressive"))
    assert not interlaced_gif(made("f_gif"))


def interlaced_gif(body: bytes) -> bool:
    """GIF89a section 20: the flags of the image descriptor, behind a graphic control extension."""
    at = body.index(b"\x21\xf9\x04") + 8
    assert body[at] == ord(",")
    return bool(body[at + 9] & 0x40)


@pytest.mark.parametrize("format", ["png", "webp", "avif"])
def test_effort_is_worth_bytes(format: str) -> None:
    least, most = (len(made(f"f_{format},effort_{effort}")) for effort in (0, 9))
    assert most < least


def test_effort_finds_a_gif_another_palette() -> None:
    assert made("f_gif,effort_9") != made("f_gif")


@pytest.mark.parametrize("format", ["jpeg", "avif"])
def test_chroma_is_what_the_file_says(format: str) -> None:
    asked = {chroma: made(f"f_{format},q_60,chroma_{chroma}") for chroma in ("auto", "420", "444")}
    assert asked["auto"] == asked["420"]
    assert len(asked["444"]) > len(asked["420"])
    if format == "jpeg":
        assert [sampling(body) for body in asked.values()] == [0x22, 0x22, 0x11]
        assert sampling(made("f_jpeg,q_95")) == 0x11


def sampling(body: bytes) -> int:
    """ITU T.81 B.2.2: the factors of the first component."""
    at = body.index(b"\xff\xc0")
    (length,) = struct.unpack_from(">H", body, at + 2)
    assert length == 17
    return body[at + 11]


@pytest.mark.parametrize("format", Format)
@pytest.mark.parametrize("name", sorted(ENCODER))
def test_a_format_takes_what_it_has_and_refuses_the_rest(format: Format, name: str) -> None:
    text = f"f_{format},{ASKED[name]}"
    if name in FORMATS[format].encoder:
        assert getattr(parse_options(text), name) != OPTIONS[name].default or name == "lossless"
        return
    with pytest.raises(ConflictingOptions, match=f"{format} has"):
        parse_options(text)


@pytest.mark.parametrize("format", HERE)
def test_what_is_left_to_the_format_applies_where_it_can(format: Format) -> None:
    everything = ",".join(ASKED.values())
    rendered = render(saved(photo(40, 30), format), parse_options(everything), LIMITS, Bucket())
    assert rendered.format is format or not FORMATS[format].web


@pytest.mark.parametrize(
    ("text", "settled"),
    [
        ("f_png,lossless", "format_png"),
        ("f_tiff,lossless", "format_tiff"),
        ("f_webp,lossless,q_50", "format_webp,lossless"),
        ("f_avif,lossless,chroma_420", "format_avif,lossless"),
        ("f_jpeg,progressive_false,chroma_auto", "format_jpeg"),
        ("f_webp,progressive_false", "format_webp"),
        ("f_auto,effort_3", "format_auto,effort_3"),
    ],
)
def test_what_cannot_matter_is_dropped(text: str, settled: str) -> None:
    assert canonical_text(parse_options(text)) == settled


def test_a_preset_gives_each_format_what_it_has() -> None:
    defaults = {"progressive": True, "effort": 7}
    assert canonical_text(parse_options("f_webp", defaults=defaults)) == "format_webp,effort_7"
    assert canonical_text(parse_options("f_jpeg", defaults=defaults)) == "format_jpeg,progressive"
    assert OutputFormat.AUTO in OutputFormat
