"""`python -m proxy.samples FOLDER`"""

from __future__ import annotations

import sys
from pathlib import Path

from proxy.samples import draw

if len(sys.argv) != 2:
    sys.exit("usage: python -m proxy.samples FOLDER")
draw(Path(sys.argv[1]))
