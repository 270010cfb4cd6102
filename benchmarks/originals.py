"""The originals that the referee's scenarios ask for, drawn: name of a file -> how it is made."""

from __future__ import annotations

from pathlib import Path

import pyvips

from proxy.samples import scenes

SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="{w}" height="{h}" viewBox="0 0 800 600">'
    '<rect width="800" height="600" fill="#246"/><circle cx="400" cy="300" r="220" fill="#fc3"/>'
    '<path d="M60 540 Q400 60 740 540Z" fill="#3a5" fill-opacity=".7"/></svg>'
)


def draw(folder: Path, *, quick: bool) -> None:
    """Write every original into `folder`; a tenth of each side when `quick`."""
    shrink = 10 if quick else 1
    scene = scenes.mountains()

    def photo(width: int, height: int) -> pyvips.Image:
        scale = max(width / shrink / scene.width, height / shrink / scene.height)
        image = scene.resize(scale * 1.001, kernel="cubic")
        return image.crop(0, 0, width // shrink, height // shrink).copy_memory()

    twelve, small = photo(4000, 3000), photo(2400, 1600)
    twelve.jpegsave(str(folder / "photo.jpg"), Q=88)
    twelve.jpegsave(str(folder / "progressive.jpg"), Q=88, interlace=True)
    photo(4240, 2832).jpegsave(str(folder / "wide.jpg"), Q=88)
    photo(6000, 4000).jpegsave(str(folder / "large.jpg"), Q=88)
    alpha = (pyvips.Image.xyz(small.width, small.height)[0] * (255 / small.width)).cast("uchar")
    small.bandjoin(alpha).pngsave(str(folder / "alpha.png"), compression=6)
    small.webpsave(str(folder / "photo.webp"), Q=85, effort=2)
    small.heifsave(str(folder / "photo.avif"), Q=70, effort=0, compression="av1")
    frame = photo(640, 480)
    frames = [frame.wrap(x=step * 7, y=0) for step in range(6 if quick else 60)]
    joined = pyvips.Image.arrayjoin(frames, across=1).copy()
    joined.set_type(pyvips.GValue.gint_type, "page-height", frame.height)
    joined.set_type(pyvips.GValue.array_int_type, "delay", [50] * len(frames))
    joined.gifsave(str(folder / "moving.gif"), effort=1)
    (folder / "drawing.svg").write_text(SVG.format(w=1600 // shrink, h=1200 // shrink))
