"""Dates in HTTP (RFC 9110 section 5.6.7), as clients and origins send them."""

from __future__ import annotations

from email.utils import parsedate_to_datetime

MAX_DATE_CHARACTERS = 64
"""Of a date that is read: the longest form of RFC 9110 has 33."""


def parse_http_date(text: str | None) -> float | None:
    """Return a date in unix seconds; `None` where there is none, or where it cannot be read."""
    if not text or len(text) > MAX_DATE_CHARACTERS:
        return None
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
