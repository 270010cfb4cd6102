"""The libvips that this installation finds, asked before anything is rendered."""

from __future__ import annotations

import subprocess
import sys

from proxy.cli.refused import Refused

MIN_LIBVIPS = (8, 18)
"""The oldest that is tested: older ones lack loaders, and read some files wrong."""

INSTALL = "PKG_CONFIG=false pip install --force-reinstall --no-cache-dir 'pyvips[binary]>=3.2,<4'"
"""Installs pyvips with a libvips of its own, whatever the system has."""

# Asked elsewhere: a process that has run libvips must never fork.
_ASK = "import pyvips; print(pyvips.__version__, '.'.join(str(pyvips.version(part)) for part in range(3)))"


def pyvips_and_libvips() -> tuple[str, str] | None:
    """Return the versions of pyvips and of the libvips that it loads; `None` if they cannot be loaded."""
    answer = subprocess.run([sys.executable, "-c", _ASK], capture_output=True, text=True, check=False)  # noqa: S603
    match answer.stdout.split():
        case [pyvips, libvips] if answer.returncode == 0:
            return pyvips, libvips
    return None


def require_libvips() -> None:
    """Raise Refused, which says how to get one, unless there is a libvips that is new enough."""
    found = pyvips_and_libvips()
    needed = ".".join(map(str, MIN_LIBVIPS))
    if found is None:
        raise Refused(f"libvips cannot be loaded, and {needed} or later is needed: {INSTALL}")
    if tuple(int(part) for part in found[1].split(".")) < MIN_LIBVIPS:
        raise Refused(f"libvips {found[1]} was found, and {needed} or later is needed: {INSTALL}")
