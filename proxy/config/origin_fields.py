"""
The fields of an origin in an origins file: what each takes, and for which kinds of URL it has a meaning.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

from proxy.config.units import BYTES, SECONDS, Units, WholeSeconds
from proxy.config.yaml import ValueReader
from proxy.model import media
from proxy.model.media import Format
from proxy.options.values.kinds import FlagKind, IntegerKind, TextKind


@dataclass(frozen=True)
class _Quantity:
    units: Units
    most: float

    @property
    def hint(self) -> str:
        return self.units.example

    def parse(self, text: str | None) -> float:
        number = self.units.parse(text)
        if not isinstance(number, int | float) or not 0 < number <= self.most:
            raise ValueError(text)
        return number


class UnresolvedReference(ValueError):
    """A reference leads to nothing. The message names the variable or the file, and never their content."""


@dataclass(frozen=True)
class _Given:
    """A value, or a reference to one (`env:NAME`, `file:/path`). A secret must be a reference."""

    secret: bool

    @property
    def hint(self) -> str:
        places = "env:NAME or file:/path, where it is to be found"
        return places if self.secret else f"a text, or {places}"

    def parse(self, text: str | None) -> str:
        scheme, colon, rest = (text or "").partition(":")
        if colon and scheme == "env" and rest:
            if not (found := os.environ.get(rest, "")):
                raise UnresolvedReference(f"the variable {rest} is not set")
            return found
        if colon and scheme == "file" and rest:
            try:
                return Path(rest).read_text(encoding="utf-8").strip() or _nothing(rest)
            except OSError as error:
                raise UnresolvedReference(f"the file {rest} cannot be read: {error.strerror}") from error
            except UnicodeDecodeError as error:
                raise UnresolvedReference(f"the file {rest} is not UTF-8 text") from error
        if self.secret or not text:
            raise ValueError(text)
        return text


def _nothing(path: str) -> str:
    raise UnresolvedReference(f"the file {path} is empty")


class _Url:
    hint: ClassVar[str] = (
        "a folder, file://, http(s)://host/, s3://bucket/prefix, gs:// or az://, without user and password"
    )

    def parse(self, text: str | None) -> str:
        if not text or "@" in urlsplit(text).netloc:
            raise ValueError(text)
        return text


class FormatName:
    names: ClassVar[tuple[str, ...]] = (*Format, *media.InputOnly)
    hint: ClassVar[str] = "one of " + ", ".join(names)

    def parse(self, text: str | None) -> str:
        if text not in self.names:
            raise ValueError(text)
        return text


class Pattern:
    hint: ClassVar[str] = "a regular expression for a whole key"

    def parse(self, text: str | None) -> re.Pattern[str]:
        try:
            or_empty(text or "")
            return re.compile(text or "")
        except re.error as error:
            raise ValueError(text) from error


TEXT_KIND = TextKind(1024)
URL_KIND, SECRET_KIND, VALUE_KIND = _Url(), _Given(secret=True), _Given(secret=False)
SCALAR_FIELDS: Mapping[str, ValueReader] = {
    "private": FlagKind(),
    "timeout": _Quantity(SECONDS, 3600),
    "max_bytes": _Quantity(BYTES, 10**12),
    "max_age": WholeSeconds(most=2**31 - 1),
    "concurrency": IntegerKind(1, 1024),
}
STORE_OPTIONS: Mapping[str, ValueReader] = {
    "region": TEXT_KIND,
    "endpoint": TEXT_KIND,
    "virtual_hosted_style_request": FlagKind(),
    "skip_signature": FlagKind(),
    "access_key_id": VALUE_KIND,
    "account_name": VALUE_KIND,
}
STORE_SECRETS = ("secret_access_key", "session_token", "service_account_key", "account_key", "sas_key")
"""Of object stores, by obstore's names for them."""

RESERVED_HEADERS = frozenset(
    {
        "host", "connection", "transfer-encoding", "content-length", "accept-encoding", "cdn-loop", "via",
        "range", "if-none-match", "if-modified-since",
    }
)  # fmt: skip

ORIGIN_FIELDS = ("url", *SCALAR_FIELDS, "formats", "rewrite", "headers", *STORE_OPTIONS, *STORE_SECRETS)
COMMON_FIELDS = ("url", "timeout", "max_bytes", "concurrency", "formats", "rewrite")
HTTP_FIELDS = ("private", "max_age", "headers")
FIELDS_BY_SCHEME: Mapping[str, tuple[str, ...]] = {
    "": (),
    "file": (),
    "http": HTTP_FIELDS,
    "https": HTTP_FIELDS,
    "s3": (
        "max_age", "region", "endpoint", "virtual_hosted_style_request", "skip_signature",
        "access_key_id", "secret_access_key", "session_token",
    ),
    "gs": ("max_age", "endpoint", "skip_signature", "service_account_key"),
    "az": ("max_age", "endpoint", "skip_signature", "account_name", "account_key", "sas_key"),
}  # fmt: skip
"""What means something for each kind of URL, beside the common fields."""


def or_empty(pattern: str) -> re.Pattern[str]:
    """`pattern`, or the empty text; with the same groups."""
    return re.compile(f"(?:{pattern})|")
