"""Content negotiation for `f_auto` and `f_best`: from an Accept header to a bucket, and on to formats."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from proxy.model.media import Format

MAX_ACCEPT_CHARACTERS = 4096
"""Longer Accept headers grant nothing; browsers send about 100 characters."""

# Both are linear: a quote always matches, to its end or to the end of the header.
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*+"?', re.DOTALL)
_WEIGHT = re.compile(r"0?\.[0-9]{1,6}|0\.?|1(?:\.0{0,6})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """The part of an Accept header that decides, small enough to be part of a cache key."""

    avif: bool = False
    webp: bool = False


def bucket(accept: str | None) -> Bucket:
    """
    Return what an Accept header (RFC 9110 section 12.5.1), `None` when there was none, says of avif and webp
    by name. Wildcards do not count, since every client sends them, and q=0 refuses. Nothing is granted by a
    weight that cannot be read, or by a header that is too long.
    """
    if not accept or len(accept) > MAX_ACCEPT_CHARACTERS:
        return Bucket()
    return _bucket(accept)


@lru_cache(maxsize=256)
def _bucket(accept: str) -> Bucket:
    accepted: dict[str, bool] = {}
    for element in _QUOTED.sub("", accept).lower().split(","):
        media_type, *parameters = (part.strip() for part in element.split(";"))
        accepted[media_type] = accepted.get(media_type, True) and _wanted(parameters)
    return Bucket(avif=accepted.get("image/avif", False), webp=accepted.get("image/webp", False))


def _wanted(parameters: list[str]) -> bool:
    for parameter in parameters:
        name, _, value = (part.strip() for part in parameter.partition("="))
        if name == "q":
            return _WEIGHT.fullmatch(value) is not None and float(value) > 0
    return True


def format_bucket(bucket: Bucket) -> str:
    """Return `bucket` as text: `avif,webp`, `avif`, `webp` or `-`."""
    return ",".join(name for name in ("avif", "webp") if getattr(bucket, name)) or "-"


def parse_bucket(text: str) -> Bucket:
    """Return the bucket that `format_bucket` wrote. Raises KeyError for any other text."""
    return _BUCKETS[text]


_BUCKETS = {
    format_bucket(each): each
    for each in (Bucket(avif=avif, webp=webp) for avif in (False, True) for webp in (False, True))
}


def candidates(accepted: Bucket, savable: frozenset[Format], *, alpha: bool) -> tuple[Format, ...]:
    """Return the formats that `f_best` tries for a still; all browsers show jpeg and png."""
    found = (
        (Format.AVIF, accepted.avif),
        (Format.WEBP, accepted.webp),
        (Format.JPEG, not alpha),
        (Format.PNG, True),
    )
    return tuple(format for format, fits in found if fits and format in savable)


def choose(accepted: Bucket, savable: frozenset[Format], *, alpha: bool, animated: bool) -> Format:
    """
    Return the format that `f_auto` stands for, among the `savable` ones; jpeg when no other is left. `alpha`
    and `animated` are what the picture is.
    """
    candidates = (
        (Format.WEBP, animated and accepted.webp),
        (Format.GIF, animated),
        (Format.AVIF, accepted.avif),
        (Format.WEBP, accepted.webp),
        (Format.PNG, alpha),
    )
    return next((format for format, fits in candidates if fits and format in savable), Format.JPEG)
