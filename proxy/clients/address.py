"""The address of a cache tier, as an operator writes it: `scheme://place?option=value`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, unquote

_UNITS: Mapping[str, int] = {
    unit: factor
    for power, letter in enumerate("kmgt", start=1)
    for unit, factor in ((f"{letter}b", 1000**power), (f"{letter}ib", 1024**power))
} | {"": 1, "b": 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class TierAddress:
    """`place` is what stands between `://` and `?`, as it was written. It may hold a password: no repr."""

    scheme: str
    place: str = field(repr=False)
    options: Mapping[str, str]

    def __str__(self) -> str:
        """For messages: what may be a password is masked."""
        options = "&".join(f"{name}={value}" for name, value in self.options.items())
        return masked(f"{self.scheme}://{self.place}{'?' if options else ''}{options}")

    def allow(self, allowed: Iterable[str]) -> None:
        """Raises ValueError when an option has another name than these."""
        allowed = sorted(allowed)
        for name in self.options:
            if name not in allowed:
                names = ", ".join(repr(each) for each in allowed) or "no options"
                raise ValueError(f"{self.scheme}:// takes {names}, not {masked(name)!r}, in {str(self)!r}")

    def size(self, text: str) -> int:
        """`text`, a part of this address, in bytes. Raises ValueError, and shows all of the address."""
        try:
            return parse_size(text)
        except ValueError as error:
            raise ValueError(f"{error}, in {str(self)!r}") from None


def parse_tier_address(text: str) -> TierAddress:
    """Read `scheme://place?option=value`. Raises ValueError, which masks credentials."""
    scheme, separator, rest = text.strip().partition("://")
    if not separator or not re.fullmatch(r"[a-z][a-z0-9+]*", scheme):
        raise ValueError(f"a cache is written as scheme://place, not {masked(text)!r}")
    place, _, query = rest.partition("?")
    options = dict(parse_qsl(query, keep_blank_values=True))
    return TierAddress(scheme=scheme, place=place, options=options)


def parse_size(text: str) -> int:
    """Read `256MB` (10^6), `512KiB` (2^10) or plain `1000` as bytes. Raises ValueError."""
    written = re.fullmatch(r"([1-9][0-9]{0,17}) ?([a-z]{0,3})", text.strip().lower(), re.ASCII)
    if written is None or written[2] not in _UNITS:
        raise ValueError(f"a size is a whole number of bytes, kB, MB, GB, KiB, MiB or GiB, not {text!r}")
    return int(written[1]) * _UNITS[written[2]]


def masked(text: str) -> str:
    """
    Mask credentials in an address, for messages: `redis://***@host` for `redis://user:password@host`, even
    when the rest makes no sense.
    """
    text = re.sub(r"(password=)[^&]*", r"\1***", text, flags=re.DOTALL | re.IGNORECASE)
    return re.sub(r"^(\s*[a-z0-9+]*://)?.*@", r"\1***@", text, flags=re.DOTALL | re.IGNORECASE)


_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


def scheme_of(url: str) -> str:
    """The scheme of a URL in lower case; empty for a plain path."""
    found = _SCHEME.match(url)
    return found[1].lower() if found else ""


BUCKET_SCHEMES = ("s3", "gs", "az")


def first_redis(text: str) -> TierAddress | None:
    """The first Redis among comma-separated tiers: what all machines share. Raises ValueError."""
    addresses = map(parse_tier_address, split_tiers(text))
    return next((each for each in addresses if each.scheme.partition("+")[0] in ("redis", "rediss")), None)


def first_bucket(text: str) -> TierAddress | None:
    """The first bucket among comma-separated tiers: what outlives the others. Raises ValueError."""
    addresses = map(parse_tier_address, split_tiers(text))
    return next((each for each in addresses if each.scheme in BUCKET_SCHEMES), None)


def first_folder(text: str) -> Path | None:
    """The first folder on disk among comma-separated tiers. Raises ValueError."""
    addresses = map(parse_tier_address, split_tiers(text))
    return next((folder_of(each) for each in addresses if each.scheme == "disk"), None)


def split_tiers(text: str) -> list[str]:
    """The addresses of comma-separated tiers; `none` has none."""
    if text.strip() == "none":
        return []
    # Where an address begins, so that a stray comma in a password does not tear it apart.
    return re.split(r",(?=\s*[a-z0-9+]*://)", text)


def folder_of(address: TierAddress) -> Path:
    """The folder of a `disk://` address. Raises ValueError."""
    if not address.place:
        raise ValueError(f"disk:// takes a folder, as in disk:///var/cache/images, not {str(address)!r}")
    return Path(unquote(address.place))
