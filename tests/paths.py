"""Where the project lies, for tests that read its files."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

PICTURES = ROOT / "tests/data/pictures"
"""Small originals that came out wrong once."""
