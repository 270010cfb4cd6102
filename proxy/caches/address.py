"""Where a tier is, as people write it: `scheme://place?option=value`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

_UNITS: Mapping[str, int] = {
    unit: factor
    for power, letter in enumerate("kmgt", start=1)
    for unit, factor in ((f"{letter}b", 1000**power), (f"{letter}ib", 1024**power))
} | {"": 1, "b": 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """`place` is what stands between `://` and `?`, as it was written. It may hold a password: no repr."""

    scheme: str
    place: str = field(repr=False)
    options: Mapping[str, str]

    def __str__(self) -> str:
        """For messages: without whatever may be a password."""
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


def parse_address(text: str) -> Address:
    """Raises ValueError."""
    scheme, separator, rest = text.strip().partition("://")
    if not separator or not re.fullmatch(r"[a-z][a-z0-9+]*", scheme):
        raise ValueError(f"a cache is written as scheme://place, not {masked(text)!r}")
    place, _, query = rest.partition("?")
    options = dict(parse_qsl(query, keep_blank_values=True))
    return Address(scheme=scheme, place=place, options=options)


def parse_size(text: str) -> int:
    """Bytes from `256MB` (10^6), `512KiB` (2^10) or plain `1000`. Raises ValueError."""
    written = re.fullmatch(r"([1-9][0-9]{0,17}) ?([a-z]{0,3})", text.strip().lower(), re.ASCII)
    if written is None or written[2] not in _UNITS:
        raise ValueError(f"a size is a whole number of bytes, kB, MB, GB, KiB, MiB or GiB, not {text!r}")
    return int(written[1]) * _UNITS[written[2]]


def masked(text: str) -> str:
    """`redis://***@host` for `redis://user:password@host`, even when the rest makes no sense."""
    text = re.sub(r"(password=)[^&]*", r"\1***", text, flags=re.DOTALL | re.IGNORECASE)
    return re.sub(r"^(\s*[a-z0-9+]*://)?.*@", r"\1***@", text, flags=re.DOTALL | re.IGNORECASE)
