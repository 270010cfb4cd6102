"""
docs/gallery.md: every option that changes a picture, as a pair of pictures without and with it.

`make gallery` draws the pictures anew, through a server of its own, from the examples of the option table and
the originals that `make run` draws. A test holds the page to the table.
"""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pyvips

from proxy.cli import tables
from proxy.options.spec import OPTIONS, SHORTHANDS, Option
from proxy.url.grammar import read_item, split_items

DOCS = Path(__file__).parent
PAGE, PICTURES = DOCS / "gallery.md", DOCS / "gallery"

SHOWN: Mapping[str, str] = {
    **dict.fromkeys(("animated", "page", "frames", "page_from_1"), "clock.gif"),
    **dict.fromkeys(("flatten", "unflatten", "opacity", "lossless"), "logo.png"),
    **dict.fromkeys(
        ("position", "x", "y", "linear_light", "gamma", "e_gamma", "sharpen", "e_sharpen"), "harbour.jpg"
    ),
    **dict.fromkeys(("hue", "e_hue", "saturation", "e_saturation", "modulate"), "balloon.jpg"),
    **dict.fromkeys(("normalize", "e_auto_contrast"), "clouds.webp"),
    **dict.fromkeys(("icc", "quality", "chroma"), "dunes.jpg"),
    "autoorient": "balloon.jpg",
    "enlarge": "placeholder.png",
    **dict.fromkeys(("trim", "e_trim"), "placeholder.png"),
}
"""The original that shows an option best; mountains.jpg when it is not here."""

OTHERWISE: Mapping[str, str] = {"format": "w_300,f_jpeg"}
"""What stands on the left where leaving the option out would be left to the server."""

INSTEAD: Mapping[str, str] = {"overlay": "w_300,l_logo,lw_0.3"}
"""Examples that need no more than presets.yaml, where the table's own needs settings that it leaves out."""

UNSEEN = frozenset({"keep"})
"""These change a file, and nothing that can be seen."""

TITLES: Mapping[str, str] = {
    "size": "Size", "turn": "Turning", "canvas": "Around and behind", "effect": "Effects",
    "overlay": "Overlays", "output": "Files",
}  # fmt: skip

WIDEST = 300
CHECKER = 8

INTRODUCTION = """\
# What the options do

Each option with its own example: the picture without it on the left, with it on the right. Checkers are
transparency. `make gallery` draws this page anew.
"""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two URLs that differ by one option."""

    option: Option
    original: str
    without: str
    example: str


def pairs() -> Iterator[Pair]:
    for option in (*OPTIONS.values(), *SHORTHANDS):
        if option.about != "delivery" and option.name not in UNSEEN:
            yield pair(option)


def pair(option: Option) -> Pair:
    example = INSTEAD.get(option.name, option.example)
    fields = read_item(next(item for item in split_items(example) if of(option, item)))
    rest = [item for item in split_items(example) if not of(option, item)]
    without = ",".join(item for item in rest if not read_item(item).keys() & fields.keys()) or "_"
    without = OTHERWISE.get(option.name, without)
    return Pair(option, SHOWN.get(option.name, "mountains.jpg"), without, example)


def of(option: Option, item: str) -> bool:
    return any(re.fullmatch(rf"{re.escape(name)}([_:=].*)?", item, re.DOTALL) for name in option.names)


def page(cell: Callable[[str, str], str]) -> str:
    """`cell` makes a cell of the table of options and an original."""
    rows: dict[str, list[tuple[str, str, str]]] = {}
    for each in pairs():
        names = " ".join(map(tables.code, each.option.names))
        rows.setdefault(each.option.about, []).append(
            (
                f"{names}<br>{each.option.doc}",
                cell(each.without, each.original),
                cell(each.example, each.original),
            )
        )
    sections = [
        f"## {TITLES[about]}\n\n{tables.markdown(('option', 'without', 'with'), rows[about])}\n"
        for about in TITLES
        if about in rows
    ]
    return "\n".join([INTRODUCTION, *sections])


def file_name(options: str, original: str) -> str:
    return re.sub(r"[^A-Za-z0-9.,-]+", "_", f"{original.split('.')[0]}-{options}")[:120]


@contextmanager
def serving(originals: Path) -> Iterator[httpx.Client]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    program = Path(sys.executable).with_name("image-proxy")
    folder = DOCS.parent
    server = subprocess.Popen(
        [program, "serve", "--port", port, "--origin", originals, "--presets", folder / "presets.yaml"],
        stderr=subprocess.DEVNULL,
    )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            while not is_ready(client):
                time.sleep(0.1)
            yield client
    finally:
        server.terminate()
        server.wait()


def is_ready(client: httpx.Client) -> bool:
    try:
        return client.get("/readyz").status_code == 200
    except httpx.TransportError:
        return False


def drawn(client: httpx.Client, options: str, original: str) -> str:
    """The cell of a picture, which is written beside the page. Raises httpx.HTTPStatusError."""
    asked = options if re.search(r"(^|,)f(ormat)?_", options) else f"{options},f_webp".removeprefix("_,")
    answer = client.get(f"/{asked}/{original}").raise_for_status()
    format = answer.headers["content-type"].removeprefix("image/")
    image = pyvips.Image.new_from_buffer(answer.content, "")
    name = f"{file_name(options, original)}.{format}"
    (PICTURES / name).write_bytes(answer.content if image.get_n_pages() > 1 else shown(image, answer.content))
    size = f"{image.width}x{image.get_page_height()} px, {len(answer.content) / 1000:.1f} kB"
    width = min(image.width, WIDEST)
    return f'<img src="gallery/{name}" width="{width}" alt="{options}"><br>`{options}`<br>{size}'


def shown(image: pyvips.Image, body: bytes) -> bytes:
    """The file as it came, unless it is larger than on the page, or has transparency, which is to be seen."""
    transparent = image.hasalpha() and image[-1].min() < 255
    if image.width <= 2 * WIDEST and not transparent:
        return body
    image = image.resize(min(1, WIDEST / image.width))
    if transparent:
        at = (pyvips.Image.xyz(image.width, image.height) / CHECKER).floor()
        grey = (at[0] + at[1]) % 2 * -30 + 245
        ground = grey.bandjoin([grey, grey]).cast("uchar").copy(interpretation="srgb")
        image = ground.composite2(image, "over").flatten().cast("uchar")
    small: bytes = image.webpsave_buffer(Q=80, keep="icc")
    return small


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        originals = Path(folder)
        subprocess.run([sys.executable, "-m", "proxy.samples", originals], check=True)
        with serving(originals) as client:
            shutil.rmtree(PICTURES, ignore_errors=True)
            PICTURES.mkdir()
            PAGE.write_text(page(lambda options, original: drawn(client, options, original)))


if __name__ == "__main__":
    main()
