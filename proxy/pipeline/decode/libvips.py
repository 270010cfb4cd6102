"""The one place where libvips' errors become ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pyvips

from proxy.model.errors import ProxyError

_RAISED = (pyvips.Error, UnicodeDecodeError)
"""`pyvips.Error` fails to make itself when libvips' message, which quotes the file, is not UTF-8."""


@contextmanager
def libvips(kind: type[ProxyError], message: str) -> Iterator[None]:
    """Turn what libvips raises within into `kind`. Its own words go to the traceback, never to strangers."""
    try:
        yield
    except _RAISED as error:
        raise kind(message) from error
