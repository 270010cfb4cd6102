"""The environment variables of a renderer: what its libraries need, and no secret."""

from __future__ import annotations

import os
import sys

INHERITED_VARIABLES = {"HOME", "LANG", "PATH", "TMPDIR", "TZ"}
INHERITED_PREFIXES = ("DYLD_", "FONTCONFIG_", "LC_", "LD_", "MALLOC_", "VIPS_", "XDG_")
"""What a renderer may know of our environment: where its libraries are, and no secret of any kind."""

FIXED_VARIABLES = {
    "VIPS_CONCURRENCY": "1",  # parallel over renderers: more jobs done than with threads inside one
    # No side is that long, and all frames of an animation on top of each other are not (`render_plan`).
    "VIPS_MAX_COORD": "4000000",
    "MALLOC_ARENA_MAX": "2",  # halves what glibc keeps, for 1 % of CPU
}


def renderer_environment() -> dict[str, str]:
    """Return the variables of a renderer that is started from here."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name in INHERITED_VARIABLES or name.startswith(INHERITED_PREFIXES)
    }
    return inherited | FIXED_VARIABLES | {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))}
