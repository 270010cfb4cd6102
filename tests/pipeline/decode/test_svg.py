from __future__ import annotations

import base64
import contextlib
import time
from collections.abc import Callable

import pytest

from proxy.model.errors import BrokenImage, NotAnImage, ProxyError, TooCostly, TooManyPixels
from proxy.model.limits import Limits
from proxy.model.media import Format, InputOnly
from proxy.model.negotiation import Bucket
from proxy.pipeline.decode.loaders import LOADER_SAMPLES, loadable
from proxy.pipeline.decode.sniff import sniff
from proxy.pipeline.decode.svg import judge_svg
from proxy.pipeline.decode.svg_text import root_only
from proxy.pipeline.render import render
from proxy.url.grammar import parse_options
from tests.paths import PICTURES as DATA
from tests.pictures import loaded, near, pixel, plain, saved
from tests.pipeline.decode.test_pixels import png
from tests.timing import cpu

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


ALL_RED = "<rect width='100%' height='100%' fill='red'/></svg>"
ROOT = "<svg xmlns='http://www.w3.org/2000/svg'"


@pytest.mark.parametrize(
    ("root", "options", "size"),
    [
        ("viewBox='0 0 1.5 1'", "w_300", (300, 200)),
        ("viewBox='0,0 , 1.5,1'", "h_100", (150, 100)),
        ("viewBox='0 0 .015 .010'", "w_300", (300, 200)),
        ("viewBox='0 0 1 0.777'", "w_100", (100, 78)),
        ("viewBox='0 0 1.5 1'", "w_300,a_90", (300, 450)),
        ("viewBox='0 0 1.5 1'", "ar_1,w_30", (30, 30)),
        ("viewBox='0 0 0.4 0.3'", "_", (1, 1)),
        ("viewBox='0 0 0.4 0.3'", "h_99", (132, 99)),
        ("width='1.5' height='1'", "w_300", (300, 200)),
        ("width='1in' height='2.54cm'", "_", (96, 96)),
        ("width='72pt' height='6pc'", "_", (96, 96)),
        ("width='25.4mm' height='101.6Q'", "_", (96, 96)),
        ("width='2em' height='2ex'", "_", (32, 16)),
        ("width='2em' height='1em' font-size='20px'", "_", (40, 20)),
        ("style='width:2em;height:1em'", "_", (32, 16)),
        ("height='1em' viewBox='0 0 320 512'", "_", (10, 16)),
        ("height='1em' viewBox='0 0 320 512'", "w_300", (300, 480)),
        ("width='1.5e1px' height='+1E1'", "_", (15, 10)),
        ("width='100%' height='100%' viewBox='0 0 30 20'", "_", (30, 20)),
        ("width='50%' viewBox='0 0 30 20'", "w_100", (100, 67)),
        ("width='100%' height='10' viewBox='0 0 30 20'", "_", (15, 10)),
        ("width='49'", "_", (49, 150)),
        ("width='-5' height='5' viewBox='0 0 2 1'", "_", (10, 5)),
        ("width='100' height='50' viewBox='0 0 30 20' preserveAspectRatio='none'", "_", (100, 50)),
    ],
)
def test_its_size_is_that_of_css_and_its_ratio_is_never_rounded(
    root: str, options: str, size: tuple[int, int]
) -> None:
    image = loaded(render(f"{ROOT} {root}>{ALL_RED}".encode(), parse_options(options), LIMITS).body)
    assert (image.width, image.height) == size
    assert not image.hasalpha() or image[3].min() == 255, "up to its edges"


def test_bars_that_its_author_meant_stay() -> None:
    body = f"{ROOT} width='60' height='60' viewBox='0 0 30 20'>{ALL_RED}".encode()
    image = loaded(render(body, parse_options("w_90"), LIMITS).body)
    assert pixel(image, 0.5, 0.05)[3] == 0
    assert pixel(image, 0.5, 0.5)[3] == 255


def test_an_inch_inside_has_96_px() -> None:
    image = loaded(render((DATA / "svg-mm.svg").read_bytes(), parse_options("f_png"), LIMITS).body)
    assert image[3].find_trim(background=0, threshold=1, line_art=True) == [0, 0, 50, 50]


@pytest.mark.parametrize(
    ("name", "options", "size"),
    [
        ("svg-viewbox-1.5x1", "w_300", (300, 200)),
        ("svg-em", "w_300", (300, 480)),
        ("svg-long-comment", "w_100", (100, 50)),
    ],
)
def test_drawings_from_outside(name: str, options: str, size: tuple[int, int]) -> None:
    image = loaded(render((DATA / f"{name}.svg").read_bytes(), parse_options(options), LIMITS).body)
    assert (image.width, image.height) == size
    assert not image.hasalpha() or image[3].min() == 255


ICON_TEXT = f"{ROOT} width='20' height='10'><title>é</title>{ALL_RED}"
ILLUSTRATOR = (
    "<!DOCTYPE svg PUBLIC '-//W3C//DTD SVG 1.1//EN' 'svg11.dtd' [\n"
    "<!ENTITY ns_svg 'http://www.w3.org/2000/svg'>\n<!ENTITY one \"1\">\n<!ENTITY ten '&one;0'>\n"
    "<!ENTITY quoted \"it's\">\n<!-- ]> ' -->]>"
)


@pytest.mark.parametrize(
    "body",
    [
        f"<!-- {'licence ' * 100_000} -->{ICON_TEXT}".encode(),
        f"{'<!---->' * 10_000}{ICON_TEXT}".encode(),
        f"<?xml version='1.0'?>{' ' * 50_000}<?a {'b' * 9000}?>{ICON_TEXT}".encode(),
        f"<!DOCTYPE svg [<!-- {'c' * 9000} ]> -->]>{ICON_TEXT}".encode(),
        f"<?xml version='1.0' encoding='UTF-16'?>{ICON_TEXT}".encode("utf-16"),
        ICON_TEXT.encode("utf-16"),
        ("\ufeff" + ICON_TEXT).encode("utf-16-be"),
        ICON_TEXT.encode("utf-16-be"),
        ("\ufeff" + ICON_TEXT).encode(),
        f"<?xml version='1.0' encoding='utf-16'?>{ICON_TEXT}".encode(),
        f"<?xml version='1.0' encoding='ISO-8859-1'?>{ICON_TEXT}".encode("latin-1"),
        f"<?xml version='1.0' encoding='windows-1252'?>{ICON_TEXT}".encode("cp1252"),
        f"{ILLUSTRATOR}<svg xmlns='&ns_svg;' width='20' height='&ten;'>&quoted;{ALL_RED}".encode(),
        f"{ILLUSTRATOR}<svg xmlns='&ns_svg;' width='20' height='10' id='&quoted;'>{ALL_RED}".encode(),
    ],
    ids=map(str, range(14)),
)  # fmt: skip
def test_what_may_stand_before_a_drawing_may_have_any_length_and_encoding(body: bytes) -> None:
    image = loaded(render(body, parse_options("w_40"), LIMITS).body)
    assert (image.width, image.height) == (40, 20)
    assert near(pixel(image, 0.5, 0.5)[:3], (255, 0, 0), within=1)


MANY = "".join(f"<!ENTITY e{at} 'x'>" for at in range(65))
LONG = f"<!ENTITY x '{'x' * 1000}'>"


@pytest.mark.parametrize(
    ("defined", "text", "kind"),
    [
        (MANY, "", NotAnImage),
        (f"<!ENTITY x '{'x' * 1025}'>", "", NotAnImage),
        ("<!ENTITY x '<path/>'>", "&x;", NotAnImage),
        ("<!ENTITY x '&#60;path/>'>", "&x;", NotAnImage),
        ("<!ENTITY x '&x;'>", "&x;", NotAnImage),
        ("<!ENTITY % x 'x'>", "", NotAnImage),
        ("<!ENTITY x SYSTEM 'a.txt'>", "", NotAnImage),
        (LONG, "&x;" * 1000, TooCostly),
        (LONG, "&x;" * 200_000, TooCostly),
        ("", "&x;", BrokenImage),
    ],
)
def test_entities_stand_for_a_bounded_text_and_nothing_else(
    defined: str, text: str, kind: type[ProxyError]
) -> None:
    body = drawing(f"<desc>{text}</desc>", before=f"<!DOCTYPE svg [{defined}]>")
    started = time.process_time()
    with pytest.raises(kind):
        render(body, parse_options("w_100"), LIMITS)
    assert time.process_time() - started < 1


def test_an_entity_is_text_where_text_is_quoted_too() -> None:
    defined = "<!DOCTYPE svg [<!ENTITY x 'y'>]>"
    assert root_only(drawing("<!--&x;--><a b='&x;'/>&x;<![CDATA[&x;]]>", defined)).endswith(
        b"<!--&x;--><a b='y'/>y<![CDATA[&x;]]></svg>"
    )


@pytest.mark.parametrize(
    "worst",
    [
        lambda n: "<!--" * n,
        lambda n: "<!---->" * n,
        lambda n: "<?a?>" * n,
        lambda n: "<!DOCTYPE svg [" + "'" * (2 * n) + "<!--",
        lambda n: "<!DOCTYPE svg [" + "<!-- ' -->" * n + "]>" + ICON_TEXT,
        lambda n: ROOT + " a='b'" * n,
        lambda n: f"{ROOT} width='{'1' * n}' height='{'1' * n}x' viewBox='{'0 ' * n}'>{ALL_RED}",
        lambda n: f"{ROOT} style='{'width:' * n}'>{ALL_RED}",
        lambda n: f"<!DOCTYPE svg [<!ENTITY x 'y'>]>{ROOT} width='2' height='2'>{'&x' * n}",
        lambda n: f"<!DOCTYPE svg [<!ENTITY x 'y'>]>{ROOT} width='2' height='2'>{'<!--' * n}",
        lambda n: ROOT + "".join(f" a{at}='\"'" for at in range(n)) + f" width='2' height='2'>{ALL_RED}",
    ],
    ids=map(str, range(11)),
)
def test_what_reads_a_drawing_takes_time_in_proportion_to_it(worst: Callable[[int], str]) -> None:
    def judged(count: int) -> None:
        with contextlib.suppress(ProxyError):
            body = worst(count).encode()
            sniff(body)
            drawing = judge_svg(body, LIMITS)
            if drawing.size:
                drawing.at(5, 5)

    assert cpu(lambda: judged(30_000)) < 3 * cpu(lambda: judged(15_000)) + 0.02
