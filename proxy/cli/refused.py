"""The error that any command may end with."""

from __future__ import annotations


class Refused(Exception):
    """A command cannot do what it was given. Its message is printed to stderr, and the exit code is 2."""
