"""
Generate docs/gallery.md: a pair of pictures, without and with it, for every option that changes a picture.

`make gallery` renders the examples of the option table by a server of its own, from the originals that
`make run` draws. A test compares the page with the table.
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

BEST_ORIGINALS: Mapping[str, str] = {
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
"""By option, the original that shows it best; mountains.jpg for the others."""

COMPARED_WITH: Mapping[str, str] = {"format": "w_300,f_jpeg"}
"""By option, what it is compared with, where the server would decide without it."""

EXAMPLES: Mapping[str, str] = {"overlay": "w_300,l_logo,lw_0.3"}
"""Examples for options whose example in the table needs more than presets.yaml."""

INVISIBLE = frozenset({"keep"})
"""Options that change a file, but not what the picture looks like."""

TITLES: Mapping[str, str] = {
    "size": "Size", "turn": "Turning", "canvas": "Around and behind", "effect": "Effects",
    "overlay": "Overlays", "output": "Files",
}  # fmt: skip

MAX_WIDTH = 300
CHECKER_SIZE = 8

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


def all_pairs() -> Iterator[Pair]:
    for option in (*OPTIONS.values(), *SHORTHANDS):
        if option.about != "delivery" and option.name not in INVISIBLE:
            yield pair(option)


def pair(option: Option) -> Pair:
    example = EXAMPLES.get(option.name, option.example)
    fields = read_item(next(item for item in split_items(example) if is_of(option, item)))
    rest = [item for item in split_items(example) if not is_of(option, item)]
    without = ",".join(item for item in rest if not read_item(item).keys() & fields.keys()) or "_"
    without = COMPARED_WITH.get(option.name, without)
    return Pair(option, BEST_ORIGINALS.get(option.name, "mountains.jpg"), without, example)


def is_of(option: Option, item: str) -> bool:
    return any(re.fullmatch(rf"{re.escape(name)}([_:=].*)?", item, re.DOTALL) for name in option.names)


def page(cell: Callable[[str, str], str]) -> str:
    """Return the page; `cell` makes a table cell from options and an original."""
    rows: dict[str, list[tuple[str, str, str]]] = {}
    for each in all_pairs():
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
def run_server(originals: Path) -> Iterator[httpx.Client]:
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


def draw_cell(client: httpx.Client, options: str, original: str) -> str:
    """Render a picture to a file beside the page, and return its table cell. Raises httpx.HTTPStatusError."""
    asked = options if re.search(r"(^|,)f(ormat)?_", options) else f"{options},f_webp".removeprefix("_,")
    answer = client.get(f"/{asked}/{original}").raise_for_status()
    format = answer.headers["content-type"].removeprefix("image/")
    image = pyvips.Image.new_from_buffer(answer.content, "")
    name = f"{file_name(options, original)}.{format}"
    (PICTURES / name).write_bytes(
        answer.content if image.get_n_pages() > 1 else preview(image, answer.content)
    )
    size = f"{image.width}x{image.get_page_height()} px, {len(answer.content) / 1000:.1f} kB"
    width = min(image.width, MAX_WIDTH)
    return f'<img src="gallery/{name}" width="{width}" alt="{options}"><br>`{options}`<br>{size}'


def preview(image: pyvips.Image, body: bytes) -> bytes:
    """Return the file as it is, or a smaller one on checkers if it is larger than the page or transparent."""
    transparent = image.hasalpha() and image[-1].min() < 255
    if image.width <= 2 * MAX_WIDTH and not transparent:
        return body
    image = image.resize(min(1, MAX_WIDTH / image.width))
    if transparent:
        at = (pyvips.Image.xyz(image.width, image.height) / CHECKER_SIZE).floor()
        grey = (at[0] + at[1]) % 2 * -30 + 245
        ground = grey.bandjoin([grey, grey]).cast("uchar").copy(interpretation="srgb")
        image = ground.composite2(image, "over").flatten().cast("uchar")
    small: bytes = image.webpsave_buffer(Q=80, keep="icc")
    return small


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        originals = Path(folder)
        subprocess.run([sys.executable, "-m", "proxy.samples", originals], check=True)
        with run_server(originals) as client:
            shutil.rmtree(PICTURES, ignore_errors=True)
            PICTURES.mkdir()
            PAGE.write_text(page(lambda options, original: draw_cell(client, options, original)))


if __name__ == "__main__":
    main()
