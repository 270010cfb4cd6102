"""What can be said about an original, and about the picture that some options make of it."""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import replace
from typing import Any

import pyvips

from proxy.model import negotiation
from proxy.model.limits import Limits
from proxy.model.media import Format
from proxy.options.spec import OutputFormat, Spec
from proxy.options.values.colours import Colour
from proxy.pipeline.decode import icc
from proxy.pipeline.decode.alpha import on_premultiplied, with_alpha, with_hidden_filled
from proxy.pipeline.decode.colour import as_srgb
from proxy.pipeline.decode.header import Header
from proxy.pipeline.decode.source import open_original
from proxy.pipeline.describe.palette import palette
from proxy.pipeline.describe.placeholders import THUMBHASH_SIDE, blurhash, thumbhash
from proxy.pipeline.draw.canvas import dominant_colour
from proxy.pipeline.encode.exif import parse_exif, texts_of
from proxy.pipeline.encode.metadata import CAMERA_FIELDS, RIGHTS_FIELDS
from proxy.pipeline.encode.savers import encode_image
from proxy.pipeline.render_plan import plan_render
from proxy.pipeline.stages import compose, decode, encode, making_picture

PALETTE_SIZE = 5
LQIP_SIDE = 24
LQIP_QUALITY = 40

_EXIF_FIELD = re.compile(r"exif-ifd[0-9]-(.+)")
_EXIF_TYPE = re.compile(r"\w+, [0-9]+ components?, [0-9]+ bytes?\)")
"""The end of what libvips writes of a field: the value, and in brackets how people write it, and its type."""


def describe(
    body: bytes | memoryview,
    spec: Spec,
    limits: Limits,
    accepted: negotiation.Bucket,
    overlay: bytes | memoryview | None = None,
    overlay_limits: Limits | None = None,
) -> dict[str, Any]:
    """
    The facts as JSON has them. `source` is the original: its size upright, its bytes as they came; `width`,
    `height`, `format` and `frames` are the rendition's; all else is about the pixels of its first frame. An
    animation has `delays` in milliseconds, and `loop`, how often it is shown: 0 is for ever.

    Raises what `render` raises.
    """
    original = open_original(body, limits, page=spec.page or 0, autoorient=spec.autoorient)
    plan = plan_render(original, spec, limits, accepted)
    # All of an animation only where it is asked how large its file is.
    pixels = decode(plan if spec.max_bytes is not None else replace(plan, frames=1))
    picture = compose(pixels, overlay, overlay_limits or limits)
    format = plan.format
    if spec.max_bytes is not None or (plan.frames == 1 and spec.format is OutputFormat.BEST):
        format = encode(picture).format
    header = original.header
    with making_picture():
        image = picture.first
        return {
            "width": image.width,
            "height": image.height,
            "format": format.value,
            "frames": plan.frames,
            "source": {
                "width": header.upright.width,
                "height": header.upright.height,
                "format": header.format.value,
                "bytes": len(body),
                "pages": header.pages,
                **({"delays": header.delays, "loop": header.loop} if header.delays else {}),
                "orientation": header.orientation,
                "alpha": header.alpha,
                "space": header.interpretation,
                "profile": _colours(header),
                "exif": public_exif(pixels.first),
            },
            **appearance(as_srgb(image)),
        }


def _colours(header: Header) -> str | None:
    """What the colour space is called by the ICC profile that counts, or by what does in its place."""
    if header.signal is not None and header.signal.name is not None:
        return header.signal.name
    return icc.profile_description(header.profile) if header.profile else None


def appearance(image: pyvips.Image) -> dict[str, Any]:
    """
    Describe what a picture looks like, in a few bytes: colours as `#rrggbb`, the hashes of the picture scaled
    into 100x100 px (ThumbHash in base64, as its authors write it), and `lqip`, a data URI.
    """
    small = with_alpha(_inside(image, THUMBHASH_SIDE))
    rgba = bytes(small.write_to_memory())
    opaque = [
        (red, green, blue)
        for red, green, blue, alpha in zip(*(rgba[band::4] for band in range(4)), strict=True)
        if alpha >= 128
    ]
    tiny = encode_image(with_hidden_filled(_inside(image, LQIP_SIDE)), Format.WEBP, LQIP_QUALITY)
    return {
        "dominant": _hex(dominant_colour(image)),
        "palette": [_hex(Colour(*colour)) for colour in palette(opaque, PALETTE_SIZE)],
        "blurhash": blurhash(bytes(with_hidden_filled(small).write_to_memory()), small.width, small.height),
        "thumbhash": b64encode(thumbhash(rgba, small.width, small.height)).decode(),
        "lqip": f"data:image/webp;base64,{b64encode(tiny).decode()}",
    }


def public_exif(image: pyvips.Image) -> dict[str, str]:
    """Return the EXIF fields that `keep_exif` would keep, by their Exif names."""
    public = {**RIGHTS_FIELDS, **CAMERA_FIELDS}
    exif = parse_exif(image.get("exif-data")) if image.get_typeof("exif-data") else None
    # libvips' own way to write a text cannot be read back.
    texts = texts_of(exif, tuple(public.values())) if exif else {}
    found = {}
    for name in sorted(image.get_fields()):
        tag = _EXIF_FIELD.fullmatch(name)
        if tag is not None and tag[1] in public:
            text = texts.get(public[tag[1]])
            found[tag[1]] = (exif_value(image.get(name)) if text is None else text).strip()
    return found


def exif_value(written: str) -> str:
    """Return the value of an EXIF field without what libvips writes behind it, where it does."""
    both, *kind = written.rsplit(", ", 3)
    value, bracket, _ = both.rpartition(" (")
    return value if bracket and _EXIF_TYPE.fullmatch(", ".join(kind)) else written


def _inside(image: pyvips.Image, side: int) -> pyvips.Image:
    """Scaled into a square of `side` px, never up; each side by the rule for renditions."""
    scale = side / max(image.width, image.height)
    if scale >= 1:
        return image
    width, height = (max(1, int(length * scale + 0.5)) for length in (image.width, image.height))
    return on_premultiplied(
        image, lambda picture: picture.resize(width / image.width, vscale=height / image.height)
    ).cast("uchar")


def _hex(colour: Colour) -> str:
    return f"#{colour.red:02x}{colour.green:02x}{colour.blue:02x}"
