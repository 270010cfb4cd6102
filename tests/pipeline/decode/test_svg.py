from __future__ import annotations

import base64
import time

import pytest

from proxy.model.errors import BrokenImage, NotAnImage, ProxyError, TooCostly, TooManyPixels
from proxy.model.limits import Limits
from proxy.model.media import Format, InputOnly
from proxy.model.negotiation import Bucket
from proxy.pipeline.decode.loaders import LOADER_SAMPLES, loadable
from proxy.pipeline.render import render
from proxy.url.grammar import parse_options
from tests.pictures import loaded, near, pixel, plain, saved
from tests.pipeline.decode.test_pixels import png

LIMITS = Limits()
NAMES = "xmlns='http://www.w3.org/2000/svg' xmlns:xlink='http://www.w3.org/1999/xlink'"
OPEN = f"<svg {NAMES} width='24' height='16'>"
ICON = f"{OPEN}<path d='M0 0h12v16h-12z' fill='#e61414'/></svg>".encode()
"""Its left half is red, the rest is nothing."""


def drawing(inside: str, before: str = "", root: str = OPEN) -> bytes:
    return f"{before}{root}{inside}</svg>".encode()


def embedded(body: bytes, kind: str = "image/png") -> str:
    return f"data:{kind};base64,{base64.b64encode(body).decode()}"


@pytest.mark.parametrize(
    ("options", "size"),
    [
        ("_", (24, 16)),
        ("w_2400", (2400, 1600)),
        ("w_333", (333, 222)),
        ("w_300,h_300", (300, 300)),
        ("w_300,h_300,c_pad,b_fff", (300, 300)),
        ("w_500,h_100,fit_fill", (500, 100)),
        ("w_100,h_4000,fit_fill", (100, 4000)),
        ("crop_6_4_12_8,w_600", (600, 400)),
        ("w_10,dpr_3", (30, 20)),
        ("w_240,h_160,c_limit", (240, 160)),
        ("w_240,h_160,c_lfill", (24, 16)),
    ],
)
def test_a_drawing_is_drawn_at_the_size_at_which_it_is_shown(options: str, size: tuple[int, int]) -> None:
    rendered = render(ICON, parse_options(options), LIMITS)
    image = loaded(rendered.body)
    assert rendered.format is Format.PNG
    assert (image.width, image.height) == (rendered.width, rendered.height) == size


def test_its_edges_are_sharp_however_small_it_was() -> None:
    image = loaded(render(ICON, parse_options("w_2400"), LIMITS).body)
    assert near(pixel(image, 0.499, 0.5), (230, 20, 20, 255), within=1)
    assert pixel(image, 0.501, 0.5)[3] == 0
    part = loaded(render(ICON, parse_options("crop_6_4_12_8,w_1200"), LIMITS).body)
    assert near(pixel(part, 0.499, 0.5), (230, 20, 20, 255), within=1)
    assert pixel(part, 0.501, 0.5)[3] == 0


def test_it_leaves_as_pixels_only() -> None:
    for options in ("_", "f_auto", "f_webp", "w_5000"):
        rendered = render(ICON, parse_options(options), LIMITS, Bucket(webp=True))
        assert isinstance(rendered.format, Format)
        assert b"<svg" not in rendered.body


def test_the_doctype_of_drawing_programs_is_let_through() -> None:
    doctype = (
        "<!DOCTYPE svg PUBLIC '-//W3C//DTD SVG 1.1//EN' 'http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd'>"
    )
    body = drawing("<path d='M0 0h24v16z'/>", before=f"<?xml version='1.0'?>\n<!-- by hand -->\n{doctype}")
    assert render(body, parse_options("w_48"), LIMITS).width == 48


LAUGHS = (
    "<!DOCTYPE svg [<!ENTITY a 'ha'>"
    + "".join(f"<!ENTITY {chr(98 + at)} '{f'&{chr(97 + at)};' * 10}'>" for at in range(9))
    + "]>"
)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        pytest.param(drawing("<text>&j;</text>", before=LAUGHS), NotAnImage, id="a billion laughs"),
        pytest.param(
            drawing("<text>&x;</text>", before="<!DOCTYPE svg [<!ENTITY x SYSTEM 'file:///etc/passwd'>]>"),
            NotAnImage, id="an external entity",
        ),
        pytest.param(drawing("<!--" + "x" * 1_000_000 + "-->"), TooCostly, id="too long"),
        pytest.param(drawing("<path d='M0 0"), BrokenImage, id="cut"),
        pytest.param(b"<svg xmlns='a'></svg>" + b"\xff" * 10, BrokenImage, id="junk behind"),
        pytest.param(drawing("", root="<svg width='1e9' height='1e9'>"), TooManyPixels, id="huge"),
        pytest.param(drawing("", root="<svg viewBox='0 0 900000000 9'>"), TooManyPixels, id="huge view"),
        pytest.param(drawing("", root="<svg width='31000px' height='2'>"), TooManyPixels, id="long side"),
        pytest.param(
            drawing(f"<image href='{embedded(png(30_000, 30_000))}'/>"), TooManyPixels, id="a bomb in it"
        ),
        pytest.param(
            drawing(f"<image xlink:href='&#100;ata:{embedded(png(30_000, 30_000))[5:]}'/>"),
            TooManyPixels, id="a bomb under another spelling",
        ),
        pytest.param(
            drawing(f"<image href='{embedded(png(5000, 4000))}'/>" * 2), TooManyPixels, id="two large ones"
        ),
        pytest.param(
            drawing(f"<image href='{embedded(ICON, 'image/svg+xml')}'/>"), NotAnImage, id="a drawing in it"
        ),
        pytest.param(drawing("<use href='data:image/svg+xml,x#a'/>"), NotAnImage, id="used from outside"),
        pytest.param(
            drawing("<xi:include xmlns:xi='http://www.w3.org/2001/XInclude' href='/etc/passwd'/>"),
            NotAnImage, id="an include",
        ),
        pytest.param(b"<?xml version='1.0'?><!-- <svg> --><feed/>", NotAnImage, id="no drawing"),
    ],
)  # fmt: skip
def test_what_a_rasteriser_must_not_see_is_refused_before(body: bytes, kind: type[ProxyError]) -> None:
    started = time.process_time()
    with pytest.raises(kind):
        render(body, parse_options("w_100"), LIMITS)
    assert time.process_time() - started < 2


def test_pictures_in_it_are_drawn_and_those_elsewhere_are_not() -> None:
    blue = embedded(saved(plain(24, 16, 10, 20, 200), Format.PNG))
    for url, alpha in ((blue, 255), ("file:///a.png", 0), ("http://127.0.0.1:9/a.png", 0), ("a.png", 0)):
        body = drawing(f"<image width='24' height='16' href='{url}'/>")
        image = loaded(render(body, parse_options("w_48"), LIMITS).body)
        assert pixel(image, 0.5, 0.5)[3] == alpha
        assert near(pixel(image, 0.5, 0.5)[:3], (10, 20, 200) if alpha else (0, 0, 0))


def test_a_stretched_drawing_is_bounded() -> None:
    body = drawing("", root="<svg xmlns='http://www.w3.org/2000/svg' width='1000' height='1'>")
    assert render(body, parse_options("w_1000,h_4000,fit_fill"), LIMITS).height == 4000


def test_what_this_libvips_decodes_was_found_by_decoding() -> None:
    assert loadable() >= {*Format, InputOnly.SVG} - {Format.JXL}
    for source, sample in LOADER_SAMPLES.items():
        if source in loadable():
            assert render(sample, parse_options("f_png"), LIMITS).width >= 1
        else:
            with pytest.raises(NotAnImage, match="accepted are"):
                render(sample, parse_options("f_png"), LIMITS)
